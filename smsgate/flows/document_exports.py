"""The records of one document as a file, with a manifest: they add up to its net."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from smsgate.billing.document_records import COLUMNS, Booked, DocumentRecords, KindSum
from smsgate.billing.documents import CREDITS, DocumentType
from smsgate.errors import Invalid
from smsgate.flows.billing_records import DocumentRow
from smsgate.flows.documents import StoredDocument
from smsgate.money import micros_to_text, minor_to_text

ROWS_MAX: Final = 500_000  # some 100 MB of text; a month has 2,980 quarters of an hour


class BookedStore(Protocol):
    def booked(self, document: DocumentRow, *, outside: bool) -> AsyncIterator[Sequence[Booked]]:
        """
        Yield what the close of a document billed, in the order of acceptance.

        `outside`: days on which category O held alone, else the others: they have a document each.
        """
        ...


@dataclass(frozen=True, slots=True)
class DocumentFile:
    octets: bytes
    manifest: dict[str, Any]

    @property
    def equal(self) -> bool:
        return bool(self.manifest["equal"])


class DocumentExports:
    def __init__(self, store: BookedStore) -> None:
        self._store = store

    async def make(self, document: StoredDocument, now: datetime) -> DocumentFile:
        """
        Return the file.

        Raises:
            Invalid: code `report_too_large`.
        """
        row = document.row
        doc_type = DocumentType(row.doc_type)
        booked = row.credits_id is None and doc_type in {DocumentType.INVOICE, DocumentType.CREDIT_NOTE}
        outside = all(line.terms.vat.is_outside for line in document.lines)
        sign = -1 if doc_type in CREDITS else 1
        records = DocumentRecords(row.number, row.currency, document.lines, sign, booked)
        parts = [records.csv((), header=True)]
        rows = 0
        if booked:
            async for batch in self._store.booked(row, outside=outside):
                rows += len(batch)
                if rows > ROWS_MAX:
                    raise Invalid(f"{row.number} has more than {ROWS_MAX} records", code="report_too_large")
                parts.append(await asyncio.to_thread(_usage, records, batch))
        parts.append(records.csv(records.rest(), header=False))
        octets = b"".join(parts)
        return DocumentFile(octets, _manifest(records, row, octets, now))


def kinds_told(sums: Mapping[str, KindSum]) -> list[dict[str, Any]]:
    """Return sums by kind as manifests have them."""
    return [
        {
            "kind": kind,
            "rows": each.rows,
            "messages": each.messages,
            "segments": each.segments,
            "amount": micros_to_text(each.amount_micros),
        }
        for kind, each in sorted(sums.items())
    ]


def _usage(records: DocumentRecords, batch: Sequence[Booked]) -> bytes:
    return records.csv(records.usage(batch), header=False)


def _manifest(records: DocumentRecords, row: DocumentRow, octets: bytes, now: datetime) -> dict[str, Any]:
    return {
        "document": row.number,
        "month": str(row.month),
        "currency": row.currency,
        "made_at": now.isoformat(),
        "octets": len(octets),
        "sha256": hashlib.sha256(octets).hexdigest(),
        "rows": sum(each.rows for each in records.sums.values()),
        "columns": list(COLUMNS),
        "sums": kinds_told(records.sums),
        "total": micros_to_text(records.total_micros),
        "net": minor_to_text(row.net_minor, row.currency),
        "equal": records.equal(row.net_minor),
    }
