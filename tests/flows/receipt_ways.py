"""A receipt in every way that an SMSC brings one, as octets on a bind of the simulated SMSC."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from smsgate.protocol.commands import CommandId
from smsgate.protocol.pdus import Pdu, encode_pdu
from smsgate.protocol.tlvs import Tag, Tlvs
from tests.flows.world import World

_numbers = itertools.count(500_000_000)  # no deliver_sm of the simulator itself has such a one


class Way(NamedTuple):
    """`text` holds one %s for the id; `tlvs` is whether the two TLVs of a receipt are there."""

    text: bytes
    tlvs: bool = False
    esm_class: int = 0x04
    data_coding: int = 0
    command_id: int = CommandId.DELIVER_SM
    payload: bool = False
    header: bytes = b""


USUAL: Final = (
    b"id:%s sub:001 dlvrd:001 submit date:2611231200 done date:2611231200 stat:DELIVRD err:000 text:Bonjour"
)
WAYS: Final[Mapping[str, Way]] = {
    "text": Way(USUAL),
    "text and TLVs": Way(USUAL, tlvs=True),
    "TLVs alone": Way(b"", tlvs=True),
    "esm_class 0 and TLVs": Way(b"", tlvs=True, esm_class=0),
    "esm_class 0, TLVs and text": Way(USUAL, tlvs=True, esm_class=0),
    "data_sm": Way(b"", tlvs=True, command_id=CommandId.DATA_SM),
    "data_sm with the text in message_payload": Way(USUAL, command_id=CommandId.DATA_SM, payload=True),
    "message_payload": Way(USUAL, payload=True),
    "another dialect": Way(b"STAT:DELIVRD, ID:%s err:0"),
    "14-digit dates": Way(b"id:%s submit date:20261123120000 done date:20261123120001 stat:DELIVRD err:0x0"),
    "no dates and a NUL": Way(b"id:%s stat:DELIVRD err:000\0"),
    "marked as UCS-2": Way(USUAL, data_coding=8),
    "behind a user data header": Way(USUAL, esm_class=0x44, header=b"\x05\x00\x03\x07\x01\x01"),
    "header and text in message_payload": Way(
        USUAL, esm_class=0x44, header=b"\x04\x05\x02\1\1", payload=True
    ),
    "intermediate notification": Way(USUAL, esm_class=0x20),
}


def way_octets(way: Way, message_id: bytes) -> bytes:
    """Return one deliver_sm or data_sm that says DELIVRD of this id."""
    text = way.header + (way.text % message_id if way.text else b"")
    tlvs: Tlvs = ()
    if way.tlvs:
        tlvs = ((Tag.RECEIPTED_MESSAGE_ID, message_id + b"\0"), (Tag.MESSAGE_STATE, b"\x02"))
    if way.payload:
        tlvs = (*tlvs, (Tag.MESSAGE_PAYLOAD, text))
        text = b""
    fields: dict[str, Any] = {
        "source_addr_ton": 1,
        "source_addr_npi": 1,
        "source_addr": b"33612000000",
        "destination_addr": b"36111",
        "esm_class": way.esm_class,
        "data_coding": way.data_coding,
    }
    if way.command_id == CommandId.DELIVER_SM:
        fields["short_message"] = text
    return encode_pdu(Pdu(way.command_id, 0, next(_numbers), fields, tlvs))


def receipt_octets(text: bytes, *tlvs: tuple[int, bytes], esm_class: int = 0x04) -> bytes:
    """Return a deliver_sm of this text and these TLVs."""
    fields = {"source_addr": b"33612000000", "destination_addr": b"36111", "esm_class": esm_class}
    return encode_pdu(Pdu(CommandId.DELIVER_SM, 0, next(_numbers), {**fields, "short_message": text}, tlvs))


def write_to_gateway(world: World, octets: bytes, bind: int = 0) -> None:
    """Write octets as the SMSC on one of the gateway's binds."""
    connections = world.simulator.smsc._accounts[b"smsgate"].connections
    connections[bind % len(connections)].write(octets)
