"""
The close of a merchant's month: cut, count by two ways, take a number, write the documents.

A cut is one row with its instant; from then on nothing that was recorded before changes, so all that follows
is computed at leisure and again after a crash. Numbers, documents and their postings are one transaction.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from smsgate.billing.advances import ADVANCES_MAX, PrepaidAccount
from smsgate.billing.closing import UsageRow, close_month
from smsgate.billing.documents import Document, DocumentType
from smsgate.billing.invoices import CampaignResult
from smsgate.billing.issuing import Draft, Seller, draft_of, vat_with_rates
from smsgate.billing.periods import CLOSE_DELAY, Month, local_date, month_bounds, month_of
from smsgate.billing.vat import VatHistory
from smsgate.clock import Clock
from smsgate.errors import Conflict, DomainError, Invalid, NotFound, SmsgateError, StoreUnavailable
from smsgate.flows.billing_records import (
    BillingMerchant,
    Closed,
    CloseFacts,
    CloseState,
    CutAsked,
    DocumentRow,
    Issue,
    MonthDraft,
    Period,
    Waiting,
)
from smsgate.flows.prepaying import PrepaymentStore, advances_to_come, write_prepayments

log = structlog.get_logger(__name__)

CUTS_MAX: Final = 1_000  # merchants whose months one transaction cuts, with flushes waiting for it
QUARTER_HOUR: Final = timedelta(minutes=15)


class ClosingStore(PrepaymentStore, Protocol):
    async def states(self, merchant_id: int | None = None) -> Sequence[CloseState]:
        """Return where all merchants' closes stand, or one's."""
        ...

    async def merchant(self, merchant_id: int) -> BillingMerchant:
        """
        Return who is billed.

        Raises:
            NotFound: no such merchant.
        """
        ...

    async def cut(self, asked: Sequence[CutAsked]) -> None:
        """Cut months, each once and in their order; flushes that run are waited for."""
        ...

    async def period(self, merchant_id: int, month: Month) -> Period | None: ...

    async def facts(self, period: Period, zone_name: str) -> CloseFacts: ...

    async def seal(self, period: Period) -> None:
        """Chain what the ledger recorded up to the cut to what the close before sealed, once."""
        ...

    async def issue(self, issue: Issue) -> list[DocumentRow]:
        """Number and write documents and close the month, or return those that a close before wrote."""
        ...

    async def documents_of(self, merchant_id: int, month: Month) -> list[DocumentRow]: ...

    async def prepaid_account(self, period: Period) -> PrepaidAccount | None:
        """Return what documents of the month may deduct, were it closed now; None: there is no account."""
        ...


class Closing:
    """`seller` is None as long as the configuration does not say who writes documents."""

    def __init__(
        self,
        store: ClosingStore,
        seller: Seller | None,
        clock: Clock,
        next_id: Callable[[], int],
        *,
        delay: timedelta = CLOSE_DELAY,
    ) -> None:
        self._store = store
        self._seller = seller
        self._clock = clock
        self._next_id = next_id
        self._delay = delay
        self.waiting: Counter[str] = Counter()  # merchants whose month cannot be closed, by code; last round

    async def close(self, merchant_id: int, month: Month) -> list[DocumentRow]:
        """
        Cut a month that is over, if nobody has, and write its documents, if nobody has.

        Raises:
            NotFound: no such merchant, or a test merchant.
            Conflict: code `month_running`, or `close_order`: an earlier month is to be closed first.
            DomainError: code `billing_incomplete`: seller, buyer or VAT is not known; the cut stands.
            SmsgateError: the ledger and the messages do not agree.
        """
        merchant = await self._store.merchant(merchant_id)
        period = await self._store.period(merchant_id, month)
        if period is None or period.closed_at is None:
            self._check_order(await self._state(merchant_id), month)
        if period is None:
            await self.cut(merchant, month, self._clock.now())
        return await self.bill(merchant, month)

    async def cut(self, merchant: BillingMerchant, month: Month, at: datetime) -> None:
        """
        Record the instant at which a month closes.

        Raises:
            Conflict: code `close_order`.
        """
        await self._store.cut([_asked(merchant.merchant_id, merchant.zone_name, month, at)])
        if await self._store.period(merchant.merchant_id, month) is None:
            raise Conflict(f"{month} cannot be closed: a later month is closed already", code="close_order")

    async def bill(self, merchant: BillingMerchant, month: Month) -> list[DocumentRow]:
        """Write the documents of a month that was cut; raises as `close` does."""
        period = await self._store.period(merchant.merchant_id, month)
        if period is None:
            raise NotFound(f"{month} is not closed")
        if period.closed_at is not None:
            return await self._store.documents_of(merchant.merchant_id, month)
        now = self._clock.now()
        if self._seller is not None:  # what was paid in advance is deducted by its document
            await write_prepayments(self._store, self._seller, merchant.merchant_id, now, self._next_id)
        seller, drafts = await self._drafts(merchant, period)
        await self._store.seal(period)
        issued_on = local_date(now, seller.timezone)
        return await self._store.issue(
            Issue(
                merchant_id=merchant.merchant_id,
                month=month,
                series=seller.series_on(issued_on),
                issued_on=issued_on,
                drafts=drafts,
                ids=[self._next_id() for _ in range(2 * len(drafts))],
                at=now,
                accepted_at=period.ends_at - QUARTER_HOUR,
            )
        )

    async def draft(self, merchant_id: int, month: Month) -> MonthDraft:
        """
        Return what the month's documents would say if it were cut now; nothing is written.

        Months before it that are open count as cut at the same instant, and deduct first of what was paid in
        advance.

        Raises:
            Conflict: code `month_closed`.
            DomainError: code `billing_incomplete`: seller, buyer or VAT is not known.
            SmsgateError: the ledger and the messages do not agree.
        """
        merchant = await self._store.merchant(merchant_id)
        period = await self._store.period(merchant_id, month)
        close_at = month_bounds(month, merchant.zone_name)[1] + self._delay
        if period is None:
            period = await self._open_period(merchant, month)
        else:
            close_at = period.cut_at
        if period.closed_at is not None:
            raise Conflict(f"{month} is closed: its documents are issued", code="month_closed")
        seller, drafts = await self._drafts(merchant, period)
        return MonthDraft(merchant, period, close_at, await self._deducting(seller, merchant, period, drafts))

    async def _deducting(
        self, seller: Seller, merchant: BillingMerchant, period: Period, drafts: Sequence[Draft]
    ) -> Sequence[Draft]:
        """Return drafts as they would be issued, with what they deduct."""
        account = await self._store.prepaid_account(period) if drafts else None
        if account is None:
            return drafts
        coming = await advances_to_come(self._store, seller, merchant.merchant_id, self._clock.now())
        account.advances = [*account.advances, *coming][:ADVANCES_MAX]
        state = await self._state(merchant.merchant_id)
        for month in _open_before(state, period.month):
            earlier = await self._store.period(merchant.merchant_id, month)
            earlier = earlier or await self._open_period(merchant, month)
            for draft in (await self._drafts(merchant, earlier))[1]:
                account.deduct(draft)
        return [account.deduct(draft) for draft in drafts]

    async def _open_period(self, merchant: BillingMerchant, month: Month) -> Period:
        now, state = self._clock.now(), await self._state(merchant.merchant_id)
        if state.last_cut is not None and month <= state.last_cut:
            raise Conflict(f"{month} is closed: a later month is, too", code="month_closed")
        due, previous_cut_at = _next_month(state), None
        if due is not None and due < month:
            previous_cut_at = now
        elif state.last_cut is not None:
            last = await self._store.period(merchant.merchant_id, state.last_cut)
            previous_cut_at = None if last is None else last.cut_at
        bounds = month_bounds(month, merchant.zone_name)
        return Period(merchant.merchant_id, month, *bounds, now, previous_cut_at, None)

    async def _state(self, merchant_id: int) -> CloseState:
        """Return where one merchant's closes stand; raises NotFound: it is a test merchant."""
        states = await self._store.states(merchant_id)
        if not states:
            raise NotFound("Test merchants are not billed.")
        return states[0]

    async def step(self) -> bool:
        """Close what is due, for the daemon; what cannot be closed is told, counted and left."""
        closed = await self.close_due()
        self.waiting = Counter(waiting.code for waiting in closed.waiting)
        for waiting in closed.waiting:
            log.warning(
                "close_waits",
                merchant_id=waiting.merchant_id,
                month=str(waiting.month),
                code=waiting.code,
                why=waiting.why,
            )
        return False

    async def close_due(self) -> Closed:
        """Cut the months of all merchants whose time has come, and write what documents can be written."""
        now = self._clock.now()
        states = await self._store.states()
        asked = [cut for state in states for cut in self._due(state, now)]
        for first in range(0, len(asked), CUTS_MAX):
            await self._store.cut(asked[first : first + CUTS_MAX])
        months: defaultdict[int, list[Month]] = defaultdict(list)
        for state in states:
            months[state.merchant_id] += state.open_months
        for cut in asked:
            months[cut.merchant_id].append(cut.month)
        closed = Closed()
        for merchant_id, due in months.items():
            for month in due:
                try:
                    rows = await self.bill(await self._store.merchant(merchant_id), month)
                except StoreUnavailable:
                    raise
                except SmsgateError as exc:  # one merchant's books hold up nobody else's
                    closed.waiting.append(Waiting(merchant_id, month, exc.code, str(exc)))
                    break  # months are billed in their order
                closed.documents.extend(rows)
                log.info("month_closed", merchant_id=merchant_id, month=str(month), documents=len(rows))
        return closed

    def _due(self, state: CloseState, now: datetime) -> list[CutAsked]:
        """Return the months whose time to be cut has come, in their order."""
        month = _next_month(state)
        asked: list[CutAsked] = []
        while month is not None and month_bounds(month, state.zone_name)[1] + self._delay <= now:
            asked.append(_asked(state.merchant_id, state.zone_name, month, now))
            month = month.next()
        return asked

    def _check_order(self, state: CloseState, month: Month) -> None:
        if self._clock.now() < month_bounds(month, state.zone_name)[1]:
            raise Conflict(f"{month} is not over yet in {state.zone_name}", code="month_running")
        # Also what is cut and waits for something of its own: tiers, minimums, balance, seals go on from it.
        if earlier := _open_before(state, month):
            raise Conflict(f"close {earlier[0]} first: months are closed in their order", code="close_order")

    async def _drafts(self, merchant: BillingMerchant, period: Period) -> tuple[Seller, list[Draft]]:
        if self._seller is None:
            raise DomainError("the table [billing] does not say who sells", code="billing_incomplete")
        seller = self._seller
        facts = await self._store.facts(period, merchant.zone_name)
        check_facts(facts)
        vat = VatHistory(vat_with_rates(facts.vat_entries, seller.vat_rates))
        try:
            usage = [
                UsageRow(row.item_id, Month(row.day.year, row.day.month), vat.on(row.day), row.segments)
                for row in facts.charges
            ]
            documents = close_month(
                period.month,
                usage,
                {item_id: item.terms for item_id, item in facts.items.items()},
                facts.billed,
                commitments=facts.commitments,
                vat_history=vat,
            )
        except Invalid as exc:
            if exc.code == "vat_unknown":
                raise DomainError(
                    f"{merchant.name}: {exc}: its billing profile (country, business, vat_number) says how "
                    "it is taxed, and vat_rates of [billing] since when at which rate",
                    code="billing_incomplete",
                ) from exc
            raise SmsgateError(f"close of merchant {merchant.merchant_id}, {period.month}: {exc}") from exc
        if documents and merchant.buyer is None:
            raise DomainError(f"{merchant.name} has no billing profile", code="billing_incomplete")
        drafts: dict[tuple[str, bool], Draft] = {}
        for document in documents:
            # What campaigns brought stands on the first document of its currency alone.
            results = () if (document.currency, False) in drafts else facts.results.get(document.currency, ())
            drafts[document.currency, document.is_outside] = _draft(
                document, seller, merchant, facts, vat, results
            )
        return seller, list(drafts.values())


def check_facts(facts: CloseFacts) -> None:
    """
    Hold the ledger to the messages and to the prices, before a number is taken (I2, I3).

    Raises:
        SmsgateError: they differ; somebody must look.
    """
    for proof in facts.proofs:
        if wrong := sorted({row.item_id for row in proof.ledger ^ proof.messages}):
            raise SmsgateError(
                f"{proof.origin}: ledger and messages differ at {len(wrong)} price items, first {wrong[0]}"
            )
    for row in facts.charges:
        item = facts.items.get(row.item_id)
        if item is None or row.currency != item.terms.currency:
            raise SmsgateError(f"the ledger has charges of price item {row.item_id}, which does not exist")
        if row.amount_micros != item.terms.unit_micros * row.segments:
            raise SmsgateError(
                f"price item {row.item_id}, {row.day}: {row.segments} x {item.terms.unit_micros} is not "
                f"{row.amount_micros}"
            )


def _next_month(state: CloseState) -> Month | None:
    """Return the month that is to be cut next; None: there is nothing to bill."""
    if state.last_cut is not None:
        return state.last_cut.next()
    firsts = [state.first_minimum]
    if state.first_charge_at is not None:
        firsts.append(month_of(state.first_charge_at, state.zone_name))
    return min((month for month in firsts if month is not None), default=None)


def _open_before(state: CloseState, month: Month) -> list[Month]:
    """Return the months whose documents come before those of `month`, in their order."""
    found = [each for each in state.open_months if each < month]
    due = _next_month(state)
    while due is not None and due < month:
        found.append(due)
        due = due.next()
    return found


def _asked(merchant_id: int, zone_name: str, month: Month, at: datetime) -> CutAsked:
    return CutAsked(merchant_id, month, *month_bounds(month, zone_name), at)


def _draft(
    document: Document,
    seller: Seller,
    merchant: BillingMerchant,
    facts: CloseFacts,
    vat: VatHistory,
    results: Sequence[CampaignResult],
) -> Draft:
    assert merchant.buyer is not None
    currency, outside = document.currency, document.is_outside
    preceding = None
    if document.doc_type is DocumentType.CREDIT_NOTE:
        origins = sorted({line.terms.origin for line in document.lines})
        preceding = next(
            (found for month in origins if (found := facts.preceding.get((currency, month, outside)))), None
        )
    charged = [row for row in facts.charges if row.currency == currency]
    return draft_of(
        document,
        seller,
        merchant.buyer,
        {item_id: item.text for item_id, item in facts.items.items()},
        ledger_micros=sum(row.amount_micros for row in charged if vat.on(row.day).is_outside is outside),
        preceding=preceding,
        results=results,
    )
