"""
Documents as files: made from their payload whenever they are asked for, and to the same octets each time.

The hash of what is handed out first is kept for each form, so that another program's version that makes
other octets of the same payload is seen (I20).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

import structlog

from smsgate.billing.invoices import Invoice, invoice_from_json
from smsgate.clock import Clock
from smsgate.flows.billing_records import DocumentRow
from smsgate.flows.documents import StoredDocument
from smsgate.flows.verifying import Finding

log = structlog.get_logger(__name__)

Render = Callable[[Invoice, str], bytes]  # in "pdf", "xml", "ubl" or "peppol"; it computes for a while


class KeptFile(NamedTuple):
    number: str
    payload: bytes
    form: str
    sha256: bytes
    octets: int


class DocumentFileStore(Protocol):
    async def keep(self, document: DocumentRow, form: str, sha256: bytes, octets: int, at: datetime) -> bytes:
        """Keep the hash of a file that is handed out for the first time; return the one that is kept."""
        ...

    def kept(self) -> AsyncIterator[Sequence[KeptFile]]: ...


class DocumentFiles:
    def __init__(self, store: DocumentFileStore, render: Render, clock: Clock) -> None:
        self._store = store
        self._render = render
        self._clock = clock

    async def make(self, document: StoredDocument, form: str) -> bytes:
        """
        Return the file.

        Raises:
            Invalid: code `document_wrong`.
        """
        octets = await asyncio.to_thread(self._render, document.invoice, form)
        sha256 = hashlib.sha256(octets).digest()
        kept = await self._store.keep(document.row, form, sha256, len(octets), self._clock.now())
        if kept != sha256:
            log.error("document_file_differs", number=document.row.number, form=form)
        return octets

    async def proved(self) -> Finding:
        """Make every file that was handed out again, and hold it to its hash."""
        wrong: list[str] = []
        async for batch in self._store.kept():
            for file in batch:
                octets = await asyncio.to_thread(self._render, invoice_from_json(file.payload), file.form)
                if hashlib.sha256(octets).digest() != file.sha256:
                    wrong.append(f"{file.number} as {file.form} had other octets when it was handed out")
        return Finding("I20", len(wrong), wrong[0] if wrong else None)
