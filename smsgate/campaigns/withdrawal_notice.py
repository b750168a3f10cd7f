"""What a text says about the right of withdrawal, compared with what the law gives and the offer says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

_NEAR: Final = 25  # characters between the number of days and the word that it is about


@dataclass(frozen=True, slots=True)
class Notice:
    """`days` are those that the text states, `denied`: it says that there is no such right."""

    days: tuple[int, ...] = ()
    denied: bool = False

    @property
    def given(self) -> bool:
        return self.denied or bool(self.days)


def notice_in(folded: str, spoken: Sequence[Mapping[str, tuple[str, ...]]]) -> Notice:
    """Return what a text says, by the phrases of these languages (`law/offer_phrases.toml`), all folded."""
    if any(phrase in folded for language in spoken for phrase in language["no_withdrawal"]):
        return Notice(denied=True)
    return Notice(
        tuple(
            int(found[1])
            for language in spoken
            for phrase in language["withdrawal"]
            if (at := folded.find(phrase)) >= 0
            for found in _days(language["days"]).finditer(
                folded, max(0, at - _NEAR), at + len(phrase) + _NEAR
            )
        )
    )


def wrong_of(notice: Notice, days_min: int, right: bool | None) -> str | None:
    """
    Return what contradicts: the text, the law's `days_min`, and whether the offer gives a `right`.

    `right` None is not known, and then only the law is asked.
    """
    if right is True and notice.denied:
        return "the text says that there is no right of withdrawal; the offer says that there is"
    if right is False and notice.days:
        return "the text states a period of withdrawal; the offer says that the law excepts it"
    if notice.days and min(notice.days) < days_min:
        return f"the text states {min(notice.days)} days of withdrawal; the law gives {days_min}"
    return None


@cache  # of the words of the law's table
def _days(units: tuple[str, ...]) -> re.Pattern[str]:
    words = "|".join(map(re.escape, sorted(units, key=len, reverse=True)))
    return re.compile(rf"(?<![\w.,/])(\d{{1,2}})[ -]?(?:{words})(?!\w)")
