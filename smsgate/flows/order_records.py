"""What the use cases of orders and their store hand to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from smsgate.campaigns.orders import USUAL_TERMS


@dataclass(frozen=True, slots=True)
class MessageCost:
    """Why the message of an order cost what it cost."""

    item_id: int
    network: str
    unit_micros: int
    segments: int
    sell_micros: int
    currency: str


@dataclass(frozen=True, slots=True)
class OrderStep:
    seq: int
    event: str
    state: str
    actor: str
    detail: Mapping[str, object]
    at: datetime


class OrderRecord(NamedTuple):
    merchant_id: int
    order_id: int
    number: str
    offer_id: int
    offer_version: int
    campaign_id: int
    message_id: int
    subscriber_id: int
    msisdn: int
    inbound_id: int
    sender: str
    item: str
    shop_name: str
    language: str  # of texts about it: the customer's, else the offer's
    offer_language: str  # where the carrier cannot write that one
    quantity: int
    unit_price_minor: int
    total_minor: int
    currency: str
    state: str
    shop_ref: str
    seq: int  # of the last step: the version that a change must meet
    created_at: datetime
    changed_at: datetime
    placed_at: datetime | None = None  # the OK that binds, where another came before it
    stock_held: bool = True  # its pieces are taken out of the offer's stock
    due_event: str | None = None  # smsgate.campaigns.orders.OrderEvent that comes by itself
    due_at: datetime | None = None
    delivered_at: datetime | None = None
    shop_answer_s: int = USUAL_TERMS.shop_answer_s
    confirm_by_sms: bool = False
    timezone: str = "UTC"  # the merchant's, for times in texts


@dataclass(frozen=True, slots=True)
class OrderChange:
    """One step of an order, written only if the order still is at `seq_before`."""

    merchant_id: int
    order_id: int
    seq_before: int
    event: str
    state: str
    actor: str
    shop_ref: str
    detail: Mapping[str, object]
    at: datetime
    stock_back: int  # pieces
    stock_taken: int  # pieces
    offer_id: int
    stock_held: bool
    due_event: str | None
    due_at: datetime | None
    delivered_at: datetime | None
