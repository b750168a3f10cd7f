"""
E-reporting: what was sold to customers outside of French e-invoicing, by day, currency and VAT.

Source: CGI art. 290 (transactions with customers abroad, and with consumers). Monaco is France for VAT and
abroad here. A customer in France with a SIREN gets e-invoices, and is in no total.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.billing.currencies import Ratio, converted_after
from smsgate.billing.documents import CREDITS, DocumentType
from smsgate.billing.fec import EURO
from smsgate.billing.vat import Vat, VatRow
from smsgate.money import micros_to_text, minor_to_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

E_INVOICING: Final = "FR"
COLUMNS: Final = (
    "date", "currency", "vat_category", "vat_rate", "documents", "net", "vat", "net_eur", "vat_eur",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SoldAdvance:
    """
    What a document deducts of a prepayment invoice, at that one's own VAT and rate of exchange.

    `net_before_minor` and `vat_before_minor` are what documents took of it before (`converted_after`).
    """

    vat: Vat
    net_minor: int
    vat_minor: int
    rate: Ratio | None = None
    net_before_minor: int = 0
    vat_before_minor: int = 0


@dataclass(frozen=True, slots=True)
class SoldDocument:
    """
    A document of ours. `rate`: euros for one unit of its currency; None in euros.

    `euro_vat_minor` is what it prints of VAT in euros; None in euros. `advances` were reported with their
    prepayment invoices, and are taken off as they were reported; a credit note of one has that one.
    """

    doc_type: DocumentType
    issued_on: date
    currency: str
    vat_rows: tuple[VatRow, ...]
    rate: Ratio | None = None
    euro_vat_minor: int | None = None
    advances: tuple[SoldAdvance, ...] = ()


class Key(NamedTuple):
    day: date
    currency: str
    vat: Vat


@dataclass(slots=True)
class Total:
    """Minor units; what was credited is taken off."""

    documents: int = 0
    net_minor: int = 0
    vat_minor: int = 0
    net_eur_minor: int = 0
    vat_eur_minor: int = 0


@dataclass(slots=True)
class Report:
    totals: dict[Key, Total] = field(default_factory=lambda: defaultdict(Total))

    def add(self, document: SoldDocument) -> None:
        """Take a document; each is converted once, and its euros of VAT are those that it prints."""
        sign = -1 if document.doc_type in CREDITS else 1
        rows, currency = document.vat_rows, document.currency
        left = document.euro_vat_minor
        credited = document.advances if document.doc_type in CREDITS else ()
        net_before = sum(advance.net_before_minor for advance in credited)
        vat_before = sum(advance.vat_before_minor for advance in credited)
        for place, row in enumerate(rows, 1):
            total = self._total(document, row.vat)
            vat_eur = _euros(row.amount_minor, currency, document.rate, vat_before)
            if left is not None:
                vat_eur = left if place == len(rows) else vat_eur
                left -= vat_eur
            total.net_minor += sign * row.basis_minor
            total.vat_minor += sign * row.amount_minor
            total.net_eur_minor += sign * _euros(row.basis_minor, currency, document.rate, net_before)
            total.vat_eur_minor += sign * vat_eur
        deducted = () if credited else document.advances
        for advance in deducted:
            total = self._total(document, advance.vat)
            total.net_minor -= advance.net_minor
            total.vat_minor -= advance.vat_minor
            total.net_eur_minor -= _euros(advance.net_minor, currency, advance.rate, advance.net_before_minor)
            total.vat_eur_minor -= _euros(advance.vat_minor, currency, advance.rate, advance.vat_before_minor)
        for vat in {row.vat for row in rows} | {advance.vat for advance in deducted}:
            self._total(document, vat).documents += 1

    def _total(self, document: SoldDocument, vat: Vat) -> Total:
        return self.totals[Key(document.issued_on, document.currency, vat)]

    def csv(self) -> bytes:
        """Return the totals as CSV, in order of day, currency and VAT."""
        lines = [",".join(COLUMNS)]
        for (day, currency, vat), total in sorted(self.totals.items()):
            cells = (
                day.isoformat(), currency, vat.category,
                micros_to_text(vat.rate_micros, 0) if vat.has_rate else "", str(total.documents),
                minor_to_text(total.net_minor, currency), minor_to_text(total.vat_minor, currency),
                minor_to_text(total.net_eur_minor, EURO), minor_to_text(total.vat_eur_minor, EURO),
            )  # fmt: skip
            lines.append(",".join(cells))
        return "".join(f"{line}\r\n" for line in lines).encode()


def outside_e_invoicing(country: str, legal_id: str) -> bool:
    """Return whether sales to a customer are reported: it is abroad (ISO 3166), or has no SIREN."""
    return country != E_INVOICING or not legal_id


def report_of(documents: Iterable[SoldDocument]) -> Report:
    report = Report()
    for document in documents:
        report.add(document)
    return report


def _euros(amount_minor: int, currency: str, rate: Ratio | None, before_minor: int) -> int:
    return amount_minor if rate is None else converted_after(before_minor, amount_minor, currency, EURO, rate)
