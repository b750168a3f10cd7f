"""
The monthly statement of a merchant, and its CSV.

Lines are exact in micros; the total is rounded once, half away from zero, and the difference is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from smsgate.billing.csv_text import safe_cell, write_csv
from smsgate.billing.periods import month_bounds
from smsgate.errors import Invalid
from smsgate.money import micros_per_minor, micros_to_text, round_half_away

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from smsgate.billing.periods import Month

CSV_HEADER: Final = (
    "merchant", "month", "currency", "campaign", "direction", "network", "price_item", "messages", "segments",
    "unit_price", "amount",
)  # fmt: skip


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
    scale = micros_per_minor(currency)
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
