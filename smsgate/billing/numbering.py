"""Document numbers: series-NNNNNN, without gaps, in the order of commits (R18)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from smsgate.errors import Invalid

NUMBER_DIGITS: Final = 6
SERIES_LAST_MAX: Final = 10**NUMBER_DIGITS - 1
NUMBER_CHARACTERS_MAX: Final = 35  # BR-FR-01


def number_text(series: str, number: int) -> str:
    """
    Return a document's number: ("F-2026-10", 42) is "F-2026-10-000042".

    Raises:
        Invalid: code `series_invalid`: a series that is used up, or one that a French invoice cannot bear.
    """
    if not 1 <= number <= SERIES_LAST_MAX:
        raise Invalid(f"series {series} has no number {number}", code="series_invalid")
    text = f"{series}-{number:0{NUMBER_DIGITS}d}"
    plain = text.isascii() and all(character.isalnum() or character in "-+_/" for character in text)
    if not series or not plain or len(text) > NUMBER_CHARACTERS_MAX:
        raise Invalid(f"{series[:40]!r} cannot be a series of numbers", code="series_invalid")
    return text


def gaps(numbers: list[int]) -> list[int]:
    """Return what is missing from 1 to the highest number, in order."""
    return sorted(set(range(1, max(numbers, default=0) + 1)) - set(numbers))


@dataclass(slots=True)
class Series:
    """
    The counter row of each series, as the issuing transactions see it.

    The row is locked from the taking to the end of the transaction, so a number is given at the commit and a
    transaction that is rolled back takes none.
    """

    last: dict[str, int] = field(default_factory=dict)

    def commit(self, series: str) -> str:
        number = self.last.get(series, 0) + 1
        text = number_text(series, number)
        self.last[series] = number
        return text
