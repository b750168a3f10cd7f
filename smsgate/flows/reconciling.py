"""
A carrier's bill against what we counted: matched by message, or compared by network and price.

Memory does not grow with the rows: both sides meet in the database and stream back in the order of ids, and
only sums stay. Rows that differ go to writers (a dispute pack, a result file) as they come.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Final, NamedTuple, Protocol

from smsgate.billing.bill_differences import BillLine, Difference, compare_lines, differences_of
from smsgate.billing.carrier_files import CarrierFile, CarrierRecord
from smsgate.billing.networks import NetworkTable
from smsgate.billing.periods import Month, month_bounds
from smsgate.billing.reconciliation import (
    JudgedRow,
    Matching,
    Tolerance,
    TrafficRow,
    Verdict,
    judge,
    judge_file,
    whole_messages,
)
from smsgate.clock import Clock
from smsgate.errors import Invalid
from smsgate.flows.commerce_records import Page, PageAsk
from smsgate.flows.ports import PortedNumbers

# Rows of one id, which are paired together: a carrier that gives no ids gives all its messages the same.
SAME_ID_MAX: Final = 10_000
LINES_MAX: Final = 100_000  # of a bill that names no messages: some 30 MB; real ones have hundreds


class OurRow(NamedTuple):
    """
    What the carrier took: one part of a message.

    `states` are those of its final receipts in the order of arrival; the first one counts, and came at
    `received_at`.
    """

    merchant_id: int
    message_id: int
    segment: int
    smsc_id: bytes
    sent_at: datetime
    segments: int
    cost_micros: int | None
    owed: bool
    msisdn: int
    states: Sequence[int]
    received_at: datetime | None


class MatchRow(NamedTuple):
    """A row of the match; several of one id follow each other. Either side may be missing."""

    id_: str
    ours: OurRow | None
    theirs: CarrierRecord | None


@dataclass(frozen=True, slots=True)
class BillQuestion:
    """`invoiced_micros` is what the carrier asks for the month; None: the sum of the file."""

    carrier: str
    month: Month
    zone_name: str
    currency: str
    tolerance: Tolerance
    file_name: str
    file_sha256: bytes
    invoiced_micros: int | None = None


@dataclass(frozen=True, slots=True)
class BillResult:
    """`reconciliation_id` is that of the first time that this file was reconciled with the month."""

    reconciliation_id: int
    carrier: str
    month: Month
    zone_name: str
    currency: str
    by_message: bool
    file_name: str
    file_sha256: bytes
    file_rows: int
    our_micros: int
    invoiced_micros: int
    allowed_micros: int
    verdict: Verdict
    counts: dict[str, int]
    created_at: datetime
    lines: Sequence[Difference] = ()
    is_new: bool = field(default=True, compare=False)

    @property
    def difference_micros(self) -> int:
        return self.invoiced_micros - self.our_micros

    @property
    def is_for_other_months(self) -> bool:
        """Return whether it is disputed for messages of other months; the month's own are as we count."""
        return self.verdict is Verdict.DISPUTE and self.difference_micros <= self.allowed_micros


class ReconcilingStore(Protocol):
    async def carrier(self, name: str) -> int:
        """
        Return the carrier's number.

        Raises:
            NotFound: no carrier of this name ever ran here.
        """
        ...

    def match(
        self,
        question: BillQuestion,
        carrier_id: int,
        reconciliation_id: int,
        span: tuple[datetime, datetime],
        records: Iterable[CarrierRecord],
    ) -> AsyncIterator[Sequence[MatchRow]]:
        """Yield both sides of one snapshot in the order of ids; ours go a while beyond `span`."""
        ...

    async def save(self, carrier_id: int, result: BillResult) -> int:
        """Write a result, and return its id, or that of the one that this file has already."""
        ...

    async def page(self, ask: PageAsk) -> Page[BillResult]: ...

    async def get(self, reconciliation_id: int) -> BillResult:
        """
        Return a result with its lines.

        Raises:
            NotFound: there is none.
        """
        ...


class MatchWriter(Protocol):
    def write(self, row: JudgedRow, ours: OurRow | None) -> None:
        """Take a judged row; `ours` is its message as we have it."""
        ...


class Reconciling:
    def __init__(
        self,
        store: ReconcilingStore,
        ported: PortedNumbers,
        networks: NetworkTable,
        clock: Clock,
        next_id: Callable[[], int],
    ) -> None:
        self._store = store
        self._ported = ported
        self._networks = networks
        self._clock = clock
        self._next_id = next_id

    async def reconcile(
        self, question: BillQuestion, bill: CarrierFile, writers: Sequence[MatchWriter] = ()
    ) -> BillResult:
        """
        Hold the bill against what we counted, keep the result, and return it.

        The same file again is computed again, and counts once.

        Raises:
            Invalid: code `bill_invalid`.
            NotFound: no such carrier.
        """
        carrier_id = await self._store.carrier(question.carrier)
        span = month_bounds(question.month, question.zone_name)
        matching = Matching(*span)
        id_ = self._next_id()
        records = bill.records() if bill.by_message else ()
        join = _Join(matching, writers if bill.by_message else ())
        async for rows in self._store.match(question, carrier_id, id_, span, records):
            join.take(rows, await self._networks_of(rows))
        join.end()
        if bill.by_message:
            lines, billed = differences_of(matching.prices), matching.billed_micros
        else:
            theirs = list(islice(bill.lines(), LINES_MAX + 1))
            if len(theirs) > LINES_MAX:
                raise Invalid(f"{question.file_name} has more than {LINES_MAX} lines", code="bill_invalid")
            lines, billed = (
                compare_lines(_counted(matching), theirs),
                sum(row.amount_micros for row in theirs),
            )
        if not bill.rows:
            raise Invalid(f"{question.file_name} has no rows", code="bill_invalid")
        invoiced = billed if question.invoiced_micros is None else question.invoiced_micros
        if bill.by_message and question.invoiced_micros is None:
            verdict, allowed = judge_file(matching, question.tolerance)
        else:
            verdict, allowed = judge(matching.our_micros, invoiced, question.tolerance)
        counts = {name.value: count for name, count in matching.counts.items()} if bill.by_message else {}
        result = BillResult(
            id_, question.carrier, question.month, question.zone_name, question.currency, bill.by_message,
            question.file_name, question.file_sha256, bill.rows, matching.our_micros, invoiced, allowed,
            verdict, counts, self._clock.now(), lines,
        )  # fmt: skip
        kept = await self._store.save(carrier_id, result)
        return _with_id(result, kept)

    async def page(self, ask: PageAsk) -> Page[BillResult]:
        return await self._store.page(ask)

    async def get(self, reconciliation_id: int) -> BillResult:
        return await self._store.get(reconciliation_id)

    async def _networks_of(self, rows: Sequence[MatchRow]) -> dict[int, str]:
        """Return the networks of our numbers, as messages were priced by them."""
        msisdns = sorted({row.ours.msisdn for row in rows if row.ours is not None})
        ported = await self._ported.lookup(msisdns) if msisdns else {}
        columns = zip(msisdns, self._networks.column(msisdns), strict=True)
        return {msisdn: ported.get(msisdn, network) for msisdn, network in columns}


class _Join:
    """Rows of one id are gathered, and each of ours is paired with one of theirs, in the order of time."""

    def __init__(self, matching: Matching, writers: Sequence[MatchWriter]) -> None:
        self._matching = matching
        self._writers = writers
        self._id: str | None = None
        self._ours: dict[tuple[int, int, int], tuple[TrafficRow, OurRow]] = {}
        self._theirs: dict[int, TrafficRow] = {}

    def take(self, rows: Sequence[MatchRow], networks: dict[int, str]) -> None:
        for row in rows:
            if row.id_ != self._id or len(self._ours) + len(self._theirs) >= SAME_ID_MAX:
                self.end()
                self._id = row.id_
            if row.ours is not None:
                ours = row.ours
                key = ours.merchant_id, ours.message_id, ours.segment
                if key not in self._ours:
                    traffic = TrafficRow(
                        row.id_,
                        ours.sent_at,
                        ours.segments,
                        ours.cost_micros,
                        networks[ours.msisdn],
                        ours.owed,
                    )
                    self._ours[key] = traffic, ours
            if row.theirs is not None:
                theirs = row.theirs
                self._theirs[theirs.line] = TrafficRow(
                    row.id_, theirs.at, theirs.segments, theirs.cost_micros, theirs.network
                )

    def end(self) -> None:
        ours = list(self._ours.values())
        listed = sorted(self._theirs.values(), key=lambda row: row.at)
        theirs = whole_messages([mine for mine, _ in ours], listed)
        for place in range(max(len(ours), min(1, len(theirs)))):
            mine, found = ours[place] if place < len(ours) else (None, None)
            other = theirs[place] if place < len(theirs) else None
            repeats = theirs[len(ours) or 1 :] if place == 0 else []
            if other is None and mine is not None and not self._inside(mine):
                continue  # of another month on both sides
            for judged in self._matching.take(mine, other, repeats):
                for writer in self._writers:
                    writer.write(judged, found)
        self._ours, self._theirs = {}, {}

    def _inside(self, row: TrafficRow) -> bool:
        return self._matching.starts_at <= row.at < self._matching.ends_at


def _counted(matching: Matching) -> list[BillLine]:
    return [
        BillLine(key.network, key.our_unit, sums.our_segments, sums.our_micros)
        for key, sums in matching.prices.items()
    ]


def _with_id(result: BillResult, kept: int) -> BillResult:
    return replace(result, reconciliation_id=kept, is_new=kept == result.reconciliation_id)
