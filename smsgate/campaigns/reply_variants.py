"""
Which variant a reply names, when it takes more than one phrase to name it.

Three shapes of it: what is not wanted beside what is ("blue, not red"), something pointed at ("the one with
the poster", "celui de Brel"), and a thing called by a name that no list holds ("the Prince album").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smsgate.campaigns.reply_entries import plain
from smsgate.campaigns.reply_signatures import Segment, capitals
from smsgate.campaigns.reply_words import SIZES, shared

if TYPE_CHECKING:
    from smsgate.campaigns.reply_tokens import TakenApart

NAMED_WORDS_MAX: Final = 2  # of a name by which something is pointed at
_BESIDE: Final = frozenset(("function", "adverb", "pronoun", "against"))
_AFTER: Final = frozenset(("harmless", "name", "named"))
_CALLED: Final = frozenset(("unknown", "name"))
_REFUSING: Final = frozenset(("against", "no", "unclear", "function"))
_DECIDED: Final = frozenset(("choice", "yes", "buy", "no", "number"))
_ONE: Final = frozenset(("one", "ones", "edition", "version"))


def variants(text: TakenApart, segments: list[Segment]) -> list[Segment]:
    """Return the segments with each variant as one `choice`, and without those that are not wanted."""
    kinds, given = {segment.category for segment in segments}, segments
    if len(segments) > 2 and not _REFUSING.isdisjoint(kinds):
        segments = _without_refused(text, segments)
    if "pointer" in kinds:
        segments = _pointed_at(text, segments)
    elif not _CALLED.isdisjoint(kinds) and ("item" in kinds or not _ONE.isdisjoint(text.tokens)):
        segments = _called(text, segments)
    if segments is not given:
        kinds = {segment.category for segment in segments}
    if "choice" in kinds and len(segments) > 1:
        return [_fitting(text, segment) for segment in segments]
    return segments


def said(text: TakenApart, segment: Segment) -> str:
    return " ".join(text.tokens[segment.start : segment.end])


def _fitting(text: TakenApart, segment: Segment) -> Segment:
    """Return what says that a variant suits as a word that changes nothing beside it."""
    if segment.category in _DECIDED or said(text, segment) not in shared().variants.fits:
        return segment
    return segment._replace(category="harmless")


def two_attributes(text: TakenApart, segments: list[Segment]) -> bool:
    """Return whether all choices say different things of one variant: a colour and a size."""
    seen: set[str] = set()
    known = shared().variants.attributes
    for segment in segments:
        if segment.category != "choice":
            continue
        words = text.tokens[segment.start : segment.end]
        kinds = {"size" if word in SIZES else known[word] for word in words if word in known or word in SIZES}
        if not kinds and any(text.values[segment.start : segment.end]):
            kinds = {"size"}
        if not kinds or kinds & seen:
            return False
        seen |= kinds
    return True


def _without_refused(text: TakenApart, segments: list[Segment]) -> list[Segment]:
    """Leave out what a "not" goes before, if something that is wanted remains: "blue, not red"."""
    ends = {end for _, end in text.clauses[:-1]}
    dropped: set[int] = set()
    for place, segment in enumerate(segments):
        if segment.category not in _REFUSING:
            continue
        refusing = said(text, segment)
        if refusing not in shared().variants.against and refusing not in shared().variants.nos:
            continue
        behind = place and _variant(text, segments[place - 1])
        if behind and (segment.end in ends or refusing in shared().variants.against_behind):
            dropped |= {place - 1, place}  # "el rojo no, el azul"
            continue
        last = place + 1
        while last < len(segments) and segments[last].category in _BESIDE:
            last += 1
        if last < len(segments) and _variant(text, segments[last]):
            if last + 1 < len(segments) and said(text, segments[last + 1]) in shared().variants.rather:
                last += 1
            dropped |= set(range(place, last + 1))
    if not dropped:
        return segments
    kept = [segment for place, segment in enumerate(segments) if place not in dropped]
    wanted = [segment for segment in kept if _variant(text, segment)]
    if not wanted:
        return segments
    if all(segment.category != "choice" for segment in kept):  # "CD not vinyl"
        return [s._replace(category="choice") if s in wanted else s for s in kept]
    return kept


def _variant(text: TakenApart, segment: Segment) -> bool:
    """Return whether a segment names a variant, or a form in which what is offered comes: "cd"."""
    if segment.category == "choice":
        return True
    form = shared().variants.attributes.get(text.tokens[segment.end - 1]) == "format"
    return form and segment.category in {"item", "interest", "unknown"}


def _pointed_at(text: TakenApart, segments: list[Segment]) -> list[Segment]:
    """Return the segments with "the one with the poster" as a choice, when nothing but thanks follows."""
    place = next(i for i, segment in enumerate(segments) if segment.category == "pointer")
    pointer = segments[place]
    first = place + 1
    while first < len(segments) and segments[first].category == "function":
        first += 1
    last = first
    while last < len(segments) and segments[last].category in {*_CALLED, "named", "item", "choice"}:
        last += 1
    words = segments[first:last]
    if not 1 <= len(words) <= NAMED_WORDS_MAX or any(s.category not in _AFTER for s in segments[last:]):
        return segments
    if said(text, pointer) in shared().variants.of_whom and not _names(text, words):
        return segments
    ours = any(segment.category == "named" for segment in words)  # it is the one that is offered
    return [
        *segments[:place],
        Segment("named" if ours else "choice", pointer.language, pointer.start, words[-1].end),
        *segments[last:],
    ]


def _called(text: TakenApart, segments: list[Segment]) -> list[Segment]:
    """Return the segments with "the Prince album" as a choice, when it is all that is said."""
    for place, segment in enumerate(segments):
        if segment.category != "function" or said(text, segment) not in shared().variants.articles:
            continue
        last = place + 1
        while last < len(segments) and segments[last].category in _CALLED:
            last += 1
        words = segments[place + 1 : last]
        if not 1 <= len(words) <= NAMED_WORDS_MAX or last == len(segments) or not _names(text, words):
            continue
        thing = segments[last]
        offered = text.tokens[thing.end - 1].startswith(shared().offered)
        if not (thing.category == "item" and offered) and text.tokens[thing.start] not in _ONE:
            continue
        if any(each.category not in _AFTER for each in segments[last + 1 :]):
            continue
        return [
            *segments[:place],
            Segment("choice", thing.language, segment.start, thing.end),
            *segments[last + 1 :],
        ]
    return segments


def _names(text: TakenApart, words: list[Segment]) -> bool:
    """Return whether words are written like names, or are names."""
    written = capitals(text.own)
    return all(
        segment.category in {"name", "named"} or plain(said(text, segment)) in written for segment in words
    )
