"""
Delivery receipts in the text of a deliver_sm, in all the dialects that SMSCs speak.

Source: SMPP 3.4 Appendix B, which only shows an example; the dialects are those of issues 62 (jsmpp), 105
(cloudhopper), 46 (smppex) and 29, 70 (php-smpp). The octets are read as Latin-1 whatever data_coding says: as
GSM 03.38 the underscore of a message id would turn into a section sign.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from smsgate.protocol.receipt_states import STATE_WORDS, ReceiptState

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
_STRIPPED: Final = b" \t\r\n\0,;"


class Receipt(NamedTuple):
    """
    What one receipt says: `message_id` as received, possibly empty; `state` is a ReceiptState number.

    `error` and `done_at_text` may be empty. Dates stay text: 12 digits are YYMMDDhhmmss at some SMSCs and
    YYYYMMDDhhmm at others, in the SMSC's own zone.
    """

    message_id: bytes
    state: int
    error: str
    done_at_text: str


def parse_receipt(octets: bytes) -> Receipt | None:
    """
    Return what the receipt says, or None when the text is no receipt. Never raises.

    A receipt names `id:` (its value may be empty) and `stat:`; every other field may be missing or anywhere.
    A `stat:` word that no specification knows gives UNKNOWN.
    """
    usual = _USUAL.match(octets)
    if usual is not None:
        message_id, done_at, word, error = usual.groups()
        state = STATE_WORDS.get(word.upper(), _UNKNOWN)
        return Receipt(message_id, state, error.decode("latin-1"), done_at.decode("latin-1"))
    fields = _fields(octets[:RECEIPT_OCTETS_MAX])
    if "id" not in fields or "stat" not in fields:
        return None
    word = _first_word(fields["stat"])
    return Receipt(
        message_id=fields["id"][:MESSAGE_ID_OCTETS_MAX],
        state=STATE_WORDS.get(word.upper(), _UNKNOWN),
        error=_first_word(fields.get("err", b"")).decode("latin-1"),
        done_at_text=_first_word(fields.get("donedate", b"")).decode("latin-1"),
    )


def _fields(octets: bytes) -> dict[str, bytes]:
    """
    Return the fields.

    The first of each name counts, and what follows `text:` is the customer's, not the SMSC's.
    """
    keys = list(_KEY.finditer(octets))
    fields: dict[str, bytes] = {}
    for position, match in enumerate(keys):
        name = match[1].decode("ascii").lower().replace(" ", "").replace("_", "")
        end = keys[position + 1].start() if position + 1 < len(keys) else len(octets)
        if name == "text" and "stat" in fields:
            break
        fields.setdefault(name, octets[match.end() : end].strip(_STRIPPED))
    return fields


def _first_word(value: bytes) -> bytes:
    words = value.split(None, 1)
    return words[0].rstrip(b"\0") if words else b""
