"""What closes or answers an open offer finds it although another changed it while the lock was waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest

from smsgate.store.catalogue import load
from smsgate.store.connection import Connection
from smsgate.store.places import Wanted, take_places
from smsgate.store.pool import Database
from tests.flows.world import eventually
from tests.store.waiting import somebody_waits

T = TypeVar("T")
MERCHANT, OTHER, MSISDN, MESSAGE, SENDER = 7, 8, 33600000005, 50, "38123"
ID = 1000 + MESSAGE
TAKEN = (OTHER, ID, None)  # by the other merchant's offer
REPLACED: tuple[list[int], list[int]] = ([ID], [])  # what `take_places` returns of a row that was there
ANSWERED_AT = datetime(2026, 1, 2, tzinfo=UTC)
OPENED = """
INSERT INTO open_offer (msisdn, sender, merchant_id, campaign_id, message_id, offer_id, offer_version,
    subscriber_id, expires_at, opened_at)
SELECT n, '38123', 7, 1, n - 33600000000 + 45, 1, 1, n, now() + interval '1 hour', now()
FROM generate_series(33600000005, 33600000040) n
"""
CHANGED = {
    "lasts longer": "expires_at = expires_at + interval '1 hour'",
    "was answered": "answered_at = now()",
    "is the merchant's next": "message_id = 99, expires_at = expires_at + interval '1 hour'",
}
CLOSED = "was closed"


@pytest.mark.parametrize(
    ("file", "name", "arguments", "change", "left"),
    [
        ("inbound", "close_offers", ([MERCHANT], [MSISDN]), "lasts longer", []),
        ("inbound", "close_offers", ([MERCHANT], [MSISDN]), "was answered", []),
        ("inbound", "close_offers", ([MERCHANT], [MSISDN]), "is the merchant's next", []),
        ("sending", "close_unsent_offers", ([MSISDN], [SENDER], [MESSAGE]), "was answered", []),
        ("sending", "close_unsent_offers", ([MSISDN], [SENDER], [MESSAGE]), "is the merchant's next", [None]),
        (
            "inbound",
            "answered",
            ([MSISDN], [SENDER], [MESSAGE], [ANSWERED_AT]),
            "lasts longer",
            [ANSWERED_AT],
        ),
        (
            "inbound",
            "answered",
            ([MSISDN], [SENDER], [MESSAGE], [ANSWERED_AT]),
            "was answered",
            [ANSWERED_AT],
        ),
        (
            "inbound",
            "answered",
            ([MSISDN], [SENDER], [MESSAGE], [ANSWERED_AT]),
            "is the merchant's next",
            [None],
        ),
    ],
)
async def test_an_offer_that_was_changed_meanwhile_is_found(
    database: Database,
    file: str,
    name: str,
    arguments: tuple[object, ...],
    change: str,
    left: list[datetime | None],
) -> None:
    """A STOP that waited for a claim left the offer open that the claim had just made."""
    async with database.control() as connection:
        await connection.execute(OPENED)

    async def close() -> None:
        async with database.bulk_transaction() as closing:
            await closing.execute(load(file)[name], *arguments)

    await _while_another_changes_it(database, change, close())
    async with database.control() as connection:
        rows = await connection.fetch("SELECT answered_at FROM open_offer WHERE msisdn = $1", MSISDN)
        assert [row["answered_at"] for row in rows] == left
        assert await connection.fetchval("SELECT count(*) FROM open_offer WHERE msisdn <> $1", MSISDN) == 35


@pytest.mark.parametrize(
    ("over_after", "change", "taken", "left"),
    [
        (timedelta(hours=3), "lasts longer", REPLACED, TAKEN),
        (timedelta(hours=3), "was answered", REPLACED, TAKEN),
        (timedelta(hours=3), "is the merchant's next", REPLACED, TAKEN),
        (timedelta(hours=3), CLOSED, ([ID], [ID]), TAKEN),
        (timedelta(hours=1.5), "lasts longer", ([], []), (MERCHANT, MESSAGE, None)),
        (timedelta(hours=1.5), "is the merchant's next", ([], []), (MERCHANT, 99, None)),
        (timedelta(hours=1.5), CLOSED, ([ID], [ID]), TAKEN),
    ],
)
async def test_the_place_of_an_offer_that_was_changed_meanwhile_is_taken_while_it_is_over(
    database: Database,
    over_after: timedelta,
    change: str,
    taken: tuple[list[int], list[int]],
    left: tuple[int, int, datetime | None],
) -> None:
    """What is over after the change as before it gives its place; what came to be open keeps it."""
    async with database.control() as connection:
        await connection.execute(OPENED)
    now = datetime.now(UTC)
    offer = ([2], [1], [1], [now + timedelta(days=1)])
    wanted = Wanted([MSISDN], [ID], [5], [0])

    async def take() -> tuple[object, ...]:
        async with database.bulk_transaction() as claiming:
            found = await take_places(
                claiming, wanted, SENDER, OTHER, offer, over_before=now + over_after, now=now
            )
        return sorted(found.message_ids), sorted(found.anew)

    assert await _while_another_changes_it(database, change, take()) == taken
    async with database.control() as connection:
        row = await connection.fetchrow(
            "SELECT merchant_id, message_id, answered_at FROM open_offer WHERE msisdn = $1", MSISDN
        )
        assert row is not None
        assert tuple(row) == left
        assert await connection.fetchval("SELECT count(*) FROM open_offer WHERE message_id = 1050") == len(
            taken[0]
        )


async def test_who_lost_the_row_gets_one_beside_those_who_have_theirs(database: Database) -> None:
    async with database.control() as connection:
        await connection.execute(OPENED)
        await connection.execute("DELETE FROM open_offer WHERE msisdn = $1", MSISDN + 1)
    now, people = datetime.now(UTC), range(3)
    wanted = Wanted([MSISDN + n for n in people], [ID + n for n in people], [*people], [1, 0, 1])
    offer = ([2, 3], [20, 30], [4, 5], [now + timedelta(days=1), now + timedelta(days=2)])
    async with database.bulk_transaction() as claiming:
        found = await take_places(
            claiming, wanted, SENDER, OTHER, offer, over_before=now + timedelta(hours=3), now=now
        )
        rows = await claiming.fetch(
            "SELECT msisdn, merchant_id, campaign_id, message_id, offer_id, offer_version, subscriber_id, "
            "expires_at, opened_at, answered_at FROM open_offer WHERE merchant_id = 8 ORDER BY 1"
        )
    assert (sorted(found.message_ids), [*found.anew]) == ([ID, ID + 1, ID + 2], [ID + 1])
    assert [tuple(row) for row in rows] == [
        (MSISDN, OTHER, 3, ID, 30, 5, 0, offer[3][1], now, None),
        (MSISDN + 1, OTHER, 2, ID + 1, 20, 4, 1, offer[3][0], now, None),
        (MSISDN + 2, OTHER, 3, ID + 2, 30, 5, 2, offer[3][1], now, None),
    ]


async def take_all(connection: Connection, msisdns: Sequence[int], sender: str) -> int:
    """Take the places of these numbers, all of which are over; return how many were."""
    count, now = len(msisdns), datetime.now(UTC)
    wanted = Wanted(msisdns, range(ID, ID + count), range(count), [0] * count)
    offer = ([2], [1], [1], [now + timedelta(days=1)])
    found = await take_places(
        connection, wanted, sender, OTHER, offer, over_before=now + timedelta(hours=3), now=now
    )
    assert not found.anew
    return len(found.message_ids)


@pytest.mark.parametrize("sender", [SENDER, "of a new shop"])
async def test_places_are_taken_by_the_key_of_each_person(database: Database, sender: str) -> None:
    """Of a number that is not in the statistics the planner expects nothing, and read all of the table."""
    async with database.control() as connection:
        await connection.execute(OPENED.replace("33600000040", "33600060004"))
        await connection.execute("VACUUM (ANALYZE) open_offer")
        await connection.execute(
            "INSERT INTO open_offer SELECT msisdn, 'of a new shop', merchant_id, campaign_id, message_id, "
            "offer_id, offer_version, subscriber_id, expires_at, opened_at FROM open_offer "
            "WHERE msisdn < 33600003005"
        )
    async with database.bulk_transaction() as claiming:
        assert await take_all(claiming, range(MSISDN, MSISDN + 3_000), sender) == 3_000
        reads = await claiming.fetchrow(
            "SELECT seq_scan, idx_scan, idx_tup_fetch FROM pg_stat_xact_user_tables "
            "WHERE relname = 'open_offer'"
        )
        assert reads is not None
        assert tuple(reads) == (0, 3_000, 3_000)
        assert await claiming.fetchval("SHOW enable_hashjoin") == "on"  # else other statements read all


async def test_places_are_taken_in_the_order_of_the_numbers(database: Database) -> None:
    """Answers lock offers in that order: another one, and two could wait for each other."""
    async with database.control() as connection:
        await connection.execute(OPENED)
    people = range(MSISDN, MSISDN + 36)

    async def take() -> int:
        async with database.bulk_transaction() as claiming:
            return await take_all(claiming, people[::-1], SENDER)

    async with database.bulk_transaction() as answering:
        await answering.execute("SELECT FROM open_offer WHERE msisdn = $1 FOR UPDATE", people[20])
        task = asyncio.create_task(take())
        await eventually(lambda: somebody_waits(database))
        async with database.bulk_transaction() as other:
            free = await other.fetch("SELECT msisdn FROM open_offer ORDER BY 1 FOR UPDATE SKIP LOCKED")
            assert [row["msisdn"] for row in free] == [*people[21:]]
    assert await task == 36


async def _while_another_changes_it(database: Database, change: str, waiting: Coroutine[None, None, T]) -> T:
    """Let `waiting` come to the lock of an offer that another transaction has changed and then commits."""

    async with database.bulk_transaction() as changing:
        if change == CLOSED:
            await changing.execute("DELETE FROM open_offer WHERE msisdn = $1", MSISDN)
        else:
            await changing.execute(f"UPDATE open_offer SET {CHANGED[change]} WHERE msisdn = $1", MSISDN)
        task = asyncio.create_task(waiting)
        await eventually(lambda: somebody_waits(database))
    return await task
