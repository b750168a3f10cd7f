"""
Transactional texts of a merchant to one of its people: an appointment, a parcel; several segments if need be.
Or a link about the same, as WAP Push.

They need no consent to offers, and go by the lane of the gateway's own texts. Never to a number that is
blocked, erased or another person's who agreed to nothing yet, and never after a STOP that left nothing
agreed to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from smsgate.billing.networks import NetworkTable
from smsgate.billing.prices import Direction
from smsgate.campaigns.consent import ConsentState, Purpose, refusal_to_tell
from smsgate.clock import Clock
from smsgate.errors import DomainError, Invalid
from smsgate.flows.commerce_records import SystemMessage
from smsgate.flows.long_texts import PARTS_MAX, measured
from smsgate.flows.ports import Ids, PortedNumbers, Wakeups
from smsgate.flows.ports_commerce import (
    OffersStore,
    SenderInfo,
    TransactionalStore,
    check_tlvs,
)
from smsgate.flows.pricing import Pricing, price_missing
from smsgate.flows.system_messages import SYSTEM_MESSAGE_LIFE
from smsgate.protocol.gsm0338 import Encoding
from smsgate.protocol.tlvs import Tlvs, encode_tlvs
from smsgate.protocol.wap_push import Indication, Loading, push_messages, push_pdu, shown

LIFE_MIN: Final = timedelta(minutes=1)
LIFE_MAX: Final = SYSTEM_MESSAGE_LIFE
# `message.kind` of what an order or another contract brings with it: it needs no consent (GDPR 6(1)(b)).
TRANSACTION: Final = "transaction"
PURPOSES: Final[Mapping[str, Purpose | None]] = {
    TRANSACTION: None,
    Purpose.APPOINTMENTS.value: Purpose.APPOINTMENTS,
}
REFUSALS: Final = {
    "suppressed": "This number may not be written to any more.",
    "stopped": "The person said STOP; only the person can come back.",
    "consent_missing": "The person has not agreed to this purpose.",
}


@dataclass(frozen=True, slots=True)
class TransactionalAsk:
    """To a subscriber by its id or by its number: one of the two. `purpose` is a key of `PURPOSES`."""

    content: str | Indication | Loading
    sender: str
    purpose: str
    life: timedelta
    subscriber_id: int | None = None
    msisdn: int | None = None
    tlvs: Tlvs = ()


class Accepted(NamedTuple):
    """What was queued, and what it will cost where its sender's own carrier takes it."""

    message: SystemMessage
    encoding: Encoding | Literal["octets"]
    segments: int
    unit_micros: int
    currency: str


class Transactional:
    def __init__(
        self,
        store: TransactionalStore,
        offers: OffersStore,
        pricing: Pricing,
        networks: NetworkTable,
        ported: PortedNumbers,
        senders: Mapping[str, SenderInfo],
        ids: Ids,
        clock: Clock,
        wakeups: Wakeups,
    ) -> None:
        self._store = store
        self._offers = offers
        self._pricing = pricing
        self._networks = networks
        self._ported = ported
        self._senders = senders
        self._ids = ids
        self._clock = clock
        self._wakeups = wakeups

    async def send(self, merchant_id: int, ask: TransactionalAsk) -> Accepted:
        """
        Queue a text or a push to one person of the merchant.

        Raises:
            Invalid: code `sender_unknown`, `text_too_long` or `tlv_not_allowed`; a push that `push_pdu`
                does not take.
            TextError: no alphabet has the text.
            NotFound: no such subscriber; with a number, Invalid with code `subscriber_unknown`.
            DomainError: code `suppressed`, `stopped`, `consent_missing` or `price_missing`.
        """
        assert LIFE_MIN <= ask.life <= LIFE_MAX
        push = None if isinstance(ask.content, str) else push_pdu(ask.content, transaction_id=0)
        encoding, segments = await self._measure(merchant_id, ask, push)
        recipient = await self._store.recipient(merchant_id, ask.subscriber_id, ask.msisdn)
        check_may_tell(ask.purpose, recipient.states)
        now = self._clock.now()
        unit_micros, currency = await self._price(merchant_id, recipient.msisdn, now)
        message = SystemMessage(
            merchant_id,
            self._ids.next(),
            recipient.msisdn,
            ask.purpose,
            ask.sender,
            ask.content if isinstance(ask.content, str) else shown(ask.content),
            now + ask.life,
            subscriber_id=recipient.subscriber_id,
            push=push,
            tlvs=encode_tlvs(ask.tlvs),
        )
        await self._store.add(message)
        self._wakeups.interactive()
        return Accepted(message, encoding, segments, unit_micros, currency)

    async def _measure(
        self, merchant_id: int, ask: TransactionalAsk, push: bytes | None
    ) -> tuple[Encoding | Literal["octets"], int]:
        info = self._senders.get(ask.sender)
        merchant = await self._offers.merchant(merchant_id)
        if info is None or not info.allows(merchant.slug):
            raise Invalid(
                f"{ask.sender!r} is not one of your sender numbers", code="sender_unknown", pointer="/sender"
            )
        check_tlvs(ask.tlvs, info)
        encoding: Encoding | Literal["octets"]
        if isinstance(ask.content, str):
            encoding, segments = measured(ask.content, info.alphabets, info.long_alphabets, info.concat)
        else:
            assert push is not None
            encoding, segments = "octets", len(push_messages(push).short_messages)
        if segments > PARTS_MAX:
            raise Invalid(
                f"it takes {segments} segments; at most {PARTS_MAX} go",
                code="text_too_long",
                pointer="/text" if push is None else "/wap_push",
            )
        return encoding, segments

    async def _price(self, merchant_id: int, msisdn: int, now: datetime) -> tuple[int, str]:
        """Return a segment's micros and their currency, by the network where the number is now."""
        moved = (await self._ported.lookup([msisdn])).get(msisdn)
        network = moved or self._networks.network_of(str(msisdn)).mccmnc

        def look_up() -> tuple[tuple[int, str] | None, list[str]]:
            book = self._pricing.book_of(merchant_id)
            item = None if book is None else book.lookup(now, Direction.MT, network)
            if book is None or item is None:
                return None, [network]
            return (item.unit_micros, book.currency), []

        price, missing = await self._pricing.looked_up(look_up)
        if price is None:
            raise price_missing(missing)
        return price


def check_may_tell(purpose: str, states: Mapping[Purpose, ConsentState]) -> None:
    """
    Refuse what a person must not get.

    Raises:
        DomainError: code `suppressed`, `stopped` or `consent_missing`.
    """
    if code := refusal_to_tell(PURPOSES[purpose], states):
        raise DomainError(REFUSALS[code], code=code)
