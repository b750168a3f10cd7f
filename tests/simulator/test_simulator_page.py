"""docs/simulator.md says what the profiles say."""

from __future__ import annotations

from tests.simulator.profile_table import table, written


def test_the_page_holds_the_profiles_as_they_are() -> None:
    assert written() == table()
