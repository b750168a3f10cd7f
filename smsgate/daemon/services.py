"""What every process of smsgate needs, whatever its roles: database, keys, a node slot, ids."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog

from smsgate.clock import Clock
from smsgate.errors import SmsgateError, StoreUnavailable
from smsgate.flows.api_keys import AskedKey, add_key
from smsgate.flows.housekeeping import PARTITIONS_AHEAD_DAYS
from smsgate.flows.ports_api import OPERATOR
from smsgate.ids import IdMaker
from smsgate.security.api_keys import Mode, Scope
from smsgate.security.proof_chain import ProofKey
from smsgate.security.public_ids import PublicIds
from smsgate.security.suppression import SuppressionHashes
from smsgate.store import node_lease
from smsgate.store.connection import Connection
from smsgate.store.dsn import DATABASE, Dsns
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.keyring import (
    API_KEY_MAC,
    ESME_MAC,
    PROOF_KEY,
    PUBLIC_ID_KEY,
    SUPPRESSION_MAC,
    StoredKeyring,
    open_master_key,
)
from smsgate.store.merchants import PgApiKeys
from smsgate.store.node_lease import RENEW_INTERVAL_S, RETRY_INTERVAL_S, TTL_S, NodeLease, Renewals
from smsgate.store.order_stamps import OrderStamps
from smsgate.store.partitions import make_ahead
from smsgate.store.pool import Database

log = structlog.get_logger(__name__)

FIRST_MIGRATION: Final = "0001_"
LEASE_LOST: Final = (
    "the node's lease was lost: this process or its database stood still for over 6 s (too little CPU, a "
    "suspended machine), or another took its place; start again"
)

T = TypeVar("T")


class LoopDied(SmsgateError):
    """A loop ended that never ends: the supervisor starts the process anew."""

    code = "loop_died"


@dataclass(frozen=True, slots=True)
class Services:
    database: Database
    keyring: StoredKeyring
    public_ids: PublicIds
    key_mac_key: bytes
    esme_mac_key: bytes
    suppression: SuppressionHashes
    proof_key: bytes
    lease: NodeLease
    lease_loop: asyncio.Task[None]  # ends when the lease is lost: then everything that it allowed must stop
    ids: IdMaker
    clock: Clock

    @property
    def order_stamps(self) -> OrderStamps:
        return OrderStamps(ProofKey(self.proof_key), self.public_ids)


@asynccontextmanager
async def open_database(
    state_dir: Path,
    dsns: Dsns | None,
    say: Callable[[str], None],
    *,
    name: str = DATABASE,
    guarded: bool = False,
) -> AsyncIterator[Database]:
    """
    Start or find the server, and migrate; `name` is the database of an embedded one.

    `guarded`: an embedded server that dies meanwhile is started again.
    """
    async with AsyncExitStack() as stack:
        source: Dsns | EmbeddedPostgres
        if dsns is not None:
            source = dsns
        else:
            server = EmbeddedPostgres(state_dir, database=name, on_progress=say)
            source = await stack.enter_async_context(server)
            if guarded:
                await stack.enter_async_context(source.guarded())
        database = await stack.enter_async_context(await Database.open(source))
        if database.migrated and database.migrated[0].startswith(FIRST_MIGRATION):
            say(f"Made the tables of the database {name if dsns is None else 'of the DSN'}, which was empty")
        else:
            for migration in database.migrated:
                say(f"Migration {migration} applied")
        yield database


@asynccontextmanager
async def open_services(
    state_dir: Path,
    dsns: Dsns | None,
    clock: Clock,
    say: Callable[[str], None],
    *,
    database_name: str = DATABASE,
) -> AsyncIterator[Services]:
    """Open the database and take a node slot, renewed until leaving gives it back at once."""
    async with open_database(state_dir, dsns, say, name=database_name, guarded=True) as database:
        async with database.control() as connection:
            await _make_partitions(connection, clock.now())
            asked_at = asyncio.get_running_loop().time()
            lease = await node_lease.take_slot(connection, f"{socket.gethostname()}:{os.getpid()}")
        lease_loop = asyncio.create_task(keep_lease(Renewals(database), lease, asked_at), name="lease")
        try:
            keyring = await StoredKeyring.load(database, open_master_key(state_dir, create=dsns is None))
            yield Services(
                database=database,
                keyring=keyring,
                public_ids=PublicIds(await keyring.instance_secret(PUBLIC_ID_KEY)),
                key_mac_key=await keyring.instance_secret(API_KEY_MAC),
                esme_mac_key=await keyring.instance_secret(ESME_MAC),
                suppression=SuppressionHashes(await keyring.instance_secret(SUPPRESSION_MAC)),
                proof_key=await keyring.instance_secret(PROOF_KEY),
                lease=lease,
                lease_loop=lease_loop,
                ids=IdMaker(lease.slot, lambda: int(clock.now().timestamp() * 1000)),
                clock=clock,
            )
        finally:
            lease_loop.cancel()
            await asyncio.gather(lease_loop, return_exceptions=True)
            try:
                async with database.control() as connection:
                    await node_lease.release(connection, lease)
            except StoreUnavailable as exc:  # it runs out by itself, and why we end must not be hidden
                log.warning("lease_not_released", slot=lease.slot, error=str(exc))


async def _make_partitions(connection: Connection, now: datetime) -> None:
    """
    Insist on the partitions of today and tomorrow; housekeeping makes what is missing of the others.

    Raises:
        StoreUnavailable: one that is needed now could not be made.
    """
    await make_ahead(connection, now, 1)
    try:
        await make_ahead(connection, now, PARTITIONS_AHEAD_DAYS)
    except StoreUnavailable as exc:
        log.warning("partitions_left_to_housekeeping", error=str(exc))


async def while_leased(services: Services, work: Coroutine[Any, Any, T]) -> T:
    """
    Do some work as long as the lease is held, and return what it returned.

    Raises:
        LoopDied: the lease was lost meanwhile; the work is broken off.
    """
    working = asyncio.ensure_future(work)
    try:
        await asyncio.wait({working, services.lease_loop}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not working.done():
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
    if services.lease_loop.done():
        raise LoopDied(LEASE_LOST)
    return await working


async def keep_lease(renewals: Renewals, lease: NodeLease, asked_at: float) -> None:
    """
    Renew a lease that was asked for at `asked_at` of the loop's clock; return when it is lost.

    It runs from then: where the answer was slow, the first renewal comes so much sooner.
    The loop's clock, for a story that moves the process's own does not move the database's.
    """
    loop = asyncio.get_running_loop()
    valid_until, wait_s, held = asked_at + TTL_S, asked_at + RENEW_INTERVAL_S - loop.time(), True
    try:
        while held:
            await asyncio.sleep(wait_s)
            asked_at = loop.time()
            try:
                held = await renewals.renew(lease)
            except StoreUnavailable as exc:
                log.warning("lease_not_renewed", error=str(exc))
                wait_s, held = RETRY_INTERVAL_S, loop.time() < valid_until
            else:
                valid_until, wait_s = asked_at + TTL_S, RENEW_INTERVAL_S
        log.error("lease_lost", slot=lease.slot)
    finally:
        renewals.close()


async def add_operator_key(services: Services, name: str) -> str:
    """Make a key for the operator's routes and return its text, which is stored nowhere."""
    asked = AskedKey(OPERATOR, name, Mode.LIVE, {Scope.OPERATOR})
    store = PgApiKeys(services.database)
    _, text = await add_key(store, services.ids, services.clock, services.key_mac_key, asked)
    return text
