from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smsgate.webhooks.schedule import (
    ATTEMPTS_MAX,
    DELAYS_S,
    JITTER,
    RETRY_AFTER_MAX_S,
    next_attempt,
    read_retry_after,
)

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def middle() -> float:
    return 0.5  # no jitter


def test_ten_attempts_follow_the_published_schedule_over_about_75_hours() -> None:
    at, seen = NOW, [0.0]
    for attempts in range(1, ATTEMPTS_MAX):
        again = next_attempt(attempts, at, middle)
        assert again is not None
        seen.append((again - at).total_seconds())
        at = again
    assert seen == [0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert timedelta(hours=74) < at - NOW < timedelta(hours=77)
    assert next_attempt(ATTEMPTS_MAX, at, middle) is None


@pytest.mark.parametrize("attempts", range(1, ATTEMPTS_MAX))
def test_jitter_stays_within_a_tenth_either_way(attempts: int) -> None:
    delays = []
    for draw in (0.0, 0.999999):
        again = next_attempt(attempts, NOW, lambda draw=draw: draw)  # type: ignore[misc]
        assert again is not None
        delays.append((again - NOW).total_seconds() / DELAYS_S[attempts])
    assert delays == [pytest.approx(1 - JITTER), pytest.approx(1 + JITTER, abs=1e-5)]


def test_retry_after_puts_off_and_never_forward() -> None:
    assert next_attempt(1, NOW, middle, 60) == NOW + timedelta(seconds=60)
    assert next_attempt(3, NOW, middle, 60) == NOW + timedelta(seconds=1800)
    assert next_attempt(1, NOW, middle, 1e12) == NOW + timedelta(seconds=RETRY_AFTER_MAX_S)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("Mon, 23 Nov 2026 10:01:00 GMT", 60.0),
        ("Mon, 23 Nov 2026 09:00:00 GMT", None),
        ("soon", None),
        ("Fri, 31 Dec 99999999999 23:59:59 GMT", None),
        ("-5", None),
        ("٣", None),
        ("9" * 5000, RETRY_AFTER_MAX_S),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert read_retry_after(value, NOW) == seconds
