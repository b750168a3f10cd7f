"""What a carrier cannot write goes to the next one of the rule, or waits for one that is away."""

from __future__ import annotations

from functools import partial

import pytest

from smsgate.protocol.commands import Status
from smsgate.store.pool import Database
from tests.flows.test_failover import FIRST_THEN_OTHER, QUICK
from tests.flows.test_recovery import books
from tests.flows.test_routing import costs, received, two_carriers
from tests.flows.world import COST_MICROS, FIRST_MSISDN, World, eventually

PERSONAL = (
    "Boxman: {first_name}, CD Madonna 19,90 EUR port compris. Repondez OK = commande avec obligation de "
    "paiement. Retractation 14 j. bxm.fr/m1 STOP 36111"
)
DEAR_MICROS = 33_000
LATIN1 = {"default_alphabet": "latin1"}  # writes GSM texts as Latin-1, which has no omega
GSM = {"default_alphabet": "gsm"}


async def call(world: World, number: int, name: str) -> None:
    await world.execute(
        "UPDATE subscriber SET fields = jsonb_build_object('first_name', $2::text) WHERE msisdn = $1",
        FIRST_MSISDN + number,
        name,
    )


async def reasons(world: World) -> set[tuple[int, str]]:
    rows = await world.rows("SELECT carrier_id, reason FROM sent WHERE reason IS NOT NULL")
    return {(row["carrier_id"], row["reason"]) for row in rows}


async def test_whom_the_rules_first_carrier_cannot_write_to_gets_the_offer_by_the_next(
    database: Database,
) -> None:
    async with two_carriers(database, [FIRST_THEN_OTHER], subscribers=40) as world:
        world.profile_changes, world.other_changes = LATIN1, GSM
        for number in (0, 7, 39):
            await call(world, number, "Ω")
        campaign_id = await world.campaign(text=PERSONAL, chunk=20)
        async with world.gateway() as gateway:
            await eventually(lambda: world.finished(campaign_id))
            assert gateway.rerouting.moved == {(1, 2, "unwritable"): 3}
            assert gateway.pump.uncommitted == 0
        first, second = received(world)
        assert second == {FIRST_MSISDN + number for number in (0, 7, 39)}
        assert len(first) == 37
        assert await costs(world) == {(1, COST_MICROS): 37, (2, DEAR_MICROS): 3}
        assert (await books(world, campaign_id))["accepted"] == 40
        assert await world.value("SELECT count(*) FROM campaign_chunk WHERE state <> 'done'") == 0


async def test_who_got_the_offer_of_a_chunk_that_was_given_back_may_answer_it(database: Database) -> None:
    """The first of the chunk waits for a carrier that is away, so the border stands before the others."""
    async with two_carriers(database, [FIRST_THEN_OTHER], subscribers=12) as world:
        world.profile_changes, world.other_changes = LATIN1, GSM
        await call(world, 0, "Ω")
        campaign_id = await world.campaign(text=PERSONAL, state="paused")
        async with world.gateway() as gateway:
            await eventually(lambda: gateway.switchboard.carriers[2].down_since() is None)
            assert world.other is not None
            await world.other.stop(0.0)
            await eventually(lambda: gateway.switchboard.carriers[2].down_since() is not None)
            await world.set_state(campaign_id, "sending")
            await eventually(lambda: world.simulator.phones.received == 11)
            await world.set_state(campaign_id, "paused")
            await eventually(
                lambda: world.value("SELECT count(*) = 1 FROM campaign_chunk WHERE state = 'ready'")
            )
            mos = [world.answer(number, "OK") for number in (0, 5)]
            await eventually(lambda: all(mo.taken for mo in mos))
            await eventually(lambda: world.value("SELECT count(*) = 2 FROM inbound_message"))
            rows = await world.rows("SELECT msisdn FROM orders")
            assert [row["msisdn"] for row in rows] == [FIRST_MSISDN + 5]  # nobody wrote to the other one


async def test_a_kill_leaves_no_more_in_doubt_because_another_carrier_is_fast(database: Database) -> None:
    async with two_carriers(database, [], subscribers=3_000) as world:
        world.profile_changes, world.other_changes = {"rate_per_s": 10}, {"rate_per_s": 12_000}
        await world.campaign(chunk=3_000)
        async with world.killed_gateway():
            await eventually(lambda: world.log.submits >= 5)
        async with world.gateway():
            await eventually(lambda: world.value("SELECT count(*) > 0 FROM sent WHERE reason = 'owner_lost'"))
        assert await world.value("SELECT count(*)::int FROM sent WHERE reason = 'owner_lost'") <= 20


async def test_a_text_too_long_in_the_first_carriers_alphabets_is_claimed_for_the_next(
    database: Database,
) -> None:
    """Small c with cedilla is in no GSM alphabet without a shift table, and UCS-2 holds 70 characters."""
    async with two_carriers(database, [FIRST_THEN_OTHER], subscribers=10) as world:
        world.profile_changes, world.other_changes = {"shift": ()}, {"shift": ("single:pt",)}
        await call(world, 3, "François")
        campaign_id = await world.campaign(text=PERSONAL)
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        assert received(world)[1] == {FIRST_MSISDN + 3}
        assert (await books(world, campaign_id))["accepted"] == 10
        everybody = await world.campaign(text=PERSONAL.replace("Retractation", "Rétractation reçue"))
        await world.execute("DELETE FROM open_offer")
        async with world.gateway():
            await eventually(lambda: world.finished(everybody))
        assert (await books(world, everybody))["accepted"] == 10
        assert await world.value("SELECT count(*) FROM sent WHERE carrier_id = 2 AND status = 0") == 11


@pytest.mark.parametrize(
    "text", ["Ω, OK?", "a system text with Ω, and room for more than seventy characters of it"]
)
async def test_a_system_message_that_the_first_carrier_cannot_write_goes_by_the_next(
    database: Database, text: str
) -> None:
    async with two_carriers(database, [FIRST_THEN_OTHER], subscribers=1) as world:
        world.profile_changes, world.other_changes = LATIN1, GSM
        await world.system_message(0, text)
        async with world.gateway():
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
            assert world.other is not None
            phones = world.other.phones
            await eventually(lambda: phones.received == 1)
        assert [message.text for message in phones.inbox(FIRST_MSISDN)] == [text]


@pytest.mark.parametrize("other", [LATIN1, {"shift": ()}])
async def test_what_the_failover_carrier_cannot_write_waits_for_its_own(
    database: Database, other: dict[str, object]
) -> None:
    lacking = "Ω" if other is LATIN1 else "François"
    async with two_carriers(database, [FIRST_THEN_OTHER], subscribers=10, limits=QUICK) as world:
        world.profile_changes, world.other_changes = {"shift": ("single:pt",)}, other
        await call(world, 3, lacking)
        port = world.simulator.smpp_port
        campaign_id = await world.campaign(text=PERSONAL)
        async with world.gateway() as gateway:
            await world.simulator.stop(0.0)
            await eventually(lambda: len(received(world)[1]) == 9)
            assert not await world.finished(campaign_id)
            await eventually(lambda: gateway.routes.down() == {"sim"})
            for _ in range(3):
                assert not await gateway.rerouting.look()
            assert gateway.rerouting.moved[1, 2, "down"] <= 10
            await world.simulator.smsc.start("127.0.0.1", port)
            await eventually(lambda: world.finished(campaign_id))
        assert received(world)[0] == {FIRST_MSISDN + 3}
        assert (await books(world, campaign_id))["accepted"] == 10
        assert await reasons(world) == set()


async def test_what_no_carrier_can_write_or_will_take_ends_once(database: Database) -> None:
    async with two_carriers(database, [FIRST_THEN_OTHER], subscribers=6, refuse_share=1.0) as world:
        world.simulator.smsc.settings.refuse_status = Status.INVDSTADR
        world.profile_changes = {"reroute_statuses": (Status.INVDSTADR,)}
        world.other_changes = LATIN1
        for number in range(3):
            await call(world, number, "Ω")
        campaign_id = await world.campaign(text=PERSONAL)
        async with world.gateway() as gateway:
            await eventually(partial(world.finished, campaign_id))
            assert gateway.pump.uncommitted == 0
        counters = await books(world, campaign_id)
        assert (counters["accepted"], counters["not_sent"]) == (3, 3)
        assert await reasons(world) == {(2, "not_in_alphabet")}
