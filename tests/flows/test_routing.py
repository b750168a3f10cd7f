"""Routes at work: a campaign over two carriers, split by number, weight and cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from smsgate.routing.rules import Candidate, Choose, Kind, Rule
from smsgate.routing.table import RouteTable
from smsgate.store.pool import Database
from tests.flows.test_recovery import books
from tests.flows.world import (
    COST_MICROS,
    FIRST_MSISDN,
    MERCHANT,
    OTHER_SENDER,
    SENDER,
    World,
    a_simulator,
    a_world,
    eventually,
)

DEAR_MICROS = 33_000
BOTH = (Candidate("sim"), Candidate("other"))


@asynccontextmanager
async def two_carriers(database: Database, rules: list[Rule], **world: Any) -> AsyncIterator[World]:
    """Yield a world with two carriers that both let us send from SENDER; the second one is dearer."""
    async with a_world(database, **world) as made, a_simulator() as other:
        made.other, made.routes = other, rules
        made.other_senders, made.other_cost_list = (SENDER, OTHER_SENDER), "other-cost"
        await made.execute(
            "INSERT INTO price_list (price_list_id, name, side, currency) "
            "VALUES (3, 'other-cost', 'cost', 'EUR')"
        )
        await made.execute(
            "INSERT INTO price_version (price_list_id, version, effective_from, source_sha256) "
            "VALUES (3, 1, now() - interval '1 day', '')"
        )
        await made.execute(
            "INSERT INTO price_item (item_id, price_list_id, version, direction, network, unit_micros) "
            "VALUES (31, 3, 1, 'mt', '*', $1)",
            DEAR_MICROS,
        )
        yield made


def received(world: World) -> tuple[set[int], set[int]]:
    """Return the numbers that each carrier got a message for; nobody may be in both, or twice in one."""
    assert world.other is not None
    logs = (world.log.by_destination, world.other.smsc.log.by_destination)
    assert all(count == 1 for log in logs for count in log.values())
    first, second = ({int(number) for number in log} for log in logs)
    assert not first & second
    return first, second


async def costs(world: World) -> dict[tuple[int, int], int]:
    rows = await world.rows(
        "SELECT carrier_id, cost_micros, count(*)::int AS n FROM sent WHERE status = 0 GROUP BY 1, 2"
    )
    return {(row["carrier_id"], row["cost_micros"]): row["n"] for row in rows}


async def test_a_prefix_rule_takes_its_numbers_and_the_sender_decides_for_the_rest(
    database: Database,
) -> None:
    rule = Rule(
        "tens", (Candidate("other"),), prefixes=tuple(f"{FIRST_MSISDN + n}" for n in range(0, 60, 10))
    )
    async with two_carriers(database, [rule], subscribers=60) as world:
        campaign_id = await world.campaign(chunk=40)
        async with world.gateway() as gateway:
            await eventually(lambda: world.finished(campaign_id))
            assert gateway.pump.routed == {("tens", 2): 6, ("", 1): 54}
        first, second = received(world)
        assert second == {FIRST_MSISDN + n for n in range(0, 60, 10)}
        assert len(first) == 54
        assert await costs(world) == {(1, COST_MICROS): 54, (2, DEAR_MICROS): 6}
        assert (await books(world, campaign_id))["accepted"] == 60
        # Each carrier's messages are a chunk of their own, with one run of ids.
        parts = await world.rows("SELECT message_id_base AS lo, message_count AS n FROM campaign_chunk")
        assert sorted(part["n"] for part in parts) == [2, 4, 18, 36]
        for part in parts:
            carriers = await world.value(
                "SELECT count(DISTINCT carrier_id) FROM sent WHERE message_id >= $1 AND message_id < $2",
                part["lo"],
                part["lo"] + part["n"],
            )
            assert carriers == 1


async def test_weights_share_a_campaign_and_a_second_claim_meets_the_same_carriers(
    database: Database,
) -> None:
    rule = Rule("shared", (Candidate("sim", 1, 1), Candidate("other", 1, 3)))
    async with two_carriers(database, [rule], subscribers=400) as world:
        campaign_id = await world.campaign(chunk=100)
        async with world.gateway() as gateway:
            await eventually(lambda: world.finished(campaign_id))
            numbers = [FIRST_MSISDN + n for n in range(400)]
            again = gateway.routes.split(MERCHANT, SENDER, Kind.OFFER, numbers, {}, salt=campaign_id)
        first, second = received(world)
        assert 0.15 < len(first) / 400 < 0.35
        assert again is not None
        assert {frozenset(numbers[n] for n in group) for group in again} == {
            frozenset(first),
            frozenset(second),
        }


async def test_the_cheapest_carrier_takes_everything_and_a_ceiling_refuses_the_rest(
    database: Database,
) -> None:
    cheapest = Rule("cheapest", (*reversed(BOTH),), choose=Choose.LEAST_COST)
    async with two_carriers(database, [cheapest], subscribers=20) as world:
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        assert len(received(world)[0]) == 20
        world.routes = [Rule("capped", BOTH, max_cost_micros=COST_MICROS - 1)]
        await world.execute("DELETE FROM open_offer")
        capped = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(capped))
        assert await world.rows("SELECT DISTINCT reason FROM sent WHERE status = -2") == [("route_too_dear",)]
        assert (await books(world, capped))["not_sent"] == 20


async def test_a_rule_whose_carriers_were_all_taken_out_is_not_called_too_dear(database: Database) -> None:
    async with a_world(database, subscribers=2) as world, world.gateway() as gateway:
        gateway.routes.table = RouteTable([Rule("gone", (Candidate("gone"),))], {"gone": {SENDER: None}})
        campaign_id = await world.campaign()
        await eventually(lambda: world.finished(campaign_id))
        assert await world.rows("SELECT DISTINCT reason FROM sent") == [("route_empty",)]


async def test_a_rule_for_another_merchant_or_kind_leaves_a_campaign_alone(database: Database) -> None:
    rules = [
        Rule("rivals", (Candidate("other"),), merchants=("rival",)),
        Rule("own", refuse=True, merchants=("boxman",), prefixes=(str(FIRST_MSISDN),)),
    ]
    async with two_carriers(database, rules, subscribers=5) as world:
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        assert received(world) == ({FIRST_MSISDN + n for n in range(1, 5)}, set())
        reasons = await world.rows("SELECT reason, count(*)::int AS n FROM sent WHERE status = -2 GROUP BY 1")
        assert Counter({row["reason"]: row["n"] for row in reasons}) == {"route_refused": 1}


async def test_a_system_message_follows_its_rule(database: Database) -> None:
    rule = Rule("system", (Candidate("other"),), kinds=(Kind.SYSTEM,))
    async with two_carriers(database, [rule], subscribers=2) as world:
        await world.system_message(1, "Commande confirmée")
        async with world.gateway():
            await eventually(lambda: received(world)[1] == {FIRST_MSISDN + 1})
        assert received(world)[0] == set()


async def test_simulated_phones_among_others_go_to_their_own_carrier_and_the_others_by_the_rules(
    database: Database,
) -> None:
    """One of them in front took real phones along, and the carrier of simulated ones ended the process."""
    simulated, real = 99_900_000_712, FIRST_MSISDN
    rule = Rule("first", (Candidate("other"),), prefixes=(str(real),))
    async with two_carriers(database, [], subscribers=1) as world, world.gateway() as gateway:
        own, routes = gateway.simulated.carrier_id, gateway.routes

        def places(*msisdns: int) -> dict[int | None, list[int] | None]:
            groups = routes.groups(MERCHANT, SENDER, Kind.ESME, msisdns, ["20801"] * len(msisdns), salt=0)
            assert len({group.carrier_id for group in groups}) == len(groups)
            return {group.carrier_id: group.places for group in groups}

        assert places(real) == {1: None}
        assert places(simulated, simulated) == {own: None}
        assert places(simulated, real) == {own: [0], 1: [1]}
        assert places(real, simulated, real + 1) == {own: [1], 1: [0, 2]}
        routes.reload(RouteTable([rule], {"other": {SENDER: None}}))
        assert places(real, simulated) == {own: [1], 2: [0]}
        assert places(real + 1, simulated, real, simulated) == {own: [1, 3], 1: [0], 2: [2]}
