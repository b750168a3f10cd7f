"""What housekeeping deletes, and what it must leave, on a real database."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from smsgate.campaigns.retention import By, kept, rules
from smsgate.clock import ManualClock
from smsgate.flows import housekeeping as flow
from smsgate.flows.events import first_id_of
from smsgate.flows.housekeeping import Housekeeping, Retention
from smsgate.security.public_ids import PublicIds
from smsgate.security.suppression import SuppressionHashes
from smsgate.store import partitions
from smsgate.store.housekeeping import PgHousekeeping
from smsgate.store.pool import Database

NOW = datetime.now(UTC)
LATER = datetime(2040, 6, 1, 12, tzinfo=UTC)  # ids began in 2025: years before must have some, too
INSERTS = {
    "mo_seen": "INSERT INTO mo_seen VALUES (1, sha256($1::int::text::bytea), '1:1', $2)",
    "mo_part": "INSERT INTO mo_part VALUES (1, 33612345678, '36111', $1, 2, 1, $2)",
    "idempotency_key": "INSERT INTO idempotency_key VALUES (5, $1::int::text, '\\x', 200, '\\x', $2)",
    "trigger_event": "INSERT INTO trigger_event VALUES (5, 1, $1::int::text, '\\x', 202, '\\x', NULL, $2)",
    "webhook_delivery": "INSERT INTO webhook_delivery VALUES (5, $1, 1, 'ord_1', 'pending', 0, $2)",
    "esme_delivery": "INSERT INTO esme_delivery VALUES (5, $1, 1, NULL, 0, '', '', $2, $2, $2)",
    "esme_day": "INSERT INTO esme_day VALUES (5, $1, $2, 1)",
    "marketing_contact": "INSERT INTO marketing_contact VALUES ($1, '{7}', ARRAY[$2]::timestamptz[], $2)",
    "answer_count": "INSERT INTO answer_count VALUES ($1, $2, 1)",
    "number_stop": "INSERT INTO number_stop VALUES (sha256($1::int::text::bytea), $2)",
    "open_offer": "INSERT INTO open_offer VALUES ($1, '36111', 5, 1, 1, 1, 1, 1, $2, NULL, $2)",
    "receipt_unmatched": "INSERT INTO receipt_unmatched VALUES (1, $1, '\\x', 2, NULL, $2, $2)",
    "import_error": "INSERT INTO import_error VALUES (5, $1, extract(epoch FROM $2::timestamptz), 'x', 'x')",
    "data_request": "INSERT INTO data_request VALUES (5, $1, 'access', 1, 1, $2)",
    "campaign_chunk": "INSERT INTO campaign_chunk (merchant_id, campaign_id, no, size, state, msisdn_lo, "
    "msisdn_hi, done_at) VALUES (5, $1, 1, 1, 'done', 1, 2, $2)",
}


BY_ID = {"webhook_delivery", "import_error", "data_request", "campaign_chunk"}
# Rules about people and orders, whose rows belong together: tests/store/test_retention.py.
PEOPLES = {"reply_text", "reply_number", "person", "consent_evidence", "order", "order_record"}


def a_housekeeping(
    database: Database, now: datetime | ManualClock = NOW, messages_days: int = 30
) -> Housekeeping:
    return Housekeeping(
        PgHousekeeping(database, SuppressionHashes(bytes(32)), PublicIds(bytes(32))),
        Retention(messages_days),
        now if isinstance(now, ManualClock) else ManualClock(now),
    )


async def put(database: Database, job: str, number: int, at: datetime) -> None:
    key = first_id_of(at) + number if job in BY_ID else number
    async with database.control() as connection:
        await connection.execute(
            "INSERT INTO merchant (merchant_id, name, slug, country, language, timezone, currency) "
            "VALUES (5, 'x', 'x', 'FR', 'fr', 'Europe/Paris', 'EUR') ON CONFLICT DO NOTHING"
        )
        await connection.execute(INSERTS[job], key, at)


async def count(database: Database, table: str) -> int:
    async with database.control() as connection:
        found: int = await connection.fetchval(f"SELECT count(*) FROM {table}")
    return found


def test_each_rule_that_deletes_rows_is_tried_out_here() -> None:
    by_rows = {rule.id for rule in rules().values() if rule.by is By.ROWS}
    assert by_rows - set(INSERTS) == {"budget_charge", *PEOPLES}


@pytest.mark.parametrize("job", sorted(INSERTS))
async def test_rows_go_when_their_time_is_over_and_not_before(job: str, database: Database) -> None:
    border, hour = kept(job), timedelta(hours=1)
    for number, age in enumerate((timedelta(0), border - hour, border + hour)):
        await put(database, job, number, LATER - age)
    assert await a_housekeeping(database, LATER).step() is False
    assert await count(database, job) == 2
    assert await a_housekeeping(database, LATER).step() is False
    assert await count(database, job) == 2


async def test_chunks_stay_for_as_long_as_an_operator_keeps_messages_that_are_found_by_them(
    database: Database,
) -> None:
    for number, days in enumerate((1_399, 1_401)):
        await put(database, "campaign_chunk", number, LATER - timedelta(days=days))
    await a_housekeeping(database, LATER, messages_days=1_000).step()
    assert await count(database, "campaign_chunk") == 1


async def test_one_run_deletes_a_bounded_number_and_says_that_there_is_more(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "ROWS_MAX", 4)
    monkeypatch.setattr(flow, "STATEMENTS_MAX", 2)
    for number in range(11):
        await put(database, "mo_seen", number, NOW - timedelta(days=2))
    housekeeping = a_housekeeping(database)
    assert await housekeeping.step() is True
    assert await count(database, "mo_seen") == 3
    assert await housekeeping.step() is False
    assert await count(database, "mo_seen") == 0


async def test_partitions_are_made_a_week_ahead_and_dropped_after_the_retention(database: Database) -> None:
    later = NOW + timedelta(days=40)
    await a_housekeeping(database).step()
    await a_housekeeping(database, later).step()
    async with database.control() as connection:
        messages = [day for _, day in await partitions.existing(connection, "message")]
        events = [day for _, day in await partitions.existing(connection, "event")]
    assert messages[-1] == (later + timedelta(days=7)).date()
    assert messages[0] >= (later - timedelta(days=30)).date()
    assert events[0] == (NOW - timedelta(days=1)).date()


async def oldest_day(database: Database, table: str) -> date:
    async with database.control() as connection:
        return (await partitions.existing(connection, table))[0][1]


async def test_days_of_a_table_in_use_are_left_for_ten_minutes_and_the_rest_is_done(
    database: Database,
) -> None:
    clock = ManualClock(NOW)
    housekeeping = a_housekeeping(database, clock)
    await housekeeping.step()
    clock.advance(timedelta(days=40).total_seconds())
    await put(database, "mo_seen", 1, NOW)
    yesterday = NOW.date() - timedelta(days=1)
    async with database.report() as reader:
        await reader.fetch("SELECT FROM message")
        assert await housekeeping.step() is False
        assert await count(database, "mo_seen") == 0
        assert await oldest_day(database, "message") == yesterday
        # Rows of orders are found by their messages: those of another table must not go before them.
        assert await oldest_day(database, "sent") == yesterday
        assert housekeeping.drops_wait is True
    clock.advance(599)
    await housekeeping.step()
    assert await oldest_day(database, "message") == yesterday
    clock.advance(1)
    await housekeeping.step()
    assert await oldest_day(database, "message") >= clock.now().date() - timedelta(days=30)
    assert await oldest_day(database, "sent") >= clock.now().date() - timedelta(days=30)
    assert housekeeping.drops_wait is False


async def test_what_was_spent_on_messages_out_of_retention_stays_as_one_sum(database: Database) -> None:
    old, kept = first_id_of(NOW - timedelta(days=31)), first_id_of(NOW - timedelta(days=29))
    async with database.control() as connection:
        for lease, ids in enumerate(([old, old + 2], [old + 1], [old - 5, kept], [kept + 1]), start=1):
            await connection.execute(
                "INSERT INTO budget_charge SELECT 5, $1, '2026-10-01', true, "
                "range_agg(int8range(n, n, '[]')), 1000 FROM unnest($2::bigint[]) AS n",
                lease,
                ids,
            )
    for _ in range(2):
        await a_housekeeping(database).step()
        async with database.control() as connection:
            rows = await connection.fetch("SELECT lease_id, spent_micros FROM budget_charge ORDER BY 1")
        assert [tuple(row) for row in rows] == [(0, 2_000), (3, 1_000), (4, 1_000)]


async def test_a_run_that_did_something_tells_what_and_not_all_that_it_looked_at(database: Database) -> None:
    await a_housekeeping(database).step()  # partitions
    await put(database, "mo_seen", 1, NOW - timedelta(days=2))
    with capture_logs() as lines:
        for _ in range(2):
            await a_housekeeping(database).step()
    assert lines == [{
        "event": "housekeeping_done", "log_level": "info",
        "partitions_made": 0, "partitions_dropped": 0, "mo_seen": 1,
    }]  # fmt: skip


async def test_two_nodes_may_keep_house_at_once(database: Database) -> None:
    for number in range(20):
        await put(database, "trigger_event", number, NOW - timedelta(days=31))
    await asyncio.gather(*(a_housekeeping(database).step() for _ in range(2)))
    assert await count(database, "trigger_event") == 0
