"""What leaves a faulty SMSC: PDU by PDU, bent as the switches say. Pure; turns are counted in `Bender`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import Final

from smsgate.protocol.commands import RESPONSE_BIT, CommandId
from smsgate.protocol.frames import HEADER, HEADER_SIZE, Frame
from smsgate.protocol.pdus import Pdu, decode_pdu, encode_pdu
from smsgate.protocol.tlvs import Tag, encode_tlvs
from smsgate.simulator.faults import Faults

SEQUENCE_NUMBERS: Final = 1 << 32
BIND_RESPONSES: Final = frozenset(
    {
        CommandId.BIND_RECEIVER_RESP,
        CommandId.BIND_TRANSMITTER_RESP,
        CommandId.BIND_TRANSCEIVER_RESP,
    }
)
_EMPTY: Final = frozenset(
    {
        CommandId.ENQUIRE_LINK,
        CommandId.ENQUIRE_LINK_RESP,
        CommandId.UNBIND,
        CommandId.UNBIND_RESP,
    }
)
_WITH_TLVS: Final = BIND_RESPONSES | {CommandId.SUBMIT_SM_RESP, CommandId.DELIVER_SM, CommandId.DATA_SM}
_DELIVERIES: Final = frozenset({CommandId.DELIVER_SM, CommandId.DATA_SM})
# Reserved or unknown by SMPP 3.4 §5.2: nothing that a receiver has to understand.
ODD_FIELDS: Final = {
    "source_addr_ton": 0x07,
    "source_addr_npi": 0x12,
    "protocol_id": 0x7F,
    "priority_flag": 0x09,
    "registered_delivery": 0xE0,
    "replace_if_present_flag": 0x02,
}
_DATA_FIELDS: Final = (
    *("service_type", "source_addr_ton", "source_addr_npi", "source_addr"),
    *("dest_addr_ton", "dest_addr_npi", "destination_addr"),
    *("esm_class", "registered_delivery", "data_coding"),
)


def frames_of(octets: bytes) -> Iterator[Frame]:
    """Cut what the SMSC itself wrote, which is whole, into frames."""
    start = 0
    while start < len(octets):
        length, command_id, status, number = HEADER.unpack_from(octets, start)
        yield Frame(command_id, number, status, octets[start + HEADER_SIZE : start + length])
        start += length


def as_data_sm(frame: Frame) -> Frame:
    """Return a deliver_sm as the data_sm that says the same."""
    pdu = decode_pdu(frame)
    text = pdu.fields["short_message"]
    tlvs = ((Tag.MESSAGE_PAYLOAD, text), *pdu.tlvs) if text else pdu.tlvs
    values = {name: pdu.fields[name] for name in _DATA_FIELDS}
    octets = encode_pdu(Pdu(CommandId.DATA_SM, 0, frame.sequence_number, values, tlvs))
    return Frame(CommandId.DATA_SM, frame.sequence_number, 0, octets[HEADER_SIZE:])


class Bender:
    """Bends the PDUs of one connection; its turns begin with the connection."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._refusals = cycle(faults.refusal_bodies or (b"",))
        self._tails = cycle(faults.tails or (b"",))
        self._tlvs = encode_tlvs(faults.tlvs)

    def bend(self, frame: Frame, extra: bytes = b"") -> bytes:
        """Return the octets to write; `extra` are TLVs for this PDU alone."""
        faults = self._faults
        command_id, number, body = frame.command_id, frame.sequence_number, frame.body
        if not command_id & RESPONSE_BIT:
            number = (number + faults.sequence_offset) % SEQUENCE_NUMBERS
        if command_id in _EMPTY:
            body += faults.empty_pdu_body
        elif command_id == CommandId.SUBMIT_SM_RESP and frame.status:
            body += next(self._refusals)
        elif command_id in BIND_RESPONSES and faults.bare_bind_response:
            body = b""
        elif command_id in _WITH_TLVS and (body or command_id in _DELIVERIES):
            if faults.odd_fields and command_id == CommandId.DELIVER_SM:
                body = _with_odd_fields(frame)
            body += self._tlvs + extra
        body += next(self._tails)
        return HEADER.pack(HEADER_SIZE + len(body), command_id, frame.status, number) + body

    def own_number(self, number: int) -> int:
        """Return the SMSC's own number of a request that the ESME answers by `number`."""
        return (number - self._faults.sequence_offset) % SEQUENCE_NUMBERS


def _with_odd_fields(frame: Frame) -> bytes:
    pdu = decode_pdu(frame)
    return encode_pdu(pdu._replace(fields={**pdu.fields, **ODD_FIELDS}))[HEADER_SIZE:]
