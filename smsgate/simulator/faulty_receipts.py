"""
Receipts as the field writes them: other texts, other places, other TLVs. Source: SMPP 3.4 Appendix B.

A template holds {id}, {stat}, {err}, {sub}, {dlvrd} and the same instant as {d10} (YYMMDDhhmm), {d12}
(YYMMDDhhmmss), {c12} (YYYYMMDDhhmm) and {d14} (YYYYMMDDhhmmss).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from smsgate.protocol.commands import CommandId
from smsgate.protocol.pdus import encode_body
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.protocol.tlvs import Tag, encode_tlvs
from smsgate.simulator.faults import Faults
from smsgate.simulator.submits import Submits

USUAL_TEXT: Final = (
    "id:{id} sub:001 dlvrd:{dlvrd} submit date:{d10} done date:{d10} stat:{stat} err:{err} text:"
)
_ERRORS: Final = {ReceiptState.UNDELIV: "001", ReceiptState.EXPIRED: "027", ReceiptState.REJECTD: "008"}
# The octet of registered_delivery, bits 0 and 1: which outcomes are wanted (SMPP 3.4 §5.2.17).
_FAILURES_ONLY: Final = 2
_SUCCESSES_ONLY: Final = 3


class Ids(NamedTuple):
    """The message's id as the receipt's text has it, and as its TLV has it."""

    text: bytes
    tlv: bytes


def wanted(registered: int, state: int) -> bool:
    """Return whether a submit_sm with this registered_delivery asked for a receipt of its final `state`."""
    asked, delivered = registered & 3, state == ReceiptState.DELIVRD
    if asked == _FAILURES_ONLY:
        return not delivered
    return delivered if asked == _SUCCESSES_ONLY else bool(asked)


def receipts_of(
    submits: Submits, row: int, state: int, ids: Ids, faults: Faults, at: datetime, turn: int
) -> Iterator[bytes]:
    """Yield the deliver_sm bodies for one message, in their order; `turn` chooses the template."""
    states = (*faults.receipt_states_before, state, *faults.receipt_states_after)
    for each in states:
        body = _body(submits, row, each, ids, faults, at, turn)
        for _ in range(faults.receipt_copies):
            yield body


def _body(submits: Submits, row: int, state: int, ids: Ids, faults: Faults, at: datetime, turn: int) -> bytes:
    texts = faults.receipt_texts or (USUAL_TEXT,)
    text = b""
    if faults.receipt_parts != "tlvs":
        text = _text(texts[turn % len(texts)], state, ids.text, at) + faults.receipt_tail
    tlvs: dict[int, bytes] = {}
    if faults.receipt_parts != "text":
        tlvs = {Tag.RECEIPTED_MESSAGE_ID: ids.tlv + b"\0", Tag.MESSAGE_STATE: bytes((state,))}
    tlvs.update(faults.receipt_tlvs)
    if text and faults.receipt_place == "message_payload":
        tlvs[Tag.MESSAGE_PAYLOAD] = text
        text = b""
    fields = {
        "source_addr_ton": submits.destination_kinds[row][0],
        "source_addr_npi": submits.destination_kinds[row][1],
        "source_addr": submits.destinations[row],
        "dest_addr_ton": submits.source_kinds[row][0],
        "dest_addr_npi": submits.source_kinds[row][1],
        "destination_addr": submits.sources[row],
        "esm_class": faults.receipt_esm_class,
        "short_message": text,
    }
    return encode_body(CommandId.DELIVER_SM, fields) + encode_tlvs(tlvs.items())


def _text(template: str, state: int, message_id: bytes, at: datetime) -> bytes:
    text = template.format(
        id=message_id.decode("ascii"),
        stat=ReceiptState(state).name,
        err=_ERRORS.get(ReceiptState(state), "000"),
        sub="001",
        dlvrd="001" if state == ReceiptState.DELIVRD else "000",
        d10=f"{at:%y%m%d%H%M}",
        d12=f"{at:%y%m%d%H%M%S}",
        c12=f"{at:%Y%m%d%H%M}",
        d14=f"{at:%Y%m%d%H%M%S}",
    )
    return text.encode("latin-1")
