"""
A share of the event loop for everybody: one timer for each connection, a peer that floods is read once per
turn of the loop, and long work makes room for what has come meanwhile.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

# Reads below it are a peer's ordinary traffic. uvloop reads a socket that always has more up to 32 times
# before anybody else's turn, 256 kB each: seconds of small PDUs.
FULL_READ_OCTETS: Final = 16 << 10


async def make_room() -> None:
    """
    Let those go on who wait for a turn of the loop, and those whose octets have come by now.

    For work of many milliseconds, between two parts of it. Three turns: one to see that octets are there, one
    to read them, and one for who was woken by that.
    """
    for _ in range(3):
        await asyncio.sleep(0)


class FairReading:
    """Pauses one transport for a turn after each full read, and for as long as its owner holds it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._held = False
        self._turn: asyncio.Handle | None = None

    def took(self, octets: int) -> None:
        """Take that so many octets came with one read."""
        if octets >= FULL_READ_OCTETS and self._turn is None and not self._transport.is_closing():
            self._transport.pause_reading()
            self._turn = self._loop.call_soon(self._next_turn)

    def hold(self) -> None:
        """Read nothing until `release`."""
        self._held = True
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def release(self) -> None:
        self._held = False
        self._resume()

    def _next_turn(self) -> None:
        self._turn = None
        self._resume()

    def _resume(self) -> None:
        if not self._held and self._turn is None and not self._transport.is_closing():
            self._transport.resume_reading()


class DeadlineTimer:
    """
    One timer of the loop for a deadline that moves with every octet: it is not set anew for each.

    It rings at the deadline or before; whoever is rung does what is due and sets the next one.
    """

    def __init__(self, monotonic: Callable[[], float], ring: Callable[[], None]) -> None:
        """`monotonic` tells the seconds of the clock that deadlines are given in."""
        self._monotonic = monotonic
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._at = 0.0  # monotonic seconds

    def set(self, deadline: float | None) -> None:
        """Ring not later than `deadline`, in seconds of the clock; None: not at all."""
        if deadline is None:
            self.stop()
            return
        if self._timer is not None:
            if self._at <= deadline:
                return
            self._timer.cancel()
        self._at = deadline
        self._timer = self._loop.call_later(max(0.0, deadline - self._monotonic()), self._rings)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rings(self) -> None:
        self._timer = None
        self._ring()
