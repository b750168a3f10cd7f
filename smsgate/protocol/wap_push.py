"""
WAP Push by SMS: a link with a sentence (Service Indication), or a link that is opened (Service Loading).

Sources: WAP-167 (SI) §9 and WAP-168 (SL) §9-10 for the binary XML, WAP-230 (WSP) §8.2.4.1 for the push PDU,
3GPP TS 23.040 §9.2.3.24.4 for the port element. The octets equal those of Kannel's push gateway.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.errors import Invalid, TextError
from smsgate.protocol.gsm0338 import ESM_CLASS_UDHI
from smsgate.protocol.segmentation import SEGMENT_OCTETS, SEGMENTS_MAX, Segments

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA_CODING: Final = 0x04  # octets; no class, so that the phone's push client decides
PUSH_PORT: Final = 2948  # of the phone: connectionless push
SOURCE_PORT: Final = 9200

_PORTS: Final = bytes((0x05, 0x04)) + PUSH_PORT.to_bytes(2, "big") + SOURCE_PORT.to_bytes(2, "big")
_HEADER: Final = bytes((len(_PORTS),)) + _PORTS
_CONCAT: Final = bytes((0x00, 0x03))  # element and length; reference, total and number follow
PART_OCTETS: Final = SEGMENT_OCTETS - len(_HEADER) - len(_CONCAT) - 3

_WSP_PUSH: Final = 0x06
_WSP_TYPE_SI: Final = b"\xae"
_WSP_TYPE_SL: Final = b"\xb0"

_WBXML_HEAD: Final = b"\x02"  # version 1.2
_UTF_8_NO_STRINGS: Final = b"\x6a\x00"  # MIBenum 106; a string table of no octets
_PUBLIC_ID_SI: Final = b"\x05"
_PUBLIC_ID_SL: Final = b"\x06"
_END: Final = b"\x01"
_STRING: Final = b"\x03"
_OPAQUE: Final = b"\xc3"

_SI_WITH_CONTENT: Final = b"\x45"
_INDICATION_WITH_BOTH: Final = b"\xc6"  # content and attributes
_SL_WITH_ATTRIBUTES: Final = b"\x85"
_SI_CREATED: Final = b"\x0a"
_SI_EXPIRES: Final = b"\x10"
_SI_ID: Final = b"\x11"
# The longest first: "http://www." begins with "http://".
_SI_HREF: Final = {"https://www.": 0x0F, "https://": 0x0E, "http://www.": 0x0D, "http://": 0x0C, "": 0x0B}
_SL_HREF: Final = {"https://www.": 0x0C, "https://": 0x0B, "http://www.": 0x0A, "http://": 0x09, "": 0x08}
_DOMAINS: Final = {".com/": 0x85, ".edu/": 0x86, ".net/": 0x87, ".org/": 0x88}  # attribute values, SI and SL


class SiAction(Enum):
    """How loud the phone is; a document that names none means `MEDIUM`. `DELETE` takes one back."""

    NONE = "signal-none"
    LOW = "signal-low"
    MEDIUM = "signal-medium"
    HIGH = "signal-high"
    DELETE = "delete"


class SlAction(Enum):
    """What the phone does with what it loads; a document that names none means `EXECUTE_LOW`."""

    EXECUTE_LOW = "execute-low"
    EXECUTE_HIGH = "execute-high"
    CACHE = "cache"


_SI_ACTION: Final = {action: bytes((code,)) for code, action in enumerate(SiAction, 0x05)}
_SL_ACTION: Final = {action: bytes((code,)) for code, action in enumerate(SlAction, 0x05)}


class Indication(NamedTuple):
    """
    A Service Indication. `expires`: when the phone may throw it away.

    `si_id` names it for a later one that replaces or deletes it; without, the href does.
    """

    href: str
    text: str
    action: SiAction | None = None
    created: datetime | None = None
    expires: datetime | None = None
    si_id: str = ""


class Loading(NamedTuple):
    """A Service Loading: the phone opens `href`, if its owner lets it."""

    href: str
    action: SlAction | None = None


def shown(document: Indication | Loading) -> str:
    """Return a push as people read it: what it says, and where it leads."""
    return f"{document.text} {document.href}" if isinstance(document, Indication) else document.href


def indication_octets(indication: Indication) -> bytes:
    """
    Return the binary XML of a Service Indication.

    Raises:
        Invalid: no href and no si_id to know it by; `DELETE` without si_id; a control character; a date
            without its time zone; an end before the beginning.
    """
    if indication.action is SiAction.DELETE and not indication.si_id:
        raise Invalid("an indication that deletes another needs its si_id")
    if not indication.href and not indication.si_id:
        raise Invalid("an indication needs an href or an si_id")
    attributes = b"".join(
        (
            _href(indication.href, _SI_HREF) if indication.href else b"",
            _SI_ID + _inline(indication.si_id, "si_id") if indication.si_id else b"",
            _SI_CREATED + _date(indication.created, "created") if indication.created else b"",
            _SI_EXPIRES + _date(indication.expires, "expires") if indication.expires else b"",
            _SI_ACTION[indication.action] if indication.action else b"",
        )
    )
    if indication.created and indication.expires and indication.expires < indication.created:
        raise Invalid("an indication that expires before it is created is shown by no phone")
    text = _inline(indication.text, "text") if indication.text else b""
    content = _INDICATION_WITH_BOTH + attributes + _END + text + _END
    return _WBXML_HEAD + _PUBLIC_ID_SI + _UTF_8_NO_STRINGS + _SI_WITH_CONTENT + content + _END


def loading_octets(loading: Loading) -> bytes:
    """
    Return the binary XML of a Service Loading.

    Raises:
        Invalid: no href, or a control character in it.
    """
    if not loading.href:
        raise Invalid("a loading needs an href")
    attributes = _href(loading.href, _SL_HREF) + (_SL_ACTION[loading.action] if loading.action else b"")
    return _WBXML_HEAD + _PUBLIC_ID_SL + _UTF_8_NO_STRINGS + _SL_WITH_ATTRIBUTES + attributes + _END


def push_pdu(document: Indication | Loading, *, transaction_id: int = 1, headers: bytes = b"") -> bytes:
    """
    Return the WSP push PDU of a document; `headers` are further WSP headers, encoded.

    Raises:
        Invalid: as `indication_octets` and `loading_octets`.
    """
    assert 0 <= transaction_id <= 0xFF
    if isinstance(document, Indication):
        content_type, body = _WSP_TYPE_SI, indication_octets(document)
    else:
        content_type, body = _WSP_TYPE_SL, loading_octets(document)
    heads = content_type + headers
    return bytes((transaction_id, _WSP_PUSH)) + _uintvar(len(heads)) + heads + body


def with_transaction_id(pdu: bytes, transaction_id: int) -> bytes:
    """Return a push PDU under another transaction id: phones drop one that they have seen lately."""
    assert 0 <= transaction_id <= 0xFF
    return bytes((transaction_id,)) + pdu[1:]


def push_messages(pdu: bytes, *, reference: int = 0) -> Segments:
    """
    Cut a push PDU into short_messages to the phone's push port; several carry a concatenation element.

    Raises:
        TextError: `text_too_long`: more than 255 segments.
    """
    assert 0 <= reference <= 0xFF
    if len(_HEADER) + len(pdu) <= SEGMENT_OCTETS:
        return Segments(DATA_CODING, ESM_CLASS_UDHI, (_HEADER + pdu,))
    total = -(-len(pdu) // PART_OCTETS)
    if total > SEGMENTS_MAX:
        raise TextError(f"{total} segments, at most {SEGMENTS_MAX} can be sent", code="text_too_long")
    elements = _PORTS + _CONCAT + bytes((reference, total))
    head = bytes((len(elements) + 1,)) + elements
    return Segments(
        DATA_CODING,
        ESM_CLASS_UDHI,
        tuple(
            head + bytes((number + 1,)) + pdu[number * PART_OCTETS : (number + 1) * PART_OCTETS]
            for number in range(total)
        ),
    )


def _href(href: str, starts: Mapping[str, int]) -> bytes:
    """Return the attribute: its start by a token, then strings, and tokens for `.com/` and the like."""
    start = next(each for each in starts if href.startswith(each))
    octets = bytes((starts[start],))
    rest = href[len(start) :]
    while rest:
        place, domain = min(
            ((rest.find(each), each) for each in _DOMAINS if each in rest), default=(len(rest), "")
        )
        if place:
            octets += _inline(rest[:place], "href")
        if domain:
            octets += bytes((_DOMAINS[domain],))
        rest = rest[place + len(domain) :]
    return octets


def _inline(text: str, where: str) -> bytes:
    """Return an inline string: UTF-8, ended by the NUL that it must not hold."""
    if any(ord(character) < 0x20 and character not in "\t\n\r" for character in text):
        raise Invalid(f"{where} holds a control character")
    try:
        return _STRING + text.encode("utf-8") + b"\0"
    except UnicodeEncodeError:
        raise Invalid(f"{where} holds half a surrogate pair") from None


def _date(at: datetime, where: str) -> bytes:
    """Return year to second in UTC, two digits an octet, zero octets at the end left out (WAP-167 §8.2.2)."""
    if at.tzinfo is None:
        raise Invalid(f"{where} is a date without a time zone")
    octets = bytes.fromhex(f"{at.astimezone(UTC):%Y%m%d%H%M%S}").rstrip(b"\0")
    return _OPAQUE + bytes((len(octets),)) + octets


def _uintvar(number: int) -> bytes:
    """Return a WSP uintvar: seven bits an octet, the highest first, bit 7 set on all but the last."""
    octets = [number & 0x7F]
    while number := number >> 7:
        octets.append(number & 0x7F | 0x80)
    return bytes(reversed(octets))
