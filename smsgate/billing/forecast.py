"""
What receipts that have not come yet will charge: from how long receipts took before.

A message of delivered basis is charged when its first final receipt says DELIVRD. How many of those that
still wait will be, and how many of them after the close, follows from the delays of older messages. It is an
estimate and stands on no document.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.money import round_half_away

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

# The delays between which receipts are counted; carriers give up after 72 hours.
DELAYS: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (
        10, 60, 300, 900, 3_600, 3 * 3_600, 6 * 3_600, 12 * 3_600, 24 * 3_600, 48 * 3_600, 72 * 3_600,
    )
)  # fmt: skip


class DelayCurve:
    """
    How `messages` older than the longest delay got their first final receipts.

    `delivered[i]` of them said DELIVRD, and `final[i]` whatever they said, after at least DELAYS[i - 1] and
    less than DELAYS[i]; the last of each counts what took longer than all.
    """

    def __init__(self, messages: int, delivered: Sequence[int], final: Sequence[int]) -> None:
        assert len(delivered) == len(final) == len(DELAYS) + 1
        assert sum(final) <= messages
        self.messages = messages
        self._delivered = [0, *accumulate(delivered)]
        self._final = [0, *accumulate(final)]

    def by(self, age: timedelta) -> tuple[int, int]:
        """Return how many had a DELIVRD, and any final receipt, by an age; in whole steps, never too many."""
        place = bisect_right(DELAYS, age)
        return self._delivered[place], self._final[place]

    @property
    def delivered(self) -> int:
        return self._delivered[-1]


class Awaited(NamedTuple):
    """Messages of one price and one hour that carriers took, and that have no final receipt yet."""

    item_id: int
    sent_at: datetime
    messages: int
    segments: int
    micros: int


class Expected(NamedTuple):
    """Estimates in micros: what the awaited receipts will charge until the close, and after it."""

    messages: int
    micros: int
    by_close_micros: int
    late_micros: int


def expected(awaited: Iterable[Awaited], curve: DelayCurve, now: datetime, close_at: datetime) -> Expected:
    """
    Return what is to be expected; nothing where no delays are known, or no message waited so long before.

    A message that has waited for `age` is one of those that had no final receipt by then; of these some got a
    DELIVRD before the age that it will have at the close, and some later.
    """
    messages = micros = by_close = late = 0
    for group in awaited:
        age = now - group.sent_at
        delivered_by_now, final_by_now = curve.by(age)
        delivered_by_close, _final = curve.by(max(age, close_at - group.sent_at))
        waited_too = curve.messages - final_by_now
        messages += group.messages
        micros += group.micros
        if waited_too:
            soon = delivered_by_close - delivered_by_now
            by_close += round_half_away(group.micros * soon, waited_too)
            late += round_half_away(group.micros * (curve.delivered - delivered_by_close), waited_too)
    return Expected(messages, micros, by_close, late)
