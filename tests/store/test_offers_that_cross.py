"""Groups of webhooks of one merchant in two processes, with the same external ids in another order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count

from smsgate.errors import StoreError
from smsgate.flows.offer_records import NewOffer, OfferRecord
from smsgate.flows.records import OfferVersion
from smsgate.store.offers import insert_offers
from smsgate.store.pool import Database
from smsgate.store.roles import ADMIN

MERCHANT = 7
_ids = count(1)


def an_offer(external_id: str) -> NewOffer:
    now = datetime.now(UTC)
    version = OfferVersion(
        MERCHANT,
        next(_ids),
        1,
        "text",
        "Boxman",
        "CD",
        1990,
        "EUR",
        5,
        "fr",
        "FR",
        "36111",
        now + timedelta(1),
    )
    return OfferRecord(version, external_id, None, None, now).as_new()


async def test_groups_with_crossing_external_ids_wait_for_each_other_and_never_in_a_circle(
    database: Database,
) -> None:
    pids: list[int] = []

    async def insert(*external_ids: str) -> str:
        try:
            async with database.transaction(MERCHANT) as connection:
                pids.append(await connection.fetchval("SELECT pg_backend_pid()"))
                await insert_offers(connection, MERCHANT, [an_offer(each) for each in external_ids])
        except StoreError as exc:
            return exc.sqlstate
        return ""

    admin = await database.connect(ADMIN)
    try:
        blocker = admin.transaction()
        await blocker.start()
        await insert_offers(admin, MERCHANT, [an_offer("m")])
        first = asyncio.create_task(insert("b", "m", "a"))
        await _waits(database, pids, 1)
        second = asyncio.create_task(insert("a", "b"))
        await _waits(database, pids, 2)
        await blocker.rollback()
        assert (await first, await second) == ("", "23505")  # the second asks again, each alone
    finally:
        await admin.close()


async def _waits(database: Database, pids: Sequence[int], expected: int) -> None:
    """Return when so many of these server processes wait for a lock."""
    look = await database.connect(ADMIN)
    try:
        async with asyncio.timeout(20):
            while (
                await look.fetchval(
                    "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND pid = ANY ($1::int[])",
                    list(pids),
                )
                < expected
            ):
                await asyncio.sleep(0.01)
    finally:
        await look.close()
