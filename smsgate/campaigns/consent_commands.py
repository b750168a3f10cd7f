"""
What a customer's STOP reaches, how long a PAUSE lasts, who wants fewer messages: commands inside a text that
is read already.

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
from smsgate.campaigns.short_texts import once_if_short
from smsgate.campaigns.tables import table

PAUSE_DAYS_DEFAULT: Final = 1  # a bare PAUSE: until the same time tomorrow
PAUSE_DAYS_MAX: Final = 365  # a longer one is a STOP that the person forgets about
TEXT_CHARACTERS_MAX: Final = 1_600  # ten segments, as with `replies`
ALL_PURPOSES: Final = frozenset(Purpose)

_WORD: Final = re.compile(r"[\w-]+")
_PIECES: Final = re.compile(r"\d+|[^\W\d][\w-]*")  # "2w" is a number and its unit
_UNITS: Final = {"days": 1, "weeks": 7, "months": 30}


class StopReach(StrEnum):
    """Whom a bare STOP ends. A merchant with a number of its own is alone on it."""

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


@dataclass(frozen=True, slots=True)
class SmsRules:
    """What the operator decides, for all merchants."""

    reaches: Sequence[DatedReach] = ()  # whom a bare STOP ends, by day
    contact: str = ""  # of the operator, for who asks about a number that several merchants share


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


@once_if_short
def pause_days(text: str) -> int | None:
    """Return for how many days a text asks for silence; None: it is no PAUSE."""
    words = _table()
    said = [piece for word in _words(text) if word not in words["polite"] for piece in _PIECES.findall(word)]
    begins = [each.split() for each in words["pause"]]
    begun = next((len(each) for each in begins if said[: len(each)] == each), 0)
    if not begun:
        return None
    match [word for word in said[begun:] if word not in words["between"]]:
        case []:
            return PAUSE_DAYS_DEFAULT if len(said) == begun else None
        case [number]:
            days = words["pairs"].get(number, _number(number))
        case [number, unit]:
            days = _number(number) * _unit_days(unit)
        case _:
            return None
    return days if 1 <= days <= PAUSE_DAYS_MAX else None


def _number(word: str) -> int:
    """Return a whole number of up to three digits or in a word; 0: it is none."""
    if word.isascii() and word.isdecimal():
        return int(word) if len(word) <= 3 else 0
    found: int = _table()["numbers"].get(word, 0)
    return found


def _unit_days(word: str) -> int:
    words = _table()
    return next((days for unit, days in _UNITS.items() if word in words[unit]), 0)


@once_if_short
def wants_less(text: str) -> bool:
    """Return whether a text asks for fewer messages, and for nothing else: LESS, "moins de sms"."""
    words = _table()
    said = " ".join(word for word in _words(text) if word not in words["polite"])
    if said in words["less"] or said in words["rarer"]:
        return True
    return any(
        said in {f"{less} {sent}", f"{sent} {less}"}
        for less in words["less"]
        if said.startswith(less) or said.endswith(less)
        for sent in words["sent"]
    )


@once_if_short
def wants_more(text: str) -> bool:
    """Return whether a text may ask for more messages, and for nothing else; it does of who wanted fewer."""
    said = " ".join(word for word in _words(text) if word not in _table()["polite"])
    return said in _table()["more"]


@once_if_short
def may_start(text: str) -> bool:
    """Return whether a text begins with a word that asks for messages; the reading decides."""
    return bool(words := _words(text)) and words[0] in _table()["start"]


@once_if_short
def join_word(text: str) -> str:
    """Return the word that a text may opt in by, alone or behind JOIN, as keywords are compared; "": none."""
    words = _table()
    said = [word for word in _words(text) if word not in words["polite"]]
    rest = said[1:] if said and said[0] in words["start"] else said
    return _compact(rest[0]) if len(rest) == 1 else ""


@once_if_short
def asks_erasure(text: str) -> bool:
    """Return whether a text asks to erase what is kept of the person; it is a STOP too (GDPR art. 17)."""
    flat = f" {' '.join(_words(text))} "
    return any(f" {phrase} " in flat for phrase in _table()["erase"])


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
