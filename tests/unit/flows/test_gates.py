from __future__ import annotations

from datetime import UTC, datetime, timedelta

from smsgate.campaigns.hours import Place, hours
from smsgate.flows.gates import ALWAYS_OPEN, Gates

NIGHT = datetime(2026, 11, 24, 2, tzinfo=UTC)


def test_a_verdict_is_remembered_until_it_ends_and_no_longer() -> None:
    gates = Gates()
    first = gates.hours("FR", NIGHT)
    assert first == hours(Place("FR"), NIGHT)
    assert first is not None
    assert gates.hours("FR", NIGHT + timedelta(hours=1)) is first
    after = gates.hours("FR", first.until)
    assert after is not None
    assert after.allowed


def test_waived_rules_and_no_hours_at_all_are_the_operators_word() -> None:
    sunday = datetime(2026, 11, 22, 12, tzinfo=UTC)
    closed, opened = (
        Gates().hours("FR", sunday),
        Gates(waived=frozenset({"fr-af2m-2024"})).hours("FR", sunday),
    )
    assert closed is not None
    assert opened is not None
    assert (closed.allowed, opened.allowed) == (False, True)
    assert ALWAYS_OPEN.hours("FR", sunday) is None
