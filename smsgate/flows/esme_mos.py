"""
MOs to numbers that an ESME account takes: handed on octet by octet, and read for STOP all the same.

A STOP is the person's word to the sender number: it ends marketing from the number whatever the ESME makes
of it, and reaches the ESME too, which may keep a list of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from smsgate.flows.records import MobileOriginated
from smsgate.protocol.commands import CommandId
from smsgate.protocol.gsm0338 import ESM_CLASS_UDHI
from smsgate.protocol.mo_text import data_coding_of, shift_of
from smsgate.protocol.pdus import SHORT_MESSAGE_MAX, encode_body
from smsgate.protocol.tlvs import Tag, encode_tlvs

CODING_GROUPS: Final = 0x10  # from here on data_coding says more than the alphabet (TS 23.038 §4)
INTERNATIONAL: Final = (1, 1)  # TON, NPI of an MSISDN
ALPHANUMERIC: Final = (5, 0)


class Taker(NamedTuple):
    """The account that takes the MOs of a number; `join_mo`: long ones whole."""

    merchant_id: int
    account_id: int
    join_mo: bool


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A deliver_sm body for an account."""

    merchant_id: int
    account_id: int
    body: bytes = field(repr=False)
    received_at: datetime


@dataclass(frozen=True, slots=True)
class SenderStop:
    """What a person said to a sender number."""

    merchant_id: int
    sender: str
    msisdn: int = field(repr=False)
    stopped: bool
    at: datetime


@dataclass(slots=True)
class EsmeWrites:
    """What a group of MOs changes for ESMEs."""

    handed_over: list[HandedOver] = field(default_factory=list)
    stops: list[SenderStop] = field(default_factory=list)  # in the order of the texts

    def hand_over(self, taker: Taker, mo: MobileOriginated, body: bytes) -> None:
        self.handed_over.append(HandedOver(taker.merchant_id, taker.account_id, body, mo.received_at))

    def note_stop(self, taker: Taker, mo: MobileOriginated, *, stopped: bool) -> None:
        """Take a STOP or START to the sender number; whoever has no number of E.164 cannot be written to."""
        if mo.msisdn:
            self.stops.append(
                SenderStop(taker.merchant_id, mo.destination, mo.msisdn, stopped, mo.received_at)
            )

    def hand_over_parts(self, takers: dict[str, Taker], mos: Iterable[MobileOriginated]) -> None:
        """Hand on what came, as it came, to the accounts that do not want long MOs joined."""
        for mo in mos:
            taker = takers.get(mo.destination)
            if taker is not None and not taker.join_mo:
                self.hand_over(taker, mo, mo.deliver_sm)

    def hand_over_whole(self, taker: Taker, mo: MobileOriginated) -> None:
        """Hand on a whole MO to an account that wants long ones joined; the others have its parts."""
        if taker.join_mo:
            self.hand_over(taker, mo, joined(mo))


def joined(mo: MobileOriginated) -> bytes:
    """Return the deliver_sm of an MO in one piece: its header tells language tables, and no part any more."""
    if deliver_sm := mo.deliver_sm:
        return deliver_sm  # it came in one piece
    elements = shift_of(mo.codec).elements
    octets = bytes((len(elements),)) + elements + mo.raw if elements else mo.raw
    in_group = mo.data_coding >= CODING_GROUPS
    ton, npi = INTERNATIONAL if mo.msisdn else ALPHANUMERIC
    fields = {
        "esm_class": ESM_CLASS_UDHI if elements else 0,
        "source_addr_ton": ton,
        "source_addr_npi": npi,
        "source_addr": mo.source.removeprefix("+").encode("latin-1", "replace"),
        "dest_addr_npi": 1,
        "destination_addr": mo.destination.encode("latin-1", "replace"),
        "data_coding": mo.data_coding if in_group else data_coding_of(mo.codec, mo.data_coding),
    }
    if len(octets) <= SHORT_MESSAGE_MAX:
        return encode_body(CommandId.DELIVER_SM, {**fields, "short_message": octets})
    payload = encode_tlvs(((Tag.MESSAGE_PAYLOAD, octets),))
    return encode_body(CommandId.DELIVER_SM, fields) + payload
