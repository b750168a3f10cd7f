"""Which of the gateway's own texts a person's silence lets through."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from smsgate.campaigns.consent import ConsentState, Purpose
from smsgate.campaigns.telling import CONFIRMATIONS, INVITATIONS, QUESTIONS, Standing, refusal_of_text
from smsgate.campaigns.texts import kinds

S = ConsentState
SAID = datetime(2026, 11, 27, 12, tzinfo=UTC)
LATER, EARLIER = SAID + timedelta(minutes=1), SAID - timedelta(minutes=1)
SHUT = {S.BLOCKED, S.EXPIRED, S.ERASED}
AGREED = {S.SUBSCRIBED, S.PAUSED}  # a silence ends with a yes, and with nothing less


def standing(state: ConsentState, silent_at: datetime | None = None) -> Standing:
    return Standing({Purpose.OFFERS: state}, SAID, silent_at)


def test_every_kind_that_is_named_here_is_a_text() -> None:
    assert set(kinds()) >= CONFIRMATIONS | INVITATIONS
    assert QUESTIONS < INVITATIONS


@given(st.sampled_from(S), st.booleans(), st.sampled_from([EARLIER, LATER]), st.sampled_from([None, SAID]))
def test_the_confirmation_goes_in_every_state(
    state: ConsentState, answers: bool, made_at: datetime, silent_at: datetime | None
) -> None:
    for kind in CONFIRMATIONS:
        assert refusal_of_text(kind, standing(state, silent_at), answers=answers, made_at=made_at) is None


@given(st.sampled_from(S), st.sampled_from([EARLIER, LATER]), st.sampled_from([None, SAID]))
def test_news_of_an_order_ends_with_a_silence_and_with_nothing_else(
    state: ConsentState, made_at: datetime, silent_at: datetime | None
) -> None:
    refused = refusal_of_text("order_rejected", standing(state, silent_at), answers=False, made_at=made_at)
    silent = state not in AGREED and silent_at is not None
    assert refused == ("suppressed" if state in SHUT else "stopped" if silent else None)


@given(st.sampled_from(S))
def test_who_writes_after_it_is_answered_and_what_waited_before_is_not_sent(state: ConsentState) -> None:
    found = standing(state, SAID)
    assert refusal_of_text("help", found, answers=True, made_at=LATER) is None
    earlier = refusal_of_text("order_receipt", found, answers=True, made_at=EARLIER)
    assert (earlier is not None) == (state not in AGREED)


def test_a_question_on_a_consent_that_is_newer_than_a_silence_goes_and_an_older_one_does_not() -> None:
    for kind in QUESTIONS:
        for state in (S.PENDING, S.UNSUBSCRIBED, S.NONE):
            found = Standing({Purpose.OFFERS: state}, SAID, SAID)
            assert refusal_of_text(kind, found, answers=False, made_at=LATER) is None
            assert refusal_of_text(kind, found, answers=False, made_at=EARLIER) == "stopped"


def test_an_invitation_does_not_outlive_a_stop() -> None:
    for kind in INVITATIONS:
        stopped = standing(S.UNSUBSCRIBED)
        assert refusal_of_text(kind, stopped, answers=True, made_at=EARLIER) == "stopped"
        assert refusal_of_text(kind, stopped, answers=True, made_at=LATER) is None
