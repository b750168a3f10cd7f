"""Ladders in a cell of a rate sheet, "graduated 101=0.04 1001=0.035"; its price is the first step's."""

from __future__ import annotations

from typing import Final

from smsgate.billing.sheet_cells import SHOWN, micros_from_cell
from smsgate.billing.tiers import Ladder, LadderMode, Step
from smsgate.errors import Invalid
from smsgate.money import micros_to_text

STEPS_MAX: Final = 50  # of one ladder: a line of the invoice each


def ladder_from_cell(text: str, first_micros: int, *, cents: bool = False) -> Ladder | None:
    """
    Return the ladder, None of an empty cell; steps are apart by spaces, a unit and its price by "=".

    Raises:
        Invalid: neither graduated nor volume, no steps, or steps that do not rise.
    """
    words = text.replace(";", " ").split()
    if not words:
        return None
    mode, told = words[0].lower(), words[1:]
    if mode not in set(LadderMode):
        raise Invalid(f"{words[0][:SHOWN]!r} is neither graduated nor volume")
    if not 1 <= len(told) < STEPS_MAX:
        raise Invalid(f"{text[:SHOWN]!r} names no steps such as 101=0.04, or more than {STEPS_MAX}")
    steps = [Step(1, first_micros)]
    for word in told:
        first, equals, price = word.partition("=")
        if not equals or not (first.isascii() and first.isdecimal()):
            raise Invalid(f"{word[:SHOWN]!r} is no step such as 101=0.04")
        steps.append(Step(int(first), micros_from_cell(price, cents=cents)))
    return Ladder(LadderMode(mode), tuple(steps))


def ladder_to_cell(ladder: Ladder) -> str:
    """Return what `ladder_from_cell` reads."""
    steps = [f"{step.first}={micros_to_text(step.unit_micros)}" for step in ladder.steps[1:]]
    return " ".join([ladder.mode.value, *steps])
