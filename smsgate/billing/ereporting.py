"""
E-reporting: what was sold to customers outside of French e-invoicing, by day, currency and VAT.

Source: CGI art. 290 (transactions with customers abroad, and with consumers). Monaco is France for VAT and
abroad here. A customer in France with a SIREN gets e-invoices, and is in no total.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.billing.currencies import Ratio, converted
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
class SoldDocument:
    """
    A document of ours. `rate`: euros for one unit of its currency; None in euros.

    `euro_vat_minor` is what it prints of VAT in euros; None in euros.

    `advances_minor` (gross) and `advances_vat_minor` were reported with their prepayment invoices.
    """

    doc_type: DocumentType
    issued_on: date
    currency: str
    vat_rows: tuple[VatRow, ...]
    rate: Ratio | None = None
    euro_vat_minor: int | None = None
    advances_minor: int = 0
    advances_vat_minor: int = 0


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
        rows = _without_advances(document)
        left = document.euro_vat_minor
        for place, row in enumerate(rows, 1):
            total = self.totals[Key(document.issued_on, document.currency, row.vat)]
            vat_eur = _euros(row.amount_minor, document)
            if left is not None and not document.advances_minor:
                vat_eur = left if place == len(rows) else vat_eur
                left -= vat_eur
            total.documents += 1
            total.net_minor += sign * row.basis_minor
            total.vat_minor += sign * row.amount_minor
            total.net_eur_minor += sign * _euros(row.basis_minor, document)
            total.vat_eur_minor += sign * vat_eur

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


def _euros(amount_minor: int, document: SoldDocument) -> int:
    if document.rate is None:
        return amount_minor
    return converted(amount_minor, document.currency, EURO, document.rate)


def _without_advances(document: SoldDocument) -> list[VatRow]:
    """Take what was paid in advance off the VAT rows, in their order, from none more than it has."""
    net = document.advances_minor - document.advances_vat_minor
    vat = document.advances_vat_minor
    rows: list[VatRow] = []
    for row in document.vat_rows:
        less_net, less_vat = min(net, max(0, row.basis_minor)), min(vat, max(0, row.amount_minor))
        net, vat = net - less_net, vat - less_vat
        rows.append(VatRow(row.vat, row.basis_minor - less_net, row.amount_minor - less_vat))
    return rows
