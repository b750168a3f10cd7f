"""
The ledger's chain of seals, and what closed months hold: `smsgate billing verify` finds whatever is changed.

The books: October and November closed, with costs, and something recorded after both; a campaign that is
charged by receipts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from smsgate.store.catalogue import load
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database
from smsgate.store.verify import looked_of
from tests.store.books import CLOSE_AT, IN_OCTOBER, NOVEMBER, OCTOBER, Books, some_books
from tests.store.verified_books import Corruption, first_found, found_after, made_once

SHOP, CAMPAIGN = (
    7,
    1 << 62,
)  # a campaign's id is a time-ordered one, so this one begins when all rows are kept
UNIT = 45_000
BY_RECEIPT, COST_ITEM = 13, 21
IN_NOVEMBER = datetime(2026, 11, 12, 9, tzinfo=UTC)
IN_DECEMBER = CLOSE_AT + timedelta(days=31)


async def two_closes(database: Database) -> Books:
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.partitions(IN_NOVEMBER, IN_DECEMBER)
    await books.prices((BY_RECEIPT, "mt", "*", UNIT), list_id=9, basis="delivered")
    await books.prices((COST_ITEM, "mt", "*", 30_000), list_id=10, side="cost")
    cost = COST_ITEM, 30_000
    await books.take(SHOP, 7, cost=cost)
    await books.take(SHOP, 2, cost=cost, recorded_at=IN_OCTOBER + timedelta(days=1))
    await books.closing().close(SHOP, OCTOBER)
    await books.take(SHOP, 3, accepted_at=IN_NOVEMBER, cost=cost)
    books.go_to(IN_DECEMBER)
    await books.closing().close(SHOP, NOVEMBER)
    await books.take(SHOP, 1, accepted_at=IN_DECEMBER, cost=cost)
    return books


async def write(database: Database) -> None:
    books = await two_closes(database)
    ids = await books.take(SHOP, 4, accepted_at=IN_DECEMBER, item=(BY_RECEIPT, UNIT), by_receipt=True)
    await books.write_messages(SHOP, ids)
    await books.execute("UPDATE message SET campaign_id = $1", CAMPAIGN)
    await books.execute("INSERT INTO campaign_counter VALUES ($1, $2, 'accepted', 4)", SHOP, CAMPAIGN)


NEWEST = "(month, day) = (SELECT month, day FROM ledger_seal ORDER BY month DESC, day DESC LIMIT 1)"
OLDEST = "(month, day) = (SELECT month, day FROM ledger_seal ORDER BY month, day LIMIT 1)"
CORRUPTIONS = {
    "an entry of a closed month names another carrier": Corruption(
        "UPDATE ledger_entry SET carrier_id = 2 WHERE at = '2026-10-06T08:00:00Z'",
        "I15", "close of 2026-10: the 4 entries recorded on 2026-10-06 are not the 4 that were sealed",
    ),
    "entries of a closed month are gone": Corruption(
        "DELETE FROM ledger_entry WHERE account IN ('cost', 'carrier_accrual') AND at = '2026-10-06T08:00Z'",
        "I15", "the 2 entries recorded on 2026-10-06 are not the 4 that were sealed",
    ),
    "a later entry of costs is dated back into a closed month": Corruption(
        "UPDATE ledger_entry SET at = '2026-10-07' WHERE account IN ('cost', 'carrier_accrual') "
        "AND at >= '2026-12-05'",
        "I12", "merchant 7, close of 2026-10: 2 entries were recorded on 2026-10-07",
    ),
    "a seal is changed": Corruption(
        f"UPDATE ledger_seal SET entries_sha256 = sha256('other') WHERE {OLDEST}",
        "I15", "close of 2026-10: the 4 entries recorded on 2026-10-05",
    ),
    "a seal is made anew, with its own hash": Corruption(
        "UPDATE ledger_seal SET entries_sha256 = sha256('other'), chain_sha256 = sha256(previous_sha256 || "
        "convert_to(format('%s %s %s ', month, day, entries), 'UTF8') || sha256('other')) "
        f"WHERE {NEWEST}",
        "I15", "close of 2026-11: the 4 entries recorded on 2026-11-12",
    ),
    "the last seal is taken away": Corruption(
        f"DELETE FROM ledger_seal WHERE {NEWEST}", "I15", "2026-11 is closed and does not have its last seal",
    ),
    "a closed month forgets that it was sealed": Corruption(
        "UPDATE billing_period SET ledger_sha256 = NULL WHERE month = '2026-11-01'",
        "I15", "close of 2026-11: the 0 entries recorded on 2026-11-04 are not the 4 that were sealed",
    ),
    "a closed month is open again": Corruption(
        "UPDATE billing_period SET closed_at = NULL WHERE month = '2026-10-01'",
        "I12", "document F-2026-1 is of 2026-10, which merchant 7 did not close",
    ),
    "a cut is moved before the one of the month before": Corruption(
        "UPDATE billing_period SET cut_at = '2026-11-03' WHERE month = '2026-11-01'",
        "I12", "merchant 7 cut 2026-11 at 2026-11-03",
    ),
    "a month was closed before its cut": Corruption(
        "UPDATE billing_period SET closed_at = cut_at - interval '1 second' WHERE month = '2026-10-01'",
        "I12", "merchant 7 closed 2026-10 at",
    ),
    "a counter of a campaign that receipts charge is a message more": Corruption(
        "UPDATE campaign_counter SET n = n + 1", "I16", "the counter has 5 accepted, the ledger 0",
    ),
    "the counter of a campaign is gone": Corruption(
        "WITH c AS (DELETE FROM campaign_counter) UPDATE ledger_entry SET campaign_id = 5 "
        "WHERE at = '2026-10-05T08:00:00Z'",
        "I16", "campaign 5 of merchant 7: the counter has 0 accepted, the ledger 7",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def books(postgres_server: EmbeddedPostgres) -> Iterator[dict[str, Any]]:
    with made_once(postgres_server, write) as arguments:
        yield arguments


async def test_closed_months_and_their_seals_hold_in_every_proof(books: dict[str, Any]) -> None:
    assert await found_after(books, "") == {}


@pytest.mark.parametrize("name", CORRUPTIONS)
async def test_a_corruption_is_found_and_its_first_row_named(books: dict[str, Any], name: str) -> None:
    first = await first_found(books, CORRUPTIONS[name])
    assert CORRUPTIONS[name].names in first


async def test_an_entry_is_sealed_as_the_text_that_it_always_was(database: Database) -> None:
    """Instants of documents are of any microsecond: below half a second, half a second, and above."""
    books = await two_closes(database)
    await books.execute(
        "UPDATE ledger_entry e SET campaign_id = nullif(n % 3, 0), at = at + n * interval '123457 us', "
        "accepted_at = accepted_at + n * interval '250 ms' FROM (SELECT posting_id, line, row_number() OVER "
        "(ORDER BY posting_id, line) AS n FROM ledger_entry) r "
        "WHERE (e.posting_id, e.line) = (r.posting_id, r.line)"
    )
    hours = await books.rows(
        r"""
        SELECT (at AT TIME ZONE 'UTC')::date AS day, sha256(convert_to(string_agg(
            format(E'%1$s %2$s %3$s %4$s %5$s %6$s %7$s %8$s %9$s %10$s %11$s %12$s %13$s\n',
                   posting_id, line, account, currency, amount_micros, direction, item_id,
                   coalesce(campaign_id, 0), carrier_id, messages, segments,
                   (extract(epoch FROM at) * 1000000)::bigint, extract(epoch FROM accepted_at)::bigint),
            '' ORDER BY posting_id, line), 'UTF8'))
        FROM ledger_entry GROUP BY 1, date_bin('1 hour', at, '2000-01-01Z') ORDER BY min(at)
        """
    )
    expected: dict[date, bytes] = {}
    for day, sha256 in hours:
        expected[day] = expected.get(day, b"") + sha256
    async with database.reading(SHOP) as connection:
        days = await connection.fetch(
            load("ledger_seals")["days"], SHOP, IN_OCTOBER, IN_DECEMBER + timedelta(days=1)
        )
    assert {row["day"]: row["sha256"] for row in days} == {
        day: hashlib.sha256(hashes).digest() for day, hashes in expected.items()
    }


async def test_the_first_seal_after_closes_without_any_holds_all_that_was_recorded_before(
    database: Database,
) -> None:
    books = await some_books(database)
    await books.merchant(SHOP)
    await books.partitions(IN_NOVEMBER, IN_DECEMBER)
    await books.take(SHOP, 7)
    await books.closing().close(SHOP, OCTOBER)
    await books.execute("DELETE FROM ledger_seal")
    await books.execute("UPDATE billing_period SET ledger_sha256 = NULL")  # as a version before seals left it
    await books.take(SHOP, 3, accepted_at=IN_NOVEMBER)
    books.go_to(IN_DECEMBER)
    await books.closing().close(SHOP, NOVEMBER)
    seals = "SELECT to_char(month, 'YYYY-MM'), day::text, entries FROM ledger_seal ORDER BY day"
    assert await books.rows(seals) == [
        ("2026-11", "2026-10-05", 2),
        ("2026-11", "2026-11-04", 4),
        ("2026-11", "2026-11-12", 2),
    ]
    async with database.report() as connection:
        broken = (await looked_of(connection)).broken
    assert broken == []
