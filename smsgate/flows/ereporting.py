"""E-reporting of a month or year: totals by day of what was sold outside of French e-invoicing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple, Protocol

from smsgate.billing.documents import DocumentType
from smsgate.billing.ereporting import Report, SoldAdvance, SoldDocument, outside_e_invoicing, report_of
from smsgate.billing.fec import EURO
from smsgate.billing.issuing import Seller
from smsgate.billing.vat import Vat, VatRow
from smsgate.errors import DomainError
from smsgate.flows.fec import DOCUMENTS_MAX, IssuedDocument, Span, rate_of


class Sold(NamedTuple):
    """A document that we sold by, with what its paper says of the buyer."""

    document: IssuedDocument
    country: str
    legal_id: str


class SoldStore(Protocol):
    async def sold(self, first: date, last: date, limit: int) -> Sequence[Sold]:
        """Return invoices, credits and prepayments issued on these days, at most `limit`; no payouts."""
        ...


class EReporting:
    """`seller` is None as long as the configuration does not say who writes documents."""

    def __init__(self, store: SoldStore, seller: Seller | None) -> None:
        self._store = store
        self._seller = seller

    async def report(self, span: Span) -> Report:
        """
        Return the totals of documents issued in a span of days.

        Raises:
            DomainError: code `billing_incomplete`: no seller; `fec_too_large`: ask for months.
            Invalid: code `rate_unknown`: a document in another currency, and no exchange rate to euros.
        """
        if self._seller is None:
            raise DomainError("the table [billing] does not say who sells", code="billing_incomplete")
        sold = await self._store.sold(span.first, span.last, DOCUMENTS_MAX + 1)
        if len(sold) > DOCUMENTS_MAX:
            raise DomainError(
                f"more than {DOCUMENTS_MAX} documents: ask month by month", code="fec_too_large"
            )
        reported = [each.document for each in sold if outside_e_invoicing(each.country, each.legal_id)]
        return report_of([_sold(row, self._seller) for row in reported])


def _sold(row: IssuedDocument, seller: Seller) -> SoldDocument:
    return SoldDocument(
        DocumentType(row.doc_type),
        row.issued_on,
        row.currency,
        tuple(VatRow(Vat(category, rate_), basis, amount) for category, rate_, basis, amount in row.vats),
        rate_of(row, row.other_rate, seller),
        row.other_vat_minor if row.other_currency == EURO else None,
        tuple(
            SoldAdvance(
                Vat(advance.category, advance.rate_micros),
                advance.gross_minor - advance.vat_minor,
                advance.vat_minor,
                rate_of(row, advance.other_rate, seller),
                advance.gross_before_minor - advance.vat_before_minor,
                advance.vat_before_minor,
            )
            for advance in row.advances
        ),
    )
