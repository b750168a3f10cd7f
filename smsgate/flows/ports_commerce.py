"""What the commerce use cases ask of the world: narrow Protocols, implemented by `store` and `webhooks`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from smsgate.campaigns.guard import GuardOverrides
from smsgate.errors import Invalid
from smsgate.flows.audience import Audience
from smsgate.flows.commerce_records import (
    AudienceGroup,
    CampaignRecord,
    DeliveryRecord,
    EndpointRecord,
    EventColumns,
    EventRecord,
    FoundTrigger,
    InboundRecord,
    MerchantProfile,
    MessageRecord,
    OfferChange,
    Page,
    PageAsk,
    Recipient,
    SystemMessage,
    SystemMessageColumns,
    TriggerRecord,
    Webhook,
    WebhookFate,
)
from smsgate.flows.offer_records import OfferRecord
from smsgate.flows.order_records import MessageCost, OrderChange, OrderRecord, OrderStep
from smsgate.flows.test_mode import live_slug
from smsgate.flows.usage_records import MerchantPrices, MonthRow, PriceData, UsageRow
from smsgate.protocol.encodings import GSM, UCS2, Alphabet
from smsgate.protocol.segmentation import Concat
from smsgate.protocol.tlvs import Tlvs, encode_tlvs, parse_tlvs


@dataclass(frozen=True, slots=True)
class SenderInfo:
    """A sender number as the configuration has it; `merchants` are slugs, empty means every merchant."""

    carrier: str
    receives: bool
    merchants: frozenset[str] = frozenset()
    alphabets: tuple[Alphabet, ...] = (GSM, UCS2)  # of its carrier
    long_alphabets: tuple[Alphabet, ...] = (GSM, UCS2)
    concat: Concat = "udh8"
    message_tlvs: frozenset[int] = frozenset()  # tags that its carrier lets a message bring

    def allows(self, slug: str) -> bool:
        """Return whether the merchant of that slug may send from it."""
        return not self.merchants or live_slug(slug) in self.merchants


def ucs2_by_sender(senders: Mapping[str, SenderInfo]) -> Callable[[str], bool]:
    """Return what says of a sender number whether its carrier writes UCS-2; one that is not ours does."""

    def writes_ucs2(sender: str) -> bool:
        info = senders.get(sender)
        return info is None or UCS2 in info.alphabets

    return writes_ucs2


TLV_REFUSAL: Final = "the carrier of this sender lets no message bring the tag 0x{:04x}"


def check_tlvs(tlvs: Tlvs, info: SenderInfo | None) -> None:
    """
    Refuse TLVs that no text from this sender may bring.

    Raises:
        Invalid: code `tlv_not_allowed`.
    """
    if refused := refused_tags(encode_tlvs(tlvs), info):
        raise Invalid(TLV_REFUSAL.format(refused[0]), code="tlv_not_allowed", pointer="/tlvs")


def refused_tags(tlvs: bytes, info: SenderInfo | None) -> list[int]:
    """Return the tags of a message's own TLVs, encoded, that its sender's carrier does not let through."""
    allowed = frozenset() if info is None else info.message_tlvs
    return [tag for tag, _ in parse_tlvs(tlvs, 0, len(tlvs))[0] if tag not in allowed]


class OffersStore(Protocol):
    async def merchant(self, merchant_id: int) -> MerchantProfile: ...

    async def create(self, record: OfferRecord) -> None: ...

    async def get(self, merchant_id: int, offer_id: int, version: int | None = None) -> OfferRecord: ...

    async def page(
        self, merchant_id: int, ask: PageAsk, external_id: str | None = None
    ) -> Page[OfferRecord]: ...

    async def versions(self, merchant_id: int, offer_id: int, limit: int) -> Sequence[OfferRecord]: ...

    async def change(
        self, merchant_id: int, offer_id: int, judge: Callable[[OfferRecord], OfferChange | None]
    ) -> tuple[OfferRecord, Sequence[int]]:
        """
        Do what `judge` says of the offer as it is under its lock; None changes nothing.

        Return the offer, and the campaigns of which nothing more may leave.
        """
        ...


class CampaignsStore(Protocol):
    async def create(self, record: CampaignRecord) -> None: ...

    async def get(self, merchant_id: int, campaign_id: int) -> CampaignRecord: ...

    async def page(
        self, merchant_id: int, ask: PageAsk, state: str | None = None, external_id: str | None = None
    ) -> Page[CampaignRecord]: ...

    async def get_counted(
        self, merchant_id: int, campaign_id: int
    ) -> tuple[CampaignRecord, Mapping[str, int]]: ...

    async def change_state(
        self, merchant_id: int, campaign_id: int, before: str, after: str, at: datetime
    ) -> bool:
        """Return whether the campaign was in `before` and is now in `after`."""
        ...

    async def set_guard(self, merchant_id: int, campaign_id: int, guard: GuardOverrides) -> bool:
        """Return whether the campaign may still send; its guard is on again."""
        ...

    async def guard_off(self, merchant_id: int, campaign_id: int) -> None:
        """Guard it no more."""
        ...

    async def set_pace(self, merchant_id: int, campaign_id: int, per_minute: int | None) -> bool:
        """Return whether the campaign may still send."""
        ...

    async def start(
        self, merchant_id: int, campaign_id: int, version: int, audience: Audience, at: datetime
    ) -> int | None:
        """
        Return the number of recipients, chunks written.

        None, and nothing changed: it is no draft, or none of this version of its offer any more.
        """
        ...

    async def audience_groups(self, merchant_id: int, audience: Audience) -> Sequence[AudienceGroup]: ...

    async def sample_fields(self, merchant_id: int, audience: Audience) -> Mapping[str, object]: ...

    async def subscribers_by_id(self, merchant_id: int, ids: Sequence[int]) -> set[int]: ...

    async def subscribers_by_msisdn(self, merchant_id: int, msisdns: Sequence[int]) -> Mapping[int, int]:
        """Return the subscriber ids of those numbers that are known."""
        ...


class MessagesStore(Protocol):
    async def get(self, merchant_id: int, message_id: int) -> MessageRecord: ...

    async def page(
        self,
        merchant_id: int,
        ask: PageAsk,
        *,
        campaign_id: int | None = None,
        subscriber_id: int | None = None,
        id_min: int | None = None,
        id_max: int | None = None,
        state: str | None = None,
    ) -> Page[MessageRecord]: ...

    async def get_inbound(self, merchant_id: int, inbound_id: int) -> InboundRecord: ...

    async def page_inbound(
        self,
        merchant_id: int,
        ask: PageAsk,
        campaign_id: int | None = None,
        label: str | None = None,
        outcome: str | None = None,
    ) -> Page[InboundRecord]: ...


class TransactionalStore(Protocol):
    async def recipient(self, merchant_id: int, subscriber_id: int | None, msisdn: int | None) -> Recipient:
        """
        Return a person of the merchant, by one of the two.

        Raises:
            NotFound: no such subscriber.
            Invalid: code `subscriber_unknown`; the number is none's.
        """
        ...

    async def add(self, message: SystemMessage) -> None:
        """
        Queue a text, if its person may still get it.

        Raises:
            NotFound: the person is gone.
            DomainError: code `suppressed`, `stopped` or `consent_missing`.
        """
        ...


class OrdersStore(Protocol):
    async def get(self, merchant_id: int, order_id: int) -> OrderRecord: ...

    async def page(
        self,
        merchant_id: int,
        ask: PageAsk,
        state: str | None = None,
        campaign_id: int | None = None,
        number: str | None = None,
    ) -> Page[OrderRecord]: ...

    async def steps(self, merchant_id: int, order_id: int) -> Sequence[OrderStep]: ...

    async def message_costs(self, merchant_id: int, message_id: int) -> Sequence[MessageCost]: ...

    async def system_message_costs(self, merchant_id: int, order_id: int) -> tuple[int, int]: ...

    async def due(self, now: datetime, limit: int) -> Sequence[tuple[int, int]]: ...

    async def shop_has(self, order: OrderRecord, subject: str) -> bool: ...

    async def end_wait(self, order: OrderRecord) -> None: ...

    async def change(
        self,
        change: OrderChange,
        messages: SystemMessageColumns,
        events: EventColumns,
        sold_out: EventColumns,
    ) -> bool:
        """
        Write one step with what it tells buyer and shop; False, and nothing, when another came first.

        `sold_out` is written where the step takes the last piece of an offer that is not withdrawn.
        """
        ...


class EventsStore(Protocol):
    async def get(self, merchant_id: int, event_id: int, oldest_id: int) -> EventRecord: ...

    async def page(
        self,
        merchant_id: int,
        ask: PageAsk,
        oldest_id: int,
        type_: str | None = None,
        subject: str | None = None,
    ) -> Page[EventRecord]: ...


class RotatingRows(Protocol):
    """Rows that hold a secret which a shop shares with us."""

    async def rotate(
        self,
        merchant_id: int,
        row_id: int,
        /,
        *,
        before: bytes,
        secret: bytes,
        previous_secret: bytes,
        previous_until: datetime,
    ) -> bool:
        """Put another secret in; False: `before` is not the secret any more."""
        ...


class EndpointsStore(RotatingRows, Protocol):
    async def count(self, merchant_id: int) -> int: ...

    async def create(self, record: EndpointRecord, endpoints_max: int) -> None: ...

    async def get(self, merchant_id: int, endpoint_id: int) -> EndpointRecord: ...

    async def page(self, merchant_id: int, ask: PageAsk) -> Page[EndpointRecord]: ...

    async def change(
        self, merchant_id: int, endpoint_id: int, event_types: tuple[str, ...], state: str, reason: str
    ) -> None: ...

    async def delete(self, merchant_id: int, endpoint_id: int) -> None: ...

    async def deliveries(
        self, merchant_id: int, endpoint_id: int, ask: PageAsk, state: str | None = None
    ) -> Page[DeliveryRecord]: ...

    async def redeliver(
        self, merchant_id: int, endpoint_id: int, id_min: int, id_max: int, limit: int, at: datetime
    ) -> list[int]: ...


class EndpointProver(Protocol):
    """Asks a new endpoint for a sign that its owner wants our events; implemented by `webhooks`."""

    async def prove(self, *, merchant_id: int, host: str, url: str, secret: str, endpoint: str) -> str | None:
        """
        Send a POST signed by `secret` with a challenge to `url` on `host`, which the receiver must give back.

        Returns None when it did, else one sentence why not, fit to be shown to the merchant. `endpoint` is
        the public id that the endpoint will have. Never raises for what the other side does.

        Raises:
            TooSoon: so many are tried already, or so many of this merchant have failed.
        """
        ...


class TriggersStore(RotatingRows, Protocol):
    async def create(self, record: TriggerRecord, triggers_max: int) -> None: ...

    async def get(self, merchant_id: int, trigger_id: int) -> TriggerRecord: ...

    async def find(self, trigger_id: int) -> FoundTrigger | None:
        """Return a trigger whoever owns it: for the route that has no key, and is let in by a signature."""
        ...

    async def page(self, merchant_id: int, ask: PageAsk) -> Page[TriggerRecord]: ...

    async def change(
        self, merchant_id: int, trigger_id: int, name: str, mapping: Mapping[str, object], state: str
    ) -> None: ...

    async def delete(self, merchant_id: int, trigger_id: int) -> None: ...

    async def receive(self, merchant_id: int, webhook: Webhook) -> WebhookFate:
        """
        Return what the webhook-id was answered, or write what `judge` accepts; together with others.

        The trigger is read again in the same transaction: what was changed meanwhile is in force.
        """
        ...


class UsageStore(Protocol):
    async def months(self, merchant_id: int, zone_name: str) -> Sequence[MonthRow]: ...

    async def lines(
        self, merchant_id: int, starts_at: datetime, ends_at: datetime, currency: str
    ) -> tuple[Sequence[UsageRow], int]: ...


class PriceDataStore(Protocol):
    async def version(self) -> tuple[object, ...]: ...

    async def merchants(self) -> Sequence[MerchantPrices]: ...

    async def prices(self) -> PriceData: ...
