"""A slot has one owner at a time, and no epoch is ever given twice."""

from __future__ import annotations

import asyncio

import pytest

from smsgate.errors import StoreUnavailable
from smsgate.ids import NODES_MAX
from smsgate.store.node_lease import NodeLease, release, renew, take_slot
from smsgate.store.pool import Database


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
