"""Documents that were issued: lists, files, and credits by hand; and whom documents are written to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Protocol

from stdnum.eu import vat as eu_vat
from stdnum.exceptions import ValidationError
from stdnum.fr import siren as siren_numbers

from smsgate.billing.charged_units import ChargedUnits
from smsgate.billing.crediting import credit_draft
from smsgate.billing.documents import Line
from smsgate.billing.invoices import SIREN_SCHEME, Invoice, Party
from smsgate.billing.issuing import Draft, Seller
from smsgate.billing.numbering import SERIES_LAST_MAX
from smsgate.billing.periods import local_date
from smsgate.billing.vat import NO_RATE, VatDecision, category_of, vat_prefix
from smsgate.clock import Clock
from smsgate.errors import DomainError, Invalid, NotFound
from smsgate.flows.billing_records import BillingProfile, DocumentRow, Issue, VatEntry
from smsgate.flows.commerce_records import Page, PageAsk

ALWAYS: Final = date(2000, 1, 1)
# What is not the seller's own rate of the day; O has none at all.
RATES: Final[dict[str, int | None]] = {"S": None, "AE": 0, "O": NO_RATE}


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """`lines` are those of `invoice`, as they are counted; `credits` what was credited of it, in order."""

    row: DocumentRow
    invoice: Invoice
    lines: Sequence[Line] = ()
    credits: Sequence[Sequence[tuple[int, int]]] = ()


class DocumentStore(Protocol):
    async def page(
        self, merchant_id: int, ask: PageAsk, doc_types: Sequence[str] | None
    ) -> Page[DocumentRow]: ...

    async def get(self, merchant_id: int, document_id: int) -> StoredDocument:
        """
        Return a document with its payload.

        Raises:
            NotFound: this merchant has none of this id.
        """
        ...

    async def find(self, series: str, number: int) -> tuple[int, int] | None:
        """Return (merchant, document) of a number."""
        ...

    async def owner(self, document_id: int) -> int | None:
        """Return whose document it is, for the operator."""
        ...

    async def credit(
        self, issue: Issue, document_id: int, make: Callable[[StoredDocument, ChargedUnits], Draft]
    ) -> DocumentRow:
        """
        Write what `make` makes of the invoice, of its credits so far and of what is charged at its prices.

        Nobody else credits or reverses meanwhile.
        """
        ...

    async def profile(self, merchant_id: int) -> BillingProfile | None: ...

    async def vat_of(self, merchant_id: int) -> tuple[str, Sequence[VatEntry]]:
        """
        Return the merchant's zone, and what its services are taxed with, oldest first.

        Raises:
            NotFound: no such merchant.
        """
        ...

    async def set_profile(self, merchant_id: int, profile: BillingProfile, vat: VatEntry) -> None: ...


class Documents:
    def __init__(
        self, store: DocumentStore, seller: Seller | None, clock: Clock, next_id: Callable[[], int]
    ) -> None:
        self._store = store
        self._seller = seller
        self._clock = clock
        self._next_id = next_id

    async def page(
        self, merchant_id: int, ask: PageAsk, doc_types: Sequence[str] | None = None
    ) -> Page[DocumentRow]:
        return await self._store.page(merchant_id, ask, doc_types)

    async def get(self, merchant_id: int, document_id: int) -> StoredDocument:
        return await self._store.get(merchant_id, document_id)

    async def by_number(self, number: str) -> StoredDocument:
        """
        Return a document by what stands on it, such as F-2026-000042.

        Raises:
            NotFound: there is none.
        """
        series, _dash, digits = number.rpartition("-")
        found = None
        if series and digits.isascii() and digits.isdecimal() and 1 <= int(digits) <= SERIES_LAST_MAX:
            found = await self._store.find(series, int(digits))
        if found is None:
            raise NotFound(f"No document has the number {number!r}.")
        return await self._store.get(*found)

    async def by_id(self, document_id: int) -> StoredDocument:
        """
        Return a document whosever it is, for the operator.

        Raises:
            NotFound: there is none.
        """
        merchant_id = await self._store.owner(document_id)
        if merchant_id is None:
            raise NotFound
        return await self._store.get(merchant_id, document_id)

    async def credit(self, document: StoredDocument, asked: Sequence[tuple[int, int]] | None) -> DocumentRow:
        """
        Credit (line, quantity) pairs of an invoice, or all of it that was not given back yet.

        Raises:
            DomainError: code `credit_refused`, or `billing_incomplete`: nobody is said to sell.
        """
        if self._seller is None:
            raise DomainError("the table [billing] does not say who sells", code="billing_incomplete")
        now = self._clock.now()
        issued_on = local_date(now, self._seller.timezone)
        issue = Issue(
            merchant_id=document.row.merchant_id,
            month=document.row.month,
            series=self._seller.series_on(issued_on),
            issued_on=issued_on,
            drafts=(),
            ids=[self._next_id(), self._next_id()],
            at=now,
            accepted_at=now,
            credits_id=document.row.document_id,
        )

        def draft(current: StoredDocument, units: ChargedUnits) -> Draft:
            return credit_draft(current.invoice, current.lines, current.credits, asked, units)

        return await self._store.credit(issue, document.row.document_id, draft)

    async def profile(self, merchant_id: int) -> BillingProfile | None:
        return await self._store.profile(merchant_id)

    async def set_profile(self, merchant_id: int, profile: BillingProfile) -> VatDecision:
        """
        Say whom documents are written to, and what its services are taxed with (R16).

        The first category holds for all that was used before; another one, and another VAT number of
        category AE, from the merchant's today on.

        Raises:
            Invalid: code `vat_refused`: a consumer outside of France and Monaco; `siren_invalid`: a French
                business without one.
        """
        party = profile.party
        if profile.business:
            check_siren(party)
        number_valid = is_vat_number(party.vat_number, party.country)
        decision = category_of(party.country, business=profile.business, number_valid=number_valid)
        zone_name, entries = await self._store.vat_of(merchant_id)
        day = local_date(self._clock.now(), zone_name) if entries else ALWAYS
        number = party.vat_number if decision.category == "AE" else ""
        last = entries[-1] if entries else None
        if last is not None and last.category == decision.category and last.vat_number in {"", number}:
            day = last.valid_from
        rate = RATES[decision.category]
        vat = VatEntry(day, decision.category, rate, decision.exemption, decision.reason, number)
        await self._store.set_profile(merchant_id, profile, vat)
        return decision


def is_vat_number(text: str, country: str) -> bool:
    """
    Return whether a text is a VAT number of an EU country, by prefix, form and check digits.

    Nobody is asked whether it was given out.
    """
    try:
        number: str = eu_vat.validate(text)
    except ValidationError:
        return False
    return number.startswith(vat_prefix(country))


def check_siren(party: Party) -> None:
    """
    Hold a French business to what its invoices must name (CGI ann. II art. 242 nonies A, BR-FR-11).

    Raises:
        Invalid: code `siren_invalid`.
    """
    if party.country != "FR" or (
        party.legal_scheme == SIREN_SCHEME and siren_numbers.is_valid(party.legal_id)
    ):
        return
    raise Invalid(
        "A French business has a SIREN: set legal_id to its nine digits, and legal_scheme to 0002.",
        code="siren_invalid",
        pointer="/legal_id",
    )
