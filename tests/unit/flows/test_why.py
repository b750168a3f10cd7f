"""What a message waits for is said whole: whoever reads it does the right thing."""

from __future__ import annotations

from datetime import UTC, datetime

from smsgate.campaigns.caps import NO_CAPS
from smsgate.flows.records import Hold
from smsgate.flows.why import why_held


def test_what_waits_for_money_is_said_to_wait_for_the_balance_or_either_cap() -> None:
    says = why_held(Hold("budget", "budget", datetime(2026, 7, 1, tzinfo=UTC)), NO_CAPS).says
    assert all(each in says for each in ("balance", "month", "day"))


def test_what_waits_for_its_place_is_not_said_to_wait_for_an_answer_alone() -> None:
    """A paused campaign keeps the places of those whom it was about to write to."""
    says = why_held(Hold("open_offer", "open-offer", datetime(2026, 7, 1, tzinfo=UTC)), NO_CAPS).says
    assert "answer" in says
    assert "paused" in says
