from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from smsgate.campaigns.offer_states import (
    MESSAGE_TRANSITIONS,
    OFFER_TRANSITIONS,
    Drop,
    MessageEvent,
    MessageState,
    OfferEvent,
    OfferState,
    OfferStep,
    advance_offer,
    message_state,
    offer_state,
)
from smsgate.errors import TransitionRefused
from smsgate.flows.commerce_records import EVENT_TYPES
from smsgate.flows.why import NOT_SENT

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
S, E = OfferState, OfferEvent
M, V = MessageState, MessageEvent

# Requirement 4.2, pair by pair: state, the shop gets, what ends of what was not written. What is not here is
# refused.
GRID = {
    (S.LIVE, E.SEND): (S.LIVE, None, None),
    (S.LIVE, E.STOCK_GONE): (S.SOLD_OUT, "offer.sold_out", None),
    (S.LIVE, E.STOCK_BACK): (S.LIVE, None, None),
    (S.LIVE, E.RESTOCK): (S.LIVE, None, None),
    (S.LIVE, E.END): (S.EXPIRED, None, "expired"),
    (S.LIVE, E.NEW_VERSION): (S.LIVE, "offer.version_published", "superseded"),
    (S.LIVE, E.WITHDRAW): (S.WITHDRAWN, "offer.withdrawn", "withdrawn"),
    (S.SOLD_OUT, E.STOCK_BACK): (S.LIVE, None, None),
    (S.SOLD_OUT, E.RESTOCK): (S.LIVE, None, None),
    (S.SOLD_OUT, E.END): (S.EXPIRED, None, "expired"),
    (S.SOLD_OUT, E.NEW_VERSION): (S.SOLD_OUT, "offer.version_published", "superseded"),
    (S.SOLD_OUT, E.WITHDRAW): (S.WITHDRAWN, "offer.withdrawn", "withdrawn"),
    (S.EXPIRED, E.STOCK_GONE): (S.EXPIRED, "offer.sold_out", None),
    (S.EXPIRED, E.STOCK_BACK): (S.EXPIRED, None, None),
    (S.EXPIRED, E.RESTOCK): (S.EXPIRED, None, None),
    (S.EXPIRED, E.END): (S.EXPIRED, None, None),
    (S.EXPIRED, E.NEW_VERSION): (S.LIVE, "offer.version_published", "superseded"),
    (S.EXPIRED, E.WITHDRAW): (S.WITHDRAWN, "offer.withdrawn", "withdrawn"),
    (S.WITHDRAWN, E.STOCK_BACK): (S.WITHDRAWN, None, None),
    (S.WITHDRAWN, E.END): (S.WITHDRAWN, None, None),
    (S.WITHDRAWN, E.WITHDRAW): (S.WITHDRAWN, None, None),
}


@pytest.mark.parametrize("pair", list(product(OfferState, OfferEvent)))
def test_the_whole_grid_of_offers_is_as_the_requirements_have_it(pair: tuple[OfferState, OfferEvent]) -> None:
    if pair not in GRID:
        with pytest.raises(TransitionRefused) as refusal:
            advance_offer(*pair)
        assert refusal.value.code == ("sold_out" if pair[0] is S.SOLD_OUT else "offer_closed")
        return
    state, notify, drop = GRID[pair]
    assert advance_offer(*pair) == OfferStep(state, notify, None if drop is None else Drop(drop))


def test_nothing_leaves_a_withdrawal_and_every_other_state_may_be_live_again() -> None:
    after = {
        state: {step.state for (s, _), step in OFFER_TRANSITIONS.items() if s is state}
        for state in OfferState
    }
    assert after[S.WITHDRAWN] == {S.WITHDRAWN}
    assert all(S.LIVE in after[state] for state in OfferState if state is not S.WITHDRAWN)


def test_every_event_for_the_shop_is_one_of_those_it_may_subscribe_to() -> None:
    assert {step.notify for step in OFFER_TRANSITIONS.values()} - {None} <= set(EVENT_TYPES)


def test_every_reason_why_a_message_never_leaves_is_told_in_a_sentence() -> None:
    assert {drop.value for drop in Drop} <= NOT_SENT.keys()


@pytest.mark.parametrize(
    ("withdrawn", "left", "ends_in", "state"),
    [
        (False, None, 1, S.LIVE),
        (False, 1, 1, S.LIVE),
        (False, 0, 1, S.SOLD_OUT),
        (False, 0, 0, S.EXPIRED),
        (False, 5, 0, S.EXPIRED),
        (True, 0, 1, S.WITHDRAWN),
        (True, 5, -1, S.WITHDRAWN),
    ],
)
def test_time_and_stock_make_two_of_the_states(
    withdrawn: bool, left: int | None, ends_in: int, state: OfferState
) -> None:
    ends = NOW + timedelta(seconds=ends_in)
    assert offer_state(withdrawn=withdrawn, stock_remaining=left, expires_at=ends, now=NOW) is state


# What an event makes of a message that waits or was written; whatever is not here changes nothing.
MESSAGES = {
    M.QUEUED: {
        V.HOLD: M.HELD, V.RELEASE: M.QUEUED, V.ACCEPT: M.ACCEPTED, V.DOUBT: M.UNKNOWN, V.REFUSE: M.REFUSED,
        V.DROP: M.NOT_SENT,
    },
    M.HELD: {V.HOLD: M.HELD, V.RELEASE: M.QUEUED, V.DROP: M.NOT_SENT},
    M.ACCEPTED: {V.DROP: M.FAILED, V.DELIVER: M.DELIVERED, V.FAIL: M.FAILED},
    M.UNKNOWN: {
        V.ACCEPT: M.ACCEPTED, V.REFUSE: M.REFUSED, V.DROP: M.FAILED, V.DELIVER: M.DELIVERED, V.FAIL: M.FAILED,
    },
}  # fmt: skip
ENDS = {M.REFUSED, M.DELIVERED, M.FAILED, M.NOT_SENT}


@pytest.mark.parametrize("pair", list(product(MessageState, MessageEvent)))
def test_the_whole_grid_of_messages_answers_every_event(pair: tuple[MessageState, MessageEvent]) -> None:
    state, event = pair
    assert MESSAGE_TRANSITIONS[pair] is MESSAGES.get(state, {}).get(event, state)


def test_what_has_its_end_keeps_it_and_is_never_queued_again() -> None:
    for (state, event), after in MESSAGE_TRANSITIONS.items():
        if state in ENDS:
            assert after is state, event
        elif state in {M.ACCEPTED, M.UNKNOWN}:
            assert after not in {M.QUEUED, M.HELD, M.NOT_SENT}, event


def test_what_is_held_is_not_written_before_its_release() -> None:
    after = {MESSAGE_TRANSITIONS[M.HELD, event] for event in MessageEvent}
    assert after == {M.HELD, M.QUEUED, M.NOT_SENT}
    assert message_state(V.HOLD, V.ACCEPT) is M.HELD
    assert message_state(V.HOLD, V.RELEASE, V.ACCEPT, V.DELIVER, V.FAIL) is M.DELIVERED
