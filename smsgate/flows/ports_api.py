"""What the HTTP API asks of the store for merchants, keys, prices, subscribers, consents and imports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from smsgate.flows.commerce_records import Page, PageAsk, SystemMessage
from smsgate.flows.ports import JsonObject
from smsgate.flows.test_mode import PhoneBlock

OPERATOR = 0  # owner of the operator's keys; no merchant has this id


@dataclass(frozen=True, slots=True)
class Principal:
    """A key as the store knows it: who calls, and what the key may do."""

    key_id: int
    public_id: str
    owner_id: int
    mac: bytes = field(repr=False)
    name: str
    mode: str
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    suspended: bool  # its merchant is
    phones: PhoneBlock | None = None  # of a test key: the simulated phones that it may write to


@dataclass(frozen=True, slots=True)
class KeyDraft:
    key_id: int
    public_id: str
    owner_id: int
    mac: bytes = field(repr=False)
    name: str
    mode: str
    scopes: tuple[str, ...]
    expires_at: datetime | None


class ApiKeyStore(Protocol):
    async def find(self, public_id: str) -> Principal | None: ...

    async def touch(self, key_id: int, at: datetime) -> None:
        """Remember that the key was used."""
        ...

    async def add(self, draft: KeyDraft, *, per_name_max: int, now: datetime) -> Principal:
        """
        Store a key.

        Raises:
            Conflict: `per_name_max` keys of this owner and name are in force.
            NotFound: no such merchant.
        """
        ...

    async def list(self, owner_id: int, ask: PageAsk) -> Page[Principal]: ...

    async def revoke(self, key_id: int, at: datetime) -> Principal:
        """
        End a key; a second time changes nothing.

        Raises:
            NotFound: no such key.
        """
        ...


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What was answered to the first request under an Idempotency-Key; status None: it still runs."""

    fingerprint: bytes
    status: int | None
    answer: bytes


class IdempotencyStore(Protocol):
    """A key is its request's by the instant at which that took it (`reserved_at`)."""

    async def reserve(
        self, owner_id: int, key: str, fingerprint: bytes, *, now: datetime, abandoned_at: datetime
    ) -> StoredAnswer | None:
        """
        Take the key and return None, or return what is there.

        A request that has not ended by its `abandoned_at` counts as not there.
        """
        ...

    async def renew(
        self, owner_id: int, key: str, reserved_at: datetime, *, now: datetime, abandoned_at: datetime
    ) -> None:
        """Note that the request under a key still runs."""
        ...

    async def complete(
        self, owner_id: int, key: str, reserved_at: datetime, fingerprint: bytes, status: int, answer: bytes
    ) -> None:
        """Keep an answer, unless the key is another request's by now."""
        ...

    async def release(self, owner_id: int, key: str, reserved_at: datetime) -> None:
        """Forget a request that failed on our side, so that it may be repeated."""
        ...


@dataclass(frozen=True, slots=True)
class MerchantDraft:
    merchant_id: int
    name: str
    slug: str
    country: str
    language: str
    timezone: str
    currency: str
    contact: str


@dataclass(frozen=True, slots=True)
class MerchantRow:
    merchant_id: int
    name: str
    slug: str
    country: str
    language: str
    timezone: str
    currency: str
    contact: str
    price_list_id: int | None
    state: str
    sending_weight: int  # its share where several merchants send by one carrier
    created_at: datetime
    shop_lost_at: datetime | None = None  # its shop takes no orders since: its offers wait


@dataclass(frozen=True, slots=True)
class MerchantChange:
    """What is None stays as it is."""

    name: str | None = None
    contact: str | None = None
    state: str | None = None  # active | suspended
    sending_weight: int | None = None


class MerchantStore(Protocol):
    async def add(self, draft: MerchantDraft) -> MerchantRow:
        """
        Store a merchant.

        Raises:
            Conflict: the slug is taken.
        """
        ...

    async def get(self, merchant_id: int) -> MerchantRow:
        """Return whoever a key acts for: also a test merchant."""
        ...

    async def operated(self, merchant_id: int) -> MerchantRow:
        """Return a merchant that the operator has made."""
        ...

    async def list(self, ask: PageAsk) -> Page[MerchantRow]: ...

    async def change(self, merchant_id: int, change: MerchantChange) -> MerchantRow:
        """
        Change a merchant; whoever remembers its keys is told, with the commit, to forget them.

        Raises:
            NotFound: no such merchant.
        """
        ...

    async def set_price_list(self, merchant_id: int, price_list_id: int) -> MerchantRow:
        """
        Give a merchant its selling prices.

        Raises:
            NotFound: no such merchant or list.
            Conflict: the list is of another currency, or holds costs.
        """
        ...


@dataclass(frozen=True, slots=True)
class PriceListRow:
    price_list_id: int
    name: str
    side: str
    currency: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PriceItem:
    direction: str  # mt, mo
    network: str  # MCCMNC, MCC or *
    unit_micros: int
    basis: str = "submit"  # or delivered
    ladder: str | None = None  # smsgate.billing.tiers.ladder_to_json


@dataclass(frozen=True, slots=True)
class PriceVersionRow:
    price_list_id: int
    version: int
    effective_from: datetime
    published_at: datetime
    items: tuple[PriceItem, ...]


@dataclass(frozen=True, slots=True)
class NewPrices:
    """A version to be: `item_id_base` is the id of its first item, the others follow."""

    effective_from: datetime
    items: Sequence[PriceItem]
    item_id_base: int


class PriceStore(Protocol):
    async def add_list(
        self, price_list_id: int, name: str, side: str, currency: str, now: datetime
    ) -> PriceListRow:
        """
        Store an empty list.

        Raises:
            Conflict: the name is taken.
        """
        ...

    async def lists(self, ask: PageAsk) -> Page[PriceListRow]: ...

    async def publish(
        self,
        price_list_id: int,
        prices: Sequence[NewPrices],
        *,
        source_sha256: bytes,
        now: datetime,
        not_before: datetime,
        last_version: int | None = None,
    ) -> Sequence[PriceVersionRow]:
        """
        Add versions, all or none; what was published never changes.

        `last_version` is the one that the publisher saw: another one is a conflict.

        Raises:
            NotFound: no such list.
            Invalid: the list has a version, and an instant is before `not_before` or before the first one's.
            Conflict: a version from that instant exists, or another one was published meanwhile.
        """
        ...

    async def versions(self, price_list_id: int, limit: int) -> Sequence[PriceVersionRow]:
        """
        Return the newest versions with their items, newest first.

        Raises:
            NotFound: no such list.
        """
        ...


@dataclass(frozen=True, slots=True)
class SubscriberDraft:
    subscriber_id: int
    msisdn: int
    external_id: str | None
    language: str | None  # None: the merchant's
    country: str
    tags: tuple[str, ...]
    fields: Mapping[str, str]
    region: str = ""  # ISO 3166-2 without the country, by the person's address
    timezone: str = ""  # IANA


@dataclass(frozen=True, slots=True)
class SubscriberChange:
    """None leaves a value as it is."""

    external_id: str | None = None
    region: str | None = None
    timezone: str | None = None
    language: str | None = None
    tags: tuple[str, ...] | None = None
    fields: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class SubscriberRow:
    subscriber_id: int
    msisdn: int
    external_id: str | None
    language: str
    country: str
    tags: tuple[str, ...]
    fields: Mapping[str, str]
    offers_state: str
    offers_state_at: datetime | None
    paused_until: datetime | None
    created_at: datetime
    updated_at: datetime
    region: str
    timezone: str
    other_states: Mapping[str, str]  # purposes besides offers that ever had a consent event
    fewer: bool = False  # asked for fewer messages


@dataclass(frozen=True, slots=True)
class ConsentDraft:
    consent_id: int
    subscriber_id: int
    purpose: str
    granted: bool
    wording_version: str
    source: str
    evidence: JsonObject
    occurred_at: datetime
    # The event for the shop, written when the state changes.
    event_id: int
    event_subject: str
    event_data: JsonObject
    question: SystemMessage | None = None  # double opt-in: asked when the state becomes pending
    order_id: int | None = None  # the basis is this order, and no consent
    welcome: SystemMessage | None = None  # sent when a consent begins, but to no STOP


@dataclass(frozen=True, slots=True)
class ConsentRow:
    consent_id: int
    subscriber_id: int
    purpose: str
    event: str
    state_after: str
    wording_version: str
    source: str
    evidence: JsonObject
    occurred_at: datetime
    recorded_at: datetime


class Consented(NamedTuple):
    row: ConsentRow
    msisdn: int


class SubscriberStore(Protocol):
    async def add(self, merchant_id: int, draft: SubscriberDraft, now: datetime) -> SubscriberRow:
        """
        Store a subscriber.

        Raises:
            Conflict: the number is one already; `extra["subscriber_id"]` is its id.
        """
        ...

    async def get(self, merchant_id: int, subscriber_id: int) -> SubscriberRow: ...

    async def list(
        self, merchant_id: int, ask: PageAsk, *, msisdn: int | None, tag: str | None, state: str | None
    ) -> Page[SubscriberRow]: ...

    async def change(
        self, merchant_id: int, subscriber_id: int, change: SubscriberChange, now: datetime
    ) -> SubscriberRow: ...

    async def consent(self, merchant_id: int, draft: ConsentDraft, now: datetime) -> Consented:
        """
        Append a consent event, move the projection, close what a stop closes.

        Raises:
            NotFound: no such subscriber.
            DomainError: `stop_is_newer`, `consent_missing` or `suppressed`.
            Conflict: `question_open`; another question waits for its answer there.
        """
        ...

    async def consents(
        self, merchant_id: int, ask: PageAsk, *, subscriber_id: int | None
    ) -> Page[ConsentRow]: ...


class HealthStore(Protocol):
    async def problem(self) -> str:
        """Return why the store cannot serve now, in one sentence; empty when it can."""
        ...
