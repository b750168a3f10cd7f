"""
The close of a month: aggregated usage becomes lines and documents, one per currency, category O apart.

A million messages are as many rows here as they have items, months of origin and VAT rates. What was billed
before matters for months that get late units: their tiers and commitments are counted again, and the
difference is billed at the terms of their own month.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from smsgate.billing.commitments import Commitment, minimum_in
from smsgate.billing.documents import Document, Line, LineKind, LineTerms, document_of, line_of
from smsgate.billing.tiers import Ladder, tier_changes
from smsgate.errors import Invalid
from smsgate.money import micros_per_minor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from smsgate.billing.periods import Month
    from smsgate.billing.vat import Vat, VatHistory


class ItemTerms(NamedTuple):
    """A published price item with what its lines say of it; with a ladder `unit_micros` does not count."""

    list_id: int
    item_id: int
    version: int
    currency: str
    unit_micros: int
    ladder: Ladder | None = None


class UsageRow(NamedTuple):
    """
    An aggregate of charges (segments above zero) or reversals (below) that one period takes.

    `origin` is the month of acceptance, `vat` what was in force on the local date of acceptance. Rows of the
    same key may come in any number and order.
    """

    item_id: int
    origin: Month
    vat: Vat
    segments: int


@dataclass(slots=True)
class Billed:
    """
    What a merchant's closes have billed so far; only months that can still get late units matter.

    `credited` is what credits by hand took of the shortfalls: it is not left to be given back.
    """

    counts: defaultdict[tuple[int, Month], Counter[Vat]] = field(default_factory=lambda: defaultdict(Counter))
    nets: Counter[tuple[str, Month]] = field(default_factory=Counter)
    shortfalls: Counter[tuple[str, Month]] = field(default_factory=Counter)
    credited: Counter[tuple[str, Month]] = field(default_factory=Counter)

    def add(self, currency: str, lines: Iterable[Line]) -> None:
        """Take lines with the signs of the ledger (`Document.signed_lines`)."""
        for line in lines:
            terms = line.terms
            if terms.kind is LineKind.USAGE:
                self.counts[terms.item_id, terms.origin][terms.vat] += line.quantity
                self.nets[currency, terms.origin] += line.net_minor
            else:
                self.shortfalls[currency, terms.origin] += line.net_minor

    def shortfall_left(self, currency: str, month: Month) -> int:
        """Return what can be given back of a month's shortfall; never below zero."""
        return max(0, self.shortfalls[currency, month] - self.credited[currency, month])


def shortfall(minimum_minor: int, net_minor: int) -> int:
    """Return what is missing to the minimum, never below zero (R11)."""
    return max(0, minimum_minor - net_minor)


def close_month(
    period: Month,
    usage: Iterable[UsageRow],
    items: Mapping[int, ItemTerms],
    billed: Billed,
    *,
    commitments: Sequence[Commitment] = (),
    vat_history: VatHistory | None = None,
) -> list[Document]:
    """
    Return the documents of one period, by currency, and add them to `billed`; periods come in their order.

    Lines of VAT category O make a document of their own, after that of the others (decision 0050).

    `vat_history` is needed where there are commitments: a shortfall has the rate of its month's last day.

    Raises:
        Invalid: code `ledger_mismatch`: an item that is not in `items`, or more given back than was charged.
    """
    lines = _usage_lines(usage, items, billed)
    for currency in sorted({commitment.currency for commitment in commitments}):
        assert vat_history is not None
        months = {period, *(line.terms.origin for line in lines[currency])}
        for month in sorted(months):
            minimum = minimum_in(commitments, currency, month)
            if minimum or billed.shortfalls[currency, month]:
                vat = vat_history.on(month.last_day)
                lines[currency] += _commitment_lines((currency, month), minimum, vat, lines[currency], billed)
    documents = [
        document_of(period, currency, group)
        for currency in sorted(lines)
        for outside in (False, True)
        if (group := [line for line in lines[currency] if line.terms.vat.is_outside is outside])
    ]
    for document in documents:
        billed.add(document.currency, document.signed_lines)
    return documents


def _usage_lines(
    usage: Iterable[UsageRow], items: Mapping[int, ItemTerms], billed: Billed
) -> defaultdict[str, list[Line]]:
    groups: defaultdict[tuple[int, Month], Counter[Vat]] = defaultdict(Counter)
    for row in usage:
        groups[row.item_id, row.origin][row.vat] += row.segments
    lines: defaultdict[str, list[Line]] = defaultdict(list)
    for (item_id, origin), added in groups.items():
        item = items.get(item_id)
        if item is None:
            raise Invalid(f"price item {item_id} is not known", code="ledger_mismatch")
        if item.ladder is None:
            changes = [(vat, item.unit_micros, quantity) for vat, quantity in added.items() if quantity]
        else:
            changes = tier_changes(item.ladder, billed.counts[item_id, origin], added)
        for vat, unit_micros, quantity in changes:
            terms = LineTerms(origin, LineKind.USAGE, item.list_id, item_id, item.version, unit_micros, vat)
            lines[item.currency].append(line_of(terms, quantity, item.currency))
    return lines


def _commitment_lines(
    key: tuple[str, Month], minimum_minor: int, vat: Vat, lines: Iterable[Line], billed: Billed
) -> list[Line]:
    """
    Return the line that moves the month's billed shortfall to what it is now; none when it stays.

    What was credited by hand stays credited: it is neither given back again nor billed again.
    """
    currency, month = key
    net = billed.nets[key] + sum(
        line.net_minor for line in lines if line.terms.origin == month and line.terms.kind is LineKind.USAGE
    )
    change = max(shortfall(minimum_minor, net) - billed.shortfalls[key], -billed.shortfall_left(*key))
    if not change:
        return []
    unit_micros = abs(change) * micros_per_minor(currency)
    terms = LineTerms(month, LineKind.COMMITMENT, 0, 0, 0, unit_micros, vat)
    return [line_of(terms, 1 if change > 0 else -1, currency)]
