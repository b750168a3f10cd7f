"""Minimums in the database: versions are added, never changed (`flows.commitments.CommitmentStore`)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import asyncpg

from smsgate.billing.commitments import Commitment
from smsgate.errors import Conflict, NotFound, StoreError
from smsgate.flows.commitments import CommitmentState, CommitmentVersion
from smsgate.store.catalogue import load
from smsgate.store.closing import first_day, month_of_day
from smsgate.store.connection import Connection
from smsgate.store.pool import Database

_SQL: Final = load("commitments")


class PgCommitments:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def state(self, merchant_id: int) -> CommitmentState:
        async with self._database.report() as connection:
            row = await connection.fetchrow(_SQL["closes_of"], merchant_id)
            if row is None:
                raise NotFound
            versions = await commitment_versions(connection, merchant_id)
        return CommitmentState(
            currency=row["currency"],
            zone_name=row["timezone"],
            versions=versions,
            last_cut=None if row["last_cut"] is None else month_of_day(row["last_cut"]),
            first_charge_at=row["first_charge"],
        )

    async def add(self, merchant_id: int, version: int, terms: Commitment, at: datetime) -> None:
        assert terms.first is not None
        try:
            async with self._database.bulk_transaction() as connection:
                await connection.execute(_SQL["lock_against_cuts"])
                last_cut = await connection.fetchval(_SQL["last_cut"], merchant_id)
                if last_cut is not None and first_day(terms.first) <= last_cut:
                    raise Conflict(f"{terms.first} was closed meanwhile", code="month_closed")
                await connection.execute(
                    _SQL["add_commitment"], merchant_id, version, terms.currency, first_day(terms.first),
                    None if terms.last is None else first_day(terms.last), terms.minimum_minor, at,
                )  # fmt: skip
        except StoreError as exc:
            if exc.is_duplicate:
                raise Conflict(
                    "Another minimum was set meanwhile: look at the differences again.",
                    code="commitment_changed",
                ) from exc
            raise


async def commitment_versions(connection: Connection, merchant_id: int) -> list[CommitmentVersion]:
    """Return a merchant's minimums, oldest first."""
    return [_version(row) for row in await connection.fetch(_SQL["commitments_of"], merchant_id)]


def _version(row: asyncpg.Record) -> CommitmentVersion:
    terms = Commitment(
        row["currency"],
        row["minimum_minor"],
        month_of_day(row["first_month"]),
        None if row["last_month"] is None else month_of_day(row["last_month"]),
    )
    return CommitmentVersion(row["version"], terms, row["set_at"])
