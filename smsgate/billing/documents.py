"""
Lines and documents: quantity x unit price in exact micros, rounded once per line, VAT once per rate.

Net is the sum of the rounded lines, gross is net and VAT; what the ledger has more or less than the net goes
to the rounding account. Only here do micros become minor units.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.billing.vat import Vat, VatRow, vat_rows
from smsgate.money import micros_per_minor, round_half_away

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smsgate.billing.periods import Month


class LineKind(StrEnum):
    USAGE = "usage"
    PAYOUT = "payout"  # a merchant's part of premium messages to one short code
    COMMITMENT = "commitment"  # the shortfall of a minimum, or what of it comes back
    PREPAYMENT = "prepayment"  # what was paid before it is served


class DocumentType(StrEnum):
    """Codes of UNCL 1001."""

    INVOICE = "380"
    CREDIT_NOTE = "381"
    PREPAYMENT = "386"  # a top-up of a prepaid account
    SELF_BILLED = "389"  # a payout, written by us in the merchant's name
    PREPAYMENT_CREDIT = "503"  # what is paid back of a top-up


CREDITS: Final = frozenset({DocumentType.CREDIT_NOTE, DocumentType.PREPAYMENT_CREDIT})
PREPAYMENTS: Final = frozenset({DocumentType.PREPAYMENT, DocumentType.PREPAYMENT_CREDIT})


class LineTerms(NamedTuple):
    """What makes a line of its own (R5); only usage has a list, an item and a version, others 0 each."""

    origin: Month  # the month in which the messages were accepted
    kind: LineKind
    list_id: int
    item_id: int
    version: int
    unit_micros: int
    vat: Vat


@dataclass(frozen=True, slots=True)
class Line:
    terms: LineTerms
    quantity: int  # segments; below zero what is given back
    net_minor: int

    @property
    def exact_micros(self) -> int:
        return self.quantity * self.terms.unit_micros

    def negated(self) -> Line:
        return replace(self, quantity=-self.quantity, net_minor=-self.net_minor)


@dataclass(frozen=True, slots=True)
class Document:
    """
    One currency of one month, category O apart. A credit note has all signs swapped: what it gives back is
    positive.

    `exact_micros` is what the ledger moves, `rounding_micros` is that less the net.
    """

    period: Month
    currency: str
    doc_type: DocumentType
    lines: tuple[Line, ...]
    net_minor: int
    vat_rows: tuple[VatRow, ...]
    vat_minor: int
    gross_minor: int
    exact_micros: int
    rounding_micros: int

    @property
    def is_outside(self) -> bool:
        """Return whether it is of category O alone."""
        return all(row.vat.is_outside for row in self.vat_rows)

    @property
    def signed_lines(self) -> tuple[Line, ...]:
        """Return the lines with the signs of the ledger, whatever the document's type."""
        if self.doc_type in CREDITS:
            return tuple(line.negated() for line in self.lines)
        return self.lines


def line_of(terms: LineTerms, quantity: int, currency: str) -> Line:
    return Line(terms, quantity, round_half_away(quantity * terms.unit_micros, micros_per_minor(currency)))


def document_of(period: Month, currency: str, lines: Iterable[Line]) -> Document:
    """Return the document over lines that have the signs of the ledger; their order does not matter."""
    ordered = sorted(lines, key=lambda line: (line.terms, line.quantity))
    net = sum(line.net_minor for line in ordered)
    doc_type = DocumentType.CREDIT_NOTE if net < 0 else DocumentType.INVOICE
    if doc_type is DocumentType.CREDIT_NOTE:
        ordered, net = [line.negated() for line in ordered], -net
    rows = vat_rows((line.terms.vat, line.net_minor) for line in ordered)
    vat = sum(row.amount_minor for row in rows)
    exact = sum(line.exact_micros for line in ordered)
    return Document(
        period=period,
        currency=currency,
        doc_type=doc_type,
        lines=tuple(ordered),
        net_minor=net,
        vat_rows=rows,
        vat_minor=vat,
        gross_minor=net + vat,
        exact_micros=exact,
        rounding_micros=exact - net * micros_per_minor(currency),
    )
