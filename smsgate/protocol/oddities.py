"""
What is bent in a PDU that can be used all the same: the reasons why its verdict is "accept_lenient".

Each rule is a habit of peers in the field; where it comes from stands beside it. Sizes are those of SMPP 3.4
§4 and §5, NUL included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smsgate.protocol.commands import RESPONSE_BIT, CommandId
from smsgate.protocol.pdus import LAYOUTS, SHORT_MESSAGE, encode_pdu
from smsgate.protocol.tlvs import Tag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smsgate.protocol.frames import Frame
    from smsgate.protocol.pdus import Pdu

SEQUENCE_NUMBER_MAX: Final = 0x7FFF_FFFF  # SMPP 3.4 §5.1.4
TYPES_OF_NUMBER: Final = frozenset(range(7))  # SMPP 3.4 §5.2.5
NUMBERING_PLANS: Final = frozenset({0, 1, 3, 4, 6, 8, 9, 10, 14, 18})  # SMPP 3.4 §5.2.6
REGISTERED_DELIVERY_RESERVED: Final = 0xE0  # SMPP 3.4 §5.2.17
MESSAGE_STATES: Final = frozenset(range(1, 10))  # SMPP 3.4 §5.2.28; 9 (skipped) is of SMPP 5.0 §4.7.15
SHORT_MESSAGE_SPECIFIED_MAX: Final = 254  # octets, SMPP 3.4 §5.2.21; 5.0 allows 255

_SIZES: Final[dict[str, int]] = {
    "system_id": 16,
    "password": 9,
    "system_type": 13,
    "address_range": 41,
    "service_type": 6,
    "source_addr": 21,
    "destination_addr": 21,
    "message_id": 65,
    "esme_addr": 65,
    "schedule_delivery_time": 17,
    "validity_period": 17,
    "final_date": 17,
}
# data_sm and alert_notification take addresses of 65 octets (SMPP 3.4 §4.7.1, §4.12.1).
_LONG_ADDRESSES: Final = frozenset({CommandId.DATA_SM, CommandId.ALERT_NOTIFICATION})
_ADDRESS_LONG_MAX: Final = 65


def oddities(frame: Frame, pdu: Pdu) -> list[str]:
    """Return what is bent in `pdu`, read from `frame`, one sentence each; empty when it is well formed."""
    return [*_of_frame(frame, pdu), *_of_fields(pdu), *_of_tlvs(pdu)]


def _of_frame(frame: Frame, pdu: Pdu) -> Iterator[str]:
    layout = LAYOUTS[frame.command_id]
    if not 1 <= frame.sequence_number <= SEQUENCE_NUMBER_MAX:
        yield "sequence number outside 1..0x7FFFFFFF: echo it unchanged"  # cloudhopper: AT&T starts at 0
    if not layout and frame.body:
        yield "a body where the specification has none"  # php-smpp issue 49
    elif frame.command_id & RESPONSE_BIT and layout:
        if frame.status and frame.body:
            yield "error status with a body"  # SMPP 3.4 §4.4.2 has none; vumi PR 804, gosmpp 113, smppex 6
        elif not frame.status and len(pdu.fields) < len(layout):
            yield f"status 0 but no {layout[len(pdu.fields)][0]}"  # cloudhopper, node-smpp issue 65
    if pdu.dropped:
        tail = frame.body[len(frame.body) - pdu.dropped :]
        yield f"trailing octets 0x{tail.hex()} after the last whole field are ignored"  # Netfors; jsmpp 214
    elif encode_pdu(pdu) != frame.encode():
        yield "the last field lacks its NUL"  # cloudhopper


def _of_fields(pdu: Pdu) -> Iterator[str]:
    fields = pdu.fields
    if any(
        value not in (TYPES_OF_NUMBER if name.endswith("_ton") else NUMBERING_PLANS)
        for name, value in fields.items()
        if name.endswith(("_ton", "_npi"))
    ):
        yield "reserved TON/NPI value: keep as a number"  # smppex issue 92, jasmin issue 951
    if fields.get("registered_delivery", 0) & REGISTERED_DELIVERY_RESERVED:
        yield "reserved bits of registered_delivery set"
    for name, value in fields.items():
        size = _SIZES.get(name)
        if size is None:
            continue
        if name.endswith("_addr") and pdu.command_id in _LONG_ADDRESSES:
            size = _ADDRESS_LONG_MAX
        if len(value) >= size:
            yield f"{name} longer than the {size - 1} characters of the specification"  # Infobip's passwords
    if len(fields.get(SHORT_MESSAGE, b"")) > SHORT_MESSAGE_SPECIFIED_MAX:
        yield f"short_message longer than {SHORT_MESSAGE_SPECIFIED_MAX} octets"  # cloudhopper


def _of_tlvs(pdu: Pdu) -> Iterator[str]:
    for tag, value in pdu.tlvs:
        if tag == Tag.NETWORK_ERROR_CODE and len(value) == 3 and value.isdigit():
            yield f'network_error_code sent as ASCII digits "{value.decode()}"'  # jasmin
        elif tag == Tag.MESSAGE_STATE and (len(value) != 1 or value[0] not in MESSAGE_STATES):
            yield f"message_state 0x{value.hex()} is no state: take it from the text"  # jasmin issue 937
