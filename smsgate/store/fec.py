"""Issued documents as the FEC takes them (implements FecStore and SoldStore of `flows`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import asyncpg
import orjson

from smsgate.billing.numbering import number_text
from smsgate.flows.ereporting import Sold
from smsgate.flows.fec import IssuedAdvance, IssuedDocument
from smsgate.store.catalogue import load
from smsgate.store.pool import Database

_SQL: Final = load("fec")


class PgFec:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def issued(self, first: date, last: date, limit: int) -> Sequence[IssuedDocument]:
        async with self._database.report() as connection:
            rows = await connection.fetch(_SQL["issued"], first, last, limit, True)
        return [_issued(row) for row in rows]

    async def sold(self, first: date, last: date, limit: int) -> Sequence[Sold]:
        async with self._database.report() as connection:
            rows = await connection.fetch(_SQL["issued"], first, last, limit, False)
        return [Sold(_issued(row), row["buyer_country"], row["buyer_legal_id"]) for row in rows]

    async def counts(self, first: date, before: date) -> Mapping[str, int]:
        async with self._database.report() as connection:
            rows = await connection.fetch(_SQL["counts"], first, before)
        return {row["doc_type"]: row["documents"] for row in rows}


def _issued(row: asyncpg.Record) -> IssuedDocument:
    vats = orjson.loads(row["vats"])
    return IssuedDocument(
        number=number_text(row["series"], row["number"]),
        doc_type=row["doc_type"],
        issued_on=row["issued_on"],
        currency=row["currency"],
        merchant_slug=row["slug"],
        partner_name=row["partner"],
        net_minor=row["net_minor"],
        vats=[(vat["category"], vat["rate_micros"], vat["basis_minor"], vat["amount_minor"]) for vat in vats],
        gross_minor=row["gross_minor"],
        other_currency=row["other_currency"],
        other_vat_minor=row["other_vat_minor"],
        other_rate=row["other_rate"],
        advances=[IssuedAdvance(*advance) for advance in orjson.loads(row["advances"] or "[]")],
    )
