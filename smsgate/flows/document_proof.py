"""The proof file of an invoice: what was issued, and every message behind its lines."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from smsgate.billing.document_proofs import DOCUMENT, LINE, RECORDS, SAMPLE
from smsgate.billing.documents import DocumentType, LineKind
from smsgate.billing.periods import Month, month_bounds
from smsgate.billing.record_trees import RecordTree, RecordTrees
from smsgate.clock import Clock
from smsgate.errors import Conflict, Invalid, NotFound
from smsgate.flows.commerce_records import MerchantProfile
from smsgate.flows.documents import Documents, StoredDocument
from smsgate.flows.exporting import Exporting, ExportQuestion
from smsgate.security.proof_chain import Entry, ProofKey
from smsgate.security.public_ids import Kind, PublicIds

BESIDES: Final = {  # what is no document of a close
    DocumentType.PREPAYMENT: "a prepayment invoice",
    DocumentType.PREPAYMENT_CREDIT: "a credit note of a prepayment",
    DocumentType.SELF_BILLED: "a payout, of what a carrier counted",
}
SAMPLES_MAX: Final = 1_000  # messages; each has a path of some 30 hashes, and the file stays below 10 MB


class Chained(NamedTuple):
    payload: bytes
    previous_sha256: bytes
    chain_sha256: bytes


class BilledQuantity(NamedTuple):
    """Segments of a price and month on a document of a close, with the signs of the ledger."""

    number: str
    item_id: int
    origin: Month
    quantity: int


class DocumentProofStore(Protocol):
    async def chained(self, merchant_id: int, document_id: int) -> Chained: ...

    async def billed(
        self, merchant_id: int, origins: Sequence[Month], item_ids: Sequence[int]
    ) -> Sequence[BilledQuantity]: ...

    async def charged(
        self, merchant_id: int, starts_at: datetime, ends_at: datetime, item_ids: Sequence[int]
    ) -> dict[int, int]:
        """Return what the ledger charges of each price for a time of acceptance, in segments."""
        ...


class DocumentProofs:
    def __init__(
        self,
        store: DocumentProofStore,
        documents: Documents,
        exporting: Exporting,
        merchant: Callable[[int], Awaitable[MerchantProfile | None]],
        public_ids: PublicIds,
        clock: Clock,
        key: ProofKey,
    ) -> None:
        self._store = store
        self._documents = documents
        self._exporting = exporting
        self._merchant = merchant
        self._public_ids = public_ids
        self._clock = clock
        self._key = key

    async def file(self, number: str, messages: Sequence[str] = ()) -> bytes:
        """
        Return the proof file of a month's invoice or credit note, with the paths of `messages` (public ids).

        Raises:
            NotFound: no such document, or a message that is not behind it.
            Conflict: code `records_incomplete`: rows were retired, or the books differ.
            Invalid: code `proof_refused`: a document of another kind, or too many samples.
        """
        if len(messages) > SAMPLES_MAX:
            raise Invalid(f"at most {SAMPLES_MAX} messages at a time", code="proof_refused")
        document = await self._documents.by_number(number)
        row = document.row
        kind = BESIDES.get(DocumentType(row.doc_type), "")
        if row.credits_id is not None:
            kind = kind or "a credit note that was written by hand"
        if kind:
            raise Invalid(
                f"{number} is {kind}: no messages stand behind it, so there is nothing to prove; the "
                "invoices of months have proof files",
                code="proof_refused",
            )
        merchant = await self._merchant(row.merchant_id)
        if merchant is None:
            raise NotFound
        at = self._clock.now().isoformat()
        entries = [await self._document_entry(document, at), *self._line_entries(document, at)]
        missing = set(messages)
        for month in sorted({line.terms.origin for line in document.lines if line.terms.item_id}):
            trees = RecordTrees(messages)
            async for rows in self._exporting.records(ExportQuestion(merchant, month, row.currency)):
                trees.add_rows(rows)
            entries += await self._record_entries(document, merchant, month, trees, at)
            missing -= {sample.record.partition(",")[0] for sample in trees.samples}
        if missing:
            raise NotFound(f"{min(missing)} is not behind a line of {number}.")
        return self._key.sealed(entries, at)

    async def _document_entry(self, document: StoredDocument, at: str) -> Entry:
        chained = await self._store.chained(document.row.merchant_id, document.row.document_id)
        return Entry(
            DOCUMENT,
            at,
            {
                "number": document.row.number,
                "payload": chained.payload.decode(),
                "sha256": hashlib.sha256(chained.payload).hexdigest(),
                "previous_sha256": chained.previous_sha256.hex(),
                "chain_sha256": chained.chain_sha256.hex(),
            },
        )

    def _line_entries(self, document: StoredDocument, at: str) -> list[Entry]:
        return [
            Entry(
                LINE,
                at,
                {
                    "line": place,
                    "price_item": self._public_ids.encode(Kind.PRICE_ITEM, line.terms.item_id),
                    "month": str(line.terms.origin),
                    "quantity": line.quantity,
                },
            )
            for place, line in enumerate(document.lines, 1)
            if line.terms.kind is LineKind.USAGE
        ]

    async def _record_entries(
        self,
        document: StoredDocument,
        merchant: MerchantProfile,
        month: Month,
        trees: RecordTrees,
        at: str,
    ) -> list[Entry]:
        merchant_id = document.row.merchant_id
        item_ids = sorted({
            line.terms.item_id
            for line in document.lines
            if line.terms.origin == month and line.terms.kind is LineKind.USAGE
        })  # fmt: skip
        starts_at, ends_at = month_bounds(month, merchant.timezone)
        charged = await self._store.charged(merchant_id, starts_at, ends_at, item_ids)
        billed: defaultdict[int, dict[str, int]] = defaultdict(dict)
        for each in await self._store.billed(merchant_id, [month], item_ids):
            billed[each.item_id][each.number] = each.quantity
        names = dict(zip(item_ids, self._public_ids.encode_many(Kind.PRICE_ITEM, item_ids), strict=True))
        entries: list[Entry] = []
        for item_id, name in names.items():
            tree = trees.trees.get(name, RecordTree())
            total = charged.get(item_id, 0)
            if tree.segments != total:
                raise Conflict(
                    f"{month}: {tree.segments} of {total} segments of {name} are found among the messages; "
                    "rows are not kept for ever",
                    code="records_incomplete",
                )
            body: dict[str, object] = {
                "price_item": name,
                "month": str(month),
                "starts_at": starts_at.isoformat(),
                "ends_at": ends_at.isoformat(),
                "rows": tree.rows,
                "segments": tree.segments,
                "root": tree.root(),
                "billed": sorted(billed[item_id].items()),
                "not_billed": total - sum(billed[item_id].values()),
            }
            entries.append(Entry(RECORDS, at, body))
        wanted = set(names.values())
        entries += [
            Entry(
                SAMPLE,
                at,
                {
                    "price_item": sample.price_item,
                    "month": str(month),
                    "record": sample.record,
                    "path": sample.path,
                },
            )
            for sample in trees.samples
            if sample.price_item in wanted
        ]
        return entries
