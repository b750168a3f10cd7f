"""
The order: from the customer's OK to the shop's answer and after.

An offer that is answered makes an order in PLACED, or in AWAITING_CONFIRMATION when one question must come
first.
The gateway never confirms by itself: CONFIRMED is the shop's word.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from smsgate.errors import TransitionRefused


class OrderState(StrEnum):
    AWAITING_CONFIRMATION = "awaiting_confirmation"
    PLACED = "placed"
    CONFIRMED = "confirmed"
    FULFILLED = "fulfilled"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    DISPUTED = "disputed"


class OrderEvent(StrEnum):
    CUSTOMER_OK = "customer_ok"
    CUSTOMER_NO = "customer_no"
    CUSTOMER_CANCEL = "customer_cancel"
    CUSTOMER_WITHDRAW = "customer_withdraw"
    CUSTOMER_DISPUTE = "customer_dispute"
    QUESTION_EXPIRED = "question_expired"
    ACTION_EXPIRED = "action_expired"
    SHOP_CONFIRM = "shop_confirm"
    SHOP_REJECT = "shop_reject"
    SHOP_REQUIRE_ACTION = "shop_require_action"
    SHOP_CANCEL = "shop_cancel"
    SHOP_FULFIL = "shop_fulfil"
    SHOP_SILENT = "shop_silent"


class Guard(StrEnum):
    """What must hold besides the state; `advance` checks it against the instants it is given."""

    NONE = "none"
    CANCEL_WINDOW = "cancel_window"
    WITHDRAWAL_PERIOD = "withdrawal_period"


@dataclass(frozen=True, slots=True)
class Step:
    """
    What one event does.

    `tell` is the kind of system text for the customer, `notify` the event type for the shop; None is silence.
    """

    state: OrderState
    stock_back: bool = False
    tell: str | None = None
    notify: str | None = None
    guard: Guard = Guard.NONE


_S, _E = OrderState, OrderEvent
_DISPUTE: Final = Step(_S.DISPUTED, notify="order.disputed")
_CANCEL: Final = Step(
    _S.CANCELLED, stock_back=True, tell="order_cancelled", notify="order.cancelled", guard=Guard.CANCEL_WINDOW
)
_SHOP_CANCEL: Final = Step(_S.CANCELLED, stock_back=True, tell="order_cancelled")

# Every pair that is not here is refused; tests walk the whole grid. A second OK, or one that crosses the
# shop's
# answer, orders nothing and changes nothing.
TRANSITIONS: Final[dict[tuple[OrderState, OrderEvent], Step]] = {
    (_S.AWAITING_CONFIRMATION, _E.CUSTOMER_OK): Step(_S.PLACED, tell="order_receipt", notify="order.created"),
    (_S.AWAITING_CONFIRMATION, _E.CUSTOMER_NO): Step(_S.EXPIRED, stock_back=True),
    (_S.AWAITING_CONFIRMATION, _E.CUSTOMER_CANCEL): Step(_S.EXPIRED, stock_back=True),
    (_S.AWAITING_CONFIRMATION, _E.QUESTION_EXPIRED): Step(_S.EXPIRED, stock_back=True),
    (_S.AWAITING_CONFIRMATION, _E.CUSTOMER_DISPUTE): _DISPUTE,
    (_S.PLACED, _E.CUSTOMER_OK): Step(_S.PLACED, tell="already_ordered"),
    (_S.PLACED, _E.CUSTOMER_NO): _CANCEL,
    (_S.PLACED, _E.CUSTOMER_CANCEL): _CANCEL,
    (_S.PLACED, _E.CUSTOMER_DISPUTE): _DISPUTE,
    (_S.PLACED, _E.SHOP_CONFIRM): Step(_S.CONFIRMED, tell="order_confirmed"),
    (_S.PLACED, _E.SHOP_REJECT): Step(_S.REJECTED, stock_back=True, tell="order_rejected"),
    (_S.PLACED, _E.SHOP_REQUIRE_ACTION): Step(_S.PLACED, tell="order_action"),
    (_S.PLACED, _E.ACTION_EXPIRED): Step(
        _S.EXPIRED, stock_back=True, tell="order_cancelled", notify="order.action_expired"
    ),
    (_S.PLACED, _E.SHOP_CANCEL): _SHOP_CANCEL,
    (_S.PLACED, _E.SHOP_SILENT): Step(
        _S.CANCELLED, stock_back=True, tell="order_abandoned", notify="order.cancelled"
    ),
    (_S.CONFIRMED, _E.CUSTOMER_OK): Step(_S.CONFIRMED, tell="already_ordered"),
    (_S.CONFIRMED, _E.CUSTOMER_NO): _CANCEL,
    (_S.CONFIRMED, _E.CUSTOMER_CANCEL): _CANCEL,
    (_S.CONFIRMED, _E.CUSTOMER_WITHDRAW): Step(
        _S.WITHDRAWN, tell="order_withdrawn", notify="order.withdrawn", guard=Guard.WITHDRAWAL_PERIOD
    ),
    (_S.CONFIRMED, _E.CUSTOMER_DISPUTE): _DISPUTE,
    (_S.CONFIRMED, _E.SHOP_CONFIRM): Step(_S.CONFIRMED),
    (_S.CONFIRMED, _E.SHOP_CANCEL): _SHOP_CANCEL,
    (_S.CONFIRMED, _E.SHOP_FULFIL): Step(_S.FULFILLED),
    (_S.FULFILLED, _E.CUSTOMER_OK): Step(_S.FULFILLED, tell="already_ordered"),
    (_S.FULFILLED, _E.CUSTOMER_WITHDRAW): Step(
        _S.WITHDRAWN, tell="order_withdrawn", notify="order.withdrawn", guard=Guard.WITHDRAWAL_PERIOD
    ),
    (_S.FULFILLED, _E.CUSTOMER_DISPUTE): _DISPUTE,
    (_S.FULFILLED, _E.SHOP_FULFIL): Step(_S.FULFILLED),
    (_S.REJECTED, _E.SHOP_REJECT): Step(_S.REJECTED),
    (_S.REJECTED, _E.CUSTOMER_DISPUTE): _DISPUTE,
    (_S.CANCELLED, _E.CUSTOMER_NO): Step(_S.CANCELLED, tell="order_cancelled"),
    (_S.CANCELLED, _E.CUSTOMER_CANCEL): Step(_S.CANCELLED, tell="order_cancelled"),
    (_S.CANCELLED, _E.SHOP_CANCEL): Step(_S.CANCELLED),
    (_S.CANCELLED, _E.CUSTOMER_DISPUTE): _DISPUTE,
    (_S.WITHDRAWN, _E.CUSTOMER_WITHDRAW): Step(_S.WITHDRAWN, tell="order_withdrawn"),
    (_S.WITHDRAWN, _E.CUSTOMER_DISPUTE): _DISPUTE,
    (_S.EXPIRED, _E.CUSTOMER_DISPUTE): _DISPUTE,
    (_S.DISPUTED, _E.CUSTOMER_DISPUTE): Step(_S.DISPUTED),
    # A person at the shop looked at the case and decides.
    (_S.DISPUTED, _E.SHOP_CONFIRM): Step(_S.CONFIRMED, tell="order_confirmed"),
    (_S.DISPUTED, _E.SHOP_REJECT): Step(_S.REJECTED, stock_back=True, tell="order_rejected"),
    (_S.DISPUTED, _E.SHOP_CANCEL): _SHOP_CANCEL,
}


def advance(
    state: OrderState,
    event: OrderEvent,
    *,
    at: datetime,
    cancel_until: datetime | None = None,
    withdraw_until: datetime | None = None,
) -> Step:
    """
    Return what `event` does to an order in `state`.

    A passed cancel window is not an error of the customer: the state stays and the shop is asked
    (`order.cancel_requested`). `cancel_until` None means no window was promised.

    Raises:
        TransitionRefused: code `order_state`; the event is not allowed in this state, or the withdrawal
            period is over (`withdraw_until` None: it has not begun, so it is not over).
    """
    assert at.tzinfo is not None
    step = TRANSITIONS.get((state, event))
    if step is None:
        raise TransitionRefused(f"an order that is {state} does not take {event}", code="order_state")
    if step.guard is Guard.CANCEL_WINDOW and (cancel_until is None or at > cancel_until):
        return Step(state, notify="order.cancel_requested")
    if step.guard is Guard.WITHDRAWAL_PERIOD and withdraw_until is not None and at > withdraw_until:
        raise TransitionRefused(
            f"the withdrawal period ended at {withdraw_until.isoformat()}", code="order_state"
        )
    return step


class Outcome(StrEnum):
    """What an accepting reply to an offer comes to; only PLACE and ASK write an order."""

    PLACE = "place"
    ASK = "ask"
    LATE = "late"
    SOLD_OUT = "sold_out"
    OVER_MAXIMUM = "over_maximum"
    REPEATED = "repeated"


def judge_acceptance(
    *,
    quantity: int,
    quantity_max: int,
    stock_left: int | None,
    received_at: datetime,
    expires_at: datetime | None,
    grace_s: int = 900,
    open_offer: bool = True,
    ordered_before: bool = False,
    quantity_stated: bool = False,
    total_minor: int = 0,
    ask_above_minor: int | None = None,
) -> Outcome:
    """
    Return what to do with "OK" or "OK n".

    `stock_left` None is unlimited; an answer within `grace_s` after the end still counts. A second plain OK
    repeats nothing; "OK 1" after an order is one more. Stock is only looked at here: the transaction that
    writes
    the order takes it and may still find it gone.
    """
    if not open_offer or (expires_at is not None and (received_at - expires_at).total_seconds() > grace_s):
        return Outcome.LATE
    if ordered_before and not quantity_stated:
        return Outcome.REPEATED
    if quantity > quantity_max:
        return Outcome.OVER_MAXIMUM
    if stock_left is not None and stock_left < quantity:
        return Outcome.SOLD_OUT
    if ask_above_minor is not None and total_minor > ask_above_minor:
        return Outcome.ASK
    return Outcome.PLACE
