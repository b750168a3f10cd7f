"""When a delivery is tried again: ten attempts in about 75 hours (Standard Webhooks 1.0, retry schedule)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

# Seconds before the attempt of that number, counted from the one before it.
DELAYS_S: Final = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
ATTEMPTS_MAX: Final = len(DELAYS_S)
JITTER: Final = 0.1  # of the delay, either way: events that failed together must not come back together
RETRY_AFTER_MAX_S: Final = 86_400.0  # a receiver that asks for more is asked again after a day


def next_attempt(
    attempts: int, now: datetime, random: Callable[[], float], retry_after_s: float | None = None
) -> datetime | None:
    """
    Return when to try again after `attempts` failed ones; None: that was the last.

    `random` gives numbers of [0, 1). The receiver's Retry-After puts an attempt off, never forward.
    """
    assert attempts >= 1
    if attempts >= ATTEMPTS_MAX:
        return None
    delay_s = DELAYS_S[attempts] * (1 - JITTER + 2 * JITTER * random())
    return now + timedelta(seconds=max(delay_s, min(retry_after_s or 0.0, RETRY_AFTER_MAX_S)))


def read_retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110 10.2.3); None: unreadable, or past."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), RETRY_AFTER_MAX_S)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for numbers that no date has
        return None
    seconds = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
    return seconds if seconds > 0 else None
