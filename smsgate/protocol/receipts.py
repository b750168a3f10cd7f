"""
Delivery receipts in the text of a deliver_sm, in all the dialects that SMSCs speak.

Source: SMPP 3.4 Appendix B, which only shows an example; the dialects are those of issues 9, 62 (jsmpp), 40,
105 (cloudhopper), 46 (smppex), 4, 16, 29, 70 (php-smpp), 224 (jasmin) and of the suites of those projects.
The octets are read as Latin-1 whatever data_coding says: as GSM 03.38 the underscore of a message id would
turn into a section sign.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, NamedTuple

from smsgate.protocol.receipt_states import STATE_NAMES, STATE_WORDS, ReceiptState

RECEIPT_OCTETS_MAX: Final = (
    1024  # a receipt fills one short_message; more is somebody's text in message_payload
)
MESSAGE_ID_OCTETS_MAX: Final = 65  # SMPP 3.4 §4.4.2: 64 and the NUL

_UNKNOWN: Final = int(ReceiptState.UNKNOWN)
# The form of the specification, all fields in order: three quarters of the cost of the general reading are
# saved.
_USUAL: Final = re.compile(
    rb"id:([^\s:]{1,65}) sub:[^\s:]* dlvrd:[^\s:]* submit date:[^\s:]* done date:([^\s:]*)"
    rb" stat:(\w+) err:(\w*)(?: text:|\0|\Z)",
    re.IGNORECASE,
)
_KEY: Final = re.compile(
    rb"(?:^|(?<=[\s,;]))(id|sub|dlvrd|submit[ _]?date|done[ _]?date|stat|err|text) ?: ?", re.IGNORECASE
)
# Sicap's MMG writes id and message_state, no keys (jasmin issue 224). Short words are left out, or a
# customer's "OK 2" would be one.
_BARE: Final = re.compile(rb"(?=[^ ]*\d)([0-9A-Za-z_-]{8,65}) ([1-8])\0?")
_STRIPPED: Final = b" \t\r\n\0,;"
# What an SMSC says beside id and state. A forged text that names none of these is known by it.
_BOOKKEEPING: Final = frozenset({"sub", "dlvrd", "submit_date", "done_date", "err"})
_NAMES: Final = {"submitdate": "submit_date", "donedate": "done_date"}


class Receipt(NamedTuple):
    """
    What one receipt says: `message_id` as received, possibly empty; `state` is a ReceiptState number.

    `error` and `done_at_text` may be empty. Dates stay text: 12 digits are YYMMDDhhmmss at some SMSCs and
    YYYYMMDDhhmm at others, in the SMSC's own zone; `receipt_date` reads them.
    """

    message_id: bytes
    state: int
    error: str
    done_at_text: str


def parse_receipt(octets: bytes, *, marked: bool = True) -> Receipt | None:
    """
    Return what the receipt says, or None when the text is no receipt. Never raises.

    `marked`: esm_class or TLVs say that this is a receipt; then a text counts that names `id:` (its value may
    be empty) and `stat:`, everything else missing or anywhere, or that is only an id and a message_state.
    Not marked, the text alone has to prove it: see `is_receipt_form`.

    A `stat:` word that no specification knows gives UNKNOWN.
    """
    usual = _USUAL.match(octets)
    if usual is not None:
        message_id, done_at, word, error = usual.groups()
        state = STATE_WORDS.get(word.upper(), _UNKNOWN)
        return Receipt(message_id, state, error.decode("latin-1"), done_at.decode("latin-1"))
    fields = receipt_fields(octets)
    readable = "id" in fields and "stat" in fields
    if not readable or not (marked or is_receipt_form(octets, fields)):
        return None
    return Receipt(
        message_id=fields["id"][:MESSAGE_ID_OCTETS_MAX],
        state=state_of(fields["stat"]),
        error=fields.get("err", b"").decode("latin-1"),
        done_at_text=fields.get("done_date", b"").decode("latin-1"),
    )


def receipt_fields(octets: bytes) -> dict[str, bytes]:
    """
    Return the fields by name: id, sub, dlvrd, submit_date, done_date, stat, err, text; as many as there are.

    The first of each name counts. What follows `text:`, or without that key the last field, is the
    customer's, not the SMSC's: it holds no fields, unless the SMSC put its state behind it.
    """
    octets = octets[:RECEIPT_OCTETS_MAX]
    if bare := _BARE.fullmatch(octets):
        return {"id": bare[1], "stat": STATE_NAMES[int(bare[2])]}
    keys = list(_KEY.finditer(octets))
    fields: dict[str, bytes] = {}
    for position, match in enumerate(keys):
        name = match[1].decode("ascii").lower().replace(" ", "").replace("_", "")
        if name == "text" and "stat" in fields:
            fields["text"] = octets[match.end() :].rstrip(b"\0")
            break
        end = keys[position + 1].start() if position + 1 < len(keys) else len(octets)
        value = octets[match.end() : end].strip(_STRIPPED)
        if name in {"id", "text"}:
            fields.setdefault(name, value)
            continue
        word, *rest = value.split(None, 1) or (b"",)
        fields.setdefault(_NAMES.get(name, name), word.rstrip(_STRIPPED))
        if rest and end == len(octets):
            fields.setdefault("text", rest[0])
    return fields


def is_receipt_form(octets: bytes, fields: dict[str, bytes]) -> bool:
    """
    Say whether a text that nothing marks as a receipt has the form of one; `fields` are its `receipt_fields`.

    It begins with a field, and beside id and state it holds one of the SMSC's own: counters, dates or error.
    A customer who writes "id:1 stat:DELIVRD", or says it within a sentence, has not delivered anything.
    """
    named = "id" in fields and "stat" in fields and not _BOOKKEEPING.isdisjoint(fields)
    return named and _KEY.match(octets) is not None


def is_terse_form(octets: bytes, fields: dict[str, bytes]) -> bool:
    """Say whether the text is a state alone, or an id and a message_state as Sicap's MMG writes them."""
    alone = fields.keys() == {"stat"} and _KEY.match(octets) is not None
    return alone or _BARE.fullmatch(octets) is not None


def state_of(word: bytes) -> int:
    """Return the state of a `stat:` value, a word or a number of message_state; UNKNOWN for what is new."""
    if len(word) == 1 and b"1" <= word <= b"8":
        return int(word)
    return STATE_WORDS.get(word.upper(), _UNKNOWN)


def receipt_date(digits: str) -> datetime | None:
    """
    Return a date of a receipt, without zone, since the SMSC does not say which; None for what is no date.

    10 digits are YYMMDDhhmm, 14 are YYYYMMDDhhmmss. 12 digits are YYMMDDhhmmss, the form of the specification
    with seconds, and where that is no date YYYYMMDDhhmm. Both can be meant only by what begins with 2001 to
    2012, and a receipt of those years is less likely than one of 2020. What follows twelve digits in the
    absolute time format (tenths, zone, sign) is left out.
    """
    if len(digits) == 16 and digits[-1] in "+-":
        digits = digits[:12]
    if not (digits.isascii() and digits.isdecimal()):
        return None
    match len(digits):
        case 10 | 12:
            short = _date("20" + digits)
            return short if short is not None or len(digits) == 10 else _date(digits)
        case 14:
            return _date(digits)
        case _:
            return None


def _date(digits: str) -> datetime | None:
    """Return YYYYMMDDhhmm, or with ss, as a date."""
    month, day, hour, minute = (int(digits[at : at + 2]) for at in range(4, 12, 2))
    second = int(digits[12:14] or 0)
    try:
        return datetime(int(digits[:4]), month, day, hour, minute, second)  # noqa: DTZ001 - the zone is not known
    except ValueError:
        return None
