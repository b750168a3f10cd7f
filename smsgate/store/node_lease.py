"""
Node slots: which live process makes ids with which six bits, and who owns a claim.

A slot is a lease. Its epoch is a fencing number that no other lease ever had: results that carry the epoch
of a lease that has ended are not accepted. All times are the control database's; clocks of nodes are never
compared.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from smsgate.errors import StoreUnavailable
from smsgate.ids import NODES_MAX
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection, translate

TTL_S: Final = 6.0
RENEW_INTERVAL_S: Final = 1.5  # three renewals may fail before the lease ends
RETRY_INTERVAL_S: Final = 0.2  # while the database is away: its recovery may end just before the lease does
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


async def renew(connection: Connection, lease: NodeLease, ttl_s: float = TTL_S) -> bool:
    """Lengthen the lease by `ttl_s` from now; False: it has ended, stop everything that it allowed."""
    with translate():
        return await connection.fetchval(_SQL["renew_slot"], lease.slot, lease.epoch, ttl_s) is not None


async def release(connection: Connection, lease: NodeLease) -> None:
    """End the lease now, so that others need not wait for it; harmless when it has ended."""
    with translate():
        await connection.execute(_SQL["release_slot"], lease.slot, lease.epoch)
