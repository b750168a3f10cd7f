"""What every process of smsgate needs, whatever its roles: database, keys, a node slot, ids."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from smsgate.clock import Clock
from smsgate.errors import StoreUnavailable
from smsgate.flows.ports_api import OPERATOR, KeyDraft
from smsgate.ids import IdMaker
from smsgate.security.api_keys import Mode, Scope, key_mac, new_key
from smsgate.security.public_ids import PublicIds
from smsgate.security.suppression import SuppressionHashes
from smsgate.store import node_lease
from smsgate.store.dsn import Dsns
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.keyring import (
    API_KEY_MAC,
    ESME_MAC,
    PUBLIC_ID_KEY,
    SUPPRESSION_MAC,
    StoredKeyring,
    open_master_key,
)
from smsgate.store.merchants import PgApiKeys
from smsgate.store.node_lease import NodeLease
from smsgate.store.partitions import make_ahead
from smsgate.store.pool import Database

log = structlog.get_logger(__name__)

KEYS_PER_NAME_MAX = 2  # the old one and its successor, during a rotation
PARTITIONS_AHEAD_DAYS = 7  # a housekeeping that fails for a week still loses nothing


@dataclass(frozen=True, slots=True)
class Services:
    database: Database
    keyring: StoredKeyring
    public_ids: PublicIds
    key_mac_key: bytes
    esme_mac_key: bytes
    suppression: SuppressionHashes
    lease: NodeLease
    ids: IdMaker
    clock: Clock


@asynccontextmanager
async def open_database(
    state_dir: Path,
    dsns: Dsns | None,
    say: Callable[[str], None],
    *,
    name: str | None = None,
    guarded: bool = False,
) -> AsyncIterator[Database]:
    """
    Start or find the server, and migrate; `name` is another database than the usual one.

    `guarded`: an embedded server that dies meanwhile is started again.
    """
    async with AsyncExitStack() as stack:
        source: Dsns | EmbeddedPostgres
        if dsns is not None:
            source = dsns
        else:
            source = await stack.enter_async_context(EmbeddedPostgres(state_dir, on_progress=say))
            if guarded:
                await stack.enter_async_context(source.guarded())
        database = await stack.enter_async_context(await Database.open(source, database=name))
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
    database_name: str | None = None,
) -> AsyncIterator[Services]:
    """Open the database and take a node slot; leaving gives the slot back at once."""
    async with open_database(state_dir, dsns, say, name=database_name, guarded=True) as database:
        async with database.control() as connection:
            await make_ahead(connection, clock.now(), PARTITIONS_AHEAD_DAYS)
            lease = await node_lease.take_slot(connection, f"{socket.gethostname()}:{os.getpid()}")
        try:
            keyring = await StoredKeyring.load(database, open_master_key(state_dir, create=dsns is None))
            yield Services(
                database=database,
                keyring=keyring,
                public_ids=PublicIds(await keyring.instance_secret(PUBLIC_ID_KEY)),
                key_mac_key=await keyring.instance_secret(API_KEY_MAC),
                esme_mac_key=await keyring.instance_secret(ESME_MAC),
                suppression=SuppressionHashes(await keyring.instance_secret(SUPPRESSION_MAC)),
                lease=lease,
                ids=IdMaker(lease.slot, lambda: int(clock.now().timestamp() * 1000)),
                clock=clock,
            )
        finally:
            try:
                async with database.control() as connection:
                    await node_lease.release(connection, lease)
            except StoreUnavailable as exc:  # it runs out by itself, and why we end must not be hidden
                log.warning("lease_not_released", slot=lease.slot, error=str(exc))


async def add_operator_key(services: Services, name: str) -> str:
    """Make a key for the operator's routes and return its text, which is stored nowhere."""
    key = new_key(Mode.LIVE)
    draft = KeyDraft(
        key_id=services.ids.next(),
        public_id=key.public_id,
        owner_id=OPERATOR,
        mac=key_mac(services.key_mac_key, key.text),
        name=name,
        mode=key.mode.value,
        scopes=(Scope.OPERATOR.value,),
        expires_at=None,
    )
    keys = PgApiKeys(services.database)
    await keys.add(draft, per_name_max=KEYS_PER_NAME_MAX, now=services.clock.now())
    return key.text


class LeaseKeeper:
    """Renew the node's lease; when it is lost, everything that it allowed must stop."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._valid_until = services.clock.monotonic() + node_lease.TTL_S
        self._stopping = asyncio.Event()

    def alive(self) -> bool:
        return self._services.clock.monotonic() < self._valid_until

    async def run(self) -> None:
        """Return when the lease is lost, or after `stop`."""
        clock = self._services.clock
        wait_s = node_lease.RENEW_INTERVAL_S
        while not self._stopping.is_set():
            try:
                await asyncio.wait_for(self._stopping.wait(), wait_s)
            except TimeoutError:
                asked_at = clock.monotonic()
                try:
                    async with self._services.database.control() as connection:
                        held = await node_lease.renew(connection, self._services.lease)
                except StoreUnavailable as exc:
                    log.warning("lease_not_renewed", error=str(exc))
                    held = clock.monotonic() < self._valid_until
                    wait_s = node_lease.RETRY_INTERVAL_S
                else:
                    self._valid_until = asked_at + node_lease.TTL_S
                    wait_s = node_lease.RENEW_INTERVAL_S
                if not held:
                    log.error("lease_lost", slot=self._services.lease.slot)
                    return

    def stop(self) -> None:
        self._stopping.set()
