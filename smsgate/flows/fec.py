"""The FEC of a year or a month: what was issued, as accounting entries (R19)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple, Protocol

from smsgate.billing.currencies import Ratio, ratio_from_text
from smsgate.billing.documents import DocumentType
from smsgate.billing.fec import (
    EURO,
    Accounts,
    BookedAdvance,
    BookedDocument,
    fec_name,
    fec_octets,
    fec_rows,
    journal_of,
)
from smsgate.billing.issuing import Seller
from smsgate.billing.periods import Month
from smsgate.billing.vat import Vat, VatRow
from smsgate.errors import DomainError, Invalid

DOCUMENTS_MAX: Final = 100_000  # of one file: a year of 8,000 merchants, some 60 MB
SIREN_SCHEME: Final = "0002"  # ISO 6523


class Span(NamedTuple):
    """Days from `first` to `last`, both included; `year` is the first day of the numbering of entries."""

    first: date
    last: date
    year: date


def span_of(text: str) -> Span:
    """
    Read "2026", "2026-10" or a business year, "2026-04..2027-03".

    A month's entries go on with the numbers of the calendar year.

    Raises:
        Invalid: code `month_invalid`.
    """
    if len(text) == 4 and text.isascii() and text.isdecimal():
        text = f"{text}-01..{text}-12"
    begin, dots, end = text.partition("..")
    first, last = Month.parse(begin), Month.parse(end if dots else begin)
    if last < first:
        raise Invalid(f"{text[:20]!r} ends before it begins", code="month_invalid")
    day = date(first.year, first.month, 1)
    return Span(day, last.last_day, day if dots else date(first.year, 1, 1))


class IssuedAdvance(NamedTuple):
    """
    What a document deducts or credits of a prepayment invoice, with that one's exchange rate and VAT.

    The last two are what documents took of it before.
    """

    gross_minor: int
    vat_minor: int
    other_rate: str
    category: str
    rate_micros: int
    gross_before_minor: int
    vat_before_minor: int


@dataclass(frozen=True, slots=True)
class IssuedDocument:
    """
    What the FEC takes of a document; `vats` are (category, rate, basis, amount) as printed.

    `other_rate` is the rate at which it was issued, "" of before that was kept; `advances` are what it
    deducts, or the one that it credits.
    """

    number: str
    doc_type: str
    issued_on: date
    currency: str
    merchant_slug: str
    partner_name: str
    net_minor: int
    vats: Sequence[tuple[str, int, int, int]]
    gross_minor: int
    other_currency: str
    other_vat_minor: int
    other_rate: str
    advances: Sequence[IssuedAdvance]


class FecStore(Protocol):
    async def issued(self, first: date, last: date, limit: int) -> Sequence[IssuedDocument]:
        """Return documents issued on these days, at most `limit`, in order of day and number."""
        ...

    async def counts(self, first: date, before: date) -> Mapping[str, int]:
        """Return how many documents of each type were issued from a day on, before another."""
        ...


@dataclass(frozen=True, slots=True)
class FecFile:
    """`name` is what the law asks for; `documents` is the count of entries."""

    name: str
    octets: bytes
    documents: int


class Fec:
    """`seller` is None as long as the configuration does not say who writes documents."""

    def __init__(self, store: FecStore, seller: Seller | None) -> None:
        self._store = store
        self._seller = seller

    async def file(self, span: Span) -> FecFile:
        """
        Return the file.

        Raises:
            DomainError: code `billing_incomplete`: no seller with a SIREN; `fec_too_large`: ask for months.
            Invalid: code `rate_unknown`: a document in another currency, and no exchange rate to euros.
        """
        seller = self._seller
        if seller is None or seller.party.legal_scheme != SIREN_SCHEME or not seller.party.legal_id:
            raise DomainError("the table [billing] names no seller with a SIREN", code="billing_incomplete")
        name = f"{fec_name(seller.party.legal_id, span.last)}.txt"
        issued = await self._store.issued(span.first, span.last, DOCUMENTS_MAX + 1)
        if len(issued) > DOCUMENTS_MAX:
            raise DomainError(
                f"more than {DOCUMENTS_MAX} documents: ask month by month", code="fec_too_large"
            )
        accounts = Accounts()
        before: dict[str, int] = {}
        for doc_type, count in (await self._store.counts(span.year, span.first)).items():
            journal = journal_of(DocumentType(doc_type), accounts)[0]
            before[journal] = before.get(journal, 0) + count
        booked = [_booked(row, seller) for row in issued]
        octets = await asyncio.to_thread(
            lambda: fec_octets(fec_rows(booked, accounts, entries_before=before))
        )
        return FecFile(name, octets, len(issued))


def _booked(row: IssuedDocument, seller: Seller) -> BookedDocument:
    rate = rate_of(row, row.other_rate, seller)
    return BookedDocument(
        number=row.number,
        doc_type=DocumentType(row.doc_type),
        issued_on=row.issued_on,
        currency=row.currency,
        customer_id=row.merchant_slug,
        customer_name=row.partner_name,
        net_minor=row.net_minor,
        vat_rows=tuple(
            VatRow(Vat(category, rate_micros), basis, amount)
            for category, rate_micros, basis, amount in row.vats
        ),
        gross_minor=row.gross_minor,
        rate=rate,
        euro_vat_minor=row.other_vat_minor if row.other_currency == EURO else None,
        advances=tuple(
            BookedAdvance(
                advance.gross_minor,
                advance.vat_minor,
                rate_of(row, advance.other_rate, seller),
                advance.gross_before_minor,
                advance.vat_before_minor,
            )
            for advance in row.advances
        ),
    )


def rate_of(row: IssuedDocument, stored: str, seller: Seller) -> Ratio | None:
    """
    Return how many euros one unit of a document gives: by the rate at which it was issued.

    One of before rates were kept is booked by today's.
    """
    if row.currency == EURO:
        return None
    if stored and row.other_currency == EURO:
        return ratio_from_text(stored)
    rate = seller.exchange_rates.get(row.currency) if seller.currency == EURO else None
    if rate is None:
        raise Invalid(
            f"{row.number} is in {row.currency}, and [billing] exchange_rates has no rate to euros",
            code="rate_unknown",
        )
    return rate
