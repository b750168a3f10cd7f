"""What a benchmark writes before it measures and reads after it, in a database of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from smsgate.store.catalogue import load
from smsgate.store.pool import Database

_SQL: Final = load("bench")
SLICE: Final = 200_000  # subscribers written by one statement: some seconds of its time-out


class People(NamedTuple):
    """Person n has the number `first_number` + n * `stride` modulo `numbers`."""

    count_: int
    first_number: int
    stride: int
    numbers: int
    refusing_of: int  # one of so many has not agreed to offers
    names: Sequence[str]
    place: str  # `campaigns.hours.Place.key` of everybody; "": as the country says
    lists: Sequence[str]  # tags; of each merchant's people, in turns of `refusing_of`
    listed: int  # how many of the people these are for; the others' tag is `other_list`
    other_list: str


class Progress(NamedTuple):
    accepted: int
    failures: int  # refused, unknown or not sent
    receipts: int  # final ones


async def write_merchants(
    database: Database, merchants: Sequence[int], people: People, agreed_at: datetime
) -> None:
    """Write price lists, merchants and their subscribers: people take turns among merchants, too."""
    async with database.bulk() as connection:
        for name in ("price_lists", "price_versions", "price_items"):
            await connection.execute(_SQL[name])
        await connection.execute(_SQL["merchants"], merchants)
        for start in range(0, people.count_, SLICE):
            end = min(start + SLICE, people.count_)
            await connection.execute(_SQL["subscribers"], merchants, start, end, *people[1:], agreed_at)
    async with database.control() as connection:
        await connection.execute("VACUUM (ANALYZE) subscriber")  # as autovacuum does after an import


async def write_offer(
    database: Database, merchant_id: int, offer_id: int, text: str, sender: str, expires_at: datetime
) -> None:
    async with database.bulk() as connection:
        await connection.execute(_SQL["offer"], merchant_id, offer_id)
        await connection.execute(_SQL["offer_version"], merchant_id, offer_id, text, sender, expires_at)


async def let_go(database: Database, first_campaign: int, campaigns: int) -> None:
    """Have paused campaigns send."""
    async with database.bulk() as connection:
        await connection.execute(_SQL["let_go"], first_campaign, campaigns)


async def progress(database: Database, first_campaign: int, campaigns: int) -> Progress:
    """Return what these campaigns have come to, all together."""
    async with database.report() as connection:
        row = await connection.fetchrow(_SQL["progress"], first_campaign, campaigns)
    assert row is not None
    return Progress(row["accepted"], row["failures"], row["receipts"])


async def books(database: Database, first_campaign: int, campaigns: int) -> dict[str, Any]:
    """Return accepted, receipts, ledger_messages, unknown and orders, all from one snapshot."""
    async with database.report() as connection:
        row = await connection.fetchrow(_SQL["books"], first_campaign, campaigns)
    assert row is not None
    return dict(row)


async def confirmations(database: Database) -> list[tuple[int, datetime]]:
    """Return (message id, when the deliver_sm came that it answers)."""
    async with database.report() as connection:
        rows = await connection.fetch(_SQL["confirmations"])
    return [(row["message_id"], row["received_at"]) for row in rows]


async def waiting(database: Database) -> int:
    """Return how many system messages have not left."""
    async with database.bulk() as connection:
        return int(await connection.fetchval(_SQL["waiting"]))


async def wal_octets(database: Database) -> int:
    """Return how far the server's write-ahead log has come."""
    async with database.report() as connection:
        return int(await connection.fetchval(_SQL["wal_octets"]))
