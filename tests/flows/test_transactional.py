"""Transactional texts on their way: whole, charged by segment, and held by a STOP until the octets exist."""

from __future__ import annotations

import asyncio

import pytest

from smsgate.clock import SystemClock
from smsgate.flows.verifying import verify
from smsgate.store.pool import Database
from smsgate.store.verify import PgVerify
from tests.flows.inbound_world import say
from tests.flows.test_long_texts import LONG, sums
from tests.flows.world import FIRST_MSISDN, SENDER, UNIT_MICROS, World, a_world, eventually


async def a_note(world: World, number: int, kind: str = "transaction", text: str = LONG) -> int:
    """Queue what POST /v1/messages queues."""
    message_id = await world.system_message(number, text)
    await world.execute("UPDATE message SET kind = $2 WHERE message_id = $1", message_id, kind)
    return message_id


async def test_a_long_transactional_text_is_whole_on_the_phone_and_charged_by_segment(
    database: Database,
) -> None:
    async with a_world(database, subscribers=1) as world:
        await a_note(world, 0)
        async with world.gateway():
            await eventually(lambda: world.value("SELECT count(*) = 3 FROM receipt"))
        assert world.texts_to(0) == [LONG]
        assert (await sums(world))["unbilled"] == (3 * UNIT_MICROS, 3)


@pytest.mark.parametrize(
    ("change", "goes"),
    [
        ("UPDATE subscriber SET offers_state = 'unsubscribed'", False),
        ("UPDATE subscriber SET offers_state = 'blocked'", False),
        ("DELETE FROM subscriber", False),
        ("UPDATE subscriber SET offers_state = 'paused'", True),
    ],
)
async def test_what_the_person_said_while_the_text_waited_counts(
    database: Database, change: str, *, goes: bool
) -> None:
    async with a_world(database, subscribers=1) as world:
        await a_note(world, 0)
        await a_note(world, 0, "stop_confirmation", "Boxman: vous êtes désinscrit.")  # goes in any case
        await world.execute(change)
        async with world.gateway():
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
            await eventually(lambda: world.simulator.phones.received >= 1)
        assert world.log.submits == (4 if goes else 1)
        assert await world.value("SELECT count(*) FROM sent WHERE reason = 'stopped'") == (0 if goes else 3)


async def test_an_appointment_goes_by_its_own_consent(database: Database) -> None:
    async with a_world(database, subscribers=2) as world:
        await world.execute("UPDATE subscriber SET offers_state = 'unsubscribed'")
        await world.execute(
            "INSERT INTO consent_state VALUES (7, 10001, 'appointments', 'subscribed', now())"
        )
        for number in range(2):
            await a_note(world, number, "appointments", "Boxman: demain 9h30")
        async with world.gateway():
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
            await eventually(lambda: world.simulator.phones.received == 1)
        assert [world.texts_to(number) for number in range(2)] == [[], ["Boxman: demain 9h30"]]


async def test_a_stop_holds_a_text_that_waits_in_memory_and_its_confirmation_goes(database: Database) -> None:
    async with a_world(database, subscribers=1, rate_per_s=1) as world:
        note = await a_note(world, 0)
        async with world.gateway() as gateway:
            await eventually(lambda: world.log.submits and gateway.pump.held_messages)
            await say(world, 0, "STOP")
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
        rows = await world.rows(
            "SELECT status, reason FROM sent WHERE message_id = $1 ORDER BY segment", note
        )
        begun = sum(row["status"] == 0 for row in rows)
        assert begun < 3
        assert [row["reason"] for row in rows] == [None] * begun + ["stopped"] * (3 - begun)
        assert len(world.texts_to(0)) == 1
        assert "STOP" not in world.texts_to(0)[0]


async def test_a_text_that_waited_longer_than_stops_are_remembered_is_looked_at_anew(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smsgate.flows.last_look.HOLD_MAX_S", 0.5)
    async with a_world(database, subscribers=2, rate_per_s=1) as world:
        notes = [await a_note(world, number) for number in range(2)]
        async with world.gateway() as gateway:
            await eventually(lambda: world.log.submits and gateway.pump.held_messages)
            await world.execute(  # a STOP that nobody here remembers
                "UPDATE subscriber SET offers_state = 'unsubscribed' WHERE subscriber_id = 10001"
            )
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"), timeout_s=20)
        rows = await world.rows("SELECT message_id, status, reason FROM sent ORDER BY message_id, segment")
        assert [row["status"] for row in rows if row["message_id"] == notes[0]] == [0, 0, 0]
        assert {row["reason"] for row in rows if row["message_id"] == notes[1]} == {"stopped"}


async def test_what_a_person_may_still_get_goes_on_after_a_pause_or_a_stop_of_offers(
    database: Database,
) -> None:
    async with a_world(database, subscribers=2, rate_per_s=2) as world:
        await world.execute(
            "INSERT INTO consent_state "
            "SELECT 7, 10000 + n, 'appointments', 'subscribed', now() FROM generate_series(0, 1) AS n"
        )
        await a_note(world, 0)
        await a_note(world, 1, "appointments")
        async with world.gateway() as gateway:
            await eventually(lambda: world.log.submits and len(gateway.pump.held_messages) == 2)
            await say(world, 0, "PAUSE")
            await say(world, 1, "STOP OFFRES")
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"), timeout_s=20)
            await a_note(world, 0, text="Boxman: votre colis est là")  # and so does what comes after
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"), timeout_s=20)
        assert await world.value("SELECT count(*) FROM sent WHERE reason IS NOT NULL") == 0
        assert {LONG, "Boxman: votre colis est là"} <= set(world.texts_to(0))
        assert LONG in world.texts_to(1)


async def test_a_stop_of_appointments_holds_those_in_memory_and_no_other_text(database: Database) -> None:
    async with a_world(database, subscribers=1, rate_per_s=1) as world:
        await world.execute(
            "INSERT INTO consent_state VALUES (7, 10000, 'appointments', 'subscribed', now())"
        )
        parcel = await a_note(world, 0)
        appointment = await a_note(world, 0, "appointments")
        async with world.gateway() as gateway:
            await eventually(lambda: world.log.submits and len(gateway.pump.held_messages) == 2)
            await say(world, 0, "STOP RDV")
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"), timeout_s=20)
        rows = await world.rows("SELECT message_id, reason FROM sent")
        assert {row["reason"] for row in rows if row["message_id"] == appointment} == {"stopped"}
        assert {row["reason"] for row in rows if row["message_id"] == parcel} == {None}


async def test_a_long_text_that_finds_no_room_to_wait_goes_in_none_of_its_parts(database: Database) -> None:
    async with a_world(database, subscribers=1) as world, world.gateway() as gateway:
        stops, gateway.pump.absent._held_max = gateway.pump.look.stops, 1
        stops.hold(SENDER, FIRST_MSISDN, SystemClock().monotonic())
        await a_note(world, 0)
        await eventually(lambda: world.value("SELECT count(*) > 0 FROM sent"))
        stops.release(SENDER, FIRST_MSISDN)
        await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
        assert await world.value("SELECT count(*) FROM sent WHERE status = -2") == 3
        assert world.log.submits == 0


async def test_a_text_that_waited_over_a_change_to_a_younger_list_is_sent_at_that_lists_first_price(
    database: Database,
) -> None:
    async with a_world(database, subscribers=1) as world:
        message_id = await a_note(world, 0, text="Boxman: bonjour")
        await asyncio.sleep(0.01)  # the list begins in a later millisecond
        await world.execute("INSERT INTO price_list VALUES (7, 'sell-7', 'sell', 'EUR')")
        await world.execute(
            "INSERT INTO price_version (price_list_id, version, effective_from, source_sha256) "
            "VALUES (7, 1, now(), '')"
        )
        await world.execute(
            "INSERT INTO price_item (item_id, price_list_id, version, direction, network, unit_micros) "
            "VALUES (71, 7, 1, 'mt', '*', 52000)"
        )
        await world.execute("UPDATE merchant SET price_list_id = 7")
        async with world.gateway():
            await eventually(lambda: world.texts_to(0) == ["Boxman: bonjour"])
            await eventually(lambda: world.value("SELECT count(*) = 1 FROM sent"))
        (row,) = await world.rows("SELECT * FROM sent")
        assert (row["message_id"], row["sell_item_id"], row["sell_micros"]) == (message_id, 71, 52_000)
        proof = await verify(PgVerify(database))
        assert [each for each in proof.broken if each.invariant in {"I2", "I3"}] == []


async def test_a_text_waits_for_a_stop_that_is_not_decided_yet_and_goes_when_it_concerned_others(
    database: Database,
) -> None:
    async with a_world(database, subscribers=2) as world, world.gateway() as gateway:
        stops = gateway.pump.look.stops
        stops.hold(SENDER, FIRST_MSISDN, SystemClock().monotonic())
        for number in range(2):
            await a_note(world, number)
        await eventually(lambda: world.texts_to(1) == [LONG])
        await eventually(lambda: world.value("SELECT count(*) = 3 FROM sent"))
        assert world.texts_to(0) == []
        stops.release(SENDER, FIRST_MSISDN)
        await eventually(lambda: world.texts_to(0) == [LONG])
        assert await world.value("SELECT count(*) FROM sent WHERE reason IS NOT NULL") == 0
