"""
Payments in advance: booked at once, each with a document of its own; the rest is paid back at the end.

How money and VAT go is decision 0041.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, NamedTuple, Protocol

from smsgate.billing.advances import Advance, Deduction, prepayment_draft, refund_draft
from smsgate.billing.invoices import Invoice
from smsgate.billing.issuing import Draft, Seller, vat_with_rates
from smsgate.billing.periods import Month, local_date, month_of
from smsgate.billing.vat import Vat, VatHistory
from smsgate.clock import Clock
from smsgate.errors import DomainError, Invalid, NotFound
from smsgate.flows.billing_records import BillingMerchant, DocumentRow, Issue
from smsgate.flows.budget_records import BudgetState, BudgetStore
from smsgate.money import micros_per_minor

REFERENCE_MAX: Final = 200  # characters
DOCUMENTS_MAX: Final = 1_000  # of one look at payments, each a transaction of some milliseconds

RefundDraft = Callable[[Invoice, Vat, Deduction], Draft]


class Payment(NamedTuple):
    reference: str
    micros: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Unwritten:
    """Payments of a merchant that have no document yet, in their order, and what documents of them need."""

    merchant: BillingMerchant
    vat_entries: Sequence[tuple[date, str, int | None]]
    currency: str
    payments: Sequence[Payment]


class PrepaymentStore(Protocol):
    async def unwritten(self, merchant_id: int, limit: int) -> Unwritten | None:
        """Return what is to be written; None: nothing."""
        ...

    async def write_prepayment(self, issue: Issue, reference: str) -> DocumentRow:
        """Write the one draft as the document of a payment, or return the one that it has."""
        ...


class PrepaidStore(PrepaymentStore, Protocol):
    async def prepayment_of(self, merchant_id: int, reference: str) -> DocumentRow | None: ...

    async def refund_of(self, merchant_id: int, reference: str) -> list[DocumentRow]:
        """Return the documents of a refund, by its reference; none: there was no such refund."""
        ...

    async def refund(self, issue: Issue, reference: str, make: RefundDraft) -> list[DocumentRow]:
        """
        Pay all back that can still be sent for, by a credit note of each payment of which something is left.

        Once for its reference: told again it returns the documents of the first time.

        Raises:
            NotFound: the merchant has no budget.
            Conflict: something was used that no document has asked for.
        """
        ...


# Why a payment may have no document yet; the next close tries again.
WAITS: Final = frozenset({"billing_incomplete", "rate_unknown", "document_refused"})


@dataclass(frozen=True, slots=True)
class ToppedUp:
    """`waits` says why the payment has no document yet."""

    state: BudgetState
    document: DocumentRow | None
    waits: str = ""


async def write_prepayments(
    store: PrepaymentStore, seller: Seller, merchant_id: int, now: datetime, next_id: Callable[[], int]
) -> list[DocumentRow]:
    """
    Write the documents (386) that a merchant's payments still want, in the order of the payments.

    Raises:
        DomainError: code `billing_incomplete`: buyer or VAT is not known.
        Invalid: code `rate_unknown`, as closes have it.
    """
    found = await store.unwritten(merchant_id, DOCUMENTS_MAX)
    if found is None:
        return []
    issued_on = local_date(now, seller.timezone)
    written: list[DocumentRow] = []
    for payment in found.payments:
        draft = _draft(found, payment, seller)
        issue = Issue(
            merchant_id=merchant_id,
            month=draft.document.period,
            series=seller.series_on(issued_on),
            issued_on=issued_on,
            drafts=[draft],
            ids=[next_id(), next_id()],
            at=now,
            accepted_at=now,
        )
        written.append(await store.write_prepayment(issue, payment.reference))
    return written


async def advances_to_come(
    store: PrepaymentStore, seller: Seller, merchant_id: int, now: datetime
) -> list[Advance]:
    """Return the prepayment invoices that `write_prepayments` would write; raises as that does."""
    found = await store.unwritten(merchant_id, DOCUMENTS_MAX)
    if found is None:
        return []
    issued_on = local_date(now, seller.timezone)
    documents = [_draft(found, payment, seller).document for payment in found.payments]
    return [
        Advance(-place, "", issued_on, document.net_minor, document.vat_minor)
        for place, document in enumerate(documents, 1)
    ]


def _draft(found: Unwritten, payment: Payment, seller: Seller) -> Draft:
    merchant = found.merchant
    if merchant.buyer is None:
        raise DomainError(f"{merchant.name} has no billing profile", code="billing_incomplete")
    vat = VatHistory(vat_with_rates(found.vat_entries, seller.vat_rates))
    try:
        rate = vat.on(local_date(payment.at, merchant.zone_name))
    except Invalid as exc:
        raise DomainError(f"{merchant.name}: {exc}", code="billing_incomplete") from exc
    return prepayment_draft(
        payment.micros,
        found.currency,
        rate,
        seller,
        merchant.buyer,
        reference=payment.reference,
        paid_on=local_date(payment.at, seller.timezone),
        month=month_of(payment.at, merchant.zone_name),
    )


class Prepaying:
    """`seller` is None as long as the configuration does not say who writes documents: then none are."""

    def __init__(
        self,
        store: PrepaidStore,
        budgets: BudgetStore,
        seller: Seller | None,
        clock: Clock,
        next_id: Callable[[], int],
    ) -> None:
        self._store = store
        self._budgets = budgets
        self._seller = seller
        self._clock = clock
        self._next_id = next_id

    async def top_up(self, merchant_id: int, micros: int, reference: str) -> ToppedUp:
        """
        Book a payment, once for its reference, and write its document; told again, what is missing of it.

        Messages that wait for the money do not wait for the document: it may come later.

        Raises:
            NotFound, Conflict: as `BudgetStore.top_up`.
            Invalid: an amount finer than the currency's minor unit, or a reference that says nothing.
        """
        reference = _plain(reference)
        now = self._clock.now()
        state = await self._budgets.state(merchant_id, now)
        if state is not None and micros % micros_per_minor(state.currency):
            raise Invalid(f"a payment is in whole minor units of {state.currency}", code="amount_invalid")
        state = await self._budgets.top_up(merchant_id, micros, reference, now)
        waits = "the table [billing] does not say who sells"
        if self._seller is not None:
            try:
                await write_prepayments(self._store, self._seller, merchant_id, now, self._next_id)
            except DomainError as exc:
                if exc.code not in WAITS:
                    raise
                waits = str(exc)
        document = await self._store.prepayment_of(merchant_id, reference)
        return ToppedUp(state, document, "" if document is not None else waits)

    async def refund(self, merchant_id: int, reference: str) -> list[DocumentRow]:
        """
        Pay back all that can still be sent for, with its VAT, once for its reference.

        Told again it returns the documents of the first time: what was paid in since stays.

        Raises:
            NotFound: the merchant has no budget, or nothing is left.
            Conflict: a month is to be closed first.
            DomainError: code `billing_incomplete`.
        """
        if self._seller is None:
            raise DomainError("the table [billing] does not say who sells", code="billing_incomplete")
        seller, now, reference = self._seller, self._clock.now(), _plain(reference)
        if written := await self._store.refund_of(merchant_id, reference):
            return written
        await write_prepayments(self._store, seller, merchant_id, now, self._next_id)
        issued_on = local_date(now, seller.timezone)
        issue = Issue(
            merchant_id=merchant_id,
            month=Month(issued_on.year, issued_on.month),
            series=seller.series_on(issued_on),
            issued_on=issued_on,
            drafts=(),
            ids=(),
            at=now,
            accepted_at=now,
        )

        def draft(invoice: Invoice, vat: Vat, part: Deduction) -> Draft:
            return refund_draft(invoice, vat, part, reference=reference, paid_on=issued_on)

        rows = await self._store.refund(issue, reference, draft)
        if not rows:
            raise NotFound("nothing is left to pay back")
        return rows


def _plain(reference: str) -> str:
    plain = " ".join(reference.split())
    if not plain or len(plain) > REFERENCE_MAX:
        raise Invalid(f"a reference says which payment it is, in at most {REFERENCE_MAX} characters")
    return plain
