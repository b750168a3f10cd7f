from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from smsgate.campaigns.orders import (
    ACCEPTANCES,
    DELIVERED,
    DUE,
    ENDED,
    QUESTION_HOLDS_STOCK,
    QUESTION_LIFE,
    SHOP_LATE_AFTER,
    TRANSITIONS,
    Due,
    Guard,
    OrderEvent,
    OrderState,
    Outcome,
    Step,
    advance,
    due_after,
    due_of_new,
    judge_acceptance,
    orderable,
    takes,
)
from smsgate.campaigns.texts import kinds
from smsgate.errors import TransitionRefused
from smsgate.flows.commerce_records import EVENT_TYPES

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
S, E = OrderState, OrderEvent

# Requirement 4.3, row by row: from, event -> state, stock back, buyer is told, shop gets. What is not here is
# refused.
GRID = {
    (S.AWAITING_CONFIRMATION, E.CUSTOMER_OK): (S.PLACED, False, "order_receipt", "order.created"),
    (S.AWAITING_CONFIRMATION, E.CUSTOMER_NUMBER): (S.AWAITING_CONFIRMATION, False, "confirm_question", None),
    (S.AWAITING_CONFIRMATION, E.CUSTOMER_NO): (S.EXPIRED, True, None, None),
    (S.AWAITING_CONFIRMATION, E.CUSTOMER_CANCEL): (S.EXPIRED, True, None, None),
    (S.AWAITING_CONFIRMATION, E.CUSTOMER_DISPUTE): (S.DISPUTED, False, "order_disputed", "order.disputed"),
    (S.AWAITING_CONFIRMATION, E.HOLD_ENDED): (S.AWAITING_CONFIRMATION, True, None, None),
    (S.AWAITING_CONFIRMATION, E.QUESTION_EXPIRED): (S.EXPIRED, True, None, None),
    (S.AWAITING_CONFIRMATION, E.OFFER_ENDED): (S.EXPIRED, True, "late", "offer.late_reply"),
    (S.AWAITING_CONFIRMATION, E.STOCK_GONE): (S.EXPIRED, True, "sold_out", None),
    (S.PLACED, E.CUSTOMER_OK): (S.PLACED, False, "already_ordered", None),
    (S.PLACED, E.CUSTOMER_NO): (S.CANCELLED, True, "order_cancelled", "order.cancelled"),
    (S.PLACED, E.CUSTOMER_CANCEL): (S.CANCELLED, True, "order_cancelled", "order.cancelled"),
    (S.PLACED, E.CUSTOMER_WITHDRAW): (S.CANCELLED, True, "order_cancelled", "order.cancelled"),
    (S.PLACED, E.CUSTOMER_DISPUTE): (S.DISPUTED, False, "order_disputed", "order.disputed"),
    (S.PLACED, E.CUSTOMER_UNCLEAR): (S.PLACED, False, "order_stands", None),
    (S.PLACED, E.SHOP_CONFIRM): (S.CONFIRMED, False, "order_confirmed", None),
    (S.PLACED, E.SHOP_REJECT): (S.REJECTED, True, "order_rejected", None),
    (S.PLACED, E.SHOP_REQUIRE_ACTION): (S.PLACED, False, "order_action", None),
    (S.PLACED, E.ACTION_EXPIRED): (S.EXPIRED, True, "order_cancelled", "order.action_expired"),
    (S.PLACED, E.SHOP_CANCEL): (S.CANCELLED, True, "order_cancelled", None),
    (S.PLACED, E.SHOP_LATE): (S.PLACED, False, "order_delayed", None),
    (S.PLACED, E.SHOP_SILENT): (S.CANCELLED, True, "order_abandoned", "order.cancelled"),
    (S.CONFIRMED, E.CUSTOMER_OK): (S.CONFIRMED, False, "already_ordered", None),
    (S.CONFIRMED, E.CUSTOMER_NO): (S.CANCELLED, True, "order_cancelled", "order.cancelled"),
    (S.CONFIRMED, E.CUSTOMER_CANCEL): (S.CANCELLED, True, "order_cancelled", "order.cancelled"),
    (S.CONFIRMED, E.CUSTOMER_WITHDRAW): (S.WITHDRAWN, False, "order_withdrawn", "order.withdrawn"),
    (S.CONFIRMED, E.CUSTOMER_DISPUTE): (S.DISPUTED, False, "order_disputed", "order.disputed"),
    (S.CONFIRMED, E.CUSTOMER_UNCLEAR): (S.CONFIRMED, False, "order_stands", None),
    (S.CONFIRMED, E.SHOP_CONFIRM): (S.CONFIRMED, False, None, None),
    (S.CONFIRMED, E.SHOP_CANCEL): (S.CANCELLED, True, "order_cancelled", None),
    (S.CONFIRMED, E.SHOP_FULFIL): (S.FULFILLED, False, None, None),
    (S.FULFILLED, E.CUSTOMER_OK): (S.FULFILLED, False, "already_ordered", None),
    (S.FULFILLED, E.CUSTOMER_NO): (S.WITHDRAWN, False, "order_withdrawn", "order.withdrawn"),
    (S.FULFILLED, E.CUSTOMER_CANCEL): (S.WITHDRAWN, False, "order_withdrawn", "order.withdrawn"),
    (S.FULFILLED, E.CUSTOMER_WITHDRAW): (S.WITHDRAWN, False, "order_withdrawn", "order.withdrawn"),
    (S.FULFILLED, E.CUSTOMER_DISPUTE): (S.DISPUTED, False, "order_disputed", "order.disputed"),
    (S.FULFILLED, E.CUSTOMER_UNCLEAR): (S.FULFILLED, False, "order_stands", None),
    (S.FULFILLED, E.SHOP_FULFIL): (S.FULFILLED, False, None, None),
    (S.FULFILLED, E.SHOP_CANCEL): (S.WITHDRAWN, False, "order_withdrawn", None),
    (S.REJECTED, E.SHOP_REJECT): (S.REJECTED, False, None, None),
    (S.REJECTED, E.CUSTOMER_NO): (S.REJECTED, False, "order_rejected", None),
    (S.REJECTED, E.CUSTOMER_CANCEL): (S.REJECTED, False, "order_rejected", None),
    (S.REJECTED, E.CUSTOMER_WITHDRAW): (S.REJECTED, False, "order_rejected", None),
    (S.REJECTED, E.CUSTOMER_DISPUTE): (S.DISPUTED, False, "order_disputed", "order.disputed"),
    (S.CANCELLED, E.CUSTOMER_NO): (S.CANCELLED, False, "order_cancelled", None),
    (S.CANCELLED, E.CUSTOMER_CANCEL): (S.CANCELLED, False, "order_cancelled", None),
    (S.CANCELLED, E.CUSTOMER_WITHDRAW): (S.CANCELLED, False, "order_cancelled", None),
    (S.CANCELLED, E.SHOP_CANCEL): (S.CANCELLED, False, None, None),
    (S.CANCELLED, E.CUSTOMER_DISPUTE): (S.DISPUTED, False, "order_disputed", "order.disputed"),
    (S.WITHDRAWN, E.CUSTOMER_NO): (S.WITHDRAWN, False, "order_withdrawn", None),
    (S.WITHDRAWN, E.CUSTOMER_CANCEL): (S.WITHDRAWN, False, "order_withdrawn", None),
    (S.WITHDRAWN, E.CUSTOMER_WITHDRAW): (S.WITHDRAWN, False, "order_withdrawn", None),
    (S.WITHDRAWN, E.SHOP_CANCEL): (S.WITHDRAWN, False, None, None),
    (S.EXPIRED, E.CUSTOMER_NO): (S.EXPIRED, False, "order_cancelled", None),
    (S.EXPIRED, E.CUSTOMER_CANCEL): (S.EXPIRED, False, "order_cancelled", None),
    (S.EXPIRED, E.CUSTOMER_WITHDRAW): (S.EXPIRED, False, "order_cancelled", None),
    (S.WITHDRAWN, E.CUSTOMER_DISPUTE): (S.DISPUTED, False, "order_disputed", "order.disputed"),
    (S.EXPIRED, E.CUSTOMER_DISPUTE): (S.DISPUTED, False, "order_disputed", "order.disputed"),
    (S.DISPUTED, E.CUSTOMER_NO): (S.DISPUTED, False, "order_disputed", None),
    (S.DISPUTED, E.CUSTOMER_CANCEL): (S.DISPUTED, False, "order_disputed", None),
    (S.DISPUTED, E.CUSTOMER_WITHDRAW): (S.DISPUTED, False, "order_disputed", None),
    (S.DISPUTED, E.CUSTOMER_DISPUTE): (S.DISPUTED, False, "order_disputed", None),
    (S.DISPUTED, E.SHOP_CONFIRM): (S.CONFIRMED, False, "order_confirmed", None),
    (S.DISPUTED, E.SHOP_REJECT): (S.REJECTED, True, "order_rejected", None),
    (S.DISPUTED, E.SHOP_CANCEL): (S.CANCELLED, True, "order_cancelled", None),
}


@pytest.mark.parametrize(("state", "event"), list(product(OrderState, OrderEvent)))
def test_every_pair_does_what_the_requirement_says_and_every_other_is_refused(
    state: OrderState, event: OrderEvent
) -> None:
    assert takes(state, event) is ((state, event) in GRID)
    if (state, event) in GRID:
        step = advance(state, event, at=NOW, cancel_until=LATER, withdraw_until=LATER)
        assert (step.state, step.stock_back, step.tell, step.notify) == GRID[state, event]
        assert step.tell is None or step.tell in kinds()
        assert step.notify is None or step.notify in EVENT_TYPES
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
    for (state, event), step in TRANSITIONS.items():
        ends_without_goods = step.state in ENDED - {OrderState.WITHDRAWN} and state not in ENDED
        assert step.stock_back is (ends_without_goods or event is OrderEvent.HOLD_ENDED)


def test_no_order_whose_goods_came_brings_stock_back_and_it_ends_as_withdrawn() -> None:
    """In whatever state a dispute has left it: each event that gives stock back has another step then."""
    after_a_dispute = (OrderState.DISPUTED, OrderState.CONFIRMED)
    ends = {
        event for (state, event), step in TRANSITIONS.items() if state in after_a_dispute and step.stock_back
    }
    assert ends == DELIVERED.keys()
    for state, event in product(after_a_dispute, ends):
        if takes(state, event) and TRANSITIONS[state, event].stock_back:
            step = advance(state, event, at=NOW, withdraw_until=NOW, delivered=True)
            assert (step.state, step.stock_back, step.tell) == (S.WITHDRAWN, False, "order_withdrawn")
    late = advance(S.CONFIRMED, E.CUSTOMER_NO, at=LATER, withdraw_until=NOW, delivered=True)
    assert (late.state, late.notify) == (S.CONFIRMED, "order.cancel_requested")


def test_pieces_are_taken_again_only_where_the_shop_confirms_what_was_disputed() -> None:
    """An order that was cancelled, rejected or expired gave its pieces back before the dispute."""
    taking = {pair for pair, step in TRANSITIONS.items() if step.takes_stock}
    assert taking == {(OrderState.DISPUTED, OrderEvent.SHOP_CONFIRM)}


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
    assert after == Step(OrderState.PLACED, tell="cancel_requested", notify="order.cancel_requested")


def test_a_withdrawal_is_taken_until_its_period_ends_and_then_the_shop_is_asked() -> None:
    event = OrderEvent.CUSTOMER_WITHDRAW
    asked = Step(OrderState.FULFILLED, tell="cancel_requested", notify="order.cancel_requested")
    assert advance(OrderState.CONFIRMED, event, at=NOW, withdraw_until=None).state is OrderState.WITHDRAWN
    assert advance(OrderState.FULFILLED, event, at=NOW, withdraw_until=NOW).state is OrderState.WITHDRAWN
    assert advance(OrderState.FULFILLED, event, at=LATER, withdraw_until=NOW) == asked
    assert advance(OrderState.FULFILLED, event, at=NOW, may_withdraw=False) == asked


def test_what_is_due_follows_from_what_happened() -> None:
    asked = due_of_new(OrderEvent.CUSTOMER_NUMBER, NOW)
    assert asked == Due(OrderEvent.HOLD_ENDED, NOW + QUESTION_HOLDS_STOCK)
    still = Step(OrderState.AWAITING_CONFIRMATION)
    expiry = due_after(OrderState.AWAITING_CONFIRMATION, asked.event, still, asked.at, asked)
    assert expiry == Due(OrderEvent.QUESTION_EXPIRED, NOW + QUESTION_LIFE)
    placed = due_of_new(OrderEvent.CUSTOMER_OK, NOW)
    assert placed == Due(OrderEvent.SHOP_LATE, NOW + SHOP_LATE_AFTER)
    late = due_after(OrderState.PLACED, placed.event, Step(OrderState.PLACED), placed.at, placed)
    assert late == Due(OrderEvent.SHOP_SILENT, NOW + timedelta(hours=24))
    patient = due_after(OrderState.PLACED, placed.event, Step(OrderState.PLACED), placed.at, placed, 7_200)
    assert patient == Due(OrderEvent.SHOP_SILENT, NOW + timedelta(hours=2))


def test_what_is_due_ends_with_the_state_and_stays_while_that_does() -> None:
    due = Due(OrderEvent.SHOP_SILENT, LATER)
    for (state, event), step in TRANSITIONS.items():
        after = due_after(state, event, step, NOW, due)
        if (state, event) in DUE:
            assert after is not None
            assert after.at > NOW
            assert takes(step.state, after.event)
        else:
            assert after is (due if step.state is state else None)


def test_whatever_comes_by_time_is_taken_by_the_state_that_it_finds() -> None:
    for (state, event), (next_, _) in DUE.items():
        assert takes(TRANSITIONS[state, event].state, next_)


def test_each_acceptance_tells_its_own_text_and_only_three_write_an_order() -> None:
    assert set(ACCEPTANCES) == set(Outcome)
    told = [acceptance.tell for acceptance in ACCEPTANCES.values()]
    assert len(set(told)) == len(told)
    assert set(told) <= set(kinds())
    writing = {outcome for outcome, acceptance in ACCEPTANCES.items() if acceptance.state is not None}
    assert writing == {Outcome.PLACE, Outcome.ASK, Outcome.OVER_MAXIMUM}


@pytest.mark.parametrize(("quantity_max", "stock", "most"), [(5, None, 5), (5, 9, 5), (5, 3, 3), (5, 0, 0)])
def test_one_reply_orders_at_most_what_is_allowed_and_there(
    quantity_max: int, stock: int | None, most: int
) -> None:
    assert orderable(quantity_max, stock) == most


def test_guards_stand_only_where_the_customer_takes_back() -> None:
    guarded = {event for (_, event), step in TRANSITIONS.items() if step.guard is not Guard.NONE}
    assert guarded == {OrderEvent.CUSTOMER_NO, OrderEvent.CUSTOMER_CANCEL, OrderEvent.CUSTOMER_WITHDRAW}


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({}, Outcome.PLACE),
        ({"open_offer": False}, Outcome.CLOSED),
        ({"expires_at": NOW - timedelta(minutes=15)}, Outcome.PLACE),
        ({"expires_at": NOW - timedelta(minutes=15, seconds=1)}, Outcome.LATE),
        ({"ordered_before": True}, Outcome.REPEATED),
        ({"ordered_before": True, "expires_at": NOW - timedelta(days=1)}, Outcome.REPEATED),
        ({"ordered_before": True, "open_offer": False}, Outcome.REPEATED),
        ({"ordered_before": True, "quantity_stated": True, "open_offer": False}, Outcome.CLOSED),
        ({"ordered_before": True, "quantity_stated": True}, Outcome.PLACE),
        ({"quantity": 6}, Outcome.OVER_MAXIMUM),
        ({"quantity": 2, "stock_left": 1}, Outcome.OVER_MAXIMUM),
        ({"quantity": 2, "stock_left": 0}, Outcome.SOLD_OUT),
        ({"quantity": 9, "stock_left": 0}, Outcome.SOLD_OUT),
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
