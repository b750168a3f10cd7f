"""Partitions are made ahead, twice does no harm, and the old go as whole tables."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, date, datetime, timedelta

import pytest

from smsgate.errors import LOCK_NOT_AVAILABLE, StoreUnavailable
from smsgate.ids import IdMaker, first_id_at
from smsgate.store import partitions
from smsgate.store.connection import Connection
from smsgate.store.partitions import borders, drop_older, existing, make_ahead, name_of
from smsgate.store.pool import Database

NOW = datetime(2031, 5, 6, 23, 59, 59, tzinfo=UTC)  # far from the days that the template holds
TABLES = ("esme_message", "event", "message", "receipt", "sent")
INSERT = (
    "INSERT INTO message (merchant_id, message_id, msisdn, kind, sender) "
    "VALUES (1, $1, 33600000001, 'offer', 'x')"
)
# All that PostgreSQL's catalogue says of a table and of its indexes, but oids, sizes and its name.
MADE_OF = {
    "table": """SELECT relowner, relam, reltablespace, relpersistence, relreplident, reloptions, relacl,
                       relhasindex, relhasrules, relhastriggers, relispartition, relrowsecurity,
                       relforcerowsecurity
                  FROM pg_class WHERE oid = $1::text::regclass""",
    "columns": """SELECT attname, attnum, atttypid, atttypmod, attcollation, attnotnull, attstorage,
                         attcompression, attstattarget, attislocal, attinhcount, attidentity, attgenerated,
                         attacl, attoptions, pg_get_expr(adbin, adrelid) AS default_
                    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
                   WHERE attrelid = $1::text::regclass AND attnum > 0 ORDER BY attnum""",
    "constraints": """SELECT conname, contype, pg_get_constraintdef(oid) AS def, conislocal, coninhcount,
                             connoinherit, convalidated, conparentid
                        FROM pg_constraint WHERE conrelid = $1::text::regclass ORDER BY conname""",
    "indexes": """SELECT pg_get_indexdef(indexrelid) AS def, indisprimary, indisunique, indisvalid,
                         indisreplident, reloptions, relowner, relispartition, inhparent
                    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
                    LEFT JOIN pg_inherits ON inhrelid = indexrelid
                   WHERE indrelid = $1::text::regclass ORDER BY 1""",
    "parents": "SELECT inhparent, inhdetachpending FROM pg_inherits WHERE inhrelid = $1::text::regclass",
    "policies": "SELECT polname FROM pg_policy WHERE polrelid = $1::text::regclass",
    "statistics": "SELECT stxname FROM pg_statistic_ext WHERE stxrelid = $1::text::regclass",
    "comments": "SELECT description FROM pg_description WHERE objoid = $1::text::regclass",
}


def an_id_of(at: datetime) -> int:
    return IdMaker(63, lambda: int(at.timestamp() * 1000)).next()


async def made_of(connection: Connection, table: str, day: date) -> dict[str, str]:
    """Return what the catalogue says of a day's partition, its own name left out."""
    name, said = name_of(table, day), {}
    for part, statement in MADE_OF.items():
        rows = await connection.fetch(statement, name)
        said[part] = re.sub(rf"{table}_p\d{{8}}", "itself", repr([dict(row) for row in rows]))
    return said


def test_borders_are_midnights_and_leave_no_gap() -> None:
    low, high = borders(date(2026, 11, 23))
    assert low == first_id_at(int(datetime(2026, 11, 23, tzinfo=UTC).timestamp()) * 1000)
    assert high == borders(date(2026, 11, 24))[0]


async def test_each_day_from_yesterday_on_has_a_partition_named_by_its_date(database: Database) -> None:
    async with database.control() as connection:
        made = await make_ahead(connection, NOW, 2)
        assert sorted(made) == sorted(f"{table}_p203105{day:02}" for table in TABLES for day in (5, 6, 7, 8))
        assert await make_ahead(connection, NOW, 2) == []
        assert await make_ahead(connection, NOW + timedelta(days=1), 2) == [
            f"{table}_p20310509" for table in ("message", "sent", "receipt", "event", "esme_message")
        ]


async def test_an_id_of_the_day_falls_into_the_partition_of_the_day(database: Database) -> None:
    async with database.control() as connection:
        await make_ahead(connection, NOW, 1)
    async with database.transaction(1) as connection:
        await connection.execute(INSERT, an_id_of(NOW))
        assert (
            await connection.fetchval("SELECT tableoid::regclass::text FROM message") == "message_p20310506"
        )
    async with database.control() as connection:
        assert await connection.fetchval("SELECT count(*) FROM message_p20310506") == 1
        assert await connection.fetchval(
            "SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE relname = 'message_p20310506'"
        )


@pytest.mark.parametrize("table", TABLES)
async def test_a_partition_is_what_create_table_partition_of_makes(table: str, database: Database) -> None:
    by_hand, made = NOW.date() + timedelta(days=9), NOW.date()
    low, high = borders(by_hand)
    async with database.control() as connection:
        name = name_of(table, by_hand)
        await connection.execute(
            f"CREATE TABLE {name} PARTITION OF {table} FOR VALUES FROM ({low}) TO ({high})"
        )
        await connection.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        await make_ahead(connection, NOW, 0)
        assert await made_of(connection, table, made) == await made_of(connection, table, by_hand)
        bounds = "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = $1::text::regclass"
        low, high = borders(made)
        assert (
            await connection.fetchval(bounds, name_of(table, made))
            == f"FOR VALUES FROM ('{low}') TO ('{high}')"
        )


async def test_partitions_are_made_beside_a_transaction_that_has_read_their_table(database: Database) -> None:
    async with database.control() as connection, database.report() as reader:
        for table in TABLES:
            await reader.fetch(f"SELECT FROM {table}")
        made = await make_ahead(connection, NOW, 0)
    assert len(made) == 2 * len(TABLES)


async def test_rows_are_inserted_while_a_partition_is_made(database: Database) -> None:
    today = datetime.now(UTC)
    async with database.control() as connection, database.transaction(1) as sender:
        await sender.execute("SET LOCAL lock_timeout = '1s'")
        transaction = connection.transaction()
        await transaction.start()
        assert await make_ahead(connection, NOW, 0)
        await sender.execute(INSERT, an_id_of(today))
        await transaction.rollback()


async def test_two_that_make_partitions_at_once_do_not_fail(database: Database) -> None:
    async def one() -> list[str]:
        async with database.control() as connection:
            return await make_ahead(connection, NOW, 1)

    await asyncio.gather(one(), one(), one())
    async with database.control() as connection:
        days = [day for _name, day in await existing(connection, "message") if day.year == 2031]
    assert days == [date(2031, 5, day) for day in (5, 6, 7)]


async def test_only_partitions_wholly_before_the_day_are_dropped(database: Database) -> None:
    async with database.control() as connection:
        await make_ahead(connection, NOW, 1)
        dropped = await drop_older(connection, "message", NOW)
        assert "message_p20310505" in dropped
        assert [name for name, _day in await existing(connection, "message")] == [
            "message_p20310506",
            "message_p20310507",
        ]
        assert await drop_older(connection, "message", NOW) == []
        assert "sent_p20310505" in [name for name, _day in await existing(connection, "sent")]


async def test_two_that_drop_at_once_do_not_fail(database: Database) -> None:
    async def one() -> list[str]:
        async with database.control() as connection:
            return await drop_older(connection, "receipt", NOW)

    await asyncio.gather(one(), one())
    async with database.control() as connection:
        assert await existing(connection, "receipt") == []


async def test_a_table_in_use_is_tried_again_and_then_left(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "DROP_LOCK_TIMEOUT", "10ms")
    naps = 0
    async with database.control() as connection, database.bulk_transaction() as reader:
        before = await existing(connection, "sent")
        await reader.fetch("SELECT * FROM sent")

        async def nap(seconds: float) -> None:
            nonlocal naps
            naps += 1

        with pytest.raises(StoreUnavailable) as caught:
            await drop_older(connection, "sent", NOW, sleep=nap)
        assert caught.value.sqlstate == LOCK_NOT_AVAILABLE
        assert naps == 5
        assert await existing(connection, "sent") == before


async def test_rows_are_inserted_within_half_a_second_while_a_partition_in_use_is_to_be_dropped(
    database: Database,
) -> None:
    async with database.control() as connection, database.report() as reader:
        await reader.fetch("SELECT FROM message")
        dropping = asyncio.create_task(drop_older(connection, "message", NOW))
        inserted = 0
        while not dropping.done():
            async with database.transaction(1) as sender:
                await sender.execute("SET LOCAL lock_timeout = '500ms'")
                await sender.execute(INSERT, an_id_of(datetime.now(UTC)))
                inserted += 1
            await asyncio.sleep(0.01)
        with pytest.raises(StoreUnavailable):
            await dropping
    assert inserted > 10
