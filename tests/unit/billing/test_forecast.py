"""What waiting receipts will charge, from how long receipts took before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from smsgate.billing.forecast import DELAYS, Awaited, DelayCurve, Expected, expected

NOW = datetime(2026, 11, 2, tzinfo=UTC)
CLOSE_AT = NOW + timedelta(hours=48)
STEPS = len(DELAYS) + 1
HOUR = timedelta(hours=1)


def curve(messages: int, **final: int) -> DelayCurve:
    """Of DELIVRD `soon` within ten seconds, `day` in the second half of a day, `late` beyond all."""
    delivered = [0] * STEPS
    delivered[0], delivered[8], delivered[-1] = (final.get(name, 0) for name in ("soon", "day", "late"))
    return DelayCurve(messages, delivered, delivered)


def awaited(age: timedelta, micros: int = 1_000) -> Awaited:
    return Awaited(1, NOW - age, 10, 10, micros)


def test_what_waits_is_shared_as_those_that_waited_so_long_before() -> None:
    """100 messages: 60 at once, 20 within a day, 10 later than all; after an hour 40 had waited."""
    found = expected([awaited(HOUR)], curve(100, soon=60, day=20, late=10), NOW, CLOSE_AT)
    assert found == Expected(10, 1_000, 500, 250)


def test_who_has_waited_a_day_will_not_be_delivered_within_it_any_more() -> None:
    found = expected([awaited(timedelta(hours=25))], curve(100, soon=60, day=20, late=10), NOW, CLOSE_AT)
    assert found == Expected(10, 1_000, 0, 500)


def test_after_the_close_all_that_comes_is_late() -> None:
    found = expected([awaited(HOUR)], curve(100, soon=60, day=20), NOW, NOW - HOUR)
    assert found == Expected(10, 1_000, 0, 500)


def test_without_older_messages_nothing_is_expected_and_all_is_told_to_wait() -> None:
    assert expected([awaited(HOUR)], curve(0), NOW, CLOSE_AT) == Expected(10, 1_000, 0, 0)


counts = st.lists(st.integers(0, 50), min_size=STEPS, max_size=STEPS)
groups = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 10**9)), max_size=10)


@given(counts, counts, st.integers(0, 100), groups)
def test_never_is_more_expected_than_waits(
    delivered: list[int], failed: list[int], silent: int, waits: list[tuple[int, int]]
) -> None:
    final = [a + b for a, b in zip(delivered, failed, strict=True)]
    rows = [awaited(hours * HOUR, micros) for hours, micros in waits]
    found = expected(rows, DelayCurve(sum(final) + silent, delivered, final), NOW, CLOSE_AT)
    assert found.micros == sum(micros for _hours, micros in waits)
    assert 0 <= found.by_close_micros + found.late_micros <= found.micros + len(rows)  # each is rounded
