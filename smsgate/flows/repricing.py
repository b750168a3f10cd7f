"""
What a past month would have brought by another price list, per merchant; nothing is written.

Both sides are computed as a close computes them (lines rounded once, tiers, minimums): the month as it was
charged from the ledger, after the close's own proof against the messages, and as it would have been from the
messages themselves. They stream, and only counts by price stay.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple, Protocol

from smsgate.billing.closing import Billed, ItemTerms, UsageRow, close_month
from smsgate.billing.issuing import Seller, vat_with_rates
from smsgate.billing.networks import NetworkTable
from smsgate.billing.periods import Month, month_bounds
from smsgate.billing.prices import Basis, PriceVersion
from smsgate.billing.repricing import Recount, VatSpan, named_network, terms_of, vat_spans
from smsgate.billing.vat import NO_RATE, Vat, VatHistory
from smsgate.clock import Clock
from smsgate.errors import Conflict, Invalid, NotFound, SmsgateError, StoreUnavailable
from smsgate.flows.billing_records import BillingMerchant, CloseFacts, CloseState, Period
from smsgate.flows.closing import check_facts
from smsgate.flows.margins import ROWS_MAX, MarginStore
from smsgate.flows.ports import PortedNumbers
from smsgate.flows.pricing import Pricing
from smsgate.flows.usage_records import PriceListData
from smsgate.money import micros_per_minor, round_half_away


class SentRow(NamedTuple):
    """What a carrier took; `network` and `basis` are its price's. `msisdn` is 0 where it was erased."""

    msisdn: int
    network: str
    basis: str
    segments: int
    delivered: bool | None


class RepricingStore(Protocol):
    async def states(self, merchant_id: int | None = None) -> Sequence[CloseState]: ...

    async def merchant(self, merchant_id: int) -> BillingMerchant: ...

    async def facts(self, period: Period, zone_name: str) -> CloseFacts: ...

    def sent(
        self, merchant_id: int, starts_at: datetime, ends_at: datetime
    ) -> AsyncIterator[Sequence[SentRow]]: ...

    def received(
        self, merchant_id: int, starts_at: datetime, ends_at: datetime
    ) -> AsyncIterator[Sequence[tuple[int, int]]]:
        """Yield replies: the number that each came from, and its segments."""
        ...


@dataclass(frozen=True, slots=True)
class Repriced:
    """
    One merchant's month in minor units of the list's currency, without VAT.

    `cost_minor` is what carriers cost, by either list; of `uncosted_segments` no cost in that currency is
    known.
    """

    merchant: str
    segments_before: int
    segments_after: int
    unpriced_segments: int
    before_minor: int
    after_minor: int
    cost_minor: int = 0
    uncosted_segments: int = 0

    @property
    def margin_minor(self) -> int:
        return self.before_minor - self.cost_minor

    @property
    def margin_after_minor(self) -> int:
        return self.after_minor - self.cost_minor

    @property
    def difference_minor(self) -> int:
        return self.after_minor - self.before_minor


class Skipped(NamedTuple):
    merchant: str
    why: str


@dataclass(frozen=True, slots=True)
class RepricedMonth:
    """`merchants`: those that used something in the month, or owe a minimum; `skipped`: and why."""

    month: Month
    prices: PriceListData
    version: PriceVersion
    merchants: list[Repriced] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _New:
    prices: PriceListData
    version: PriceVersion
    terms: Mapping[int, ItemTerms]


class Repricing:
    def __init__(
        self,
        store: RepricingStore,
        margins: MarginStore,
        pricing: Pricing,
        ported: PortedNumbers,
        networks: NetworkTable,
        seller: Seller | None,
        clock: Clock,
    ) -> None:
        self._store = store
        self._margins = margins
        self._pricing = pricing
        self._ported = ported
        self._networks = networks
        self._seller = seller
        self._clock = clock

    async def month(
        self, list_name: str, month: Month, *, version: int | None = None, merchant_id: int | None = None
    ) -> RepricedMonth:
        """
        Compute a month that is over by a version of a list of side sell; None: by the newest one.

        Raises:
            NotFound: no such list, version or merchant.
            Conflict: code `month_running`.
        """
        await self._pricing.refresh()
        new = self._new(list_name, version)
        found = RepricedMonth(month, new.prices, new.version)
        for state in await self._store.states(merchant_id):
            if self._clock.now() < month_bounds(month, state.zone_name)[1]:
                raise Conflict(f"{month} is not over yet in {state.zone_name}", code="month_running")
            merchant = await self._store.merchant(state.merchant_id)
            try:
                repriced = await self._one(merchant, month, new)
            except StoreUnavailable:
                raise
            except SmsgateError as exc:  # one merchant's books hold up nobody else's answer
                found.skipped.append(Skipped(merchant.slug, str(exc)))
                continue
            if repriced is not None:
                found.merchants.append(repriced)
        return found

    def _new(self, list_name: str, version: int | None) -> _New:
        prices = next((row for row in self._pricing.price_lists("sell") if row.name == list_name), None)
        book = None if prices is None else self._pricing.book(prices.price_list_id)
        if prices is None or book is None:
            raise NotFound(f"There is no price list {list_name!r} of side sell: `smsgate prices list`.")
        found = [each for each in book.versions if version in {None, each.version}]
        if not found:
            raise NotFound(f"The list {list_name} has no such version.")
        chosen = max(found, key=lambda each: each.version)
        return _New(prices, chosen, terms_of(chosen, prices.price_list_id, prices.currency))

    async def _one(self, merchant: BillingMerchant, month: Month, new: _New) -> Repriced | None:
        starts_at, ends_at = month_bounds(month, merchant.zone_name)
        now = self._clock.now()
        # As if the month were cut now, and the ones before it, too: all of it that is known, and no other.
        period = Period(merchant.merchant_id, month, starts_at, ends_at, now, now, None)
        facts = await self._store.facts(period, merchant.zone_name)
        check_facts(facts)
        currency = new.prices.currency
        if other := {row.currency for row in facts.charges} - {currency}:
            raise Invalid(f"its month is in {', '.join(sorted(other))}, the list in {currency}")
        history, spans = self._taxed(facts, merchant, month)
        recount, charged = await self._recounted(merchant.merchant_id, spans, new.version)
        mts = sum(row.segments for row in facts.charges if facts.items[row.item_id].text.direction == "mt")
        if charged != mts:
            raise Conflict(
                f"of {mts} segments that were charged {charged} are found among its messages: rows are not "
                "kept for ever, and charges may have come in meanwhile"
            )
        usage = [
            UsageRow(row.item_id, Month(row.day.year, row.day.month), history.on(row.day), row.segments)
            for row in facts.charges
        ]
        terms = {item_id: item.terms for item_id, item in facts.items.items()}
        before = _net(month, usage, terms, facts, history, currency)
        after = _net(month, recount.usage(month), new.terms, facts, history, currency)
        if not (usage or recount.segments or recount.unpriced_segments or before or after):
            return None
        segments = sum(row.segments for row in usage)
        costs = await self._margins.margins(month, merchant.merchant_id, ROWS_MAX)
        cost_micros = sum(row.cost_micros for row in costs if row.currency == currency)
        return Repriced(
            merchant.slug,
            segments,
            recount.segments,
            recount.unpriced_segments,
            before,
            after,
            round_half_away(cost_micros, micros_per_minor(currency)),
            sum(row.uncosted_segments for row in costs),
        )

    def _taxed(
        self, facts: CloseFacts, merchant: BillingMerchant, month: Month
    ) -> tuple[VatHistory, list[VatSpan]]:
        """Return what taxes the month; where that is not known, no VAT at all: nets hardly depend on it."""
        rates = () if self._seller is None else self._seller.vat_rates
        history = VatHistory(vat_with_rates(facts.vat_entries, rates))
        try:
            return history, vat_spans(month, merchant.zone_name, history)
        except Invalid:
            untaxed = VatHistory([(date.min, Vat("O", NO_RATE))])
            return untaxed, vat_spans(month, merchant.zone_name, untaxed)

    async def _recounted(
        self, merchant_id: int, spans: Sequence[VatSpan], version: PriceVersion
    ) -> tuple[Recount, int]:
        """Return the month by the new prices, and how many segments of MTs its own prices charge."""
        recount, charged = Recount(version), 0
        for span in spans:
            async for sent in self._store.sent(merchant_id, span.starts_at, span.ends_at):
                networks = await self._networks_of([row.msisdn for row in sent])
                recount.add_sent(
                    [named_network(row.network, each) for row, each in zip(sent, networks, strict=True)],
                    [row.segments for row in sent],
                    [bool(row.delivered) for row in sent],
                    span.vat,
                )
                charged += sum(
                    row.segments for row in sent if row.delivered or row.basis == Basis.SUBMIT.value
                )
            async for received in self._store.received(merchant_id, span.starts_at, span.ends_at):
                networks = await self._networks_of([msisdn for msisdn, _segments in received])
                recount.add_received(networks, [segments for _msisdn, segments in received], span.vat)
        return recount, charged

    async def _networks_of(self, msisdns: Sequence[int]) -> list[str]:
        ported = await self._ported.lookup(sorted(set(msisdns)))
        columns = zip(msisdns, self._networks.column(msisdns), strict=True)
        return [ported.get(msisdn, network) for msisdn, network in columns]


def _net(
    month: Month,
    usage: Iterable[UsageRow],
    terms: Mapping[int, ItemTerms],
    facts: CloseFacts,
    history: VatHistory,
    currency: str,
) -> int:
    """Return what a close of all of the month at once bills, without VAT."""
    documents = close_month(month, usage, terms, Billed(), commitments=facts.commitments, vat_history=history)
    return sum(
        line.net_minor
        for document in documents
        if document.currency == currency
        for line in document.signed_lines
    )
