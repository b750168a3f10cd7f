"""
Words of no list that change nothing in an answer for where they stand: a signature, what the thing is for.

"YES. - Dr. A. Patel", "Ja. /Gunilla", "ok grazie mille, Franca"; "ten for our brass band please". A word that
stands in a list of any language is what the list says, and never one of these.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.campaigns.reply_entries import plain
from smsgate.campaigns.reply_words import shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from smsgate.campaigns.reply_tokens import TakenApart

SIGNATURE_WORDS_MAX: Final = 5  # "M. et Mme de Villiers"
SIGNED_UNKNOWN_MAX: Final = 2  # of them words of no list: a first name and a family name
USE_LETTERS_MIN: Final = 4  # shorter words of no list are slips and abbreviations
NOUNS_WITH_CAPITALS: Final = frozenset(("de",))  # there a capital letter makes no name


class Segment(NamedTuple):
    """A phrase of a reply: what it is, whose language says so, and where it stands."""

    category: str
    language: str
    start: int
    end: int
    value: int = 0


def capitals(own: str) -> set[str]:
    """Return the folded words that are written with a capital letter and small ones."""
    return {word for found in _CAPITAL.findall(own) for word in plain(found).split()}


_CAPITAL: Final = re.compile(r"\b[A-ZÀ-ÞĀ-ŽА-ЯΑ-Ω][a-zß-ÿā-žа-яα-ω]+\b")
_APART: Final = frozenset(",-–—/(|~")  # marks behind which nobody begins a sentence


def signed(text: TakenApart, segments: list[Segment], language: str) -> list[Segment]:
    """
    Take words of no list for a signature where they stand like one: last, apart, written like names.

    Behind a comma, a dash, a slash or a bracket one or two words with capitals are a name; on a line of their
    own, or without a mark, only behind thanks; behind a title or a first name always. In German, where every
    noun has its capital, only the last holds.
    """
    if len(text.clauses) == 1 and shared().signing.thanks_last.isdisjoint(text.tokens):
        return segments
    kinds = {place: s.category for s in segments for place in range(s.start, s.end)}
    written = capitals(text.own)
    count = len(text.tokens)

    def signs(place: int) -> bool:
        token, kind = text.tokens[place], kinds[place]
        if kind == "name" or _formal(token) or token in shared().closings:
            return True
        return kind == "unknown" and token in written and _free(text, place)

    first, mark = _apart(text, signs)
    if first == count:
        first, mark = _behind_thanks(text, signs), ""
    if not 0 < first < count or first not in {segment.start for segment in segments}:
        return segments
    tail = range(first, count)
    new = [place for place in tail if kinds[place] == "unknown" and not _formal(text.tokens[place])]
    named = any(kinds[place] == "name" and not _titled(text.tokens[place]) for place in tail)
    if len(tail) > SIGNATURE_WORDS_MAX or len(new) > SIGNED_UNKNOWN_MAX or not (new or named):
        return segments
    known = named or any(_titled(text.tokens[place]) for place in tail)
    if not known and (language in NOUNS_WITH_CAPITALS or not _plainly_apart(text, first, mark)):
        return segments
    before = [segment for segment in segments if segment.end <= first]
    return [*before, Segment("name", "", first, count)]


def _apart(text: TakenApart, signs: Callable[[int], bool]) -> tuple[int, str]:
    """Return where the clauses of a signature begin at the end of a text, and the marks before them."""
    first, mark = len(text.tokens), ""
    for number in range(len(text.clauses) - 1, 0, -1):
        start, end = text.clauses[number]
        if not all(signs(place) for place in range(start, end)):
            break
        if mark and not all(len(t) == 1 or _formal(t) for t in text.tokens[start:end]):
            break  # "Dr. A. Patel" is one signature, "Prince, Madonna" is none
        first, mark = start, text.marks[number - 1] or "?"
    return first, mark


def _behind_thanks(text: TakenApart, signs: Callable[[int], bool]) -> int:
    first = len(text.tokens)
    while first and len(text.tokens) - first < SIGNED_UNKNOWN_MAX and signs(first - 1):
        first -= 1
    return first if first and text.tokens[first - 1] in shared().signing.thanks_last else 0


def _plainly_apart(text: TakenApart, first: int, mark: str) -> bool:
    if not mark or not _APART.isdisjoint(mark):
        return True
    return "\n" in mark and not shared().signing.thanks.isdisjoint(text.tokens[:first])


def _formal(token: str) -> bool:
    return _titled(token) or token in shared().signing.particles or len(token) == 1


def _titled(token: str) -> bool:
    return token in shared().titles or token in shared().signing.honours


def _free(text: TakenApart, place: int) -> bool:
    """Return whether a word is in no list and begins nothing that asks for silence."""
    token = text.tokens[place]
    return (
        token.isalpha()
        and token not in shared().known
        and token not in shared().signing.not_names
        and text.openings[place].silent
    )


def used(text: TakenApart, segments: list[Segment]) -> list[Segment]:
    """Take one word of no list for what the thing is for: "pour ma Twingo", "for our brewery please"."""
    if shared().possessives.isdisjoint(text.tokens):
        return segments
    found = list(segments)
    for place, segment in enumerate(segments):
        start = segment.start
        if (
            segment.category == "unknown"
            and start > 1
            and text.tokens[start - 1] in shared().possessives
            and text.tokens[start - 2] in shared().signing.purposes
            and len(text.tokens[start]) >= USE_LETTERS_MIN
            and _free(text, start)
            and all(after.category in {"harmless", "name", "named"} for after in segments[place + 1 :])
        ):
            found[place] = segment._replace(category="use")
            if segments[place - 1].category == "unknown":
                found[place - 1] = segments[place - 1]._replace(category="function")  # "our"
    return found
