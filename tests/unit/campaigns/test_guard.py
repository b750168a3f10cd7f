"""When a campaign pauses itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.campaigns.guard import (
    FIRST_SENDS_MIN,
    GUARD_LIMITS,
    WHOLE,
    GuardCounts,
    GuardLimits,
    GuardReason,
    judge,
    percent,
    share,
)

COUNTS = st.integers(0, 2_000_000)


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        (GuardCounts(1_000_000, 10, 20, 0), None),  # two per cent of the first thousand, whatever has left
        (GuardCounts(1_000_000, 10, 21, 0), GuardReason.STOPS),
        (GuardCounts(1_000_000, 100_000, 2_000, 0), None),  # of all that left, once more have
        (GuardCounts(1_000_000, 100_000, 2_001, 0), GuardReason.STOPS),
        (GuardCounts(1_000_000, 500, 0, 200), None),
        (GuardCounts(1_000_000, 500, 0, 201), GuardReason.FAILURES),
        (GuardCounts(300, 300, 6, 60), None),  # of the recipients where they are fewer
        (GuardCounts(300, 300, 7, 0), GuardReason.STOPS),
        (GuardCounts(3, 3, 2, 3), None),  # a handful is no rate
    ],
)
def test_the_defaults_pause_above_two_per_cent_of_stops_and_twenty_of_failures(
    counts: GuardCounts, reason: GuardReason | None
) -> None:
    assert judge(GUARD_LIMITS, counts) is reason


@given(
    recipients=COUNTS, sends=COUNTS, stops=COUNTS, failures=COUNTS, limit=st.integers(0, WHOLE), more=COUNTS
)
def test_more_stops_never_unpause_and_more_sends_never_pause(
    recipients: int, sends: int, stops: int, failures: int, limit: int, more: int
) -> None:
    limits = GuardLimits(1_000, limit, WHOLE)
    if judge(limits, GuardCounts(recipients, sends, stops, 0)) is not None:
        assert judge(limits, GuardCounts(recipients, sends, stops + more, failures)) is not None
    else:
        assert judge(limits, GuardCounts(recipients, sends + more, stops, 0)) is None


@given(recipients=COUNTS, sends=COUNTS)
def test_a_share_of_everything_never_pauses(recipients: int, sends: int) -> None:
    limits = GuardLimits(FIRST_SENDS_MIN, WHOLE, WHOLE)
    assert judge(limits, GuardCounts(recipients, sends, sends, sends)) is None


@given(st.integers(0, WHOLE))
def test_a_share_written_as_per_cent_is_read_back_as_it_was(written: int) -> None:
    assert share(percent(written)) == written
