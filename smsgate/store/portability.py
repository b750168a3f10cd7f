"""Number portability: who moved to which network, replaced as a whole or changed by deltas."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from smsgate.errors import Conflict, StoreError
from smsgate.store.array_octets import ids_text
from smsgate.store.catalogue import load
from smsgate.store.connection import UNIQUE_VIOLATIONS, Connection, copy_binary
from smsgate.store.copy_rows import Kind, RowFormat
from smsgate.store.pool import Database

LOCK_KEY: Final = 0x736D7367_00000005  # "smsg", 5: one import at a time
_SQL: Final = load("portability")
_ROW: Final = RowFormat(msisdn=Kind.INT8, version=Kind.INT4, mccmnc=(Kind.TEXT, None))


class PortedRows(NamedTuple):
    """Some thousand rows of a file: numbers, and the network of each; None: it is back where it came from."""

    msisdns: list[int]
    networks: list[str | None]


@dataclass(frozen=True, slots=True)
class PortabilityVersion:
    version: int
    numbers: int
    deltas: int
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class PortabilityChange:
    """What an import did: rows read, and how many numbers the version in force holds now."""

    version: int
    rows: int
    numbers: int


async def ported_of(connection: Connection, msisdns: Sequence[int]) -> dict[int, str]:
    """Return the network of those numbers that moved, by the version in force."""
    if not msisdns:
        return {}
    rows = await connection.fetch(_SQL["ported_of"], ids_text(msisdns))
    return {row["msisdn"]: row["mccmnc"] for row in rows}


class PgPortability:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def in_force(self) -> PortabilityVersion | None:
        async with self._database.bulk() as connection:
            row = await connection.fetchrow(_SQL["version_in_force"])
        return None if row is None else PortabilityVersion(*row)

    async def lookup(self, msisdns: Sequence[int]) -> dict[int, str]:
        async with self._database.bulk() as connection:
            return await ported_of(connection, msisdns)

    async def replace(self, batches: Iterable[PortedRows], now: datetime) -> PortabilityChange:
        """
        Load a new version beside the one in force, then let it take over in one step.

        Raises whatever `batches` raises, and the old version stays in force.
        """
        async with self._alone():
            async with self._database.bulk() as connection:
                version = await connection.fetchval(_SQL["begin_version"], now)
            rows = numbers = 0
            for batch in batches:
                rows += len(batch.msisdns)
                numbers += await self._load(version, batch)
            async with self._database.bulk_transaction() as connection:
                await connection.execute(_SQL["retire_versions"], version)
                await connection.execute(_SQL["put_in_force"], version, numbers, now)
            async with self._database.bulk() as connection:  # also what an import that broke off left
                await connection.execute(_SQL["drop_other_versions"], version)
        return PortabilityChange(version, rows, numbers)

    async def change(self, batches: Iterable[PortedRows], now: datetime) -> PortabilityChange:
        """
        Apply a delta to the version in force: all of it or nothing.

        Raises:
            Conflict: there is no version yet.
        """
        async with self._alone():
            found = await self.in_force()
            if found is None:
                raise Conflict("There is no table yet to apply a delta to: import a full one first.")
            rows = grown = 0
            async with self._database.bulk_transaction() as connection:
                for batch in batches:
                    rows += len(batch.msisdns)
                    grown += await _apply(connection, found.version, batch)
                await connection.execute(_SQL["note_delta"], found.version, now, grown)
        return PortabilityChange(found.version, rows, found.numbers + grown)

    async def _load(self, version: int, batch: PortedRows) -> int:
        """Return how many numbers are new; a number that stands twice keeps its last network."""
        try:
            async with self._database.bulk_transaction() as connection:
                data = _ROW.pack(batch.msisdns, [version] * len(batch.msisdns), batch.networks)
                await copy_binary(connection, "ported_number", _ROW.columns, data)
            return len(batch.msisdns)
        except StoreError as exc:
            if exc.sqlstate not in UNIQUE_VIOLATIONS:
                raise
        async with self._database.bulk_transaction() as connection:
            return await _apply(connection, version, batch)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        async with self._database.control() as connection:
            if not await connection.fetchval(_SQL["try_lock"], LOCK_KEY):
                raise Conflict("Another import of ported numbers is under way: wait for its end.")
            try:
                yield
            finally:
                await connection.fetchval(_SQL["unlock"], LOCK_KEY)


async def _apply(connection: Connection, version: int, batch: PortedRows) -> int:
    """Return by how many numbers the version grew."""
    last = dict(zip(*batch, strict=True))
    moved = {msisdn: network for msisdn, network in last.items() if network is not None}
    back = [msisdn for msisdn, network in last.items() if network is None]
    grown = 0
    if moved:
        rows = await connection.fetch(_SQL["put_numbers"], version, list(moved), list(moved.values()))
        grown += sum(row["fresh"] for row in rows)
    if back:
        grown -= len(await connection.fetch(_SQL["drop_numbers"], version, back))
    return grown


def in_batches(rows: Iterable[tuple[int, str | None]], size: int) -> Iterator[PortedRows]:
    """Yield rows in batches, so that a file of any length needs the memory of one."""
    batch = PortedRows([], [])
    for msisdn, network in rows:
        batch.msisdns.append(msisdn)
        batch.networks.append(network)
        if len(batch.msisdns) >= size:
            yield batch
            batch = PortedRows([], [])
    if batch.msisdns:
        yield batch
