"""
The guard of a campaign: too many people stop, or too many messages fail, and it pauses itself.

Shares are whole hundredths of a percent. They are counted against the first sends until so many have left,
and against all sends from then on: a stop among the first ten is no rate yet, and stops come minutes late.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

# A campaign of ten would pause at its first stop: fewer recipients than these count as so many.
FIRST_SENDS_MIN: Final = 100
FIRST_SENDS_MAX: Final = 1_000_000
WHOLE: Final = 10_000  # hundredths of a percent in everything


class GuardReason(StrEnum):
    STOPS = "stop_rate"
    FAILURES = "failure_rate"


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """More than these shares pause the campaign. A share of WHOLE never does."""

    first_sends: int
    stop_share: int
    failure_share: int


GUARD_LIMITS: Final = GuardLimits(first_sends=1_000, stop_share=200, failure_share=2_000)


@dataclass(frozen=True, slots=True)
class GuardOverrides:
    """A campaign's own limits; None: the gateway's."""

    first_sends: int | None = None
    stop_share: int | None = None
    failure_share: int | None = None


NO_OVERRIDES: Final = GuardOverrides()


class GuardCounts(NamedTuple):
    """What a campaign came to so far; failures are the carrier's refusals and receipts of undelivered."""

    recipients: int
    sends: int
    stops: int
    failures: int


def judge(limits: GuardLimits, counts: GuardCounts) -> GuardReason | None:
    """Return why the campaign must pause, or None."""
    first = max(FIRST_SENDS_MIN, min(limits.first_sends, counts.recipients))
    base = max(first, counts.sends)
    if counts.stops * WHOLE > limits.stop_share * base:
        return GuardReason.STOPS
    if counts.failures * WHOLE > limits.failure_share * base:
        return GuardReason.FAILURES
    return None


def percent(share: int) -> float:
    return share / 100


def share(per_cent: float) -> int:
    return round(per_cent * 100)
