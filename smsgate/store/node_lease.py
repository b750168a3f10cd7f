"""
Node slots: which live process makes ids with which six bits, and who owns a claim.

A slot is a lease. Its epoch is a fencing number that no other lease ever had: results that carry the epoch
of a lease that has ended are not accepted. All times are the control database's; clocks of nodes are never
compared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

import asyncpg

from smsgate.errors import StoreUnavailable
from smsgate.ids import NODES_MAX
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection, translate
from smsgate.store.pool import Database
from smsgate.store.roles import OWNER

TTL_S: Final = 6.0
RENEW_INTERVAL_S: Final = 1.5
RENEW_TRY_S: Final = (
    1.25  # a try at most, connecting anew included; three that hang end before the lease does
)
RETRY_INTERVAL_S: Final = 0.2  # while the database is away: its recovery may end just before the lease does
RENEWAL_SETTINGS: Final = {"synchronous_commit": "off"}  # why that is safe: docs/decisions/0028
_SQL: Final = load("node")


class NodeLease(NamedTuple):
    slot: int
    epoch: int


async def take_slot(connection: Connection, name: str, ttl_s: float = TTL_S) -> NodeLease:
    """
    Take the slot that has been free for longest.

    Raises:
        StoreUnavailable: all NODES_MAX slots are taken; one is free at the latest when a lease ends.
    """
    with translate():
        epoch = await connection.fetchval(_SQL["next_epoch"])
        slot = await connection.fetchval(_SQL["take_slot"], epoch, name, ttl_s)
    if slot is None:
        raise StoreUnavailable(f"All {NODES_MAX} node slots are taken.")
    return NodeLease(slot, epoch)


async def ended(database: Database, owners: AbstractSet[int]) -> list[int]:
    """
    Return those of some owners whose lease has ended; an epoch has no other lease ever.

    The owners were seen before the leases are looked at here: who comes after this look is none of them.
    """
    async with database.control() as connection:
        live = {row["epoch"] for row in await connection.fetch(_SQL["live"])}
    return sorted(owners - live)


async def renew(connection: Connection, lease: NodeLease, ttl_s: float = TTL_S) -> bool:
    """Lengthen the lease by `ttl_s` from now; False: it has ended, stop everything that it allowed."""
    with translate():
        return await connection.fetchval(_SQL["renew_slot"], lease.slot, lease.epoch, ttl_s) is not None


class Renewals:
    """
    A connection that renews leases and does nothing else, so no pool and no fsync stands before a renewal.

    Made by the first renewal, and anew by the one after a failure.
    """

    def __init__(self, database: Database, try_s: float = RENEW_TRY_S) -> None:
        self._database = database
        self._try_s = try_s
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def renew(self, lease: NodeLease, ttl_s: float = TTL_S) -> bool:
        """
        Do as `renew` does, within `try_s`.

        Raises:
            StoreUnavailable: no answer; the lease may have been renewed all the same.
        """
        done = False
        try:
            async with asyncio.timeout(self._try_s):
                if self._connection is None:
                    self._connection = await self._database.connect(OWNER, RENEWAL_SETTINGS)
                held = await renew(self._connection, lease, ttl_s)
            done = True
        except TimeoutError as exc:
            raise StoreUnavailable(f"The database gave no answer within {self._try_s} s.") from exc
        finally:
            if not done:  # what still runs on it must not answer the next question
                self.close()
        return held

    def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


async def release(connection: Connection, lease: NodeLease) -> None:
    """End the lease now, so that others need not wait for it; harmless when it has ended."""
    with translate():
        await connection.execute(_SQL["release_slot"], lease.slot, lease.epoch)
