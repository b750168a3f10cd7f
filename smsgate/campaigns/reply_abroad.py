"""
What entries say, and which of them count for subscribers of another language.

Outside its language an entry counts only where two languages do not disagree about it, and as a single word
of the Latin alphabet only when it is long enough and not in the list `ambiguous`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.campaigns.reply_entries import LANGUAGES, decision_entries, number_entries, request_entries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsgate.campaigns.reply_tries import Words

FOREIGN_LETTERS_MIN: Final = 4  # shorter Latin words are too often words of another language


class Request(NamedTuple):
    """What an entry of the stop lists may be: bits by language, and all of them together."""

    by: tuple[tuple[str, int], ...]
    bits: int


class Meaning(NamedTuple):
    """What a phrase says: its category, the language that has it ("" for all), the value of a number."""

    category: str
    language: str
    value: int = 0


@cache
def meaning(category: str, language: str) -> Meaning:
    """Return what many entries say, once."""
    return Meaning(category, language)


def abroad_entries(
    ambiguous: set[str],
) -> tuple[dict[Words, tuple[Meaning, ...]], dict[Words, dict[str, int]]]:
    """Return by entry what each language says that may count in the others: meanings, and kinds of stops."""
    readings: dict[Words, tuple[Meaning, ...]] = {}
    stops: dict[Words, dict[str, int]] = {}
    for language in LANGUAGES:
        for entry, value in number_entries(language):
            if _abroad(entry, ambiguous):
                readings[entry] = (*readings.get(entry, ()), Meaning("number", language, value))
        for entry, category in decision_entries(language):
            if _abroad(entry, ambiguous):
                others = tuple(each for each in readings.get(entry, ()) if each.language != language)
                readings[entry] = (*others, meaning(category, language))
        for entry, bit in request_entries(language):
            if _abroad(entry, ambiguous):
                masks = stops.setdefault(entry, {})
                masks[language] = masks.get(language, 0) | bit
    return readings, stops


def agreed(found: Sequence[Meaning]) -> Meaning | None:
    """Return what an entry means outside its languages: nothing where they disagree about an order."""
    first = found[0]
    if len(found) == 1 or all((m.category, m.value) == (first.category, first.value) for m in found):
        return first
    categories = {m.category for m in found}
    if categories <= {"yes", "buy"}:
        return first
    if categories <= {"harmless", "item", "pronoun", "adverb", "function", "praise"}:
        return Meaning("function" if "function" in categories else "adverb", first.language)
    if categories & {
        "yes",
        "buy",
        "number",
        "quantity",
        "split",
        "choice",
        "harmless",
        "item",
        "function",
        "adverb",
    }:
        return None
    return Meaning("unclear", first.language)


def _abroad(entry: Words, ambiguous: set[str]) -> bool:
    """Return whether an entry may count for subscribers of another language."""
    if len(entry) > 1:
        return len(entry) > 2 or any(len(word) >= FOREIGN_LETTERS_MIN and word[0] != "&" for word in entry)
    word = entry[0].removesuffix("*")
    return word not in ambiguous and (not word.isascii() or len(word) >= FOREIGN_LETTERS_MIN)
