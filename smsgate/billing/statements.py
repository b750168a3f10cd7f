"""
The monthly statement of a merchant, and its CSV.

A month is the calendar month in the merchant's own IANA zone, start included, end excluded. Lines are exact
in micros; the total is rounded once, half away from zero, and the difference is shown. CSV: RFC 4180, UTF-8,
CRLF.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from smsgate.errors import Invalid
from smsgate.money import MICROS_PER_UNIT, MINOR_DIGITS, check_currency, micros_to_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# A spreadsheet takes a cell that begins with one of these for a formula; full-width twins are folded by some
# of them.
_FORMULA_STARTS: Final = tuple("=+-@\t\r\n＝＋－＠")
CSV_HEADER: Final = (
    "merchant", "month", "currency", "campaign", "direction", "network", "price_item", "messages", "segments",
    "unit_price", "amount",
)  # fmt: skip


@dataclass(frozen=True, slots=True, order=True)
class Month:
    year: int
    month: int

    def __post_init__(self) -> None:
        if not (1 <= self.month <= 12 and 2000 <= self.year <= 2100):
            raise Invalid(f"{self.year}-{self.month} is no month", code="month_invalid")

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    @classmethod
    def parse(cls, text: str) -> Month:
        """
        Read "2026-11".

        Raises:
            Invalid: code `month_invalid`.
        """
        year, dash, month = text.partition("-")
        plain = (
            text.isascii() and year.isdecimal() and month.isdecimal() and len(year) == 4 and len(month) == 2
        )
        if not dash or not plain:
            raise Invalid(f"{text[:20]!r} is no month such as 2026-11", code="month_invalid")
        return cls(int(year), int(month))

    def next(self) -> Month:
        return Month(self.year + self.month // 12, self.month % 12 + 1)


def zone(name: str) -> ZoneInfo:
    """
    Return the IANA zone.

    Raises:
        Invalid: code `zone_unknown`.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(f"{name[:40]!r} is no IANA time zone", code="zone_unknown") from None


def month_bounds(month: Month, zone_name: str) -> tuple[datetime, datetime]:
    """Return (starts_at, ends_at) in UTC; a month may have an hour more or less."""
    local = zone(zone_name)
    following = month.next()
    start = datetime(month.year, month.month, 1, tzinfo=local)
    end = datetime(following.year, following.month, 1, tzinfo=local)
    return start.astimezone(UTC), end.astimezone(UTC)


def month_of(instant: datetime, zone_name: str) -> Month:
    assert instant.tzinfo is not None
    local = instant.astimezone(zone(zone_name))
    return Month(local.year, local.month)


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One aggregate of the ledger: what one campaign used of one price item."""

    campaign: str  # the merchant's name for it; "" for messages outside any campaign
    direction: str
    network: str
    price_item: str  # public id
    unit_micros: int
    messages: int
    segments: int
    amount_micros: int


@dataclass(frozen=True, slots=True)
class Statement:
    """`total_minor` x scale = `exact_micros` + `rounding_micros`: the one rounding, in the open."""

    merchant_id: int
    merchant: str
    month: Month
    starts_at: datetime
    ends_at: datetime
    currency: str
    lines: tuple[StatementLine, ...]
    messages: int
    segments: int
    exact_micros: int
    total_minor: int
    rounding_micros: int


def build_statement(
    *,
    merchant_id: int,
    merchant: str,
    month: Month,
    zone_name: str,
    currency: str,
    lines: Iterable[StatementLine],
) -> Statement:
    """
    Add up the ledger's aggregates of one merchant, month and currency; the order of `lines` does not matter.

    Raises:
        Invalid: code `ledger_mismatch`; a line is not unit price x segments, so the ledger and the prices
        disagree.
    """
    ordered = sorted(lines, key=lambda line: (line.campaign, line.direction, line.network, line.price_item))
    for line in ordered:
        if line.amount_micros != line.unit_micros * line.segments:
            raise Invalid(
                f"item {line.price_item}: {line.segments} x {line.unit_micros} is not {line.amount_micros}",
                code="ledger_mismatch",
            )
    exact = sum(line.amount_micros for line in ordered)
    scale = MICROS_PER_UNIT // 10 ** MINOR_DIGITS[check_currency(currency)]
    total_minor = round_half_away(exact, scale)
    starts_at, ends_at = month_bounds(month, zone_name)
    return Statement(
        merchant_id=merchant_id,
        merchant=merchant,
        month=month,
        starts_at=starts_at,
        ends_at=ends_at,
        currency=currency,
        lines=tuple(ordered),
        messages=sum(line.messages for line in ordered),
        segments=sum(line.segments for line in ordered),
        exact_micros=exact,
        total_minor=total_minor,
        rounding_micros=total_minor * scale - exact,
    )


def round_half_away(amount: int, scale: int) -> int:
    """Return `amount` / `scale` as a whole number, halves away from zero: 5/10 is 1, -5/10 is -1."""
    assert scale > 0
    magnitude = (2 * abs(amount) + scale) // (2 * scale)
    return -magnitude if amount < 0 else magnitude


def statement_csv(statement: Statement) -> str:
    """
    Return the statement's lines; the columns messages, segments and amount add up to the statement's exact
    figures.

    Amounts have up to six decimals and a point; nothing in this file is rounded.
    """
    return write_csv(
        CSV_HEADER,
        (
            (
                safe_cell(statement.merchant),
                str(statement.month),
                statement.currency,
                safe_cell(line.campaign),
                line.direction,
                line.network,
                line.price_item,
                line.messages,
                line.segments,
                micros_to_text(line.unit_micros),
                micros_to_text(line.amount_micros),
            )
            for line in statement.lines
        ),
    )


def write_csv(header: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
    """Return RFC 4180 text; cells that people wrote must have gone through `safe_cell`."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()


def safe_cell(text: str) -> str:
    """
    Return a text cell that no spreadsheet takes for a formula: an apostrophe goes before what looks like
    one.
    """
    cleaned = text.replace("\0", "")
    return f"'{cleaned}" if cleaned.lstrip(" ").startswith(_FORMULA_STARTS) else cleaned
