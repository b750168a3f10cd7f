"""A carrier goes away, or refuses: the next one of the rule takes over, and nobody gets anything twice."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest

from smsgate.flows.sending_limits import SendingLimits
from smsgate.protocol.commands import Status
from smsgate.routing.rules import Candidate, Rule
from smsgate.store.pool import Database
from tests.flows.test_long_texts import LONG
from tests.flows.test_recovery import books
from tests.flows.test_routing import costs, received, two_carriers
from tests.flows.world import COST_MICROS, FIRST_MSISDN, eventually

FIRST_THEN_OTHER = Rule("all", (Candidate("sim", 1), Candidate("other", 2)))
DEAR_MICROS = 33_000
WINDOW = 40
QUICK = SendingLimits(poll_s=0.02, failover_s=0.5)
SLOW_PER_S = 2.5  # some hundred times as long between two as a broken connection takes to be seen


async def test_when_a_carrier_dies_in_the_middle_the_other_sends_the_rest_once(database: Database) -> None:
    """It dies with its whole window unanswered: those are unknown, and neither more nor fewer."""
    slow = {"rate_per_s": 1_000, "window_max": WINDOW, "response_latency_s": 0.02, "limits": QUICK}
    async with two_carriers(database, [FIRST_THEN_OTHER], subscribers=800, **slow) as world:
        world.profile_changes = {"interactive_share": 0.0, "response_timeout_s": 60.0}
        campaign_id = await world.campaign(chunk=400)
        async with world.gateway() as gateway:
            await eventually(partial(world.submitted, 150))
            world.simulator.smsc.settings.answers_submits = False
            answered = set(world.log.by_destination)  # or will be, within the latency
            # The window fills when all of those answers have been read, and no submit is between the two.
            await eventually(partial(world.submitted, len(answered) + WINDOW))
            await world.simulator.stop(0.0)
            await eventually(lambda: world.finished(campaign_id))
            assert set(gateway.rerouting.moved) == {(1, 2, "down")}
        rows = await world.rows(
            "SELECT m.msisdn, s.status, s.carrier_id, s.cost_micros "
            "FROM sent s JOIN message m USING (message_id)"
        )
        assert Counter(row["msisdn"] for row in rows) == Counter(range(FIRST_MSISDN, FIRST_MSISDN + 800))
        first, second = received(world)
        took, taken, unknown = (
            {row["msisdn"] for row in rows if (row["status"], row["carrier_id"]) == outcome}
            for outcome in ((0, 1), (0, 2), (-1, 1))
        )
        assert (took, unknown, taken) == (answered, first - answered, second)
        assert len(unknown) == WINDOW
        assert {row["cost_micros"] for row in rows if row["msisdn"] in taken} == {DEAR_MICROS}
        counters = await books(world, campaign_id)
        assert (counters["accepted"], counters["unknown"]) == (800 - WINDOW, WINDOW)
        assert await world.value("SELECT count(*) FROM campaign_chunk WHERE state <> 'done'") == 0
        assert await world.value("SELECT sum(amount_micros)::bigint FROM ledger_entry") == 0


async def test_a_campaign_that_starts_while_its_carrier_is_away_goes_by_the_other(database: Database) -> None:
    async with two_carriers(database, [FIRST_THEN_OTHER], subscribers=50, limits=QUICK) as world:
        async with world.gateway():
            await world.simulator.stop(0.0)
            campaign_id = await world.campaign()
            await world.system_message(3, "Commande confirmée")
            await eventually(lambda: world.finished(campaign_id))
            assert world.other is not None
            log = world.other.smsc.log
            await eventually(lambda: log.submits == 51)
        assert await costs(world) == {(2, DEAR_MICROS): 51}


async def test_without_another_carrier_the_messages_wait_for_their_own(database: Database) -> None:
    alone = [Rule("all", (Candidate("sim"),))]
    async with two_carriers(database, alone, subscribers=40, limits=QUICK, rate_per_s=40) as world:
        port, campaign_id = world.simulator.smpp_port, await world.campaign()
        async with world.gateway() as gateway:
            await eventually(partial(world.submitted, 5))
            await world.simulator.stop(0.0)
            await eventually(lambda: gateway.routes.down() == {"sim"})
            await world.simulator.smsc.start("127.0.0.1", port)
            await eventually(lambda: world.finished(campaign_id))
            assert gateway.rerouting.moved == Counter()
        counters = await books(world, campaign_id)
        assert counters["accepted"] + counters["unknown"] == 40
        assert counters["accepted"] >= 30
        assert received(world)[1] == set()


@pytest.mark.parametrize("both", [False, True])
async def test_a_status_that_says_not_by_me_sends_a_message_to_each_other_carrier_once(
    database: Database, both: bool
) -> None:
    async with two_carriers(database, [FIRST_THEN_OTHER], subscribers=60, refuse_share=0.5) as world:
        assert world.other is not None
        world.simulator.smsc.settings.refuse_status = Status.INVDSTADR
        if both:
            world.other.smsc.settings.refuse_share = 1.0
            world.other.smsc.settings.refuse_status = Status.INVDSTADR
        world.profile_changes = {"reroute_statuses": (Status.INVDSTADR,)}
        campaign_id = await world.campaign(chunk=30)
        async with world.gateway() as gateway:
            await eventually(lambda: world.finished(campaign_id))
            count = gateway.rerouting.moved[1, 2, "refused"]
            assert gateway.rerouting.moved.total() == count
            assert gateway.pump.uncommitted == 0
        assert 10 < count < 50
        counters, charged = await books(world, campaign_id), await costs(world)
        if both:
            assert (counters["accepted"], counters["refused"]) == (60 - count, count)
            assert charged == {(1, COST_MICROS): 60 - count}
        else:
            assert (counters["accepted"], counters.get("refused", 0)) == (60, 0)
            assert charged == {(1, COST_MICROS): 60 - count, (2, DEAR_MICROS): count}
        rows = await world.rows("SELECT message_id, count(*)::int AS n FROM sent GROUP BY 1")
        assert [row["n"] for row in rows] == [1] * 60


async def test_a_status_that_the_profile_does_not_name_is_final(database: Database) -> None:
    async with two_carriers(database, [FIRST_THEN_OTHER], subscribers=10, refuse_share=1.0) as world:
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        assert (await books(world, campaign_id))["refused"] == 10
        assert received(world)[1] == set()


async def test_a_kill_while_refused_messages_wait_for_another_carrier_doubles_nobody(
    database: Database,
) -> None:
    async with two_carriers(database, [FIRST_THEN_OTHER], subscribers=100, refuse_share=0.5) as world:
        assert world.other is not None
        world.simulator.smsc.settings.refuse_status = Status.INVDSTADR
        world.other.smsc.settings.answers_submits = False
        world.profile_changes = {"reroute_statuses": (Status.INVDSTADR,)}
        campaign_id = await world.campaign(chunk=50)
        other = world.other.smsc.log
        async with world.killed_gateway():
            await eventually(lambda: other.submits >= 10)
        world.other.smsc.settings.answers_submits = True
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        assert all(count == 1 for count in other.by_destination.values())
        rows = await world.rows("SELECT message_id, count(*)::int AS n FROM sent GROUP BY 1")
        assert [row["n"] for row in rows] == [1] * 100
        counters = await books(world, campaign_id)
        assert counters["accepted"] + counters["unknown"] == 100


@pytest.mark.parametrize(("concat", "submits"), [("udh8", 3), ("payload", 1)])
async def test_a_long_text_whose_carrier_dies_goes_whole_by_the_other_as_that_one_cuts_it(
    database: Database, concat: str, submits: int
) -> None:
    async with two_carriers(
        database, [FIRST_THEN_OTHER], subscribers=2, limits=QUICK, rate_per_s=20
    ) as world:
        assert world.other is not None
        world.other_changes = {"concat": concat}
        settings = world.simulator.smsc.settings
        settings.refuse_share, settings.refuse_status = 1.0, Status.THROTTLED
        message_ids = [await world.system_message(number, LONG) for number in range(2)]
        async with world.gateway() as gateway:
            await eventually(lambda: gateway.pump.batches() and world.simulator.smsc.log.submits)
            first = gateway.switchboard.by_name("sim")
            assert first is not None
            # They wait until it takes more, so slowly that none is written while it goes and then in doubt.
            await eventually(lambda: first.rate_now() <= SLOW_PER_S and not first.in_flight())
            world.simulator.smsc.drop_connections()
            await world.simulator.stop(0.0)
            await eventually(lambda: world.value(f"SELECT count(*) = {2 * submits} FROM receipt"))
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
            assert gateway.rerouting.moved == Counter({(1, 2, "down"): 6})
            assert (len(gateway.pump.batches()), gateway.pump.uncommitted) == (0, 0)
        inboxes = [world.other.phones.inbox(FIRST_MSISDN + number) for number in range(2)]
        assert [[message.text for message in inbox] for inbox in inboxes] == [[LONG], [LONG]]
        rows = await world.rows("SELECT message_id, segment, segments, carrier_id FROM sent ORDER BY 1, 2")
        assert [tuple(row) for row in rows] == [
            (each, part + 1, 3 // submits, 2) for each in message_ids for part in range(submits)
        ]
        assert await costs(world) == {(2, DEAR_MICROS * 3 // submits): 2 * submits}


async def test_a_refused_part_stays_with_the_carrier_of_the_others(database: Database) -> None:
    async with two_carriers(database, [FIRST_THEN_OTHER], subscribers=2, refuse_share=1.0) as world:
        assert world.other is not None
        world.simulator.smsc.settings.refuse_status = Status.INVDSTADR
        world.profile_changes = {"reroute_statuses": (Status.INVDSTADR,)}
        await world.system_message(0, LONG)
        await world.system_message(1, "Commande confirmée")
        async with world.gateway():
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
        rows = await world.rows("SELECT carrier_id, status, count(*)::int FROM sent GROUP BY 1, 2 ORDER BY 1")
        assert [tuple(row) for row in rows] == [(1, Status.INVDSTADR, 3), (2, 0, 1)]
        assert world.other.smsc.log.submits == 1


async def test_who_opted_out_at_a_carrier_gets_nothing_by_another(database: Database) -> None:
    """The same code would let others go by the next carrier."""
    async with two_carriers(database, [FIRST_THEN_OTHER], subscribers=3, refuse_share=1.0) as world:
        assert world.other is not None
        world.simulator.smsc.settings.refuse_status = Status.INVDSTADR
        world.profile_changes = {
            "reroute_statuses": (Status.INVDSTADR,),
            "opted_out_statuses": (Status.INVDSTADR,),
        }
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        assert world.other.smsc.log.submits == 0
        assert await world.value("SELECT count(*) FROM sent WHERE carrier_id = 1") == 3
