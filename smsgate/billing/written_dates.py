"""
Days and months as documents write them, by language; English for one that has no table, and numbers
(ISO 8601) without any language.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Calendar(NamedTuple):
    first: str  # what the first day of a month is called
    months: Sequence[str]


_CALENDARS: Final = {
    "en": _Calendar(
        "1",
        (
            "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
            "November", "December",
        ),
    ),
    "fr": _Calendar(
        "1er",
        (
            "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre",
            "novembre", "décembre",
        ),
    ),
}  # fmt: skip


def day_text(on: date, language: str) -> str:
    """Return "5 November 2026", "1er octobre 2026"; "2026-11-05" without a language."""
    if not language:
        return on.isoformat()
    return f"{_day(on, language)} {_month(on, language)}"


def span_text(first: date, last: date, language: str) -> str:
    """Return the days from `first` to `last`: "1 – 31 October 2026" where they are of one month."""
    if not language or (first.year, first.month) != (last.year, last.month):
        return f"{day_text(first, language)} – {day_text(last, language)}"
    return (
        day_text(last, language) if first == last else f"{_day(first, language)} – {day_text(last, language)}"
    )


def month_text(month: str, language: str) -> str:
    """Return "October 2026" for 2026-10; without a language that."""
    return month if not language else _month(date.fromisoformat(f"{month}-01"), language)


def _calendar(language: str) -> _Calendar:
    return _CALENDARS.get(language, _CALENDARS["en"])


def _day(on: date, language: str) -> str:
    return _calendar(language).first if on.day == 1 else str(on.day)


def _month(on: date, language: str) -> str:
    return f"{_calendar(language).months[on.month - 1]} {on.year}"
