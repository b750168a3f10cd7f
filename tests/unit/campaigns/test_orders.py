from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from smsgate.campaigns.orders import (
    TRANSITIONS,
    Guard,
    OrderEvent,
    OrderState,
    Outcome,
    advance,
    judge_acceptance,
)
from smsgate.campaigns.texts import kinds
from smsgate.errors import TransitionRefused

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
ENDED = {OrderState.REJECTED, OrderState.CANCELLED, OrderState.WITHDRAWN, OrderState.EXPIRED}


@pytest.mark.parametrize(("state", "event"), list(product(OrderState, OrderEvent)))
def test_every_pair_does_what_the_table_says_and_every_other_is_refused(
    state: OrderState, event: OrderEvent
) -> None:
    if (state, event) in TRANSITIONS:
        step = advance(state, event, at=NOW, cancel_until=LATER, withdraw_until=LATER)
        assert step == TRANSITIONS[state, event]
        assert step.tell is None or step.tell in kinds()
    else:
        with pytest.raises(TransitionRefused) as caught:
            advance(state, event, at=NOW, cancel_until=LATER, withdraw_until=LATER)
        assert caught.value.code == "order_state"


def test_only_the_shop_confirms() -> None:
    confirming = {
        event
        for (state, event), step in TRANSITIONS.items()
        if step.state is OrderState.CONFIRMED and state is not step.state
    }
    assert confirming == {OrderEvent.SHOP_CONFIRM}
    told = {step.tell for (_, event), step in TRANSITIONS.items() if event is not OrderEvent.SHOP_CONFIRM}
    assert "order_confirmed" not in told


def test_stock_comes_back_exactly_when_an_order_ends_without_goods_and_only_once() -> None:
    for (state, _event), step in TRANSITIONS.items():
        ends_without_goods = step.state in ENDED - {OrderState.WITHDRAWN} and state not in ENDED
        assert step.stock_back is ends_without_goods


def test_an_ended_order_never_comes_to_life_but_through_a_dispute() -> None:
    for (state, event), step in TRANSITIONS.items():
        if state in ENDED:
            assert step.state in {state, OrderState.DISPUTED}, (state, event)


def test_a_second_ok_changes_nothing() -> None:
    for state in (OrderState.PLACED, OrderState.CONFIRMED):
        step = advance(state, OrderEvent.CUSTOMER_OK, at=NOW)
        assert (step.state, step.stock_back, step.notify, step.tell) == (
            state,
            False,
            None,
            "already_ordered",
        )


def test_after_the_cancel_window_the_shop_is_asked_and_the_state_stays() -> None:
    inside = advance(OrderState.PLACED, OrderEvent.CUSTOMER_CANCEL, at=NOW, cancel_until=NOW)
    after = advance(
        OrderState.PLACED, OrderEvent.CUSTOMER_CANCEL, at=NOW + timedelta(seconds=1), cancel_until=NOW
    )
    assert (inside.state, inside.stock_back) == (OrderState.CANCELLED, True)
    assert (after.state, after.notify, after.stock_back) == (
        OrderState.PLACED,
        "order.cancel_requested",
        False,
    )


def test_withdrawal_ends_with_its_period_and_is_open_before_it_began() -> None:
    advance(OrderState.CONFIRMED, OrderEvent.CUSTOMER_WITHDRAW, at=NOW, withdraw_until=None)
    advance(OrderState.FULFILLED, OrderEvent.CUSTOMER_WITHDRAW, at=NOW, withdraw_until=NOW)
    with pytest.raises(TransitionRefused):
        advance(OrderState.FULFILLED, OrderEvent.CUSTOMER_WITHDRAW, at=LATER, withdraw_until=NOW)


def test_guards_stand_only_where_the_customer_takes_back() -> None:
    guarded = {event for (_, event), step in TRANSITIONS.items() if step.guard is not Guard.NONE}
    assert guarded == {OrderEvent.CUSTOMER_NO, OrderEvent.CUSTOMER_CANCEL, OrderEvent.CUSTOMER_WITHDRAW}


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({}, Outcome.PLACE),
        ({"open_offer": False}, Outcome.LATE),
        ({"expires_at": NOW - timedelta(minutes=15)}, Outcome.PLACE),
        ({"expires_at": NOW - timedelta(minutes=15, seconds=1)}, Outcome.LATE),
        ({"ordered_before": True}, Outcome.REPEATED),
        ({"ordered_before": True, "quantity_stated": True}, Outcome.PLACE),
        ({"quantity": 6}, Outcome.OVER_MAXIMUM),
        ({"quantity": 2, "stock_left": 1}, Outcome.SOLD_OUT),
        ({"stock_left": None}, Outcome.PLACE),
        ({"total_minor": 5001, "ask_above_minor": 5000}, Outcome.ASK),
        ({"total_minor": 5000, "ask_above_minor": 5000}, Outcome.PLACE),
    ],
)
def test_each_reply_to_an_offer_has_its_own_outcome(changed: dict[str, object], outcome: Outcome) -> None:
    usual: dict[str, object] = {
        "quantity": 1,
        "quantity_max": 5,
        "stock_left": 10,
        "received_at": NOW,
        "expires_at": LATER,
    }
    assert judge_acceptance(**(usual | changed)) is outcome  # type: ignore[arg-type]
