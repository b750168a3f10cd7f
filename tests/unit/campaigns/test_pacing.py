"""A pace is kept over minutes by any number of processes that look when they can, die and start anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from smsgate.campaigns.pacing import PER_MINUTE_MAX, SLACK, grant

BEGIN = datetime(2026, 11, 26, 10, tzinfo=UTC)
LOOK = timedelta(milliseconds=100)
PLENTY = 1_000_000


def sent_by(looks: list[datetime], per_minute: int, wanted: int = PLENTY) -> list[tuple[datetime, int]]:
    """Take whatever is granted at these instants, whichever process looks; the state is one instant."""
    paced_until: datetime | None = None
    sent = []
    for at in looks:
        if (found := grant(per_minute, paced_until, at, wanted)) is not None:
            paced_until = found.paced_until
            sent.append((at, found.messages))
    return sent


def between(sent: list[tuple[datetime, int]], begin: datetime, end: datetime) -> int:
    return sum(messages for at, messages in sent if begin <= at < end)


@given(per_minute=st.integers(1, PER_MINUTE_MAX), processes=st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_ten_minutes_bring_ten_times_the_pace_give_or_take_one_grant(per_minute: int, processes: int) -> None:
    looks = [
        BEGIN + LOOK * n + LOOK / processes * process for n in range(6_000) for process in range(processes)
    ]
    sent = sent_by(looks, per_minute)
    assert abs(between(sent, BEGIN, BEGIN + timedelta(minutes=10)) - 10 * per_minute) <= max(
        1, per_minute // 60
    )


@given(
    per_minute=st.integers(1, PER_MINUTE_MAX),
    pauses_ms=st.lists(st.integers(1, 30_000), min_size=1, max_size=400),
    span_s=st.integers(1, 300),
)
@settings(max_examples=200, deadline=None)
def test_no_span_of_time_gets_more_than_its_part_and_two_seconds_worth(
    per_minute: int, pauses_ms: list[int], span_s: int
) -> None:
    """However irregularly somebody looks: pauses, restarts and processes that are away save nothing up."""
    looks, at = [], BEGIN
    for pause in pauses_ms:
        at += timedelta(milliseconds=pause)
        looks.append(at)
    sent = sent_by(looks, per_minute)
    span = timedelta(seconds=span_s)
    for begin, _ in sent:
        most = per_minute * span_s / 60 + max(2.0, 2 * per_minute / 60)
        assert between(sent, begin, begin + span) <= most


def test_a_process_that_was_away_for_an_hour_begins_with_the_pace_and_not_with_the_hours_backlog() -> None:
    before = sent_by([BEGIN], 600)
    assert before == [(BEGIN, 10)]
    later = BEGIN + timedelta(hours=1)
    found = grant(600, BEGIN + timedelta(seconds=1), later, PLENTY)
    assert found is not None
    assert found.messages == 10
    assert found.paced_until == later - SLACK + timedelta(seconds=1)


def test_what_nobody_wants_is_not_paid_for() -> None:
    found = grant(6_000, None, BEGIN, 3)
    assert found is not None
    assert (found.messages, found.paced_until) == (3, BEGIN + timedelta(milliseconds=30))
    assert grant(6_000, None, BEGIN, 0) is None


def test_one_a_minute_is_one_a_minute() -> None:
    looks = [BEGIN + LOOK * n for n in range(6_000)]
    assert [messages for _, messages in sent_by(looks, 1)] == [1] * 10
