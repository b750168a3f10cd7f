"""Two that want the same people at the same time: one waits for the other, or begins anew; nobody fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

import asyncpg
import pytest

from smsgate.campaigns.consent import LESS_PERIOD
from smsgate.errors import StoreUnavailable
from smsgate.flows.gates import ALWAYS_OPEN
from smsgate.flows.inbound_records import InboundWrites
from smsgate.flows.records import ChunkClaim
from smsgate.ids import IdMaker
from smsgate.security.suppression import SuppressionHashes
from smsgate.store.connection import Connection
from smsgate.store.gates import Gate
from smsgate.store.inbound import StoredInbound
from smsgate.store.pool import Database
from smsgate.store.roles import ADMIN
from tests.flows.test_held import Claimer
from tests.flows.test_small_campaigns import a_small_campaign, claimed
from tests.flows.world import FIRST_MSISDN, MERCHANT, SENDER, STAMPS, World, a_world

LOCK_NOT_AVAILABLE = "55P03"

T = TypeVar("T")

# Goes for the second place as soon as the claim waits for the first one, which it holds.
CROSS_IT = """
DO $do$ BEGIN
    WHILE NOT EXISTS (SELECT FROM pg_locks l
                       WHERE NOT l.granted AND pg_backend_pid() = ANY (pg_blocking_pids(l.pid))) LOOP
        PERFORM pg_sleep(0.01);
    END LOOP;
    {};
END $do$"""


class TooLate(Exception):
    """Who was to meet another had given up by then."""


def a_place(msisdn: int, answered_at: str) -> str:
    """Return the statement that opens an offer of another campaign."""
    return (
        "INSERT INTO open_offer (msisdn, sender, merchant_id, campaign_id, message_id, offer_id, "
        f"offer_version, subscriber_id, expires_at, answered_at) VALUES ({msisdn}, '{SENDER}', {MERCHANT}, "
        f"1, 1, 1, 1, 1, now(), {answered_at})"
    )


async def test_a_claim_that_meets_another_crosswise_is_made_anew(database: Database) -> None:
    """
    It opens the offer of whom no row is about, then takes an answered place; the other inversely.

    PostgreSQL ends the one of the two that looks, a time after its wait began, and each looks once. The claim
    may have looked before the other waited: then the other is ended, or the claim gives up, and they meet
    again.
    """
    fresh, answered = FIRST_MSISDN, FIRST_MSISDN + 1
    async with a_world(database, subscribers=3) as world:
        other = await database.connect(ADMIN)
        try:
            claim = None
            while claim is None:
                await world.execute("DELETE FROM open_offer")
                await world.execute(a_place(answered, "now()"))
                claim = await crosswise(world, other, await world.campaign(), fresh, answered)
        finally:
            await other.close()
        assert claim.msisdns == [answered, FIRST_MSISDN + 2]
        held = "SELECT hold FROM campaign_chunk WHERE campaign_id = $1 AND state = 'ready'"
        assert await world.value(held, claim.campaign_id) == "open_offer"


async def crosswise(
    world: World, other: Connection, campaign_id: int, fresh: int, answered: int
) -> ChunkClaim | None:
    """Return the claim that was made anew; None: it was not the one that was ended."""

    def claiming() -> Coroutine[None, None, list[ChunkClaim]]:
        return Claimer(world, ALWAYS_OPEN).claim(campaign_id, datetime.now(UTC))

    try:
        claims = await met(other, an_offer_of(answered), claiming, a_place(fresh, "NULL"))
    except (asyncpg.DeadlockDetectedError, TooLate):
        return None
    (claim,) = claims
    return claim


async def met(other: Connection, holds: str, ours: Callable[[], Coroutine[None, None, T]], wants: str) -> T:
    """
    Hold one row until `ours` waits for it, then want another one, and return what `ours` came to.

    Raises:
        TooLate: `ours` gave up, which waits no longer than its `lock_timeout`; it has changed nothing.
    """
    running = None
    try:
        async with other.transaction():
            await other.execute(f"SELECT {holds}")
            running = asyncio.create_task(ours())
            crossing = asyncio.create_task(other.execute(CROSS_IT.format(wants)))
            await asyncio.wait({running, crossing}, return_when=asyncio.FIRST_COMPLETED)
            if running.done() and not crossing.done():
                crossing.cancel()
                await asyncio.wait({crossing})
                await running
                raise AssertionError("it waited for nothing")
            await crossing
        return await running
    except StoreUnavailable as exc:
        if exc.sqlstate != LOCK_NOT_AVAILABLE:
            raise
        raise TooLate from exc
    finally:
        if running is not None:
            await asyncio.wait({running})


ONE, TWO = FIRST_MSISDN, FIRST_MSISDN + 1
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def an_offer_of(msisdn: int) -> str:
    return f"FROM open_offer WHERE msisdn = {msisdn} FOR UPDATE"


def a_person(msisdn: int) -> str:
    return f"FROM subscriber WHERE msisdn = {msisdn} FOR UPDATE"


async def crossed(
    database: Database, holds: str, ours: Callable[[], Coroutine[None, None, object]], wants: str
) -> None:
    """
    Hold one row until `ours` waits for it, then want another one: whoever goes on alone ends.

    In a circle PostgreSQL fails this side, which looks after 10 ms, where ours looks after a second.
    """
    other = await database.connect(ADMIN)
    try:
        await other.execute("SET deadlock_timeout = '10ms'")
        crossing = True
        while crossing:
            with suppress(TooLate):
                await met(other, holds, ours, f"PERFORM {wants}")
                crossing = False
    finally:
        await other.close()


async def test_answers_take_open_offers_in_the_order_of_the_number(database: Database) -> None:
    """A claim does, too; the one of the greater number was answered first, and lies first."""
    async with a_world(database, subscribers=2) as world:
        for msisdn in (TWO, ONE):
            await world.execute(a_place(msisdn, "NULL"))
        ids = IdMaker(3, lambda: int(time.time() * 1000))
        store = StoredInbound(database, ids.next, SuppressionHashes(bytes(32)), STAMPS)

        async def answered() -> None:
            async with store.group() as group:
                await group.write(InboundWrites(answered={(each, SENDER): (1, NOW) for each in (TWO, ONE)}))

        await crossed(database, an_offer_of(ONE), answered, an_offer_of(TWO))
        assert await world.value("SELECT count(*) FROM open_offer WHERE answered_at = $1", NOW) == 2


async def test_a_claim_takes_who_asked_for_less_before_any_open_offer(database: Database) -> None:
    """As answers do: they hold people before their open offers. Campaigns that share a person take turns."""
    async with a_world(database, subscribers=2) as world:
        await world.execute(a_place(ONE, "now()"))
        await less(world, TWO, datetime.now(UTC) - LESS_PERIOD)
        campaigns = [await a_small_campaign(world, 0), await a_small_campaign(world, 0, 1)]
        await crossed(database, a_person(TWO), partial(claimed, world, campaigns), an_offer_of(ONE))
        rows = await world.rows("SELECT msisdn, campaign_id FROM open_offer ORDER BY msisdn")
        assert [tuple(row) for row in rows] == [(ONE, campaigns[0]), (TWO, campaigns[1])]
        assert await world.value(
            "SELECT less_at > now() - interval '1 hour' FROM subscriber WHERE msisdn = $1", TWO
        )


async def less(world: World, msisdn: int, at: datetime) -> None:
    await world.execute("UPDATE subscriber SET less_at = $2 WHERE msisdn = $1", msisdn, at)


@pytest.mark.parametrize("unsent", [(TWO, ONE), (TWO,)])
async def test_an_offer_that_never_left_is_given_back_to_people_in_their_order(
    database: Database, unsent: tuple[int, ...]
) -> None:
    """Those whose next offer may come, too, who are locked next."""
    async with a_world(database, subscribers=2) as world:
        for msisdn in (TWO, ONE):  # as they lie, where no index is read
            await less(world, msisdn, NOW if msisdn in unsent else NOW - LESS_PERIOD - timedelta(days=1))

        async def given_back() -> None:
            async with database.bulk_transaction() as connection:
                await connection.execute(
                    "SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off"
                )
                gate = Gate(connection, ALWAYS_OPEN, [SENDER], MERCHANT, NOW)
                await gate.give_less_back(dict.fromkeys(unsent, NOW), [ONE, TWO])
                assert await gate.reluctant([ONE, TWO]) == {}

        await crossed(database, a_person(ONE), given_back, a_person(TWO))
        assert await world.value("SELECT count(*) FROM subscriber WHERE less_at < $1", NOW) == 2
