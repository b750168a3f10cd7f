"""Campaigns: an offer for an audience, previewed, started, paused, resumed, cancelled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from smsgate.billing.networks import NetworkTable
from smsgate.billing.prices import Direction, PriceVersion
from smsgate.campaigns.campaign_states import CampaignEvent, CampaignState, advance
from smsgate.campaigns.guard import NO_OVERRIDES, GuardOverrides
from smsgate.campaigns.offer_states import OfferEvent, advance_offer
from smsgate.campaigns.rendering import filled
from smsgate.clock import Clock
from smsgate.errors import Conflict, DomainError, Invalid, NotFound
from smsgate.flows.audience import Audience
from smsgate.flows.commerce_records import AudienceGroup, CampaignRecord, CountryCost, Page, PageAsk, Preview
from smsgate.flows.offer_records import OfferRecord
from smsgate.flows.offers import LIFE_MIN, Offers
from smsgate.flows.ports import Ids, Wakeups
from smsgate.flows.ports_commerce import CampaignsStore, OffersStore
from smsgate.flows.pricing import Pricing, price_missing
from smsgate.flows.text_choices import text_choices

SUBSCRIBERS_MAX: Final = 1_000  # named one by one; a larger audience has a tag
TAGS_MAX: Final = 50
CHANGE_ATTEMPTS_MAX: Final = 5  # two requests that cross meet once; five times is a quarrel


@dataclass(frozen=True, slots=True)
class Rating:
    """What an audience costs by the prices of now; `missing` are networks that have none."""

    currency: str
    countries: Sequence[CountryCost]
    missing: Sequence[str]

    @property
    def recipients(self) -> int:
        return sum(country.recipients for country in self.countries)

    @property
    def priced(self) -> int:
        return sum(country.priced for country in self.countries)

    @property
    def cost_micros(self) -> int:
        return sum(country.cost_micros for country in self.countries)


class Campaigns:
    def __init__(
        self,
        store: CampaignsStore,
        offers: OffersStore,
        pricing: Pricing,
        networks: NetworkTable,
        linter: Offers,
        ids: Ids,
        clock: Clock,
        wakeups: Wakeups,
    ) -> None:
        self._store = store
        self._offers = offers
        self._pricing = pricing
        self._networks = networks
        self._linter = linter
        self._ids = ids
        self._clock = clock
        self._wakeups = wakeups

    async def create(
        self,
        merchant_id: int,
        offer_id: int,
        audience: Audience,
        external_id: str | None,
        *,
        messages_per_minute: int | None = None,
        guard: GuardOverrides = NO_OVERRIDES,
    ) -> CampaignRecord:
        """
        Store a draft.

        Raises:
            NotFound: the offer, or a subscriber of the audience, is not this merchant's.
            Conflict: code `external_id_taken`.
        """
        offer = await self._offers.get(merchant_id, offer_id)
        await self._check_members(merchant_id, audience)
        record = CampaignRecord(
            merchant_id=merchant_id,
            campaign_id=self._ids.next(),
            external_id=external_id,
            offer_id=offer_id,
            offer_version=offer.offer.version,
            state=CampaignState.DRAFT,
            audience=audience,
            recipients=0,
            trigger_id=None,
            created_at=self._clock.now(),
            messages_per_minute=messages_per_minute,
            guard=guard,
        )
        await self._store.create(record)
        return record

    async def subscriber_ids(self, merchant_id: int, msisdns: Sequence[int]) -> tuple[int, ...]:
        """
        Return the subscribers who have these numbers, in order, each once.

        Raises:
            Invalid: code `subscriber_unknown`; the pointer says which one.
        """
        known = await self._store.subscribers_by_msisdn(merchant_id, msisdns)
        for index, msisdn in enumerate(msisdns):
            if msisdn not in known:
                raise Invalid(
                    "this number is no subscriber",
                    code="subscriber_unknown",
                    pointer=f"/audience/subscribers/{index}",
                )
        return tuple(dict.fromkeys(known[msisdn] for msisdn in msisdns))

    async def get(self, merchant_id: int, campaign_id: int) -> tuple[CampaignRecord, Mapping[str, int]]:
        """Return the campaign and its counters (smsgate.flows.records.COUNTERS)."""
        return await self._store.get_counted(merchant_id, campaign_id)

    async def page(
        self, merchant_id: int, ask: PageAsk, state: str | None = None, external_id: str | None = None
    ) -> Page[CampaignRecord]:
        return await self._store.page(merchant_id, ask, state, external_id)

    async def preview(self, merchant_id: int, campaign_id: int) -> Preview:
        """Return what the campaign would send and cost if it started now."""
        campaign = await self._store.get(merchant_id, campaign_id)
        offer = await self._offers.get(merchant_id, campaign.offer_id, campaign.offer_version)
        groups = await self._store.audience_groups(merchant_id, campaign.audience)
        merchant = await self._offers.merchant(merchant_id)
        rating = await self.rate(merchant_id, groups)
        fields = await self._store.sample_fields(merchant_id, campaign.audience)
        text = filled(offer.offer.text, fields)
        choices = text_choices(text, self._linter.alphabets(offer.offer.sender), (rating.cost_micros,) * 2)
        chosen = next((choice for choice in choices if choice.permitted), choices[0])
        return Preview(
            encoding=chosen.encoding,
            units=chosen.units,
            segments=chosen.segments,
            text=text,
            recipients=rating.recipients,
            priced=rating.priced,
            currency=rating.currency,
            cost_micros=rating.cost_micros,
            countries=rating.countries,
            choices=choices,
            findings=self._linter.recipients_findings(merchant, offer.offer, countries_of(groups)),
        )

    async def start(self, merchant_id: int, campaign_id: int) -> CampaignRecord:
        """
        Cut the audience into chunks and let sending begin; text and sender are looked at again.

        Its people may be in other countries than the offer, and rules may have become stricter since. So is
        a version that is published while its people are counted.

        Raises:
            TransitionRefused: code `campaign_state`; it is no draft.
            DomainError: `price_missing`, `offer_closed`, `sold_out`, `audience_empty`, or what
                `Offers.check_recipients` says; nothing is changed.
        """
        for _ in range(CHANGE_ATTEMPTS_MAX):
            campaign = await self._store.get(merchant_id, campaign_id)
            advance(CampaignState(campaign.state), CampaignEvent.START)
            offer = await self._offers.get(merchant_id, campaign.offer_id, campaign.offer_version)
            now = self._clock.now()
            check_open(offer, now)
            groups = await self.check_prices(merchant_id, campaign.audience)
            merchant = await self._offers.merchant(merchant_id)
            self._linter.check_recipients(merchant, offer.offer, countries_of(groups))
            version = campaign.offer_version
            if await self._store.start(merchant_id, campaign_id, version, campaign.audience, now) is not None:
                self._wakeups.campaigns()
                return await self._store.get(merchant_id, campaign_id)
        raise _quarrel()

    async def change(
        self, merchant_id: int, campaign_id: int, event: CampaignEvent, *, guard_off: bool = False
    ) -> CampaignRecord:
        """
        Pause, resume or cancel; what the guard paused is resumed with `guard_off` alone.

        What goes on is held to the prices and the rules of today, as what begins.

        Raises:
            TransitionRefused: code `campaign_state`.
            Conflict: code `campaign_guarded`.
            DomainError: `price_missing`, or what `Offers.check_recipients` says: it stays paused.
        """
        for _ in range(CHANGE_ATTEMPTS_MAX):
            campaign = await self._store.get(merchant_id, campaign_id)
            after = advance(CampaignState(campaign.state), event)
            if event is CampaignEvent.RESUME and campaign.paused_reason is not None and not guard_off:
                raise Conflict(
                    f"the guard paused this campaign: {campaign.paused_reason}", code="campaign_guarded"
                )
            if after == campaign.state:
                return campaign
            if event is CampaignEvent.RESUME:
                await self._check_resumed(campaign)
                if campaign.paused_reason is not None:
                    await self._store.guard_off(merchant_id, campaign_id)
            if await self._store.change_state(
                merchant_id, campaign_id, campaign.state, after, self._clock.now()
            ):
                self._wakeups.campaigns()
                return await self._store.get(merchant_id, campaign_id)
        raise _quarrel()

    async def _check_resumed(self, campaign: CampaignRecord) -> None:
        merchant_id = campaign.merchant_id
        offer = await self._offers.get(merchant_id, campaign.offer_id, campaign.offer_version)
        groups = await self._store.audience_groups(merchant_id, campaign.audience)
        if groups:  # else everybody has left meanwhile, and the rest of it ends by itself
            await self.check_group_prices(merchant_id, groups)
        merchant = await self._offers.merchant(merchant_id)
        self._linter.check_recipients(merchant, offer.offer, countries_of(groups))

    async def set_guard(self, merchant_id: int, campaign_id: int, guard: GuardOverrides) -> CampaignRecord:
        """
        Give a campaign limits of its own; its guard is on again.

        Raises:
            Conflict: code `campaign_state`; it is over.
        """
        campaign = await self._store.get(merchant_id, campaign_id)
        if not await self._store.set_guard(merchant_id, campaign_id, guard):
            raise Conflict(f"a campaign that is {campaign.state} sends nothing more", code="campaign_state")
        return await self._store.get(merchant_id, campaign_id)

    async def set_pace(self, merchant_id: int, campaign_id: int, per_minute: int | None) -> CampaignRecord:
        """
        Change how fast it sends, also while it does; what was granted already is sent.

        Raises:
            Conflict: code `campaign_state`; it is over.
        """
        campaign = await self._store.get(merchant_id, campaign_id)
        if not await self._store.set_pace(merchant_id, campaign_id, per_minute):
            raise Conflict(f"a campaign that is {campaign.state} sends nothing more", code="campaign_state")
        self._wakeups.campaigns()
        return await self._store.get(merchant_id, campaign_id)

    async def check_prices(self, merchant_id: int, audience: Audience) -> Sequence[AudienceGroup]:
        """
        Find that every network of the audience has a price, before anything is stored; return its groups.

        Raises:
            DomainError: code `price_missing`, with the networks in `extra["networks"]`; or `audience_empty`.
        """
        groups = await self._store.audience_groups(merchant_id, audience)
        await self.check_group_prices(merchant_id, groups)
        return groups

    async def check_group_prices(self, merchant_id: int, groups: Sequence[AudienceGroup]) -> None:
        """As `check_prices`, of an audience that was counted already."""
        if not groups:
            raise DomainError(
                "nobody of the audience is subscribed", code="audience_empty", pointer="/audience"
            )
        rating = await self.rate(merchant_id, groups)
        if rating.missing:
            raise price_missing(rating.missing, "ask the operator, or leave these networks out")

    async def refresh_prices(self) -> None:
        """Have the prices that `are_priced` goes by."""
        await self._pricing.refresh()

    def are_priced(self, merchant_id: int, groups: Sequence[AudienceGroup]) -> bool:
        """Return whether each group has a price, by those in memory (`refresh_prices`)."""
        book = self._pricing.book_of(merchant_id)
        version = None if book is None else book.version_at(self._clock.now())
        return version is not None and all(self._unit(version, group)[0] is not None for group in groups)

    async def segment_price(self, merchant_id: int, country: str) -> tuple[str, tuple[int, int] | None]:
        """Return the currency, and the extremes of a segment's micros where every network has a price."""
        await self._pricing.refresh()
        book = self._pricing.book_of(merchant_id)
        version = None if book is None else book.version_at(self._clock.now())
        if book is None or version is None:
            return self._pricing.merchant(merchant_id)[1], None
        items = [version.lookup(Direction.MT, network) for network in self._networks.mccmncs(country)]
        prices = [item.unit_micros for item in items if item is not None]
        whole = bool(prices) and len(prices) == len(items)
        return book.currency, (min(prices), max(prices)) if whole else None

    async def rate(self, merchant_id: int, groups: Sequence[AudienceGroup]) -> Rating:
        """Price one segment for every member of the groups."""

        def look_up() -> tuple[Rating, Sequence[str]]:
            rating = self._rate(merchant_id, groups)
            return rating, rating.missing

        return (await self._pricing.looked_up(look_up))[0]

    def _rate(self, merchant_id: int, groups: Sequence[AudienceGroup]) -> Rating:
        book = self._pricing.book_of(merchant_id)
        version = None if book is None else book.version_at(self._clock.now())
        totals: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        missing: set[str] = set()
        for group in groups:
            unit_micros, network = self._unit(version, group)
            total = totals[group.country]
            total[0] += group.members
            if unit_micros is None:
                missing.add(f"{group.country} {network}")
            else:
                total[1] += group.members
                total[2] += group.members * unit_micros
        currency = self._pricing.merchant(merchant_id)[1] if book is None else book.currency
        countries = [CountryCost(country, *total) for country, total in sorted(totals.items())]
        return Rating(currency, countries, sorted(missing))

    def _unit(self, version: PriceVersion | None, group: AudienceGroup) -> tuple[int | None, str]:
        network = self._networks.network_of(group.prefix).mccmnc
        item = None if version is None else version.lookup(Direction.MT, network)
        return (None if item is None else item.unit_micros), network

    async def _check_members(self, merchant_id: int, audience: Audience) -> None:
        for offer_id in (*audience.bought_any, *audience.exclude_bought):
            await self._offers.get(merchant_id, offer_id)
        if audience.subscriber_ids is not None:
            known = await self._store.subscribers_by_id(merchant_id, audience.subscriber_ids)
            if len(known) != len(set(audience.subscriber_ids)):
                raise NotFound


def _quarrel() -> Conflict:
    return Conflict("the campaign is being changed by others; read it, then decide")


def countries_of(groups: Sequence[AudienceGroup]) -> frozenset[str]:
    return frozenset(group.country for group in groups)


def check_open(offer: OfferRecord, now: datetime) -> None:
    """
    Refuse an offer that nobody could answer any more.

    Raises:
        DomainError: code `offer_closed`, or `sold_out`.
    """
    advance_offer(offer.state_at(now), OfferEvent.SEND)
    if offer.offer.expires_at - now < LIFE_MIN:
        raise DomainError("the offer ends within 30 minutes", code="offer_closed", http_status=409)
