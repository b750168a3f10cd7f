"""PDUs as a person reads them: names, meanings, the text of a message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from smsgate.protocol.commands import command_name, status_text
from smsgate.protocol.frames import HEADER, HEADER_SIZE, Frame
from smsgate.protocol.inspection import UNKNOWN, Inspection, inspect_pdu
from smsgate.protocol.mo_text import read_mo
from smsgate.protocol.pdus import SHORT_MESSAGE, Pdu, decode_pdu
from smsgate.protocol.receipts import receipt_fields
from smsgate.protocol.tlv_names import tlv_text
from smsgate.protocol.tlvs import Tag, tlv_value

PDUS_SHOWN_MAX: Final = 100  # of one argument: a capture belongs into a file
_READ: Final = frozenset({"accept", "accept_lenient", "accept_or_nack", "stream"})


def view(octets: bytes, command_length_max: int) -> Iterator[str]:
    """Yield lines for all PDUs that stand in `octets` one behind the other."""
    for shown in range(PDUS_SHOWN_MAX):
        if shown:
            yield ""
        found = inspect_pdu(octets, command_length_max)
        yield from _one(octets, found)
        if found["verdict"] != "stream":
            return
        octets = octets[int.from_bytes(octets[:4], "big") :]
    yield f"... {len(octets)} octets more"


def _one(octets: bytes, found: Inspection) -> Iterator[str]:
    name = found["pdu"]
    if name == UNKNOWN and len(octets) >= HEADER_SIZE:
        name = f"command_id {command_name(int.from_bytes(octets[4:8], 'big'))}"
    yield f"{name}: {found['verdict']}"
    for key in ("error", "note"):
        if key in found:
            yield f"  {key}: {found[key]}"
    for key, value in found["fields"].items():
        yield f"  {key:<24} {_shown(key, value)}"
    if found["verdict"] not in _READ or "error" in found:
        return
    length, command_id, status, number = HEADER.unpack_from(octets)
    pdu = decode_pdu(Frame(command_id, number, status, octets[HEADER_SIZE:length]))
    for tag, value in pdu.tlvs:
        yield f"  TLV {tlv_text(tag, value)}"
    yield from _text(pdu, receipt=found.get("is_receipt", False))


def _shown(key: str, value: Any) -> str:
    match key:
        case "command_status":
            return status_text(value)
        case "password" if value:
            return f"({len(value)} characters, not shown)"
        case "dests" | "unsuccess":
            return "; ".join(" ".join(f"{name}={each[name]}" for name in each) for each in value)
        case _:
            return repr(value) if isinstance(value, str) and key != "command_id" else str(value)


def _text(pdu: Pdu, *, receipt: bool) -> Iterator[str]:
    """Yield what the message says, by its data_coding; a receipt by its fields."""
    message = pdu.fields.get(SHORT_MESSAGE, b"")
    payload = tlv_value(pdu.tlvs, Tag.MESSAGE_PAYLOAD)
    if not message and not payload:
        return
    mo = read_mo(
        message, pdu.fields.get("data_coding", 0), pdu.fields.get("esm_class", 0), message_payload=payload
    )
    if receipt:
        for name, value in receipt_fields(mo.user_data).items():
            yield f"  receipt {name:<16} {value.decode('latin-1')!r}"
        return
    place = "" if mo.concat is None else f", part {mo.concat.index} of {mo.concat.total}"
    yield f"  text ({mo.codec}{place}) {mo.text!r}"
