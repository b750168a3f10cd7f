"""
Usage records: one row for each charged message, or part of a long one, and their sums.

CSV as R20 has it: RFC 4180, CRLF, UTF-8 without a mark, and an apostrophe before what a spreadsheet would
run, in text columns only. Rows come in batches; nothing of a batch is kept but its sums.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.billing.csv_text import count_rows, safe_cell
from smsgate.errors import Invalid
from smsgate.money import micros_from_text, micros_to_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

COLUMNS: Final = (
    "message", "part", "direction", "campaign", "accepted_at", "charged_at", "number", "sender", "network",
    "segments", "unit_price", "amount", "currency", "price_item", "outcome",
)  # fmt: skip
TEXT_COLUMNS: Final = frozenset({"campaign", "sender"})  # what people wrote


class UsageRow(NamedTuple):
    """
    `number` is the phone's; `outcome` is the first final receipt's state, "" while there is none, and of
    MO.
    """

    message: str
    part: int
    direction: str
    campaign: str
    accepted_at: datetime
    charged_at: datetime
    number: int
    sender: str
    network: str
    segments: int
    unit_micros: int
    amount_micros: int
    currency: str
    price_item: str
    outcome: str


@dataclass(slots=True)
class UsageSum:
    rows: int = 0
    segments: int = 0
    amount_micros: int = 0


@dataclass(slots=True)
class UsageSums:
    """By currency and direction, exact; merchants compare them with their document."""

    by_key: dict[tuple[str, str], UsageSum] = field(default_factory=dict)

    def add(self, rows: Sequence[UsageRow]) -> None:
        for row in rows:
            self.count(row.currency, row.direction, row.segments, row.amount_micros)

    def count(self, currency: str, direction: str, segments: int, amount_micros: int) -> None:
        """Count one row."""
        found = self.by_key.get((currency, direction))
        if found is None:
            found = self.by_key[currency, direction] = UsageSum()
        found.rows += 1
        found.segments += segments
        found.amount_micros += amount_micros

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.by_key.values())


def csv_header() -> bytes:
    return (",".join(COLUMNS) + "\r\n").encode()


def csv_lines(rows: Sequence[UsageRow]) -> bytes:
    """Return a batch of rows as CSV; equal amounts and texts of a batch are written once and used again."""
    amounts: dict[int, str] = {}
    texts: dict[str, str] = {}

    def amount(micros: int) -> str:
        found = amounts.get(micros)
        if found is None:
            found = amounts[micros] = micros_to_text(micros)
        return found

    def text(cell: str) -> str:
        found = texts.get(cell)
        if found is None:
            found = texts[cell] = safe_cell(cell)
        return found

    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\r\n").writerows([
        (
            row.message, row.part, row.direction, text(row.campaign), row.accepted_at.isoformat(),
            row.charged_at.isoformat(), row.number, text(row.sender), row.network, row.segments,
            amount(row.unit_micros), amount(row.amount_micros), row.currency, row.price_item, row.outcome,
        )
        for row in rows
    ])  # fmt: skip
    return buffer.getvalue().encode()


def csv_sums(lines: Iterable[str]) -> UsageSums:
    """
    Add up a file that `csv_lines` wrote, row by row.

    Raises:
        Invalid: code `export_invalid`: another header, a row that is none, or one whose amount is not its
            price x segments.
    """
    sums = UsageSums()
    count_rows(lines, COLUMNS, partial(_count, sums))
    return sums


def _count(sums: UsageSums, row: dict[str, str]) -> None:
    segments, amount = int(row["segments"]), micros_from_text(row["amount"])
    if micros_from_text(row["unit_price"]) * segments != amount:
        raise Invalid(f"{row['unit_price']} x {segments} is not {row['amount']}")
    sums.count(row["currency"], row["direction"], segments, amount)
