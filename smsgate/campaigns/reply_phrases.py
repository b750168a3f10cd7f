"""Which phrases of the tables a reply is made of."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from smsgate.campaigns.reply_entries import plain
from smsgate.campaigns.reply_signatures import Segment, capitals, signed, used
from smsgate.campaigns.reply_slips import nearest
from smsgate.campaigns.reply_tables import NOTHING_SAID
from smsgate.campaigns.reply_tries import FOREIGN_MEANING, MEANING, longest
from smsgate.campaigns.reply_words import RESOLVED_MAX, shared

if TYPE_CHECKING:
    from smsgate.campaigns.reply_tables import Vocabulary
    from smsgate.campaigns.reply_tokens import TakenApart

POLITE_LETTERS_MIN: Final = (
    5  # of a word of thanks with a slip of the finger; with so few, two letters swapped
)
NAME_WORDS_MAX: Final = 2  # unknown words that may follow a first name or a title as a family name
NAMES_MAX: Final = 10_000  # offers whose names are kept in words


@lru_cache(maxsize=NAMES_MAX)
def named(names: tuple[str, ...]) -> frozenset[str]:
    """Return the words of the shop's and the item's names."""
    return frozenset(word for name in names for word in re.findall(r"\w+", plain(name)))


def classify(text: TakenApart, words: Vocabulary, names: frozenset[str]) -> list[Segment]:
    """
    Return the phrases of the text; a word of no list is `unknown`.

    The longest phrase at each word is taken first. When that leaves words unknown, the cut that explains
    most words is taken, unless it loses a word of caution: "oui merci" and "beaucoup" become "oui" and
    "merci beaucoup".
    """
    segments, lost = _greedy(text, words, names)
    if lost and len(segments) < len(text.tokens):
        better = _best_cut(text, words, names)
        kinds = {segment.category for segment in better}
        caution = {segment.category for segment in segments} & _CAUTIOUS
        if caution - ({"weak", "praise"} if "buy" in kinds else set()) <= kinds:
            segments = better
    greedy, segments = segments, _family_names(text, segments)
    if (lost or segments is not greedy) and any(segment.category == "unknown" for segment in segments):
        return used(text, signed(text, segments, words.language))
    return segments


# What is said of a variant says nothing where none is named.
UNEXPLAINED: Final = frozenset(("unknown", "against", "pointer", "fits"))
_CAUTIOUS: Final = frozenset(
    (
        "no",
        "unclear",
        "help",
        "question",
        "start",
        "feedback",
        "weak",
        "choice",
        "quantity",
        "split",
        "praise",
        "pointer",
    )
)


def _best_cut(text: TakenApart, words: Vocabulary, names: frozenset[str]) -> list[Segment]:
    """Return the phrases that leave fewest words unknown, and of those the fewest."""
    count = len(text.tokens)
    best: list[tuple[int, int, Segment | None]] = [(0, 0, None)] * (count + 1)
    for place in range(count - 1, -1, -1):
        category = _unlisted(text.tokens[place], names)
        lost, pieces, _ = best[place + 1]
        chosen = (lost + (category == "unknown"), pieces + 1, Segment(category, "", place, place + 1))
        own_word = text.tokens[place] in words.words
        for table in (MEANING, FOREIGN_MEANING):
            for length, meaning in text.found[place][table]:
                end = place + length
                if table is FOREIGN_MEANING and own_word and length == 1:
                    continue
                lost, pieces, _ = best[end]
                lost += meaning.category in UNEXPLAINED
                if (lost, pieces + 1) < chosen[:2] or chosen[2].category in {"unknown", "name", "owner"}:
                    value = meaning.value or (text.values[place] if meaning.category == "number" else 0)
                    if (lost, pieces + 1) <= chosen[:2]:
                        chosen = (
                            lost,
                            pieces + 1,
                            Segment(meaning.category, meaning.language, place, end, value),
                        )
        best[place] = chosen
    segments, place = [], 0
    while place < count:
        segment = best[place][2]
        assert segment is not None
        segments.append(segment)
        place = segment.end
    return segments


def _may_be_family(text: TakenApart, place: int) -> bool:
    """Return whether a word is written like a family name and begins nothing that asks for silence."""
    word = text.tokens[place]
    return len(word) > 1 and text.openings[place].silent and word in capitals(text.own)


def _greedy(text: TakenApart, words: Vocabulary, names: frozenset[str]) -> tuple[list[Segment], bool]:
    """Return the longest phrase at each word, and whether a word is left that nothing explains."""
    segments, lost = [], False
    place, count = 0, len(text.tokens)
    while place < count:
        found, end = text.found[place], place + 1
        if found is text.openings[place].alone:
            meaning = text.openings[place].says
        else:
            length, meaning = longest(found[MEANING])
            if found[FOREIGN_MEANING]:
                further, foreign = longest(found[FOREIGN_MEANING])
                if further > length and not (further == 1 and text.tokens[place] in words.words):
                    length, meaning = further, foreign
            end = place + length
        if meaning is not None:
            if end > place + 1 and end < count and meaning.category in _YES:
                end = _shortened(text, place, end)
            value = meaning.value or (text.values[place] if meaning.category == "number" else 0)
            segments.append(Segment(meaning.category, meaning.language, place, end, value))
            lost = lost or meaning.category in UNEXPLAINED
        else:
            category, end = _unlisted(text.tokens[place], names), place + 1
            segments.append(Segment(category, "", place, end))
            lost = lost or category == "unknown"
        place = end
    return segments, lost


_YES: Final = frozenset(("yes", "buy"))
_AFTER_YES: Final = frozenset(("yes", "buy", "harmless"))


def _shortened(text: TakenApart, place: int, end: int) -> int:
    """
    Return where a yes from `place` to `end` ends, if its last word begins a longer phrase.

    "yes thanks" is "yes" before "again".
    """
    further, after = longest(text.found[end - 1][MEANING])
    if further <= 1 or after.category not in _AFTER_YES:
        return end
    shorter = text.found[place][MEANING]
    whole = any(place + length == end - 1 and meaning.category in _YES for length, meaning in shorter)
    return end - 1 if whole else end


def _unlisted(token: str, names: frozenset[str]) -> str:
    if token in names:
        return "named"
    if token == NOTHING_SAID:
        return "harmless"
    people = shared()
    if token in people.names or token in people.titles or (token[0] == "ل" and token[1:] in people.names):
        return "name"
    if token[-1] == "s" and token[:-1] in people.names:
        return "owner"
    return "harmless" if _polite(token) else "unknown"


@lru_cache(maxsize=RESOLVED_MAX)
def _polite(token: str) -> bool:
    """Return whether a word of no list is one of thanks or greeting with one slip of the finger."""
    tables = shared()
    if len(token) < POLITE_LETTERS_MIN or token in tables.real_words or token in tables.known:
        return False
    meant = nearest(token, tables.polite)
    if meant is None:
        return False
    return len(meant) > POLITE_LETTERS_MIN or sorted(token) == sorted(meant)  # "mecri", but not "mercy"


def _family_names(text: TakenApart, segments: list[Segment]) -> list[Segment]:
    """Take unknown words at the end for a family name when a first name or a title goes before them."""
    if not segments:
        return segments
    if not shared().titles.isdisjoint(text.tokens):
        segments = _titled_colours(text, segments)
    end = segments[-1]
    if len(segments) > 1 and segments[-2].category == "name":
        initial = end.end - end.start == 1 == len(text.tokens[end.start])
        if initial:
            return [*segments[:-1], end._replace(category="name")]  # "Claire D."
    if end.category != "unknown":
        return segments
    first = len(segments)
    while first and segments[first - 1].category == "unknown":
        first -= 1
    tail = segments[first:]
    if not first or len(tail) > NAME_WORDS_MAX:
        return segments
    before = segments[first - 1]
    closed = before.category == "harmless" and text.tokens[before.end - 1] in shared().closings
    named = before.category == "harmless" and text.tokens[before.end - 1] in shared().names
    if not (closed or named or before.category == "name" or _titled(text, before)):
        return segments
    if not all(_may_be_family(text, s.start) or (closed and len(text.tokens[s.start]) == 1) for s in tail):
        return segments
    return [*segments[:first], *(segment._replace(category="name") for segment in tail)]


def _titled_colours(text: TakenApart, segments: list[Segment]) -> list[Segment]:
    """Take a colour behind a title for a family name: "Mrs Brown: yes"."""
    found = segments[:1]
    for before, segment in pairwise(segments):
        called = segment.category == "choice" and _titled(text, before)
        kind = "name" if segment.end == segment.start + 1 else "unknown"
        found.append(segment._replace(category=kind) if called else segment)
    return found


def _titled(text: TakenApart, before: Segment) -> bool:
    """Return whether a segment ends in a title, after which a family name comes."""
    title = text.tokens[before.end - 1] in shared().titles
    return title and before.category in {"harmless", "name", "function"}
