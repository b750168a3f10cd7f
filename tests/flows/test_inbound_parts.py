"""Long texts whose parts are late, lost, or taken by two processes at the same moment."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest

from smsgate.daemon.gateway import Gateway
from smsgate.flows.esme_records import AccountDraft, Purpose
from smsgate.flows.mo_header import NO_PDU, MoHeader
from smsgate.flows.records import MobileOriginated
from smsgate.protocol.tlvs import Tag, encode_tlvs
from smsgate.security.suppression import SuppressionHashes
from smsgate.simulator.mobile_originated import Mo, MoPart
from smsgate.store.esmes import PgEsmeAccounts
from smsgate.store.inbound import StoredInbound
from smsgate.store.pool import Database
from tests.flows.inbound_world import an_open_offer, events, order_numbers, outcomes, say, stock
from tests.flows.world import FIRST_MSISDN, MERCHANT, SENDER, STAMPS, World, a_world, eventually

HASHES = SuppressionHashes(bytes(32))

FILLER = "je vous en prie, cela fait des semaines que je vous le demande par tous les moyens. " * 2
STOP_FIRST = "STOP je ne veux plus recevoir vos messages, " + FILLER


async def hear_parts(world: World, gateway: Gateway, number: int, text: str, parts: list[int]) -> None:
    """Let a phone's long text come in these of its parts (from 1), and no others."""
    account = world.simulator.smsc._accounts[b"smsgate"]
    long = Mo(FIRST_MSISDN + number, SENDER.encode(), text, b"\0\1", 40 + number)
    for part in parts:
        taken = gateway.intake.taken + 1
        account._mos.append(MoPart(long, long.bodies[part - 1]))
        account.pump()
        await eventually(partial(_has_taken, gateway, taken))


def _has_taken(gateway: Gateway, count: int) -> bool:
    return gateway.intake.taken == count


def a_part(number: int, part: int, text: str, header: MoHeader = NO_PDU) -> MobileOriginated:
    """Return one of two parts, as another process may take it."""
    msisdn = FIRST_MSISDN + number
    return MobileOriginated(
        1, msisdn, str(msisdn), SENDER, text, text.encode(), 0, datetime.now(UTC), 9, 2, part, header=header
    )


async def grow_old(world: World) -> None:
    """Let the last part of every text have come half a minute ago."""
    await world.execute("UPDATE mo_part SET received_at = received_at - interval '31 s'")


async def settled(world: World) -> bool:
    return bool(await world.value("SELECT count(*) = 0 FROM mo_part"))


async def test_a_stop_in_parts_stops_though_its_carrier_was_taken_out(database: Database) -> None:
    async with a_world(database, subscribers=3) as world:
        long = replace(a_part(1, 1, STOP_FIRST), carrier_id=99)  # of no carrier that is configured now
        async with StoredInbound(
            world.database, itertools.count(1).__next__, HASHES, STAMPS
        ).group() as group:
            assert await group.add_part(long) == []
        await grow_old(world)
        async with world.gateway():
            await eventually(lambda: settled(world))
        state = await world.value("SELECT offers_state FROM subscriber WHERE subscriber_id = 10001")
        assert state == "unsubscribed"


async def test_a_stop_whose_end_never_comes_stops(database: Database) -> None:
    async with an_open_offer(database) as (world, gateway):
        await hear_parts(world, gateway, 1, STOP_FIRST, [1])
        assert await outcomes(world) == {}
        assert FIRST_MSISDN + 1 in gateway.pump.look.stops.undecided(SENDER)  # at once
        await grow_old(world)
        await eventually(lambda: settled(world))
        state = await world.value("SELECT offers_state FROM subscriber WHERE subscriber_id = 10001")
        assert state == "unsubscribed"
        assert await outcomes(world) == {"stopped": 1}
        (heard,) = await world.rows("SELECT text, raw, label FROM inbound_message")
        assert heard["text"].startswith("STOP je ne veux plus")
        assert heard["text"].endswith("...")
        assert heard["raw"].startswith(b"STOP je")
        assert heard["label"] == "stop"
        assert len(await events(world, "consent.revoked")) == 1
        assert FIRST_MSISDN + 1 in gateway.pump.look.stops.held(7)


async def test_a_text_with_a_hole_never_orders_and_is_kept(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, gateway):
        padding = " " * 160
        await hear_parts(world, gateway, 0, "OK" + padding, [1])
        await hear_parts(world, gateway, 1, padding + "OK 2", [2])
        await hear_parts(world, gateway, 2, "OK" + " " * 310 + "merci", [1, 3])
        await grow_old(world)
        await eventually(lambda: settled(world))
        assert await outcomes(world) == {"incomplete": 3}
        assert await order_numbers(world) == []
        assert await stock(world) == 10
        rows = await world.rows("SELECT DISTINCT label FROM inbound_message")
        assert [row["label"] for row in rows] == ["unclear"]
        assert len(await events(world, "inbound.received")) == 3


async def test_a_no_with_a_hole_declines(database: Database) -> None:
    async with an_open_offer(database) as (world, gateway):
        await hear_parts(world, gateway, 1, "Non merci" + " " * 160, [1])
        await grow_old(world)
        await eventually(lambda: settled(world))
        assert await outcomes(world) == {"declined": 1}


NOT_TO = "Bonjour, surtout il ne faut pas, je vous en prie, " + "c'est un cadeau pour ma mère, " * 3


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (f"{NOT_TO:<153}annuler ma commande", [2]),
        (f"{NOT_TO:<153}annuler ma commande {{number}}", [2]),
        (f"{'annuler ma commande':<153}si elle n'est pas encore partie, sinon gardez la", [1]),
        (f"{'NON':<153}ce n'est pas pressé du tout", [1]),
        (f"{'NON {number}':<161}n'est pas encore arrivée", [1]),
        (f"{NOT_TO:<153}RETRACTATION {{number}}", [2]),
    ],
)
async def test_a_text_with_a_hole_ends_no_order_and_its_customer_hears_that_it_stands(
    database: Database, text: str, parts: list[int]
) -> None:
    """What is missing may turn it round: "surtout il ne faut pas ..." before "annuler ma commande"."""
    async with an_open_offer(database, stock=10) as (world, gateway):
        await say(world, 1, "OK")
        (number,) = await order_numbers(world)
        await hear_parts(world, gateway, 1, text.format(number=number), parts)
        await grow_old(world)
        await eventually(lambda: settled(world))
        await eventually(lambda: len(world.texts_to(1)) == 3)
        assert world.texts_to(1)[-1].startswith(f"Boxman: commande {number} (CD Madonna): rien n'a changé.")
        (order,) = await world.rows("SELECT state FROM orders")
        assert (order["state"], await stock(world)) == ("placed", 9)
        assert await outcomes(world) == {"ordered": 1, "asked": 1}


async def test_a_stop_with_a_hole_stops_and_ends_no_order(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, gateway):
        await say(world, 1, "OK")
        await hear_parts(world, gateway, 1, f"{NOT_TO:<161}ANNULER", [2])
        await grow_old(world)
        await eventually(lambda: settled(world))
        assert await world.value("SELECT state FROM orders") == "placed"
        assert await outcomes(world) == {"ordered": 1, "stopped": 1}


async def test_parts_that_still_may_be_followed_are_waited_for(database: Database) -> None:
    async with an_open_offer(database) as (world, gateway):
        await hear_parts(world, gateway, 1, "OK" + " " * 160 + "merci", [1])
        await gateway.intake.settle_parts()
        assert not await settled(world)
        assert await outcomes(world) == {}
        await hear_parts(world, gateway, 1, "OK" + " " * 160 + "merci", [2])
        assert await settled(world)
        assert await outcomes(world) == {"ordered": 1}
        raw = await world.value("SELECT raw FROM inbound_message")
        assert raw == ("OK" + " " * 160 + "merci").encode()


async def test_parts_that_two_processes_take_at_once_are_one_text(database: Database) -> None:
    """Neither transaction sees the other's part; nobody waits half a minute for what is there."""

    async with an_open_offer(database, stock=10) as (world, _):
        store = StoredInbound(database, itertools.count(1 << 40).__next__, HASHES, STAMPS)
        async with store.group() as one, store.group() as other:
            assert await one.add_part(a_part(1, 1, "OK ")) == []
            assert await other.add_part(a_part(1, 2, "2")) == []
        await eventually(lambda: settled(world))
        assert await outcomes(world) == {"ordered": 1}
        assert await world.value("SELECT text FROM inbound_message") == "OK 2"
        assert await stock(world) == 8


async def test_what_stood_in_the_pdu_beside_the_text_is_kept_as_it_came(database: Database) -> None:
    tlvs = encode_tlvs([(Tag.CALLBACK_NUM, b"\1\0\00133600000001"), (0x1501, b"\7")])
    async with an_open_offer(database) as (world, _):
        account = world.simulator.smsc._accounts[b"smsgate"]
        mo = Mo(FIRST_MSISDN + 1, SENDER.encode(), "OK", b"\0\1", 40)
        account._mos.append(MoPart(mo, mo.bodies[0] + tlvs))
        account.pump()
        await eventually(lambda: mo.taken)
        (row,) = await world.rows(
            "SELECT esm_class, source_ton, source_npi, destination_ton, destination_npi, tlvs "
            "FROM inbound_message"
        )
        assert tuple(row) == (0, 1, 1, 0, 1, tlvs)


async def test_a_text_in_parts_has_the_header_of_the_first_and_the_tlvs_of_all(database: Database) -> None:
    store = StoredInbound(database, itertools.count(1 << 40).__next__, HASHES, STAMPS)
    for part, tlvs in ((2, b"\x15\x01\0\1b"), (1, b"\x15\x01\0\1a")):
        async with store.group() as group:
            ready = await group.add_part(a_part(1, part, "OK", MoHeader(0x40, part, 1, 3, 0, tlvs)))
    (joined,) = ready
    assert joined.mo.header == MoHeader(0x40, 1, 1, 3, 0, b"\x15\x01\0\1a\x15\x01\0\1b")


async def test_a_text_that_cannot_be_decided_holds_up_no_other(database: Database) -> None:
    """A timezone that does not exist: no receipt can be made, a STOP can be taken."""
    async with an_open_offer(database) as (world, _):
        await world.execute("UPDATE merchant SET timezone = 'Nowhere/At_All'")
        store = StoredInbound(database, itertools.count(1 << 40).__next__, HASHES, STAMPS)
        async with store.group() as one, store.group() as other:
            await one.add_part(a_part(1, 1, "O"))
            await other.add_part(a_part(1, 2, "K"))
        async with store.group() as group:
            await group.add_part(a_part(2, 1, "STOP "))
        await grow_old(world)
        await eventually(lambda: world.value("SELECT count(*) = 1 FROM inbound_message"))
        assert await outcomes(world) == {"stopped": 1}
        assert await world.value("SELECT count(*) FROM mo_part") == 2
        await world.execute("UPDATE merchant SET timezone = 'Europe/Paris'")
        await eventually(lambda: settled(world))
        assert await outcomes(world) == {"stopped": 1, "ordered": 1}


async def test_one_set_is_settled_by_one_process(database: Database) -> None:
    at = datetime.now(UTC)
    store = StoredInbound(database, itertools.count(1 << 40).__next__, HASHES, STAMPS)
    for part in (1, 2):
        async with store.group() as group:
            await group.add_part(MobileOriginated(1, 33, "33", SENDER, "x", b"x", 0, at, 9, 3, part))
    async with store.group() as one, store.group() as other:
        found = await one.take_parts(1, newest_before=datetime.max.replace(tzinfo=UTC), skip=0)
        assert found is not None
        assert (found.mo.text, found.complete, found.mo.total) == ("xx...", False, 1)
        assert await other.take_parts(1, newest_before=datetime.max.replace(tzinfo=UTC), skip=0) is None


async def test_a_hold_ends_with_a_text_that_is_no_stop_after_all(database: Database) -> None:
    async with an_open_offer(database) as (world, gateway):
        text = "Bonjour, " + "une question sur la livraison de la semaine " * 4
        text = text[:153] + "STOP"
        await hear_parts(world, gateway, 1, text + " " * 10, [2])
        assert FIRST_MSISDN + 1 in gateway.pump.look.stops.undecided(SENDER)
        await hear_parts(world, gateway, 1, text + " " * 10, [1])
        (row,) = await world.rows("SELECT label FROM inbound_message")
        held = FIRST_MSISDN + 1 in gateway.pump.look.stops.undecided(SENDER)
        assert not held
        assert FIRST_MSISDN + 1 not in gateway.pump.look.stops.held(SENDER)
        # What cannot be read may be a STOP: it holds what the merchant sends.
        assert (row["label"] in {"stop", "unclear"}) is (FIRST_MSISDN + 1 in gateway.pump.look.stops.held(7))


async def test_a_start_with_a_hole_takes_back_no_stop_to_an_esmes_number(database: Database) -> None:
    async with a_world(database, subscribers=1) as world:
        await PgEsmeAccounts(database).add(
            AccountDraft(MERCHANT, 77, "clinic", Purpose.MARKETING, b"mac", (SENDER,), numbers=(SENDER,))
        )
        async with world.gateway() as gateway:
            await say(world, 0, "STOP")
            await hear_parts(world, gateway, 0, "START" + " " * 148 + " surtout pas", [1])
            await grow_old(world)
            await eventually(lambda: settled(world))
        assert await world.value("SELECT label FROM inbound_message ORDER BY inbound_id DESC LIMIT 1") == (
            "start"
        )
        assert await world.value("SELECT count(*) FROM sender_stop") == 1
        assert await world.value("SELECT offers_state FROM subscriber") == "unsubscribed"
