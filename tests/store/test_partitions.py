"""Partitions are made ahead, twice does no harm, and the old go as whole tables."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from smsgate.errors import StoreUnavailable
from smsgate.ids import IdMaker, first_id_at
from smsgate.store import partitions
from smsgate.store.partitions import borders, drop_older, existing, make_ahead
from smsgate.store.pool import Database

NOW = datetime(2031, 5, 6, 23, 59, 59, tzinfo=UTC)  # far from the days that the template holds
TABLES = ("esme_message", "event", "message", "receipt", "sent")


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
    id_ = IdMaker(63, lambda: int(NOW.timestamp() * 1000)).next()
    async with database.transaction(1) as connection:
        await connection.execute(
            "INSERT INTO message (merchant_id, message_id, msisdn, kind, sender) VALUES (1, $1, 33600000001, "
            "'offer', 'x')",
            id_,
        )
        assert (
            await connection.fetchval("SELECT tableoid::regclass::text FROM message") == "message_p20310506"
        )
    async with database.control() as connection:
        assert await connection.fetchval("SELECT count(*) FROM message_p20310506") == 1
        assert await connection.fetchval(
            "SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE relname = 'message_p20310506'"
        )


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
    monkeypatch.setattr(partitions, "LOCK_TIMEOUT", "10ms")
    naps = 0
    async with database.control() as connection, database.bulk_transaction() as reader:
        before = await existing(connection, "sent")
        await reader.fetch("SELECT * FROM sent")

        async def nap(seconds: float) -> None:
            nonlocal naps
            naps += 1

        with pytest.raises(StoreUnavailable) as caught:
            await drop_older(connection, "sent", NOW, sleep=nap)
        assert caught.value.sqlstate == "55P03"
        assert naps == 5
        assert await existing(connection, "sent") == before
