"""
A prepaid account: available, held and spent, and caps of days and months (R14).

A message is accepted or refused as a whole. What was paid in is always available + held + spent. An event
that comes again changes nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from smsgate.errors import Invalid

if TYPE_CHECKING:
    from datetime import date


class Outcome(StrEnum):
    OK = "ok"
    ACCEPTED = "accepted"
    CAPTURED = "captured"
    RELEASED = "released"
    DUPLICATE = "duplicate"  # this message was accepted before
    IGNORED = "ignored"  # this message is not held
    REJECTED_CAP = "rejected: cap"
    REJECTED_BALANCE = "rejected: balance"


@dataclass(frozen=True, slots=True)
class Caps:
    """What may be accepted in a day or a month of the merchant's zone; reached, but not passed."""

    day_micros: int | None = None
    month_micros: int | None = None


@dataclass(slots=True)
class PrepaidAccount:
    """`days` are what each local day accepted and did not get back."""

    caps: Caps = field(default_factory=Caps)
    available_micros: int = 0
    held_micros: int = 0
    spent_micros: int = 0
    days: Counter[date] = field(default_factory=Counter)
    _months: Counter[tuple[int, int]] = field(default_factory=Counter)
    _held: dict[str, tuple[int, date]] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)
    _topups: set[str] = field(default_factory=set)

    def topup(self, amount_micros: int, topup_id: str | None = None) -> Outcome:
        """
        Pay in; one without an id is a payment of its own each time.

        Raises:
            Invalid: code `amount_invalid`: nothing, or less.
        """
        if amount_micros <= 0:
            raise Invalid("a top-up pays something in", code="amount_invalid")
        if topup_id is not None:
            if topup_id in self._topups:
                return Outcome.DUPLICATE
            self._topups.add(topup_id)
        self.available_micros += amount_micros
        return Outcome.OK

    def submit(self, message_id: str, price_micros: int, day: date) -> Outcome:
        """Hold the price of the whole message, or refuse it; the caps come before the balance."""
        assert price_micros >= 0
        if message_id in self._known:
            return Outcome.DUPLICATE
        month = day.year, day.month
        caps = self.caps
        if (caps.day_micros is not None and self.days[day] + price_micros > caps.day_micros) or (
            caps.month_micros is not None and self._months[month] + price_micros > caps.month_micros
        ):
            return Outcome.REJECTED_CAP
        if price_micros > self.available_micros:
            return Outcome.REJECTED_BALANCE
        self._known.add(message_id)
        self._held[message_id] = price_micros, day
        self.available_micros -= price_micros
        self.held_micros += price_micros
        self.days[day] += price_micros
        self._months[month] += price_micros
        return Outcome.ACCEPTED

    def capture(self, message_id: str) -> Outcome:
        """The carrier took the message: what was held is spent."""
        held = self._held.pop(message_id, None)
        if held is None:
            return Outcome.IGNORED
        self.held_micros -= held[0]
        self.spent_micros += held[0]
        return Outcome.CAPTURED

    def release(self, message_id: str) -> Outcome:
        """The carrier refused the message: the price goes back, also to the caps of the day it came from."""
        held = self._held.pop(message_id, None)
        if held is None:
            return Outcome.IGNORED
        price_micros, day = held
        self.held_micros -= price_micros
        self.available_micros += price_micros
        self.days[day] -= price_micros
        self._months[day.year, day.month] -= price_micros
        return Outcome.RELEASED
