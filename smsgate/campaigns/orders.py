"""
The order: from the customer's OK to the shop's answer and after.

`ACCEPTANCES` is what an accepting reply to an offer comes to, `TRANSITIONS` what happens to an order that is
there, `DUE` what happens to it by time alone. The gateway never confirms by itself: CONFIRMED is the shop's
word. What 4.3 calls accepted and placed is one transaction here, so nobody ever meets the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from smsgate.errors import TransitionRefused

# A late answer by our clock may have been in time by the customer's: networks are slow.
LATE_ANSWER_GRACE_S: Final = 900
QUESTION_HOLDS_STOCK: Final = timedelta(minutes=10)  # others may have it while somebody thinks
QUESTION_LIFE: Final = timedelta(hours=24)
SHOP_LATE_AFTER: Final = timedelta(hours=1)  # the buyer hears that the shop has not heard yet
SHOP_ANSWER_S_MIN: Final = 7_200  # an hour after the buyer heard that the shop has not answered
ORDER_TERM_S_MAX: Final = 604_800  # a week: the buyer remembers what was ordered


class OrderTerms(NamedTuple):
    """What an offer promises of its orders, frozen with its text."""

    cancel_window_s: int = 3_600  # the receipt names the time: "NON 74170963" until then
    shop_answer_s: int = 86_400  # nobody waits longer for an order that its shop cannot take
    confirm_by_sms: bool = False  # the shop's confirmation is a text to the buyer, too


USUAL_TERMS: Final = OrderTerms()


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


# A customer may still cancel these.
LIVE: Final = frozenset({OrderState.PLACED, OrderState.CONFIRMED})
# A program that answers the event of such an order has not heard what the customer said since.
FOR_A_PERSON: Final = frozenset({OrderState.DISPUTED})
# An order that came to nothing is no reason to refuse the next one.
ENDED: Final = frozenset(
    {OrderState.REJECTED, OrderState.CANCELLED, OrderState.WITHDRAWN, OrderState.EXPIRED}
)


class OrderEvent(StrEnum):
    CUSTOMER_OK = "customer_ok"
    CUSTOMER_NUMBER = "customer_number"  # another number of pieces, in answer to the question
    CUSTOMER_NO = "customer_no"
    CUSTOMER_CANCEL = "customer_cancel"
    CUSTOMER_WITHDRAW = "customer_withdraw"
    CUSTOMER_DISPUTE = "customer_dispute"
    CUSTOMER_UNCLEAR = "customer_unclear"  # something about the order: a person of the shop reads it
    OFFER_ENDED = "offer_ended"  # before the answer to the question
    STOCK_GONE = "stock_gone"  # before the answer to the question
    HOLD_ENDED = "hold_ended"
    QUESTION_EXPIRED = "question_expired"
    ACTION_EXPIRED = "action_expired"
    SHOP_CONFIRM = "shop_confirm"
    SHOP_REJECT = "shop_reject"
    SHOP_REQUIRE_ACTION = "shop_require_action"
    SHOP_CANCEL = "shop_cancel"
    SHOP_FULFIL = "shop_fulfil"
    SHOP_LATE = "shop_late"  # nothing could be handed over yet
    SHOP_SILENT = "shop_silent"  # nor within the time that a buyer waits


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
    `stock_back` gives back the pieces that the order holds, if any; `takes_stock` has it hold them, if none.
    """

    state: OrderState
    stock_back: bool = False
    takes_stock: bool = False
    tell: str | None = None
    notify: str | None = None
    guard: Guard = Guard.NONE


_S, _E = OrderState, OrderEvent
_DISPUTE: Final = Step(_S.DISPUTED, tell="order_disputed", notify="order.disputed")
_CANCEL: Final = Step(
    _S.CANCELLED, stock_back=True, tell="order_cancelled", notify="order.cancelled", guard=Guard.CANCEL_WINDOW
)
_SHOP_CANCEL: Final = Step(_S.CANCELLED, stock_back=True, tell="order_cancelled")
_WITHDRAW: Final = Step(
    _S.WITHDRAWN, tell="order_withdrawn", notify="order.withdrawn", guard=Guard.WITHDRAWAL_PERIOD
)
_TAKE_BACK: Final = Step(_S.WITHDRAWN, tell="order_withdrawn")
_EXPIRE: Final = Step(_S.EXPIRED, stock_back=True)
# Whoever wants an order ended that is so already, or on a person's desk, hears how it is.
_IS_CANCELLED: Final = Step(_S.CANCELLED, tell="order_cancelled")
_IS_WITHDRAWN: Final = Step(_S.WITHDRAWN, tell="order_withdrawn")
_IS_REJECTED: Final = Step(_S.REJECTED, tell="order_rejected")
_IS_EXPIRED: Final = Step(_S.EXPIRED, tell="order_cancelled")
_IS_DISPUTED: Final = Step(_S.DISPUTED, tell="order_disputed")

# Every pair that is not here is refused; tests walk the whole grid. A second OK, or one that crosses the
# shop's answer, orders nothing and changes nothing.
TRANSITIONS: Final[dict[tuple[OrderState, OrderEvent], Step]] = {
    (_S.AWAITING_CONFIRMATION, _E.CUSTOMER_OK): Step(_S.PLACED, tell="order_receipt", notify="order.created"),
    (_S.AWAITING_CONFIRMATION, _E.CUSTOMER_NUMBER): Step(_S.AWAITING_CONFIRMATION, tell="confirm_question"),
    (_S.AWAITING_CONFIRMATION, _E.CUSTOMER_NO): _EXPIRE,
    (_S.AWAITING_CONFIRMATION, _E.CUSTOMER_CANCEL): _EXPIRE,
    (_S.AWAITING_CONFIRMATION, _E.HOLD_ENDED): Step(_S.AWAITING_CONFIRMATION, stock_back=True),
    (_S.AWAITING_CONFIRMATION, _E.QUESTION_EXPIRED): _EXPIRE,
    (_S.AWAITING_CONFIRMATION, _E.OFFER_ENDED): Step(
        _S.EXPIRED, stock_back=True, tell="late", notify="offer.late_reply"
    ),
    (_S.AWAITING_CONFIRMATION, _E.STOCK_GONE): Step(_S.EXPIRED, stock_back=True, tell="sold_out"),
    (_S.AWAITING_CONFIRMATION, _E.CUSTOMER_DISPUTE): _DISPUTE,
    (_S.PLACED, _E.CUSTOMER_OK): Step(_S.PLACED, tell="already_ordered"),
    (_S.PLACED, _E.CUSTOMER_NO): _CANCEL,
    (_S.PLACED, _E.CUSTOMER_CANCEL): _CANCEL,
    # Nothing is sold before the shop said so: whoever withdraws is out, at any time.
    (_S.PLACED, _E.CUSTOMER_WITHDRAW): Step(
        _S.CANCELLED, stock_back=True, tell="order_cancelled", notify="order.cancelled"
    ),
    (_S.PLACED, _E.CUSTOMER_DISPUTE): _DISPUTE,
    (_S.PLACED, _E.CUSTOMER_UNCLEAR): Step(_S.PLACED, tell="order_stands"),
    (_S.PLACED, _E.SHOP_CONFIRM): Step(_S.CONFIRMED, tell="order_confirmed"),
    (_S.PLACED, _E.SHOP_REJECT): Step(_S.REJECTED, stock_back=True, tell="order_rejected"),
    (_S.PLACED, _E.SHOP_REQUIRE_ACTION): Step(_S.PLACED, tell="order_action"),
    (_S.PLACED, _E.ACTION_EXPIRED): Step(
        _S.EXPIRED, stock_back=True, tell="order_cancelled", notify="order.action_expired"
    ),
    (_S.PLACED, _E.SHOP_CANCEL): _SHOP_CANCEL,
    (_S.PLACED, _E.SHOP_LATE): Step(_S.PLACED, tell="order_delayed"),
    (_S.PLACED, _E.SHOP_SILENT): Step(
        _S.CANCELLED, stock_back=True, tell="order_abandoned", notify="order.cancelled"
    ),
    (_S.CONFIRMED, _E.CUSTOMER_OK): Step(_S.CONFIRMED, tell="already_ordered"),
    (_S.CONFIRMED, _E.CUSTOMER_NO): _CANCEL,
    (_S.CONFIRMED, _E.CUSTOMER_CANCEL): _CANCEL,
    (_S.CONFIRMED, _E.CUSTOMER_WITHDRAW): _WITHDRAW,
    (_S.CONFIRMED, _E.CUSTOMER_DISPUTE): _DISPUTE,
    (_S.CONFIRMED, _E.CUSTOMER_UNCLEAR): Step(_S.CONFIRMED, tell="order_stands"),
    (_S.CONFIRMED, _E.SHOP_CONFIRM): Step(_S.CONFIRMED),
    (_S.CONFIRMED, _E.SHOP_CANCEL): _SHOP_CANCEL,
    (_S.CONFIRMED, _E.SHOP_FULFIL): Step(_S.FULFILLED),
    (_S.FULFILLED, _E.CUSTOMER_OK): Step(_S.FULFILLED, tell="already_ordered"),
    # What came is given back, whatever word is used (Directive 2011/83 art. 11: any unequivocal statement).
    (_S.FULFILLED, _E.CUSTOMER_NO): _WITHDRAW,
    (_S.FULFILLED, _E.CUSTOMER_CANCEL): _WITHDRAW,
    (_S.FULFILLED, _E.CUSTOMER_WITHDRAW): _WITHDRAW,
    (_S.FULFILLED, _E.CUSTOMER_DISPUTE): _DISPUTE,
    (_S.FULFILLED, _E.CUSTOMER_UNCLEAR): Step(_S.FULFILLED, tell="order_stands"),
    (_S.FULFILLED, _E.SHOP_FULFIL): Step(_S.FULFILLED),
    (_S.FULFILLED, _E.SHOP_CANCEL): _TAKE_BACK,  # if late
    (_S.REJECTED, _E.SHOP_REJECT): Step(_S.REJECTED),
    (_S.REJECTED, _E.CUSTOMER_NO): _IS_REJECTED,
    (_S.REJECTED, _E.CUSTOMER_CANCEL): _IS_REJECTED,
    (_S.REJECTED, _E.CUSTOMER_WITHDRAW): _IS_REJECTED,
    (_S.REJECTED, _E.CUSTOMER_DISPUTE): _DISPUTE,
    (_S.CANCELLED, _E.CUSTOMER_NO): _IS_CANCELLED,
    (_S.CANCELLED, _E.CUSTOMER_CANCEL): _IS_CANCELLED,
    (_S.CANCELLED, _E.CUSTOMER_WITHDRAW): _IS_CANCELLED,
    (_S.CANCELLED, _E.SHOP_CANCEL): Step(_S.CANCELLED),
    (_S.CANCELLED, _E.CUSTOMER_DISPUTE): _DISPUTE,
    (_S.WITHDRAWN, _E.CUSTOMER_NO): _IS_WITHDRAWN,
    (_S.WITHDRAWN, _E.CUSTOMER_CANCEL): _IS_WITHDRAWN,
    (_S.WITHDRAWN, _E.CUSTOMER_WITHDRAW): _IS_WITHDRAWN,
    (_S.WITHDRAWN, _E.SHOP_CANCEL): Step(_S.WITHDRAWN),
    (_S.WITHDRAWN, _E.CUSTOMER_DISPUTE): _DISPUTE,
    (_S.EXPIRED, _E.CUSTOMER_NO): _IS_EXPIRED,
    (_S.EXPIRED, _E.CUSTOMER_CANCEL): _IS_EXPIRED,
    (_S.EXPIRED, _E.CUSTOMER_WITHDRAW): _IS_EXPIRED,
    (_S.EXPIRED, _E.CUSTOMER_DISPUTE): _DISPUTE,
    (_S.DISPUTED, _E.CUSTOMER_NO): _IS_DISPUTED,
    (_S.DISPUTED, _E.CUSTOMER_CANCEL): _IS_DISPUTED,
    (_S.DISPUTED, _E.CUSTOMER_WITHDRAW): _IS_DISPUTED,
    (_S.DISPUTED, _E.CUSTOMER_DISPUTE): _IS_DISPUTED,
    # A person at the shop looked at the case and decides. An order that had ended holds no pieces any more.
    (_S.DISPUTED, _E.SHOP_CONFIRM): Step(_S.CONFIRMED, takes_stock=True, tell="order_confirmed"),
    (_S.DISPUTED, _E.SHOP_REJECT): Step(_S.REJECTED, stock_back=True, tell="order_rejected"),
    (_S.DISPUTED, _E.SHOP_CANCEL): _SHOP_CANCEL,
}

# What ends an order after a dispute about goods that had come: they left the house, whatever its state is.
DELIVERED: Final[dict[OrderEvent, Step]] = {
    _E.CUSTOMER_NO: _WITHDRAW,
    _E.CUSTOMER_CANCEL: _WITHDRAW,
    _E.SHOP_REJECT: _TAKE_BACK,
    _E.SHOP_CANCEL: _TAKE_BACK,
}


def advance(
    state: OrderState,
    event: OrderEvent,
    *,
    at: datetime,
    cancel_until: datetime | None = None,
    withdraw_until: datetime | None = None,
    may_withdraw: bool = True,
    automatic: bool = False,
    delivered: bool = False,
) -> Step:
    """
    Return what `event` does to an order in `state`, whose goods came or not (`delivered`).

    A passed cancel window or withdrawal period is not an error of the customer: the state stays, the shop is
    asked (`order.cancel_requested`) and the customer told so. `cancel_until` None means no window was
    promised, `withdraw_until` None that the period has not begun, so it is not over; `may_withdraw` False
    that the law gives no such right here; `automatic` that no person decided it.

    Raises:
        TransitionRefused: code `order_state`; the event is not allowed in this state.
    """
    assert at.tzinfo is not None
    step = TRANSITIONS.get((state, event))
    if step is None:
        raise TransitionRefused(f"an order that is {state} does not take {event}", code="order_state")
    if automatic and state in FOR_A_PERSON:
        raise TransitionRefused(f"a person decides about an order that is {state}", code="order_state")
    if delivered and step.stock_back:
        step = DELIVERED.get(event, step)
    if step.guard is Guard.CANCEL_WINDOW and (cancel_until is None or at > cancel_until):
        return Step(state, tell="cancel_requested", notify="order.cancel_requested")
    if step.guard is Guard.WITHDRAWAL_PERIOD:
        over = withdraw_until is not None and at > withdraw_until
        if over or not may_withdraw:
            return Step(state, tell="cancel_requested", notify="order.cancel_requested")
    return step


def takes(state: OrderState, event: OrderEvent) -> bool:
    """Return whether an order in `state` takes `event` at all."""
    return (state, event) in TRANSITIONS


class Due(NamedTuple):
    """What happens to an order by itself, and when."""

    event: OrderEvent
    at: datetime


# By the state that the event met. What is not here leaves what was due as it is while the state stays, and
# ends it with the state; a required action brings its own deadline.
DUE: Final[dict[tuple[OrderState, OrderEvent], tuple[OrderEvent, timedelta]]] = {
    (_S.AWAITING_CONFIRMATION, _E.CUSTOMER_NUMBER): (_E.HOLD_ENDED, QUESTION_HOLDS_STOCK),
    (_S.AWAITING_CONFIRMATION, _E.HOLD_ENDED): (_E.QUESTION_EXPIRED, QUESTION_LIFE - QUESTION_HOLDS_STOCK),
    (_S.AWAITING_CONFIRMATION, _E.CUSTOMER_OK): (_E.SHOP_LATE, SHOP_LATE_AFTER),
    (_S.PLACED, _E.SHOP_LATE): (_E.SHOP_SILENT, timedelta(0)),  # and the offer's `shop_answer_s`
}
# The shop must have been out of reach for these; once it has the order it may take its time.
WHILE_UNREACHED: Final = frozenset({_E.SHOP_LATE, _E.SHOP_SILENT})


def due_after(
    before: OrderState,
    event: OrderEvent,
    step: Step,
    at: datetime,
    due: Due | None,
    shop_answer_s: int = USUAL_TERMS.shop_answer_s,
) -> Due | None:
    """Return what is due once `event` met an order in `before`, for which `due` was due."""
    if (before, event) in DUE:
        next_, wait = DUE[before, event]
        if next_ is OrderEvent.SHOP_SILENT:
            wait = timedelta(seconds=shop_answer_s) - SHOP_LATE_AFTER
        return Due(next_, at + wait)
    return due if step.state is before else None


def changes(before: OrderState, event: OrderEvent, step: Step) -> bool:
    """Return whether the event is a step of the order's history, or only an answer to its repetition."""
    asked = event is OrderEvent.CUSTOMER_UNCLEAR  # noted, so that it is asked once
    return asked or step.state is not before or (before, event) in DUE or step.notify is not None


def due_of_new(event: OrderEvent, at: datetime) -> Due:
    """Return what is due of a new order: as if its question had been answered, or put, just now."""
    next_, wait = DUE[_S.AWAITING_CONFIRMATION, event]
    return Due(next_, at + wait)


class Outcome(StrEnum):
    """What an accepting reply to an offer comes to; PLACE, ASK and OVER_MAXIMUM write an order."""

    PLACE = "place"
    ASK = "ask"
    OVER_MAXIMUM = "over_maximum"
    LATE = "late"
    CLOSED = "closed"
    SOLD_OUT = "sold_out"
    REPEATED = "repeated"


class Acceptance(NamedTuple):
    """`state` None: nothing is ordered, and the text says so."""

    state: OrderState | None
    tell: str
    notify: str | None = None


ACCEPTANCES: Final[dict[Outcome, Acceptance]] = {
    Outcome.PLACE: Acceptance(_S.PLACED, "order_receipt", "order.created"),
    Outcome.ASK: Acceptance(_S.AWAITING_CONFIRMATION, "confirm_question"),
    Outcome.OVER_MAXIMUM: Acceptance(_S.AWAITING_CONFIRMATION, "over_maximum"),
    Outcome.LATE: Acceptance(None, "late", "offer.late_reply"),
    Outcome.CLOSED: Acceptance(None, "offer_closed", "offer.late_reply"),
    Outcome.SOLD_OUT: Acceptance(None, "sold_out"),
    Outcome.REPEATED: Acceptance(None, "already_ordered"),
}


def in_time(received_at: datetime, expires_at: datetime | None, grace_s: int = LATE_ANSWER_GRACE_S) -> bool:
    """Return whether an answer still counts: until `grace_s` after the end."""
    return expires_at is None or (received_at - expires_at).total_seconds() <= grace_s


def judge_acceptance(
    *,
    quantity: int,
    quantity_max: int,
    stock_left: int | None,
    received_at: datetime,
    expires_at: datetime | None,
    open_offer: bool = True,
    ordered_before: bool = False,
    quantity_stated: bool = False,
    total_minor: int = 0,
    ask_above_minor: int | None = None,
) -> Outcome:
    """
    Return what to do with "OK" or "OK n".

    `stock_left` None is unlimited. A second plain OK repeats nothing; "OK 1" after an order is one more. More
    than there is, or than one may order, is asked about: `orderable` pieces. Stock is only looked at here:
    the transaction that writes the order takes it, under the offer's lock.
    """
    if ordered_before and not quantity_stated:
        return Outcome.REPEATED  # about that order, whatever became of the offer since
    if not in_time(received_at, expires_at):
        return Outcome.LATE
    if not open_offer:
        return Outcome.CLOSED
    if stock_left == 0:
        return Outcome.SOLD_OUT
    if quantity > orderable(quantity_max, stock_left):
        return Outcome.OVER_MAXIMUM
    if ask_above_minor is not None and total_minor > ask_above_minor:
        return Outcome.ASK
    return Outcome.PLACE


def orderable(quantity_max: int, stock_left: int | None) -> int:
    """Return how many pieces one reply may order now."""
    return quantity_max if stock_left is None else min(quantity_max, stock_left)
