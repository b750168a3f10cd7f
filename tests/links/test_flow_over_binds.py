"""How messages are spread over the binds of an account: evenly, in pieces that are worth a write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from smsgate.flows.records import Lane
from smsgate.links.connection import Connection
from smsgate.links.flow import PIECE_MIN, Flow
from tests.links.fake_smsc import a_profile


class Bind:
    """A bind with room for so many, which remembers what it wrote and how often it was asked."""

    def __init__(self, room: int) -> None:
        self._room = room
        self.asked = 0
        self.wrote: list[int] = []

    def room(self) -> int:
        self.asked += 1
        return self._room

    def submit(self, bodies: Sequence[bytes], slots: Sequence[int]) -> int:
        assert len(bodies) == len(slots) <= self._room
        self.wrote += slots
        return len(slots)


def submitted(rooms: Sequence[int], count: int) -> list[Bind]:
    binds = [Bind(room) for room in rooms]
    flow = Flow(a_profile(2775, rate_per_s=100_000, window_max=1_000), lambda: 0.0)
    taken = flow.submit(cast("list[Connection]", binds), [b""] * count, range(count), Lane.INTERACTIVE)
    assert sorted(slot for bind in binds for slot in bind.wrote) == list(range(taken))
    return binds


@pytest.mark.parametrize(
    ("rooms", "count", "each"),
    [
        ([3, 10, 7], 1, [0, 1, 0]),
        ([3, 10, 7], 10, [0, 10, 0]),
        ([3, 10, 7], 12, [3, 5, 4]),  # nobody has room for all
        ([3, 10, 7], 30, [3, 10, 7]),  # nor have all together
        ([0, 0], 5, [0, 0]),
        ([250, 200, 250], 2 * PIECE_MIN - 1, [2 * PIECE_MIN - 1, 0, 0]),
        ([250, 200, 250], 2 * PIECE_MIN, [PIECE_MIN, 0, PIECE_MIN]),
        ([20, 60, 60], 2 * PIECE_MIN, [0, PIECE_MIN, PIECE_MIN]),
        ([20, 40, 40], 2 * PIECE_MIN, [20, 40, 40]),
        ([250] * 4, 4 * PIECE_MIN, [PIECE_MIN] * 4),
    ],
)
def test_who_has_room_writes_an_even_share_in_pieces_that_are_worth_it(
    rooms: list[int], count: int, each: list[int]
) -> None:
    assert [len(bind.wrote) for bind in submitted(rooms, count)] == each


def test_each_window_is_looked_at_once() -> None:
    """Of 24 binds each was looked at twice for one text, and some three times."""
    assert [bind.asked for bind in submitted([250] * 24, 1)] == [1] * 24
