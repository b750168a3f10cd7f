"""What an offer promises of its orders, as requests name it (smsgate.campaigns.orders.OrderTerms)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from smsgate.campaigns.orders import ORDER_TERM_S_MAX, SHOP_ANSWER_S_MIN

CancelWindow = Annotated[
    int,
    Field(
        ge=0,
        le=ORDER_TERM_S_MAX,
        description="So long a plain no cancels an order, as its receipt says; 0: you are asked each time.",
    ),
]
ShopAnswer = Annotated[
    int,
    Field(
        ge=SHOP_ANSWER_S_MIN,
        le=ORDER_TERM_S_MAX,
        description="An order that could not be handed to you within that time is cancelled with an apology.",
    ),
]
ConfirmBySms = Annotated[
    bool,
    Field(
        description="The buyer gets a text when you confirm. Otherwise the confirmation on a durable medium "
        "is yours to send."
    ),
]
