"""Hashes of the files that documents were handed out as (implements flows.document_files)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final

from smsgate.billing.numbering import number_text
from smsgate.flows.billing_records import DocumentRow
from smsgate.flows.document_files import KeptFile
from smsgate.store.catalogue import load
from smsgate.store.pool import Database

_SQL: Final = load("document_files")
BATCH_ROWS: Final = 100  # payloads of up to some 100 KB


class PgDocumentFiles:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, document: DocumentRow, form: str, sha256: bytes, octets: int, at: datetime) -> bytes:
        key = document.merchant_id, document.document_id, form
        async with self._database.bulk_transaction() as connection:
            await connection.execute(_SQL["keep"], *key, sha256, octets, at)
            return bytes(await connection.fetchval(_SQL["kept_hash"], *key))

    async def kept(self) -> AsyncIterator[Sequence[KeptFile]]:
        async with self._database.report() as connection:
            cursor = await connection.cursor(_SQL["kept"])
            while rows := await cursor.fetch(BATCH_ROWS):
                yield [
                    KeptFile(
                        number_text(row["series"], row["number"]),
                        bytes(row["payload"]),
                        row["form"],
                        bytes(row["sha256"]),
                        row["octets"],
                    )
                    for row in rows
                ]
