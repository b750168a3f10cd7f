"""A slot has one owner at a time, and no epoch is ever given twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from smsgate.errors import StoreUnavailable
from smsgate.ids import NODES_MAX
from smsgate.store.node_lease import NodeLease, Renewals, release, renew, take_slot
from smsgate.store.pool import Database
from smsgate.store.roles import ADMIN, OWNER


@pytest.fixture
async def lease(database: Database) -> NodeLease:
    async with database.control() as connection:
        return await take_slot(connection, "n", 60)


@pytest.fixture
async def renewals(database: Database) -> AsyncIterator[Renewals]:
    made = Renewals(database, try_s=5.0)
    yield made
    made.close()


async def expire(database: Database, lease: NodeLease) -> None:
    async with database.control() as connection:
        await connection.execute(
            "UPDATE node SET expires_at = now() - interval '1 ms' WHERE slot = $1", lease.slot
        )


async def test_live_leases_never_share_a_slot_or_an_epoch(database: Database) -> None:
    async def one(n: int) -> NodeLease:
        async with database.control() as connection:
            return await take_slot(connection, f"node {n}", 60)

    leases = await asyncio.gather(*(one(n) for n in range(8)))
    assert len({lease.slot for lease in leases}) == 8
    assert len({lease.epoch for lease in leases}) == 8


async def test_all_slots_can_be_taken_and_then_none(database: Database) -> None:
    async with database.control() as connection:
        leases = [await take_slot(connection, "n", 60) for _ in range(NODES_MAX)]
        assert {lease.slot for lease in leases} == set(range(NODES_MAX))
        with pytest.raises(StoreUnavailable):
            await take_slot(connection, "n", 60)
        await release(connection, leases[17])
        again = await take_slot(connection, "n", 60)
    assert again.slot == 17
    assert again.epoch > max(lease.epoch for lease in leases)


async def test_an_ended_lease_is_neither_renewed_nor_released_over_its_successor(database: Database) -> None:
    async with database.control() as connection:
        leases = [await take_slot(connection, "n", 60) for _ in range(NODES_MAX)]
        old = leases[5]
        assert await renew(connection, old, 60)
        await expire(database, old)
        assert not await renew(connection, old, 60)
        new = await take_slot(connection, "successor", 60)
        assert new.slot == old.slot
        assert new.epoch > old.epoch
        assert not await renew(connection, old, 60)
        await release(connection, old)
        assert await renew(connection, new, 60)


async def test_the_slot_that_was_free_for_longest_is_taken_first(database: Database) -> None:
    """An id maker starts at the clock: a slot that rested is the safest after a clock went back."""
    async with database.control() as connection:
        first = await take_slot(connection, "n", 60)
        await release(connection, first)
        second = await take_slot(connection, "n", 60)
    assert second.slot != first.slot


async def test_the_lease_ends_by_the_databases_clock(database: Database) -> None:
    async with database.control() as connection:
        lease = await take_slot(connection, "n", 6.5)
        left = await connection.fetchval(
            "SELECT extract(epoch FROM expires_at - now())::float8 FROM node WHERE slot = $1", lease.slot
        )
        assert 0 < left <= 6.5
        assert await connection.fetchval("SELECT name FROM node WHERE slot = $1", lease.slot) == "n"


async def test_a_renewal_waits_for_no_fsync_and_everything_else_about_leases_does(
    database: Database, database_name: str
) -> None:
    admin = await database.connect(ADMIN)
    await admin.execute(f"ALTER DATABASE {database_name} SET synchronous_commit = 'on'")
    await admin.execute(
        "CREATE TABLE seen (at serial, setting text); GRANT ALL ON seen, seen_at_seq TO PUBLIC"
    )
    await admin.execute(
        "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO seen (setting) VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$; "
        "CREATE TRIGGER see BEFORE UPDATE ON node FOR EACH ROW EXECUTE FUNCTION see()"
    )
    renewals = Renewals(database, try_s=5.0)
    async with database.control() as connection:
        lease = await take_slot(connection, "n", 60)
        assert await renewals.renew(lease, 60)
        await release(connection, lease)
    renewals.close()
    rows = await admin.fetch("SELECT setting FROM seen ORDER BY at")
    await admin.close()
    assert [row["setting"] for row in rows] == ["on", "off", "on"]


async def test_renewals_connect_anew_after_the_server_has_ended_their_connection(
    database: Database, lease: NodeLease, renewals: Renewals
) -> None:
    assert await renewals.renew(lease, 60)
    admin = await database.connect(ADMIN)
    ended = await admin.fetch(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = $1 AND query LIKE '%UPDATE node%'",
        f"smsgate {OWNER}",
    )
    await admin.close()
    assert ended
    with pytest.raises(StoreUnavailable):
        await renewals.renew(lease, 60)
    assert await renewals.renew(lease, 60)


async def test_a_renewal_that_gets_no_answer_ends_in_its_time_and_the_next_one_is_not_behind_it(
    database: Database, lease: NodeLease
) -> None:
    renewals = Renewals(database, try_s=0.5)
    async with database.control() as connection, connection.transaction():
        await connection.execute("SELECT FROM node WHERE slot = $1 FOR UPDATE", lease.slot)
        async with asyncio.timeout(10):
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match=r"no answer within 0.5 s"):
                    await renewals.renew(lease, 60)
    renewals.close()
    patient = Renewals(database, try_s=5.0)
    assert await patient.renew(lease, 60)
    patient.close()


async def test_renewals_tell_of_a_lease_that_has_ended(
    database: Database, lease: NodeLease, renewals: Renewals
) -> None:
    await expire(database, lease)
    assert not await renewals.renew(lease, 60)
