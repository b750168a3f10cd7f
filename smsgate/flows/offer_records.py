"""What the use cases of offers and their store hand to each other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from smsgate.campaigns.offer_states import OfferState, offer_state
from smsgate.campaigns.orders import USUAL_TERMS, OrderTerms
from smsgate.flows.records import OfferVersion
from smsgate.protocol.replacements import Replacement
from smsgate.protocol.tlvs import Tlvs


@dataclass(frozen=True, slots=True)
class OfferDraft:
    """An offer as a merchant or a trigger asks for it; None takes the merchant's own value."""

    text: str
    item: str
    unit_price_minor: int
    sender: str
    expires_at: datetime
    currency: str | None = None
    shop_name: str | None = None
    language: str | None = None
    country: str | None = None
    quantity_max: int = 1
    stock: int | None = None
    external_id: str | None = None
    sender_pool: tuple[str, ...] = ()  # other numbers that it may go out by
    ask_above_minor: int | None = None
    withdrawal: bool = True
    tlvs: Tlvs = ()
    terms: OrderTerms = USUAL_TERMS
    replace: bool = False  # the merchant wants what keeps the text from one segment replaced


@dataclass(frozen=True, slots=True)
class OfferRecord:
    """An offer with one of its versions; the stock is of all of them together."""

    offer: OfferVersion
    external_id: str | None
    stock: int | None  # pieces in all, sold ones included; None: not counted
    stock_remaining: int | None
    created_at: datetime
    withdrawn: bool = False
    replacements: tuple[Replacement, ...] = ()  # made just now, at the merchant's wish

    def as_new(self) -> NewOffer:
        return NewOffer(
            self.offer,
            self.offer.offer_id,
            self.offer.expires_at,
            self.external_id,
            self.stock,
            self.created_at,
        )

    def state_at(self, now: datetime) -> OfferState:
        return offer_state(
            withdrawn=self.withdrawn,
            stock_remaining=self.stock_remaining,
            expires_at=self.offer.expires_at,
            now=now,
        )


class NewOffer(NamedTuple):
    """
    A version of an offer to be written: `like` but for its id and its end.

    Thousands of webhooks ask for the same offer, each for a customer of its own: it is made and checked once.
    """

    like: OfferVersion
    offer_id: int
    expires_at: datetime
    external_id: str | None
    stock: int | None
    created_at: datetime
