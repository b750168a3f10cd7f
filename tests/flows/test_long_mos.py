"""
Long MOs however they come: every header, any order, over two binds, across a restart, references shared.

All of it over real sockets into a real database. The cuts are made in octets, so they fall inside escape and
surrogate pairs as well.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import Any, Final, NamedTuple

import pytest

from smsgate.protocol.commands import CommandId
from smsgate.protocol.gsm0338 import encode_gsm
from smsgate.protocol.pdus import Pdu, encode_pdu
from smsgate.protocol.tlvs import Tag, Tlvs
from smsgate.store.pool import Database
from tests.flows.receipt_ways import write_to_gateway
from tests.flows.world import World, a_world, eventually

PART_OCTETS: Final = 31  # odd: no respect for pairs of any kind
TEXTS: Final = (
    "Bonjour, je voudrais savoir [quand] {ou} comment mon CD arrive, et pour 19,90\u20ac. Merci " * 2,
    "OK \U0001f600 très bien, \U0001f6d2\U0001f4bf j'attends depuis hier \u2019 \u0153 " * 3,
)
STYLES: Final = (
    "udh8",
    "udh16",
    "sar",
    "ports before udh8",
    "shift before udh16",
    "payload with udh8",
    "data_sm",
)
_numbers = itertools.count(600_000_000)


class Long(NamedTuple):
    sender: str
    destination: str
    text: str
    style: str
    ref: int

    def parts(self) -> list[bytes]:
        """Return the deliver_sm or data_sm of each part."""
        gsm = self.text.isascii() or "\U0001f600" not in self.text
        octets = encode_gsm(self.text) if gsm else self.text.encode("utf-16-be")
        chunks = [octets[at : at + PART_OCTETS] for at in range(0, len(octets), PART_OCTETS)]
        return [
            self._pdu(chunk, len(chunks), index, 0 if gsm else 8) for index, chunk in enumerate(chunks, 1)
        ]

    def _pdu(self, chunk: bytes, total: int, index: int, data_coding: int) -> bytes:
        place8 = bytes((0, 3, self.ref & 0xFF, total, index))
        place16 = bytes((8, 4, self.ref >> 8, self.ref & 0xFF, total, index))
        elements = {
            "udh8": place8,
            "udh16": place16,
            "ports before udh8": b"\x05\x04\x0b\x84\x23\xf0" + place8,
            "shift before udh16": b"\x70\x01\x00" + place16,
            "payload with udh8": place8,
            "data_sm": place16,
        }.get(self.style, b"")
        user_data = (bytes((len(elements),)) + elements if elements else b"") + chunk
        tlvs: Tlvs = ()
        if self.style == "sar":
            tlvs = (
                (Tag.SAR_MSG_REF_NUM, self.ref.to_bytes(2, "big")),
                (Tag.SAR_TOTAL_SEGMENTS, bytes((total,))),
                (Tag.SAR_SEGMENT_SEQNUM, bytes((index,))),
            )
        number = self.sender.isdigit()
        fields: dict[str, Any] = {
            "source_addr_ton": 1 if number else 5,
            "source_addr": self.sender.encode(),
            "destination_addr": self.destination.encode(),
            "esm_class": 0x40 if elements else 0,
            "data_coding": data_coding,
        }
        command_id = CommandId.DATA_SM if self.style == "data_sm" else CommandId.DELIVER_SM
        if self.style in {"data_sm", "payload with udh8"}:
            tlvs = (*tlvs, (Tag.MESSAGE_PAYLOAD, user_data))
            user_data = b""
        if command_id == CommandId.DELIVER_SM:
            fields["short_message"] = user_data
        return encode_pdu(Pdu(command_id, 0, next(_numbers), fields, tlvs))


async def texts_of(world: World) -> Counter[tuple[str, str]]:
    rows = await world.rows("SELECT destination, text FROM inbound_message")
    return Counter((row["destination"], row["text"]) for row in rows)


@pytest.mark.parametrize("style", STYLES)
async def test_a_long_text_is_joined_by_every_way_of_saying_where_its_parts_stand(
    database: Database, style: str
) -> None:
    longs = [Long("33612000000", "36111", text, style, 0x1234 + n) for n, text in enumerate(TEXTS)]
    async with a_world(database, subscribers=1) as world, world.gateway() as gateway:
        await eventually(lambda: bool(gateway.switchboard.by_id(1)._senders))
        for long in longs:
            for octets in reversed(long.parts()):
                write_to_gateway(world, octets)
        await eventually(lambda: world.value("SELECT count(*) = 2 FROM inbound_message"))
        assert await texts_of(world) == Counter((long.destination, long.text) for long in longs)
        assert await world.value("SELECT count(*) FROM mo_part") == 0


def some_longs(rng: random.Random) -> list[Long]:
    """Return texts of which several share a reference: of other senders, destinations and widths."""
    refs = rng.sample(range(256), 2)
    senders = ("33612000000", "33612000001", "Boutique", "4711")
    longs = []
    for number, (sender, destination, ref) in enumerate(itertools.product(senders, ("36111", "36222"), refs)):
        body = rng.choice(TEXTS)
        longs.append(Long(sender, destination, f"{number} {sender} {body}", rng.choice(STYLES), ref))
    # One sender's 8-bit and 16-bit references of one number are two.
    longs += [Long("33612000009", "36111", f"{style} {TEXTS[0]}", style, refs[0]) for style in STYLES[:2]]
    return longs


@pytest.mark.parametrize("seed", range(3))
async def test_texts_come_out_whole_and_once_whatever_the_order_the_bind_and_the_process(
    database: Database, seed: int
) -> None:
    rng = random.Random(seed)
    longs = some_longs(rng)
    parts = [octets for long in longs for octets in long.parts()]
    parts += rng.sample(parts, len(parts) // 3)  # what the SMSC believes not to have been answered
    rng.shuffle(parts)
    border = rng.randrange(len(parts) // 3, 2 * len(parts) // 3)
    async with a_world(database, subscribers=1) as world:
        world.profile_changes = {"binds": 2}
        for share in (parts[:border], parts[border:]):
            async with world.killed_gateway() as gateway:
                account = gateway.switchboard.by_id(1)
                await eventually(lambda: len(account._senders) == 2)  # noqa: B023
                for octets in share:
                    write_to_gateway(world, octets, bind=rng.randrange(2))
                await eventually(lambda: gateway.intake.taken == len(share))  # noqa: B023
        assert await texts_of(world) == Counter((long.destination, long.text) for long in longs)
        assert await world.value("SELECT count(*) FROM mo_part") == 0


async def test_a_reference_used_again_brings_out_the_old_text_as_it_stands(database: Database) -> None:
    old = Long("33612000000", "36111", "Premier. " * 10, "udh8", 7)
    new = Long("33612000000", "36111", "Deuxieme " * 10, "udh8", 7)
    async with a_world(database, subscribers=1) as world, world.gateway() as gateway:
        await eventually(lambda: bool(gateway.switchboard.by_id(1)._senders))
        first, _, third = old.parts()
        for octets in (first, first, third, *new.parts()):
            write_to_gateway(world, octets)
        await eventually(lambda: world.value("SELECT count(*) = 2 FROM inbound_message"))
        rows = await world.rows("SELECT text, label FROM inbound_message ORDER BY inbound_id")
        assert rows[0]["text"] == old.text[:PART_OCTETS] + "..." + old.text[2 * PART_OCTETS :]
        assert rows[1]["text"] == new.text
        assert gateway.intake.repeated == 1


@pytest.mark.parametrize(
    "user_data",
    [b"\x05\x00\x03\x07\x02", b"\xff", b"\x03\x00\x03\x07", b"\x05\x00\xff\x07\x02\x01", b"", b"\x00OK"],
)
async def test_a_header_that_is_cut_or_lies_is_a_text_like_any_other(
    database: Database, user_data: bytes
) -> None:
    async with a_world(database, subscribers=1) as world, world.gateway() as gateway:
        account = gateway.switchboard.by_id(1)
        await eventually(lambda: bool(account._senders))
        fields = {"source_addr": b"33612000000", "destination_addr": b"36111", "esm_class": 0x40}
        fields |= {"source_addr_ton": 1, "short_message": user_data}
        write_to_gateway(world, encode_pdu(Pdu(CommandId.DELIVER_SM, 0, next(_numbers), fields)))
        await eventually(lambda: account.counts.acks == 1)
        assert [bind.state for bind in account.binds()] == ["bound"]
        assert await world.value("SELECT count(*) FROM inbound_message") == 1
