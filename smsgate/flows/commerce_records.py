"""What the commerce use cases and their store hand to each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic, NamedTuple, TypeVar

from smsgate.campaigns.consent import ConsentState, Purpose
from smsgate.campaigns.guard import NO_OVERRIDES, GuardOverrides
from smsgate.campaigns.offer_states import Drop
from smsgate.campaigns.offers import Finding
from smsgate.errors import DomainError
from smsgate.flows.audience import Audience
from smsgate.flows.offer_records import NewOffer, OfferRecord
from smsgate.flows.records import Hold

Row = TypeVar("Row")

# What happens to merchants' things; the `type` of an event, and what an endpoint may subscribe to.
EVENT_TYPES: Final = (
    "consent.granted",
    "consent.revoked",
    "erasure.requested",
    "campaign.finished",
    "campaign.paused",
    "inbound.received",
    "inbound.reclassified",
    "order.created",
    "order.cancel_requested",
    "order.cancelled",
    "order.withdrawn",
    "order.disputed",
    "order.action_expired",
    "order.buyer_not_told",
    "offer.sold_out",
    "offer.late_reply",
    "offer.withdrawn",
    "offer.version_published",
    "offer.stock_changed",
    "merchant.unreachable",
    "merchant.reachable",
    "budget.low",
    "budget.exhausted",
)


@dataclass(frozen=True, slots=True)
class PageAsk:
    """A page of a list that is newest first: `after` is the id above it, `before` the id below it."""

    limit: int
    after: int | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    rows: Sequence[Row]
    has_more: bool


@dataclass(frozen=True, slots=True)
class MerchantProfile:
    """What the use cases need of a merchant."""

    merchant_id: int
    name: str
    slug: str
    country: str
    language: str
    timezone: str
    currency: str
    price_list_id: int | None
    state: str
    esme_numbers: Sequence[str] = ()  # what is sent to these goes to an application, unread


@dataclass(frozen=True, slots=True)
class TextChoice:
    """One way to write a text; `tables` are language tables by their name in a profile, "" for none."""

    encoding: str
    tables: str
    units: int
    segments: int
    replaced: bool  # with the replacements, or as it was written
    permitted: bool  # an offer may go so: in one segment, by an alphabet of its carrier
    cost_min_micros: int | None  # of one recipient, at the cheapest and the dearest network; None: no price
    cost_max_micros: int | None


class CampaignRecord(NamedTuple):
    merchant_id: int
    campaign_id: int
    external_id: str | None
    offer_id: int
    offer_version: int
    state: str
    audience: Audience
    recipients: int
    trigger_id: int | None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    messages_per_minute: int | None = None  # None: as fast as carriers take them
    guard: GuardOverrides = NO_OVERRIDES
    guard_off: bool = False  # the merchant went on all the same
    paused_reason: str | None = None  # campaigns.guard.GuardReason; None: not paused, or by the merchant
    shop_lost_at: datetime | None = None  # the merchant's shop takes no orders since: what it sends waits
    held: str | None = None  # "budget": what is left of it is less than the next message; or "sold_out"
    cancelled_for: str | None = None  # what became of its offer: smsgate.campaigns.offer_states.Drop


@dataclass(frozen=True, slots=True)
class AudienceGroup:
    """Subscribed members of an audience whose numbers share a country and their first digits."""

    country: str
    prefix: str
    members: int


@dataclass(frozen=True, slots=True)
class CountryCost:
    country: str
    recipients: int
    priced: int
    cost_micros: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a campaign would send and cost now; the estimate assumes that nobody changed the operator."""

    encoding: str
    units: int
    segments: int
    text: str
    recipients: int
    priced: int
    currency: str
    cost_micros: int
    countries: Sequence[CountryCost]
    findings: Sequence[Finding]  # what keeps it from starting now
    choices: Sequence[TextChoice]  # their cost is that of all priced recipients


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """One MT with its state, joined from what was inserted about it."""

    message_id: int
    campaign_id: int | None
    subscriber_id: int | None
    msisdn: int
    kind: str
    sender: str
    text: str
    order_id: int | None
    inbound_id: int | None
    state: str
    reason: str | None
    segments: int
    sell_item_id: int
    sell_micros: int
    currency: str | None
    sent_at: datetime | None
    final_at: datetime | None
    hold: Hold | None = None  # why it waits


@dataclass(frozen=True, slots=True)
class InboundRecord:
    inbound_id: int
    msisdn: int
    destination: str
    text: str
    subscriber_id: int | None
    campaign_id: int | None
    message_id: int | None
    order_id: int | None
    label: str
    quantity: int | None
    outcome: str
    reason: str
    rules_version: str
    received_at: datetime


@dataclass(slots=True)
class EventColumns:
    """Events to be written with what they tell of, in one transaction; parallel lists."""

    merchant_ids: list[int] = field(default_factory=list)
    event_ids: list[int] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)  # public ids
    data: list[str] = field(default_factory=list)  # JSON objects, as text
    created_at: list[datetime] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.event_ids)


class OfferChange(NamedTuple):
    """
    What a merchant's wish makes of an offer.

    `drop` ends what was not written yet of its campaigns: of all versions when it is withdrawn, else of those
    before the present one.
    """

    after: OfferRecord
    drop: Drop | None
    events: EventColumns
    at: datetime


@dataclass(frozen=True, slots=True)
class EventRecord:
    event_id: int
    type: str
    subject: str
    data: Mapping[str, object]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SystemMessage:
    """A message of the gateway to one person; sent until `expires_at`, ahead of campaigns."""

    merchant_id: int
    message_id: int
    msisdn: int
    kind: str  # smsgate.campaigns.texts.Kind
    sender: str
    body: str
    expires_at: datetime
    subscriber_id: int | None = None
    order_id: int | None = None
    inbound_id: int | None = None
    push: bytes | None = None  # what is sent instead of `body`: a WSP push PDU
    tlvs: bytes = b""


class Recipient(NamedTuple):
    """A person of a merchant, and what the person agreed to."""

    subscriber_id: int
    msisdn: int
    states: Mapping[Purpose, ConsentState]


@dataclass(slots=True)
class SystemMessageColumns:
    merchant_ids: list[int] = field(default_factory=list)
    message_ids: list[int] = field(default_factory=list)
    subscriber_ids: list[int | None] = field(default_factory=list)
    msisdns: list[int] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    order_ids: list[int | None] = field(default_factory=list)
    inbound_ids: list[int | None] = field(default_factory=list)
    expires_at: list[datetime] = field(default_factory=list)
    pushes: list[bytes | None] = field(default_factory=list)
    tlvs: list[bytes | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.message_ids)


@dataclass(frozen=True, slots=True)
class EndpointRecord:
    merchant_id: int
    endpoint_id: int
    url: str
    event_types: tuple[str, ...]
    secret: bytes  # sealed
    previous_secret: bytes | None
    previous_until: datetime | None
    state: str
    disabled_reason: str
    created_at: datetime
    failing_since: datetime | None = None  # no order was taken since (flows/shop_reach.py)
    failures: int = 0


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    event_id: int
    endpoint_id: int
    event_type: str
    state: str
    attempts: int
    next_attempt_at: datetime
    last_status: int | None
    last_error: str
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class TriggerRecord:
    merchant_id: int
    trigger_id: int
    name: str
    mapping: Mapping[str, object]
    secret: bytes  # sealed
    previous_secret: bytes | None
    previous_until: datetime | None
    state: str
    created_at: datetime


class FoundTrigger(NamedTuple):
    """A trigger, and the merchant whose it is."""

    trigger: TriggerRecord
    merchant: MerchantProfile


class KnownPerson(NamedTuple):
    subscriber_id: int
    offers_state: str
    country: str


class TriggerAnswer(NamedTuple):
    """What a trigger answered, kept to be given again; `body_sha256` tells a repetition from a forgery."""

    body_sha256: bytes
    status: int
    answer: bytes


class TriggerAcceptance(NamedTuple):
    """Everything that one accepted trigger writes, in one transaction."""

    trigger_id: int
    webhook_id: str
    answer: TriggerAnswer
    offer: NewOffer
    campaign: CampaignRecord
    at: datetime


class Webhook(NamedTuple):
    """A signed webhook of a shop, as it goes to the store to be judged and, if it is accepted, written."""

    trigger_id: int
    webhook_id: str
    found: FoundTrigger  # by which it was let in and read
    msisdns: Sequence[int]  # of the people that it names
    external_id: str | None
    # Of those of them who are known: what to write. None: not before something else was looked up.
    judge: Callable[[Mapping[int, KnownPerson]], TriggerAcceptance | None]


class WebhookFate(NamedTuple):
    """What became of a webhook. Nothing set: `judge` returned None, and nothing was written."""

    answer: TriggerAnswer | None = None
    is_new: bool = False  # it was written just now; else it is what was answered before
    refusal: DomainError | None = None  # raised by `judge`
    is_outdated: bool = False  # the trigger or its merchant is not as it was found; nothing was looked at

    @property
    def is_open(self) -> bool:
        """Whether an answer that was given before would be its answer."""
        return not self.is_new and not self.is_outdated
