"""Whose turn it is where a claim has no room for all who wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from smsgate.store.rotation import SERVED_MAX, Rotation

NOW = datetime(2026, 11, 29, tzinfo=UTC)
GOES: Any = {"expires_at": NOW + timedelta(hours=1)}
OVER: Any = {"expires_at": NOW}


def _row(id_: int) -> Any:
    return {"id": id_}


def _order(rotation: Rotation, *ids: int) -> list[int]:
    return [row["id"] for row in rotation.begun([_row(id_) for id_ in ids])]


def test_who_was_served_longest_ago_comes_first_and_who_never_was_before_it() -> None:
    rotation = Rotation("id")
    for id_ in (3, 1, 4):
        rotation.got_rest(_row(id_), [GOES], NOW, could_go=True)
    assert _order(rotation, 1, 2, 3, 4, 5) == [2, 5, 3, 1, 4]


def test_where_nothing_could_go_a_turn_in_which_all_was_over_is_none() -> None:
    rotation = Rotation("id")
    rotation.got_rest(_row(1), [OVER], NOW, could_go=False)
    assert _order(rotation, 1, 2) == [1, 2]
    rotation.got_rest(_row(1), [OVER, GOES], NOW, could_go=False)
    assert _order(rotation, 1, 2) == [2, 1]
    rotation.got_rest(_row(2), [OVER], NOW, could_go=True)
    assert _order(rotation, 1, 2) == [1, 2]


def test_what_is_remembered_has_a_bound_and_who_is_forgotten_comes_first_as_before() -> None:
    rotation = Rotation("id")
    for id_ in range(SERVED_MAX, -1, -1):
        rotation.got_rest(_row(id_), [GOES], NOW, could_go=True)
    assert len(rotation._served) == SERVED_MAX
    assert _order(rotation, 0, 1, SERVED_MAX) == [SERVED_MAX, 1, 0]
