from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.campaigns.consent import (
    TRANSITIONS,
    ConsentEvent,
    ConsentState,
    Purpose,
    decide,
    may_market,
    question_open,
    refusal_to_tell,
)
from smsgate.campaigns.texts import kinds

NOW = datetime(2026, 11, 21, tzinfo=UTC)
S, E = ConsentState, ConsentEvent
# One row per event, one column per state in the order of the enumeration: the whole automaton at a glance.
GRID = {
    #                     none pend subs paus unsu expi eras bloc
    E.OPT_IN:           "subs subs subs paus subs subs !    !",
    E.OPT_IN_DOUBLE:    "pend pend subs paus pend pend !    !",
    E.IMPORT:           "subs subs subs paus subs subs !    !",
    E.SIMILAR_PRODUCTS: "subs pend subs paus stop subs !    !",
    E.YES:              "none subs subs paus unsu expi eras bloc",
    E.NO:               "none none subs paus unsu expi eras bloc",
    E.START:            "subs subs subs subs subs subs subs !",
    E.STOP:             "unsu unsu unsu unsu unsu unsu eras bloc",
    E.CARRIER_STOP:     "unsu unsu unsu unsu unsu unsu eras bloc",
    E.COMPLAINT:        "bloc bloc bloc bloc bloc bloc bloc bloc",
    E.UNBLOCK:          "none pend subs paus unsu expi eras unsu",
    E.PAUSE:            "none pend paus paus unsu expi eras bloc",
    E.RESUME:           "none pend subs subs unsu expi eras bloc",
    E.LESS:             "none pend subs paus unsu expi eras bloc",
    E.QUESTION_EXPIRED: "none none subs paus unsu expi eras bloc",
    E.IDLE:             "none none expi expi unsu expi eras bloc",
    E.REASSIGNED:       "expi expi expi expi expi expi eras expi",
    E.ERASE:            "eras eras eras eras eras eras eras eras",
}  # fmt: skip


@pytest.mark.parametrize(("state", "event"), list(product(S, E)))
def test_every_state_answers_every_event_as_the_grid_says(state: ConsentState, event: ConsentEvent) -> None:
    expected = GRID[event].split()[list(S).index(state)]
    decision = decide(state, event, evidence_at=NOW)
    if expected == "!":
        assert (decision.accepted, decision.code, decision.state) == (False, "suppressed", state)
    elif expected == "stop":
        assert (decision.accepted, decision.code, decision.state) == (False, "stop_is_newer", state)
    else:
        assert decision.accepted
        assert decision.state.value.startswith(expected)
    assert decision.tell is None or decision.tell in kinds()


def test_the_table_is_whole() -> None:
    assert set(TRANSITIONS) == set(product(S, E))


@pytest.mark.parametrize("state", list(S))
def test_stop_is_taken_in_every_state_and_nothing_is_marketed_after_it(state: ConsentState) -> None:
    decision = decide(state, E.STOP, evidence_at=NOW)
    assert decision.accepted
    assert not may_market(decision.state)


@pytest.mark.parametrize(("state", "event"), list(product(S, E)))
def test_offers_are_closed_where_consent_ends_and_where_one_that_ended_begins_again(
    state: ConsentState, event: ConsentEvent
) -> None:
    decision = TRANSITIONS[state, event]
    alive = {S.SUBSCRIBED, S.PAUSED}
    if decision.accepted and decision.state is S.SUBSCRIBED:
        assert decision.close_offers is (state not in alive)
    elif state in alive:
        assert decision.close_offers is (decision.state not in alive)


def test_two_stops_give_one_confirmation() -> None:
    first = decide(S.SUBSCRIBED, E.STOP, evidence_at=NOW)
    second = decide(first.state, E.STOP, evidence_at=NOW)
    assert (first.tell, first.close_offers) == ("stop_confirmation", True)
    assert second.tell is None


@pytest.mark.parametrize(
    ("state", "event"), list(product(S, [E.IMPORT, E.OPT_IN, E.OPT_IN_DOUBLE, E.SIMILAR_PRODUCTS]))
)
def test_an_import_or_opt_in_older_than_a_stop_never_revives(
    state: ConsentState, event: ConsentEvent
) -> None:
    for older in (timedelta(0), timedelta(days=1)):
        decision = decide(state, event, evidence_at=NOW - older, last_stop_at=NOW)
        assert (decision.accepted, decision.code, decision.state) == (False, "stop_is_newer", state)


def test_a_newer_opt_in_revives_and_the_persons_own_start_always_does() -> None:
    assert (
        decide(S.UNSUBSCRIBED, E.IMPORT, evidence_at=NOW + timedelta(seconds=1), last_stop_at=NOW).state
        is S.SUBSCRIBED
    )
    assert decide(S.UNSUBSCRIBED, E.START, evidence_at=NOW, last_stop_at=NOW).state is S.SUBSCRIBED


def test_evidence_must_be_complete() -> None:
    decision = decide(S.NONE, E.IMPORT, evidence_at=NOW, evidence_complete=False)
    assert (decision.accepted, decision.code) == (False, "consent_missing")


def test_only_subscribed_may_get_offers() -> None:
    assert [state for state in S if may_market(state)] == [S.SUBSCRIBED]


def test_the_question_is_open_for_seven_days() -> None:
    assert question_open(NOW, NOW + timedelta(days=7))
    assert not question_open(NOW, NOW + timedelta(days=7, seconds=1))


@given(st.dictionaries(st.sampled_from(Purpose), st.sampled_from(ConsentState)))
def test_nothing_goes_to_a_number_that_complained_was_erased_or_is_another_persons(
    states: dict[Purpose, ConsentState],
) -> None:
    found = set(states.values())
    agreed = bool(found & {ConsentState.SUBSCRIBED, ConsentState.PAUSED})
    gone = bool(found & {ConsentState.BLOCKED, ConsentState.ERASED})
    gone |= states.get(Purpose.OFFERS) is ConsentState.EXPIRED and not agreed
    for purpose in (None, *Purpose):
        refusal = refusal_to_tell(purpose, states)
        assert (refusal == "suppressed") == gone
        if purpose is not None and refusal is None:
            assert states[purpose] is ConsentState.SUBSCRIBED


@pytest.mark.parametrize("offers", [S.NONE, S.PENDING, S.SUBSCRIBED, S.PAUSED])
@pytest.mark.parametrize("ended", [each for each in Purpose if each is not Purpose.OFFERS])
def test_an_agreement_to_something_else_that_expired_ends_that_alone(
    offers: ConsentState, ended: Purpose
) -> None:
    states = {Purpose.OFFERS: offers, ended: S.EXPIRED}
    assert refusal_to_tell(None, states) is None
    assert refusal_to_tell(ended, states) == "consent_missing"


def test_who_agreed_to_something_after_offers_expired_hears_of_it_and_of_orders() -> None:
    states = {Purpose.OFFERS: S.EXPIRED, Purpose.APPOINTMENTS: S.SUBSCRIBED, Purpose.POLLS: S.EXPIRED}
    assert refusal_to_tell(None, states) is None
    assert refusal_to_tell(Purpose.APPOINTMENTS, states) is None
    assert refusal_to_tell(Purpose.OFFERS, states) == "consent_missing"


def test_an_orders_news_needs_no_consent_and_ends_with_a_stop_that_leaves_none() -> None:
    stopped, agreed = ConsentState.UNSUBSCRIBED, ConsentState.SUBSCRIBED
    assert refusal_to_tell(None, {}) is None
    assert refusal_to_tell(None, {Purpose.OFFERS: stopped}) == "stopped"
    assert refusal_to_tell(None, {Purpose.OFFERS: stopped, Purpose.APPOINTMENTS: agreed}) is None
