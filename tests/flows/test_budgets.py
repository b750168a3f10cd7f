"""
Budgets, by what the SMSC saw and what the ledger says: never a message more than was paid for.

The price of a message is 45,000 micros, and no balance here is a multiple of it: the rest is left over.
"""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from structlog.testing import capture_logs

from smsgate.flows.budget_records import BudgetState, BudgetTerms
from smsgate.ids import IdMaker
from smsgate.protocol.commands import Status
from smsgate.routing.rules import Candidate, Rule
from smsgate.store.budget_terms import PgBudgets
from smsgate.store.budgets import PgLeases
from smsgate.store.pool import Database
from smsgate.store.verify import PgVerify
from tests.flows.test_recovery import books
from tests.flows.test_routing import two_carriers
from tests.flows.world import MERCHANT, UNIT_MICROS, World, a_world, eventually


def an_account(world: World) -> PgBudgets:
    ids = IdMaker(62, lambda: int(datetime.now(UTC).timestamp() * 1000))
    return PgBudgets(world.database, ids.next)


async def prepaid(world: World, micros: int, **terms: Any) -> None:
    account, now = an_account(world), datetime.now(UTC)
    await account.set_terms(MERCHANT, BudgetTerms(prepaid=True, **terms), now)
    await account.top_up(MERCHANT, micros, "first", now)


async def state(world: World) -> BudgetState:
    found = await an_account(world).state(MERCHANT, datetime.now(UTC))
    assert found is not None
    return found


async def settled(world: World) -> bool:
    """Return whether no lease is left but for what is in doubt."""
    return bool(await world.value("SELECT count(*) = 0 FROM budget_lease WHERE ends_at IS NULL"))


async def charged(world: World) -> int:
    return int(
        await world.value(
            "SELECT coalesce(sum(amount_micros), 0)::bigint FROM ledger_entry WHERE account = 'unbilled' "
            "AND direction = 'mt'"
        )
    )


async def verified(world: World) -> None:
    assert (await PgVerify(world.database).looked()).broken == []


async def test_exactly_what_was_paid_for_is_sent_and_the_rest_goes_after_a_top_up(
    database: Database,
) -> None:
    async with a_world(database, subscribers=300) as world:
        await prepaid(world, 123 * UNIT_MICROS + UNIT_MICROS - 1, alarm_micros=50 * UNIT_MICROS)
        campaign_id = await world.campaign(chunk=50)
        async with world.gateway():
            await eventually(lambda: world.submitted(123))
            await eventually(lambda: settled(world))
            found = await state(world)
            assert found.short
            assert found.budget.spent_micros == 123 * UNIT_MICROS == await charged(world)
            assert found.budget.balance_micros == UNIT_MICROS - 1
            assert world.log.submits == 123
            await an_account(world).top_up(MERCHANT, 177 * UNIT_MICROS, "second", datetime.now(UTC))
            await eventually(lambda: world.finished(campaign_id))
            await eventually(lambda: settled(world))
        found = await state(world)
        assert not found.short
        assert found.budget.balance_micros == UNIT_MICROS - 1
        assert Counter(world.log.by_destination.values()) == {1: 300}
        events = await world.rows("SELECT type FROM event WHERE type LIKE 'budget.%' ORDER BY event_id")
        # Each once, until there is enough again: the last chunk's lease makes it low once more.
        assert [row["type"] for row in events] == ["budget.low", "budget.exhausted", "budget.low"]
        await verified(world)


async def test_several_gateways_and_kills_never_send_more_than_the_balance(database: Database) -> None:
    async with a_world(database, subscribers=900, rate_per_s=600, response_latency_s=0.02) as world:
        await prepaid(world, 500 * UNIT_MICROS)
        campaigns = [await world.campaign(chunk=60, tags=None)]
        for border in (60, 150):
            async with world.killed_gateway():
                await eventually(partial(world.submitted, border))
        async with AsyncExitStack() as gateways:
            for _ in range(3):
                await gateways.enter_async_context(world.gateway())
            await eventually(lambda: world.value("SELECT short_micros IS NOT NULL FROM budget"), timeout_s=30)
            await eventually(lambda: settled(world))
        found = await state(world)
        counters = await books(world, campaigns[0])
        assert found.budget.spent_micros == await charged(world) == counters["accepted"] * UNIT_MICROS
        # What was in doubt is not charged, and its money is kept: it may have been sent.
        assert found.in_doubt_micros == found.budget.leased_micros == counters["unknown"] * UNIT_MICROS
        assert found.budget.balance_micros == 0
        assert world.log.submits <= 500
        await verified(world)


async def test_money_in_doubt_comes_back_when_nobody_can_say_any_more_that_it_was_spent(
    database: Database,
) -> None:
    async with a_world(database, subscribers=300, response_latency_s=5.0, window_max=40) as world:
        await prepaid(world, 100 * UNIT_MICROS)
        await world.campaign(chunk=100)
        async with world.killed_gateway():
            await eventually(lambda: world.submitted(40))
        leases = PgLeases(database, IdMaker(61, lambda: 0).next)
        async with world.gateway():
            await eventually(lambda: world.value("SELECT count(*) > 0 FROM sent WHERE status = -1"))
        await leases.settle(datetime.now(UTC), 100)
        before = await state(world)
        unknown = await world.value("SELECT count(*) FROM sent WHERE status = -1")
        assert before.in_doubt_micros == unknown * UNIT_MICROS > 0
        await leases.settle(datetime.now(UTC) + timedelta(hours=73), 100)
        after = await state(world)
        assert after.in_doubt_micros == 0
        assert after.budget.spent_micros == await charged(world)
        assert after.budget.balance_micros == 100 * UNIT_MICROS - await charged(world)
        await verified(world)


async def test_a_month_s_cap_is_reached_and_not_passed_and_the_next_month_goes_on(database: Database) -> None:
    async with a_world(database, subscribers=100) as world:
        terms = BudgetTerms(month_cap_micros=30 * UNIT_MICROS + 5)
        await an_account(world).set_terms(MERCHANT, terms, datetime.now(UTC))
        campaign_id = await world.campaign(chunk=20)
        async with world.gateway():
            await eventually(lambda: world.submitted(30))
            await eventually(lambda: settled(world))
            found = await state(world)
            assert found.budget.month_left_micros == 5
            assert found.budget.month_spent_micros == 30 * UNIT_MICROS
            assert world.log.submits == 30
        # As if this were the month before: what it spent counts against its own cap.
        for table in ("budget", "budget_spent", "budget_charge"):
            await world.execute(f"UPDATE {table} SET month = month - interval '1 month'")
        await world.execute("UPDATE budget SET month_ends_at = now() - interval '1 second'")
        async with world.gateway():
            await eventually(lambda: world.submitted(60))
            await eventually(lambda: settled(world))
            assert world.log.submits == 60
            await an_account(world).set_terms(MERCHANT, BudgetTerms(without_cap=True), datetime.now(UTC))
            await eventually(lambda: world.finished(campaign_id))
        await verified(world)


async def test_what_a_carrier_refuses_comes_back_and_is_spent_on_others(database: Database) -> None:
    async with a_world(database, subscribers=200, refuse_share=0.2, refuse_status=0x0B) as world:
        await prepaid(world, 80 * UNIT_MICROS)
        campaign_id = await world.campaign(chunk=40)
        async with world.gateway():
            await eventually(lambda: charged_is(world, 80 * UNIT_MICROS))
            await eventually(lambda: settled(world))
        counters = await books(world, campaign_id)
        assert counters["accepted"] == 80
        assert counters["refused"] > 0
        assert (await state(world)).budget.balance_micros == 0
        await verified(world)


async def charged_is(world: World, micros: int) -> bool:
    return await charged(world) == micros


async def test_texts_of_the_queue_wait_for_money_and_go_when_it_is_there(database: Database) -> None:
    async with a_world(database, subscribers=5) as world:
        await prepaid(world, 2 * UNIT_MICROS)
        for number in range(5):
            await world.system_message(number, "Merci, votre commande est reçue.")
        async with world.gateway():
            await eventually(lambda: world.submitted(2))
            await eventually(lambda: settled(world))
            assert (await state(world)).short
            assert world.log.submits == 2
            await an_account(world).top_up(MERCHANT, 3 * UNIT_MICROS, "second", datetime.now(UTC))
            await eventually(lambda: world.submitted(5))
            await eventually(lambda: settled(world))
        assert (await state(world)).budget.spent_micros == 5 * UNIT_MICROS == await charged(world)
        await verified(world)


async def test_texts_that_expire_while_there_is_no_money_end_and_ask_for_none(database: Database) -> None:
    """More than a slow carrier's claim takes: they went back, and were claimed again without a pause."""
    over = 60
    async with a_world(database, subscribers=over + 1, rate_per_s=20) as world:
        await prepaid(world, UNIT_MICROS - 1)
        waiting = await world.system_message(over, "Merci, votre commande est reçue.")
        async with world.gateway() as gateway:
            await eventually(lambda: told(world, "budget.exhausted", 1))
            late = timedelta(seconds=-1)
            for number in range(over):
                await world.system_message(number, "Merci, votre commande est reçue.", expires_in=late)
            with capture_logs() as lines:
                gateway.pump.wake_interactive.set()
                ended = "SELECT count(*) = $1 FROM sent WHERE status = -2 AND reason = 'expired'"
                await eventually(lambda: world.value(ended, over), timeout_s=10)
            assert "messages_wait_for_budget" not in {line["event"] for line in lines}
            left = await world.rows("SELECT message_id, owner FROM interactive_queue")
            assert [tuple(row) for row in left] == [(waiting, None)]
        assert world.log.submits == 0
        assert await told(world, "budget.exhausted", 1)
        await verified(world)


async def told(world: World, type_: str, count: int) -> bool:
    return bool(await world.value("SELECT count(*) = $2 FROM event WHERE type = $1", type_, count))


async def test_a_text_that_another_carrier_cuts_into_more_parts_costs_no_more_than_was_set_aside(
    database: Database,
) -> None:
    """A surrogate pair at the end of a part: two by message_payload, three by headers of 16 bits."""
    text = "а" * 65 + "😀" + "а" * 65
    rule = Rule("all", (Candidate("sim", 1), Candidate("other", 2)))
    async with two_carriers(database, [rule], subscribers=1, refuse_share=1.0) as world:
        assert world.other is not None
        world.simulator.smsc.settings.refuse_status = Status.INVDSTADR
        world.profile_changes = {"concat": "payload", "reroute_statuses": (Status.INVDSTADR,)}
        world.other_changes = {"concat": "udh16"}
        await prepaid(world, 3 * UNIT_MICROS - 1)
        await world.system_message(0, text)
        async with world.gateway():
            await eventually(lambda: told(world, "budget.exhausted", 1))
            assert world.log.submits == 0
            await an_account(world).top_up(MERCHANT, UNIT_MICROS, "second", datetime.now(UTC))
            other = world.other
            await eventually(lambda: other.smsc.log.submits == 3)
            await eventually(lambda: settled(world))
        assert (await state(world)).budget.balance_micros == UNIT_MICROS - 1
        assert await charged(world) == 3 * UNIT_MICROS
        await verified(world)


async def test_a_budget_that_comes_while_a_campaign_is_sending_bounds_the_rest(database: Database) -> None:
    async with a_world(database, subscribers=400, rate_per_s=100) as world:
        await world.campaign(chunk=100)
        async with world.gateway():
            await eventually(lambda: world.submitted(20))
            await an_account(world).set_terms(MERCHANT, BudgetTerms(prepaid=True), datetime.now(UTC))
            await eventually(lambda: world.value("SELECT short_micros IS NOT NULL FROM budget"))
            await eventually(lambda: settled(world))
            held = world.log.submits
        assert held < 400
        assert (await state(world)).budget.spent_micros == 0


async def test_a_cap_on_the_day_holds_to_the_micro_and_the_rest_goes_on_the_next_day(
    database: Database,
) -> None:
    async with a_world(database, subscribers=150) as world:
        account, now = an_account(world), datetime.now(UTC)
        await account.set_terms(MERCHANT, BudgetTerms(day_cap_micros=60 * UNIT_MICROS + 1), now)
        campaign_id = await world.campaign(chunk=40)
        async with world.gateway():
            await eventually(lambda: world.submitted(60))
            await eventually(lambda: settled(world))
            assert (await state(world)).short
            assert world.log.submits == 60
            # The day is over: what it spent is of the day before, as it is for everybody who looks now.
            await world.execute("UPDATE budget SET day = day - 1, day_ends_at = now()")
            await world.execute("UPDATE budget_charge SET day = day - 1")
            await eventually(lambda: world.submitted(120))
            await eventually(lambda: settled(world))
            assert world.log.submits == 120
            await verified(world)
            await account.set_terms(MERCHANT, BudgetTerms(without_day_cap=True), datetime.now(UTC))
            await eventually(lambda: world.finished(campaign_id))
        assert Counter(world.log.by_destination.values()) == {1: 150}
