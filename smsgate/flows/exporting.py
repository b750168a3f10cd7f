"""
Usage exports: a merchant's month, message by message, streamed from one snapshot into a file.

Memory does not grow with the rows: batches go from the database to the writer, and only sums stay. The
manifest says rows, sums and SHA-256, and whether the ledger says the same.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from smsgate.billing.periods import Month, month_bounds
from smsgate.billing.prices import Direction
from smsgate.billing.usage_rows import COLUMNS, UsageRow, UsageSums, csv_header, csv_lines
from smsgate.flows.commerce_records import MerchantProfile
from smsgate.ids import unix_ms_of
from smsgate.money import micros_to_text
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.security.public_ids import Kind, PublicIds

_OUTCOMES: Final = {state.value: state.name.lower() for state in ReceiptState}
CONTRADICTIONS_MAX: Final = 1_000  # shown in a manifest, some 200 octets each; all are counted
# A flush commits some time after the instant that its postings bear, and clocks of nodes differ. What was
# recorded this long before a snapshot is in it, unless the database was away for longer.
SETTLED_AFTER: Final = timedelta(minutes=10)
READ_OCTETS: Final = 1 << 20  # of the finished file at once, for its SHA-256


class ChargedMessage(NamedTuple):
    """One row of `sent` that was accepted and is charged; `state` is that of the first final receipt."""

    message_id: int
    segment: int
    campaign_id: int | None
    external_id: str
    sent_at: datetime
    msisdn: int
    sender: str
    network: str
    segments: int
    unit_micros: int
    sell_micros: int
    item_id: int
    state: int | None
    received_at: datetime | None


class ReceivedMessage(NamedTuple):
    """One reply that is charged."""

    inbound_id: int
    campaign_id: int | None
    external_id: str
    received_at: datetime
    msisdn: int
    destination: str
    network: str
    segments: int
    unit_micros: int
    sell_micros: int
    item_id: int


class LedgerSum(NamedTuple):
    direction: str
    messages: int
    segments: int
    amount_micros: int


class Recorded(NamedTuple):
    """What a snapshot had of the ledger: what was recorded before an instant, and later at some others."""

    before: datetime
    instants: Sequence[datetime] = ()


class Contradiction(NamedTuple):
    """A message's final receipts in the order of arrival, of which the first one counts (R8)."""

    message_id: int
    segment: int
    states: Sequence[int]
    received_at: Sequence[datetime]


class UsageSnapshot(Protocol):
    def charged(self, currency: str) -> AsyncIterator[Sequence[ChargedMessage]]: ...

    def received(self, currency: str) -> AsyncIterator[Sequence[ReceivedMessage]]: ...

    async def ledger(self, currency: str, recorded: Recorded | None = None) -> Sequence[LedgerSum]:
        """Return the month's sums; `recorded`: of this alone."""
        ...

    async def recorded_since(self, currency: str, since: datetime) -> Sequence[datetime]:
        """Return the instants from `since` on at which some of the month was recorded, in their order."""
        ...

    async def billed(self, currency: str, month: Month, recorded: Recorded) -> Mapping[str, tuple[int, int]]:
        """
        Return (segments, micros) by direction of what documents bill of the month, and of what none does yet.

        Of `recorded` alone; micros at the price of each message, before any steps.
        """
        ...

    async def contradictions(self, limit: int) -> tuple[int, Sequence[Contradiction]]:
        """Return how many messages have final receipts that contradict each other, and the first of them."""
        ...


class UsageRecordStore(Protocol):
    def snapshot(
        self, merchant_id: int, starts_at: datetime, ends_at: datetime
    ) -> AbstractAsyncContextManager[UsageSnapshot]:
        """Open what the month looks like now; everything read from it is of one instant."""
        ...


class RowWriter(Protocol):
    """Writes one file; `close` finishes it, and nothing of it counts before."""

    def write(self, rows: Sequence[UsageRow]) -> None: ...

    def close(self, sums: UsageSums) -> None: ...


class CsvRows:
    """RFC 4180, batch by batch."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._file.write(csv_header())

    def write(self, rows: Sequence[UsageRow]) -> None:
        self._file.write(csv_lines(rows))

    def close(self, sums: UsageSums) -> None:
        del sums
        self._file.close()


@dataclass(frozen=True, slots=True)
class ExportQuestion:
    merchant: MerchantProfile
    month: Month
    currency: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is in the file; `equal` says whether the ledger's sums of the month are the file's."""

    values: Mapping[str, Any]

    @property
    def rows(self) -> int:
        return int(self.values["rows"])

    @property
    def equal(self) -> bool:
        return bool(self.values["ledger"]["equal"])


class Exporting:
    def __init__(
        self,
        store: UsageRecordStore,
        public_ids: PublicIds,
    ) -> None:
        self._store = store
        self._public_ids = public_ids

    async def write(
        self,
        question: ExportQuestion,
        path: Path,
        writer: Callable[[Path], RowWriter],
        *,
        now: datetime,
        name: str = "",
    ) -> Manifest:
        """
        Write the month's records to `path` and return their manifest; the file is whole then.

        `name` is what the manifest calls it, where it will be called otherwise.
        """
        merchant = question.merchant
        starts_at, ends_at = month_bounds(question.month, merchant.timezone)
        sums = UsageSums()
        rows_to = writer(path)
        async with self._store.snapshot(merchant.merchant_id, starts_at, ends_at) as snapshot:
            async for rows in self._rows(snapshot, question):
                sums.add(rows)
                rows_to.write(rows)
            ledger = await snapshot.ledger(question.currency)
            recorded = Recorded(now - SETTLED_AFTER)
            if now >= ends_at:  # else nobody holds it to the ledger, and a campaign may be running
                instants = await snapshot.recorded_since(question.currency, recorded.before)
                recorded = Recorded(recorded.before, instants)
            contradictions = self._contradictions(*await snapshot.contradictions(CONTRADICTIONS_MAX))
        rows_to.close(sums)
        values = await asyncio.to_thread(
            _manifest, question, (starts_at, ends_at), path, name or path.name, sums, ledger, recorded, now
        )
        return Manifest({**values, "contradictions": contradictions})

    async def records(self, question: ExportQuestion) -> AsyncIterator[Sequence[UsageRow]]:
        """Yield the month's records as `write` writes them, off one snapshot."""
        merchant = question.merchant
        bounds = month_bounds(question.month, merchant.timezone)
        async with self._store.snapshot(merchant.merchant_id, *bounds) as snapshot:
            async for rows in self._rows(snapshot, question):
                yield rows

    async def _rows(
        self, snapshot: UsageSnapshot, question: ExportQuestion
    ) -> AsyncIterator[Sequence[UsageRow]]:
        async for charged in snapshot.charged(question.currency):
            yield self._sent_rows(charged, question.currency)
        async for received in snapshot.received(question.currency):
            yield self._received_rows(received, question.currency)

    def _contradictions(self, found: int, shown: Sequence[Contradiction]) -> dict[str, Any]:
        """Return receipts that changed nothing, for they came after the first final one and say otherwise."""
        ids = self._public_ids.encode_many(Kind.MESSAGE, [each.message_id for each in shown])
        return {
            "messages": found,
            "shown": [
                {
                    "message": public,
                    "part": each.segment,
                    "receipts": [
                        {"outcome": _OUTCOMES[state], "received_at": at.isoformat()}
                        for state, at in zip(each.states, each.received_at, strict=True)
                    ],
                }
                for public, each in zip(ids, shown, strict=True)
            ],
        }

    def _sent_rows(self, messages: Sequence[ChargedMessage], currency: str) -> list[UsageRow]:
        ids = self._public_ids.encode_many(Kind.MESSAGE, [message.message_id for message in messages])
        items = self._named(Kind.PRICE_ITEM, {message.item_id for message in messages})
        campaigns = self._named(Kind.CAMPAIGN, {m.campaign_id for m in messages if m.campaign_id is not None})
        return [
            UsageRow(
                public,
                message.segment,
                Direction.MT,
                message.external_id or campaigns.get(message.campaign_id, ""),
                accepted_at_of(message.message_id),
                message.sent_at,
                message.msisdn,
                message.sender,
                message.network,
                message.segments,
                message.unit_micros,
                message.sell_micros,
                currency,
                items[message.item_id],
                "" if message.state is None else _OUTCOMES[message.state],
            )
            for public, message in zip(ids, messages, strict=True)
        ]

    def _received_rows(self, messages: Sequence[ReceivedMessage], currency: str) -> list[UsageRow]:
        ids = self._public_ids.encode_many(Kind.INBOUND_MESSAGE, [message.inbound_id for message in messages])
        items = self._named(Kind.PRICE_ITEM, {message.item_id for message in messages})
        campaigns = self._named(Kind.CAMPAIGN, {m.campaign_id for m in messages if m.campaign_id is not None})
        return [
            UsageRow(
                public, 0, Direction.MO, message.external_id or campaigns.get(message.campaign_id, ""),
                message.received_at, message.received_at, message.msisdn, message.destination,
                message.network, message.segments, message.unit_micros, message.sell_micros, currency,
                items[message.item_id], "",
            )
            for public, message in zip(ids, messages, strict=True)
        ]  # fmt: skip

    def _named(self, kind: Kind, ids: set[int]) -> dict[int | None, str]:
        ordered = sorted(ids)
        return dict(zip(ordered, self._public_ids.encode_many(kind, ordered), strict=True))


def accepted_at_of(message_id: int) -> datetime:
    """Return the instant of acceptance, which the message's id carries."""
    return datetime.fromtimestamp(unix_ms_of(message_id) / 1000, UTC)


def _manifest(
    question: ExportQuestion,
    bounds: tuple[datetime, datetime],
    path: Path,
    name: str,
    sums: UsageSums,
    ledger: Sequence[LedgerSum],
    recorded: Recorded,
    now: datetime,
) -> dict[str, Any]:
    file, books = file_told(sums), books_told(ledger)
    return {
        "merchant": question.merchant.name,
        "slug": question.merchant.slug,
        "month": str(question.month),
        "zone": question.merchant.timezone,
        "starts_at": bounds[0].isoformat(),
        "ends_at": bounds[1].isoformat(),
        "currency": question.currency,
        "made_at": now.isoformat(),
        "file": name,
        "octets": path.stat().st_size,
        "sha256": sha256_of(path),
        "rows": sums.rows,
        "columns": list(COLUMNS),
        "sums": file,
        "ledger": {
            "equal": file == books,
            "sums": books,
            "before": recorded.before.isoformat(),
            "instants": [at.isoformat() for at in recorded.instants],
        },
    }


def file_told(sums: UsageSums) -> list[dict[str, Any]]:
    """Return a file's sums as its manifest has them."""
    return _told(
        {
            direction: (each.rows, each.segments, each.amount_micros)
            for (_currency, direction), each in sums.by_key.items()
        }
    )


def books_told(ledger: Sequence[LedgerSum]) -> list[dict[str, Any]]:
    """Return the ledger's sums of a month in the same form."""
    return _told({each.direction: (each.messages, each.segments, each.amount_micros) for each in ledger})


def _told(sums: Mapping[str, tuple[int, int, int]]) -> list[dict[str, Any]]:
    return [
        {"direction": direction, "messages": rows, "segments": segments, "amount": micros_to_text(micros)}
        for direction, (rows, segments, micros) in sorted(sums.items())
        if rows or segments or micros  # else all was given back
    ]


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while octets := file.read(READ_OCTETS):
            digest.update(octets)
    return digest.hexdigest()
