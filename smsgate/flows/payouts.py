"""The close of a merchant's premium month: what the carriers' counts give it (R15)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from smsgate.billing.issuing import Draft, Seller
from smsgate.billing.payout_papers import payout_draft, payout_vat
from smsgate.billing.payouts import PremiumUse, payout_of
from smsgate.billing.periods import Month, local_date, month_bounds
from smsgate.billing.vat import Vat, VatHistory
from smsgate.clock import Clock
from smsgate.errors import Conflict, DomainError, Invalid
from smsgate.flows.billing_records import BillingMerchant, DocumentRow, Issue
from smsgate.flows.closing import QUARTER_HOUR
from smsgate.flows.documents import is_vat_number
from smsgate.money import check_currency

SLUG_CHARACTERS_MAX: Final = 21  # P-slug-2026-000001 has 35 then (BR-FR-01)
SIGN_CHARACTERS: Final = 6  # of what a long slug is cut and told apart by
LINES_MAX: Final = 500  # short codes of one merchant in one month


class PayoutStore(Protocol):
    async def merchant(self, merchant_id: int) -> BillingMerchant:
        """
        Return whose payout it is.

        Raises:
            NotFound: no such merchant.
        """
        ...

    async def close(self, issue: Issue, uses: Sequence[PremiumUse]) -> DocumentRow:
        """
        Write the payout of a month and currency and what it is made of, or return the one that says it.

        Raises:
            Conflict: code `payout_closed`: the month has another one.
        """
        ...


@dataclass(frozen=True, slots=True)
class PayoutPlan:
    """What would be written."""

    merchant: BillingMerchant
    month: Month
    currency: str
    uses: tuple[PremiumUse, ...]
    draft: Draft


class Payouts:
    """`seller` is None as long as the configuration does not say who writes documents."""

    def __init__(
        self, store: PayoutStore, seller: Seller | None, clock: Clock, next_id: Callable[[], int]
    ) -> None:
        self._store = store
        self._seller = seller
        self._clock = clock
        self._next_id = next_id

    async def plan(
        self, merchant_id: int, month: Month, uses: Sequence[PremiumUse], currency: str | None = None
    ) -> PayoutPlan:
        """
        Return what a month of premium messages gives the merchant. Writes nothing.

        Raises:
            Conflict: code `month_running`.
            DomainError: code `billing_incomplete`, or `payout_refused`: its VAT is not known.
            Invalid: code `payout_invalid`: no line, a short code twice, or an impossible figure.
        """
        merchant = await self._store.merchant(merchant_id)
        seller = self._seller
        if seller is None:
            raise DomainError("the table [billing] does not say who sells", code="billing_incomplete")
        if merchant.buyer is None:
            raise DomainError(f"{merchant.name} has no billing profile", code="billing_incomplete")
        if self._clock.now() < month_bounds(month, merchant.zone_name)[1]:
            raise Conflict(f"{month} is not over yet in {merchant.zone_name}", code="month_running")
        codes = [use.short_code for use in uses]
        if not 1 <= len(codes) <= LINES_MAX or len(set(codes)) != len(codes):
            raise Invalid(
                f"a payout has 1 to {LINES_MAX} lines, and each short code once", code="payout_invalid"
            )
        party = merchant.buyer.party
        rates = VatHistory([(day, Vat("S", rate)) for day, rate in seller.vat_rates])
        vat = payout_vat(
            party.country,
            number_valid=is_vat_number(party.vat_number, party.country),
            day=month.last_day,
            seller_rates=rates,
        )
        wanted = check_currency(currency or merchant.currency)
        payout = payout_of(uses, wanted, vat)
        draft = payout_draft(payout, month, wanted, merchant.buyer, seller)
        return PayoutPlan(merchant, month, wanted, tuple(sorted(uses)), draft)

    async def close(self, plan: PayoutPlan) -> DocumentRow:
        """
        Write what was planned, once: number, document, lines and posting in one transaction.

        Raises:
            Conflict: code `payout_closed`.
        """
        assert self._seller is not None
        now = self._clock.now()
        issued_on = local_date(now, self._seller.timezone)
        issue = Issue(
            merchant_id=plan.merchant.merchant_id,
            month=plan.month,
            series=series_of(plan.merchant, issued_on.year),
            issued_on=issued_on,
            drafts=[plan.draft],
            ids=[self._next_id(), self._next_id()],
            at=now,
            accepted_at=month_bounds(plan.month, plan.merchant.zone_name)[1] - QUARTER_HOUR,
        )
        return await self._store.close(issue, plan.uses)


def series_of(merchant: BillingMerchant, year: int) -> str:
    """
    Return the series of a merchant's payouts: each seller's numbers are its own.

    Source: BOI-TVA-DECLA-30-20-10-30: who writes invoices for several sellers numbers them apart.
    """
    slug = merchant.slug
    if len(slug) > SLUG_CHARACTERS_MAX:
        sign = hashlib.sha256(slug.encode()).hexdigest()[:SIGN_CHARACTERS]
        slug = f"{slug[: SLUG_CHARACTERS_MAX - SIGN_CHARACTERS - 1]}-{sign}"
    return f"P-{slug}-{year:04d}"
