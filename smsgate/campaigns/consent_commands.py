"""
What a customer's STOP reaches, and how long a PAUSE lasts: commands inside a text that is read already.

The words are data (`consent_words.toml`). What is not fully understood narrows nothing: it is a plain STOP.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

from smsgate.campaigns.consent import Purpose
from smsgate.campaigns.folding import fold
from smsgate.campaigns.tables import table

PAUSE_DAYS_DEFAULT: Final = 1  # a bare PAUSE: until the same time tomorrow
PAUSE_DAYS_MAX: Final = 365  # a longer one is a STOP that the person forgets about
TEXT_CHARACTERS_MAX: Final = 1_600  # ten segments, as with `replies`
ALL_PURPOSES: Final = frozenset(Purpose)

_WORD: Final = re.compile(r"[\w-]+")


class StopReach(StrEnum):
    """Whom a bare STOP ends; commerce.md 4.1. A merchant with a number of its own is alone on it."""

    NUMBER = "number"  # every merchant that may write from the number that was answered
    OFFER = "offer"  # the merchant whose offer is open there; with none, as NUMBER
    ALL = "all"  # every merchant of the gateway that has this person


@dataclass(frozen=True, slots=True)
class StopCommand:
    """`merchant_ids` None: as `StopReach` says; `everyone`: whatever it says."""

    everyone: bool = False
    merchant_ids: frozenset[int] | None = None
    purposes: frozenset[Purpose] = ALL_PURPOSES


PLAIN_STOP: Final = StopCommand()


@dataclass(frozen=True, slots=True)
class DatedReach:
    """`reach` is in force from the beginning of the day `since` (UTC) until the next one."""

    since: date
    reach: StopReach


def reach_on(day: date, reaches: Sequence[DatedReach]) -> StopReach:
    """Return what a bare STOP reaches on a day; NUMBER before the first entry."""
    begun = [each for each in reaches if each.since <= day]
    return max(begun, key=lambda each: each.since).reach if begun else StopReach.NUMBER


def stop_command(text: str, names: Mapping[int, Sequence[str]]) -> StopCommand:
    """
    Return which merchants and purposes a text that was read as STOP names.

    `names` are those of each merchant. STOP BOXMAN, STOP ALL, STOP OFFERS, STOP EXCEPT REMINDERS.
    """
    words = _table()
    said = [word for word in _words(text) if word not in words["polite"]]
    if said and said[0] in words["everyone"]:
        return StopCommand(everyone=True)
    if len(said) < 2 or said[0] not in words["stop"]:
        return PLAIN_STOP
    rest = said[1:]
    if all(word in words["all"] for word in rest):
        return StopCommand(everyone=True)
    if named := named_merchants(" ".join(rest), names):
        return StopCommand(merchant_ids=named)
    if len(rest) == 1 and (purpose := _purpose(rest[0])):
        return StopCommand(purposes=frozenset({purpose}))
    if len(rest) == 2 and rest[0] in words["except"] and (kept := _purpose(rest[1])):
        return StopCommand(purposes=ALL_PURPOSES - {kept})
    return PLAIN_STOP


def named_merchants(text: str, names: Mapping[int, Sequence[str]]) -> frozenset[int]:
    """Return the merchants whose whole name the text is, spaces and signs aside."""
    said = _compact(text)
    return frozenset(
        id_ for id_, known in names.items() if said and said in {_compact(name) for name in known}
    )


def start_name(text: str) -> str:
    """Return what follows the first word of a START."""
    words = [word for word in _words(text) if word not in _table()["polite"]]
    return " ".join(words[1:])


def pause_days(text: str) -> int | None:
    """Return for how many days a text asks for silence; None: it is no PAUSE."""
    words = _table()
    said = [word for word in _words(text) if word not in words["polite"]]
    if not said or said[0] not in words["pause"]:
        return None
    match said[1:]:
        case []:
            return PAUSE_DAYS_DEFAULT
        case [number] | [number, _] if number.isdecimal() and number.isascii() and len(number) <= 3:
            known = len(said) == 2 or said[2] in words["days"]
            return int(number) if known and 1 <= int(number) <= PAUSE_DAYS_MAX else None
    return None


def _purpose(word: str) -> Purpose | None:
    for purpose, words in _table()["purposes"].items():
        if word in words:
            return Purpose(purpose)
    return None


def _table() -> dict[str, Any]:
    return table("consent_words.toml")


def _words(text: str) -> list[str]:
    return _WORD.findall(fold(text[:TEXT_CHARACTERS_MAX]))


def _compact(text: str) -> str:
    return "".join(char for char in fold(text) if char.isalnum())
