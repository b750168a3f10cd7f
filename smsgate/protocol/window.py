"""What waits for an answer: the window of one session, its sequence numbers and their deadlines."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

SEQUENCE_MAX: Final = 0x7FFF_FFFF  # SMPP 3.4 §5.1.4: own numbers are 1 to this, then 1 again
# Single answers get lost: a carrier that loses a quarter of them has ten in a row without one once in a
# million. From then on it is taken for one that answers submits no more.
MUTE_AFTER: Final = 10


class Window:
    """
    Submits by slot and rarer requests by number, at most `size` together.

    Submits have one deadline per slice, not per message; every response time-out is the same, so slices are
    due in the order in which they were sent.
    """

    def __init__(self, size: int, response_timeout_s: float, first_sequence_number: int = 1) -> None:
        assert size >= 1
        assert 1 <= first_sequence_number <= SEQUENCE_MAX
        self.submits: dict[int, int] = {}  # sequence_number -> slot, oldest first
        self.requests: dict[int, float] = {}  # sequence_number -> deadline, oldest first
        self._size = size
        self._timeout_s = response_timeout_s
        self._slices: deque[tuple[float, int, int]] = deque()  # deadline, first sequence_number, count
        self._next_number = first_sequence_number
        self._sample: tuple[int, float] | None = None  # one submit whose answer is timed, and when it left
        self._answered_at = float("-inf")
        self._in_vain = 0  # submits that expired, written after the last answer to any came

    def __len__(self) -> int:
        return len(self.submits) + len(self.requests)

    def room(self) -> int:
        return self._size - len(self.submits) - len(self.requests)

    def take_numbers(self, count: int) -> Sequence[int]:
        """Return the next `count` sequence numbers, in order; they are not waited for."""
        first = self._next_number
        last = first + count - 1
        if last < SEQUENCE_MAX:
            self._next_number = last + 1
            return range(first, last + 1)
        self._next_number = last % SEQUENCE_MAX + 1
        return [*range(first, SEQUENCE_MAX + 1), *range(1, self._next_number)]

    def next_number(self) -> int:
        return self.take_numbers(1)[0]

    def add_slice(self, slots: Sequence[int], now: float) -> Sequence[int]:
        """Number the submits of one slice, 1 to `room()` of them, and wait for their answers."""
        assert 0 < len(slots) <= self.room()
        numbers = self.take_numbers(len(slots))
        self.submits.update(zip(numbers, slots, strict=True))
        self._slices.append((now + self._timeout_s, numbers[0], len(slots)))
        if self._sample is None:
            self._sample = numbers[0], now
        if len(self._slices) > self._size:
            self._forget_answered_slices()
        return numbers

    def answered_after(self, now: float, before_s: float) -> float:
        """
        Take that submits were answered at `now`.

        Returns how long the answer took that was timed, once it is there; `before_s` until then.
        """
        self.heard(now)
        if self._sample is None or self._sample[0] in self.submits:
            return before_s
        sent_at, self._sample = self._sample[1], None
        return now - sent_at

    def heard(self, now: float) -> None:
        """Take any answer to a submit, also one that comes too late: the SMSC still answers them."""
        self._answered_at = now
        self._in_vain = 0

    def is_mute(self) -> bool:
        """Return whether the peer answers submits no more, whatever else it says."""
        return self._in_vain >= MUTE_AFTER

    def add_request(self, number: int, now: float) -> None:
        assert self.room() > 0
        self.requests[number] = now + self._timeout_s

    def deadline(self) -> float | None:
        """Return when the oldest of all is due."""
        self._forget_answered_slices()
        deadlines = [slice_[0] for slice_ in list(self._slices)[:1]]
        deadlines += list(self.requests.values())[:1]
        return min(deadlines, default=None)

    def expire(self, now: float) -> tuple[list[int], list[int]]:
        """Forget what is due; return its slots, and the numbers of its requests."""
        slots: list[int] = []
        while self._slices and self._slices[0][0] <= now:
            deadline, first, count = self._slices.popleft()
            before = len(slots)
            for offset in range(count):
                slot = self.submits.pop((first - 1 + offset) % SEQUENCE_MAX + 1, None)
                if slot is not None:
                    slots.append(slot)
            if deadline > self._answered_at + self._timeout_s:
                self._in_vain += len(slots) - before
        if slots and self._sample is not None and self._sample[0] not in self.submits:
            self._sample = None  # it has no answer
        requests = [number for number, deadline in self.requests.items() if deadline <= now]
        for number in requests:
            del self.requests[number]
        return slots, requests

    def clear(self) -> tuple[list[int], list[int]]:
        """Forget everything; return its slots, and the numbers of its requests."""
        slots, requests = list(self.submits.values()), list(self.requests)
        self.submits.clear()
        self.requests.clear()
        self._slices.clear()
        self._sample = None
        return slots, requests

    def _forget_answered_slices(self) -> None:
        """Drop the slices before the one that holds the oldest submit, so that no more are kept than wait."""
        oldest = next(iter(self.submits), None)
        if oldest is None:
            self._slices.clear()
            return
        while (oldest - self._slices[0][1]) % SEQUENCE_MAX >= self._slices[0][2]:
            self._slices.popleft()
