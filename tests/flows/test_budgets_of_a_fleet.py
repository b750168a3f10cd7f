"""Prepaid and caps are exact with eight senders in two processes, whoever is killed, by SMSC and ledger."""

from __future__ import annotations

from collections import Counter
from functools import partial

from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database
from tests.flows.fleet import (
    CAPPED,
    MERCHANTS,
    ON_DELIVERY,
    PREPAID,
    PROCESSES,
    REST,
    Fleet,
    a_fleet,
)
from tests.flows.world import UNIT_MICROS, eventually

FUNDED = 200  # messages of each of three merchants
PEOPLE = 2 * FUNDED  # as many again get one if nothing of the first is delivered, or all is in doubt
LIMIT_S = 60.0


async def test_eight_senders_in_two_processes_spend_to_the_micro_whoever_is_killed(
    database: Database, database_name: str, postgres_server: EmbeddedPostgres
) -> None:
    async with a_fleet(database, postgres_server, database_name, people=PEOPLE) as fleet:
        await fleet.prepare(PROCESSES + 1)
        await fleet.fund(FUNDED)
        for _ in range(PROCESSES):
            await fleet.begin()
        await fleet.go()
        for border in (120, 300):
            await eventually(partial(fleet.world.submitted, border), timeout_s=LIMIT_S)
            await fleet.kill()
            fleet.within_funds()
        await fleet.begin()
        await eventually(fleet.exhausted, timeout_s=LIMIT_S)
        await nothing_is_left_and_nothing_too_much(fleet)
        await what_failed_comes_back_and_is_sent_for(fleet)
        await fleet.verified()


async def nothing_is_left_and_nothing_too_much(fleet: Fleet) -> None:
    """A micro less than a message is left; the SMSC has all that was paid for, less what is in doubt."""
    submits, in_doubt = fleet.submits(), 0
    for merchant_id in MERCHANTS:
        spent, leased = await fleet.used(merchant_id)
        rows = await fleet.rows(merchant_id)
        funds = fleet.funds[merchant_id]
        assert funds - rows.unknown <= submits[merchant_id] <= funds
        assert rows.accepted + rows.unknown == funds
        assert spent + leased == funds * UNIT_MICROS
        if merchant_id != ON_DELIVERY:
            assert spent == await fleet.charged(merchant_id) == rows.accepted * UNIT_MICROS
            assert leased == rows.unknown * UNIT_MICROS
        in_doubt += rows.unknown
    assert in_doubt  # else the kills came too late to prove anything
    assert (await fleet.state(PREPAID)).budget.balance_micros == REST
    assert (await fleet.state(CAPPED)).budget.month_left_micros == REST
    assert set(Counter(fleet.world.log.by_destination.values())) == {1}


async def what_failed_comes_back_and_is_sent_for(fleet: Fleet) -> None:
    """On delivery: after 72 hours what came back failed is money again, and others get a message for it."""
    await fleet.kill_all()  # else they take the money as soon as it is there
    await fleet.time_passes()
    spent, leased = await fleet.used(ON_DELIVERY)
    rows, charged = await fleet.rows(ON_DELIVERY), await fleet.charged(ON_DELIVERY)
    assert 0 < charged == spent < rows.accepted * UNIT_MICROS
    assert leased == rows.unheard * UNIT_MICROS
    back = fleet.funds[ON_DELIVERY] - (spent + leased) // UNIT_MICROS
    before = fleet.submits()[ON_DELIVERY]
    async with fleet.world.gateway():
        await eventually(lambda: fleet.submits()[ON_DELIVERY] == before + back, timeout_s=LIMIT_S)
        await eventually(lambda: settled_again(fleet), timeout_s=LIMIT_S)
    assert await fleet.charged(ON_DELIVERY) <= fleet.funds[ON_DELIVERY] * UNIT_MICROS
    assert (await fleet.state(ON_DELIVERY)).budget.balance_micros == REST


async def settled_again(fleet: Fleet) -> bool:
    spent, leased = await fleet.used(ON_DELIVERY)
    return spent + leased == fleet.funds[ON_DELIVERY] * UNIT_MICROS
