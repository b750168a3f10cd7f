from __future__ import annotations

from datetime import UTC, datetime

import pytest

from smsgate.campaigns.withdrawal import has_right, withdraw_until


@pytest.mark.parametrize(
    ("delivered_at", "last_day"),
    [
        ("2026-11-23T10:00", "2026-12-07"),  # a Monday, two weeks after
        ("2026-11-28T10:00", "2026-12-14"),  # ends on a Saturday: the Monday after
        ("2026-12-11T10:00", "2026-12-28"),  # ends on Christmas Day, a Friday, before a weekend
        ("2026-11-23T23:30", "2026-12-08"),  # after midnight in Paris: delivered on the 24th
    ],
)
def test_the_period_ends_with_the_fourteenth_day_or_the_next_working_day(
    delivered_at: str, last_day: str
) -> None:
    until = withdraw_until(datetime.fromisoformat(delivered_at).replace(tzinfo=UTC), "FR", "Europe/Paris")
    assert f"{until:%Y-%m-%d %H:%M}" == f"{last_day} 23:59"


def test_the_period_ends_at_local_midnight_also_when_summer_time_began_within_it() -> None:
    until = withdraw_until(datetime(2026, 3, 17, 12, tzinfo=UTC), "FR", "Europe/Paris")
    assert until.isoformat() == "2026-03-31T23:59:59.999999+02:00"


def test_the_right_is_europes() -> None:
    assert has_right("FR")
    assert has_right("gb")
    assert not has_right("US")
