"""
The word tables of reply reading: one file per language, compiled once.

A reply is read with the tables of the subscriber's language first and with those of all other languages
second, because people answer in the language they think in. An entry of another language counts only where
it cannot be mistaken: not when the subscriber's language has the same word, not when two languages disagree
about it, and as a single word of the Latin alphabet only when it is long enough and not in the list
`ambiguous`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache, reduce
from itertools import chain
from operator import or_
from typing import Final, NamedTuple

from smsgate.campaigns.reply_abroad import Meaning, Request, abroad_entries, agreed, meaning
from smsgate.campaigns.reply_entries import (
    BIT,
    IDEAS,
    LANGUAGES,
    NAME,
    STOP_KINDS,
    anchored_entries,
    classes_of,
    decision_entries,
    entries_of,
    listed,
    number_entries,
    numerals,
    request_entries,
    spelled_entries,
    tree_of,
    word_file,
)
from smsgate.campaigns.reply_slips import (
    BONES_MIN,
    NEAR_ALONE_LETTERS_MIN,
    NEAR_LETTERS_MIN,
    SINGLE_LETTERS_MIN,
    STRONG_LETTERS_MIN,
    Near,
    Slip,
    bones,
    neighbours,
    single,
)
from smsgate.campaigns.reply_tries import (
    FOREIGN_MEANING,
    FOREIGN_STOP,
    MACHINE,
    MEANING,
    STOP,
    Begin,
    Found,
    Node,
    Words,
    begin,
    grown,
)
from smsgate.campaigns.tables import rules_version, table

SIZES: Final = frozenset(("xxs", "xs", "s", "m", "l", "xl", "xxl", "xxxl", *"abcdef"))
STEM_LETTERS_MAX: Final = 14
PROFILES_MAX: Final = 1_000  # languages of profiles, as shops write them
RESOLVED_MAX: Final = 20_000  # words kept with what they stand for, of all people together

GLUED_LETTERS_MIN: Final = 7  # of a phrase that was typed without its spaces

BONED: Final = "ar-Latn"  # the language whose words are known by their consonants

NUMBER: Final = "#"


class StopRule(NamedTuple):
    needs: int
    without: int
    name: str
    reason: str


# A word: its token, its spellings in the tables, what it is worth as a number, and what it opens.
Seen = tuple[str, Words, int, "Opening"]


class Vocabulary(NamedTuple):
    """
    The tables of one subscriber language.

    Its trie says what decides (`Meaning`) and what asks for silence (`Request`: languages with bits).
    """

    tree: Node
    silencing: frozenset[str]  # with which words entries of the stop lists begin
    words: frozenset[str]  # single words of the own language: they are never read as another language's
    keywords: frozenset[str]  # those of them that say more about a stop than an idea
    numbers: dict[str, int]
    language: str
    openings: dict[str, Opening]  # of words seen so far
    seen: dict[str, Seen]  # of folded words
    written: dict[str, Seen]  # of words of letters as people write them
    slips: dict[str, Slip]  # of words seen so far
    strong: Near  # long stop words that ask for silence by themselves
    near: Near  # long words of the stop lists
    single: dict[str, str]  # words of the stop lists by themselves without doubled letters


class Shared(NamedTuple):
    """The tables that are the same for everybody."""

    version: str
    tree: Node
    silencing: frozenset[str]
    known: frozenset[str]  # spellings that are right as they stand, in one language or another
    numbers: dict[str, int]
    stems: frozenset[str]
    frames: tuple[tuple[str, str], ...]  # "ma*ch": what words begin and end with
    strong: Near
    bones: dict[str, str]  # words of the stop lists of Arabic in Latin letters by their consonants
    glued: frozenset[str]  # phrases of the stop lists without their spaces
    rules: tuple[StopRule, ...]
    reactions: Node  # of one table
    signatures: Node
    names: frozenset[str]
    titles: frozenset[str]
    closings: frozenset[str]
    order_nouns: frozenset[str]
    before_numbers: frozenset[str]
    price_words: frozenset[str]
    possessives: frozenset[str]
    relatives: frozenset[str]
    offered: tuple[str, ...]  # what words begin with that name what is offered
    neighbours_not: frozenset[str]
    real_words: frozenset[str]
    polite: Near  # words of thanks, greeting and asking
    farewells: frozenset[Words]
    conjunctions: frozenset[tuple[str, str]]  # language and word
    emoji_harmless: frozenset[str]
    emoji_no: frozenset[str]
    emoji_stop: frozenset[str]


@lru_cache(maxsize=PROFILES_MAX)
def own_language(language: str) -> str:
    """Return the file that speaks for a profile's language; an unknown one is read as English."""
    own = (
        language if language in LANGUAGES else language.replace("_", "-").split("-", maxsplit=1)[0].casefold()
    )
    own = {"no": "nb", "nn": "nb"}.get(own, own)
    return own if own in LANGUAGES else "en"


@lru_cache(maxsize=RESOLVED_MAX)
def forms(word: str) -> Words:
    """Return what `word` may be in an entry: itself, the stems that it begins with, a size, its classes."""
    stems = shared().stems
    found = [word]
    found += [
        stem for n in range(2, min(len(word), STEM_LETTERS_MAX) + 1) if (stem := word[:n] + "*") in stems
    ]
    found += [
        f"{head}*{tail}"
        for head, tail in shared().frames
        if len(word) > len(head) + len(tail) and word.startswith(head) and word.endswith(tail)
    ]
    if word in SIZES or word == NUMBER:
        found.append("@")
    found += classes_of().get(word, ())
    if word in shared().names:
        found.append(NAME)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Opening(Begin):
    """What a word opens for one language: what begins with it, and what follows when nothing longer does."""

    says: Meaning | None
    asks: tuple[Request, ...]
    silent: bool  # no entry of the stop lists begins with it


def opening(word: str, spelling: Words, words: Vocabulary) -> Opening:
    """Return what a word opens; some 20,000 words of each language are kept."""
    found = words.openings.get(word)
    if found is None:
        found = _opening(word, spelling, words)
        if len(words.openings) < RESOLVED_MAX:
            words.openings[word] = found
    return found


def _opening(word: str, spelling: Words, words: Vocabulary) -> Opening:
    first = begin((words.tree, shared().tree), spelling)
    said = first.alone[MEANING] or (() if word in words.words else first.alone[FOREIGN_MEANING])
    return Opening(
        first.alone,
        first.deeper,
        first.gaps,
        first.second,
        says=said[0][1] if said else None,
        asks=tuple(request for _, request in requests(first.alone, word, words)),
        silent=words.silencing.isdisjoint(spelling) and shared().silencing.isdisjoint(spelling),
    )


def requests(found: Found, word: str, words: Vocabulary) -> list[tuple[int, Request]]:
    """
    Return the entries of the stop lists that begin with `word`, with their lengths.

    A single word of the own language is none of another's.
    """
    foreign = found[FOREIGN_STOP]
    if not foreign:
        return list(found[STOP])
    hidden = _ALL if word in words.keywords else _IDEAS if word in words.words else 0
    return [
        *found[STOP],
        *(said for said in foreign if said[0] > 1 or not hidden or said[1].bits & ~hidden),
    ]


_ALL: Final = sum(BIT.values())
_IDEAS: Final = sum(BIT[idea] for idea in IDEAS)


@cache
def vocabulary(language: str) -> Vocabulary:
    """Return the tables for a subscriber's language; `own_language` says which."""
    own = own_language(language)
    meanings: list[tuple[Words, int, object]] = []
    numbers: dict[str, int] = {}
    stops: dict[Words, int] = {}
    for source in (own, ""):
        for word, value in number_entries(source):
            if len(word) == 1:
                numbers.setdefault(word[0], value)
            meanings.append((word, MEANING, Meaning("number", source, value)))
        meanings += [(entry, MEANING, meaning(said, source)) for entry, said in decision_entries(source)]
        for entry, bit in request_entries(source):
            stops[entry] = stops.get(entry, 0) | bit
    meanings.append(((NUMBER,), MEANING, Meaning("number", "")))
    asking = ((entry, STOP, Request(((own, mask),), mask)) for entry, mask in stops.items())
    keywords = {e[0] for e, _ in decision_entries(own) if len(e) == 1}
    keywords |= {e[0] for e, bit in request_entries(own) if len(e) == 1 and bit & _STOPPING}
    alone = frozenset(
        entry[0] for entry, _ in (*decision_entries(own), *request_entries(own)) if len(entry) == 1
    )
    return Vocabulary(
        tree=grown(chain(meanings, asking)),
        silencing=frozenset(entry[0] for entry in stops),
        words=alone | numbers.keys(),
        keywords=frozenset(keywords | numbers.keys()),
        language=own,
        numbers=shared().numbers | numbers,
        openings={},
        seen={},
        written={},
        slips={},
        strong=neighbours(_strong(stops)),
        near=neighbours(_slippery(stops)),
        single=_single(stops),
    )


_STOPPING: Final = sum(BIT[kind] for kind in STOP_KINDS)


def _slippery(stops: dict[Words, int]) -> set[str]:
    """Return the words of stop lists that are long enough to be known again with a slip of the finger."""
    alone = sum(rule.needs for rule in shared().rules if rule.needs.bit_count() == 1)
    return {
        word
        for entry, mask in stops.items()
        for word in entry
        if word.isalpha() and len(word) >= (NEAR_ALONE_LETTERS_MIN if mask & alone else NEAR_LETTERS_MIN)
    }


def _single(stops: dict[Words, int]) -> dict[str, str]:
    """Return the words of stop lists by what they are without doubled letters."""
    words = {word for entry in stops for word in entry if word.isalpha() and len(word) >= SINGLE_LETTERS_MIN}
    found: dict[str, str] = {}
    for word in sorted(words):
        found.setdefault(single(word), word)
    return found


def _strong(stops: dict[Words, int]) -> set[str]:
    """Return the long words of stop lists that ask for silence by themselves."""
    strong = BIT["stop"] | BIT["stop_short"]
    return {
        entry[0]
        for entry, mask in stops.items()
        if len(entry) == 1 and mask & strong and len(entry[0]) >= STRONG_LETTERS_MIN and entry[0].isalpha()
    }


@cache
def shared() -> Shared:
    """Return what all languages have in common, and the entries of each that count in all."""
    common, people = table("words", "common.toml"), table("words", "names.toml")
    numbers: dict[str, int] = {}
    readings, stops = abroad_entries({entry[0] for entry in entries_of(common["ambiguous"])})
    entries: list[tuple[Words, int, object]] = []
    for entry, found in readings.items():
        said = agreed(found)
        if said is not None:
            if said.category == "number" and len(entry) == 1:
                numbers[entry[0]] = said.value
            entries.append((entry, FOREIGN_MEANING, said))
    for entry, masks in stops.items():
        asks = Request(tuple(masks.items()), reduce(or_, masks.values()))
        entries.append((entry, FOREIGN_STOP, asks))
    entries += [(entry, MACHINE, anchored) for entry, anchored in anchored_entries("auto").items()]
    everyones = {entry: reduce(or_, masks.values()) for entry, masks in stops.items()}
    spelled = spelled_entries()
    return Shared(
        version=rules_version(),
        tree=grown(entries),
        silencing=frozenset(entry[0] for entry in stops),
        known=listed() | numerals(),
        numbers=numbers,
        stems=frozenset(word for entry in spelled for word in entry if word.endswith("*")),
        frames=_frames(spelled),
        strong=neighbours(_strong(everyones)),
        bones=_bones(),
        glued=frozenset(
            "".join(entry)
            for entry, mask in everyones.items()
            if len(entry) > 1 and mask & BIT["stop"] and len("".join(entry)) >= GLUED_LETTERS_MIN
        ),
        rules=tuple(map(_stop_rule, common["stop_rules"])),
        reactions=tree_of(anchored_entries("reaction")),
        signatures=tree_of(entries_of(common["signature"])),
        names=frozenset(
            e[0] for e in entries_of(";".join((people["first"], people["rarer"], people["family"])))
        ),
        titles=frozenset(e[0] for e in entries_of(people["titles"])),
        closings=frozenset(e[-1] for e in entries_of(common["closings"])),
        order_nouns=frozenset(
            e[0] for name in LANGUAGES for e in entries_of(word_file(name).get("ordernoun", ""))
        ),
        offered=tuple(e[0] for e in entries_of(common["offered"])),
        possessives=frozenset(e[0] for e in entries_of(common["possessives"])),
        before_numbers=frozenset(" ".join(e) for e in entries_of(common["before_numbers"])),
        price_words=frozenset(e[0] for e in entries_of(common["price_words"])),
        relatives=frozenset(e[0] for e in entries_of(common["relatives"])),
        neighbours_not=frozenset(e[0] for e in entries_of(common["stop_neighbours_not"])),
        real_words=frozenset(e[0] for e in entries_of(common["real_words"])),
        polite=neighbours(e[0] for e in entries_of(common["polite"])),
        farewells=frozenset(entries_of(common["farewell"])),
        conjunctions=frozenset(
            (name, e[0]) for name, words in common["conjunctions"].items() for e in entries_of(words)
        ),
        emoji_harmless=frozenset(common["emoji_harmless"]),
        emoji_no=frozenset(common["emoji_no"]),
        emoji_stop=frozenset(common["emoji_stop"]),
    )


def _frames(spelled: frozenset[Words]) -> tuple[tuple[str, str], ...]:
    """Return what words begin and end with: "ma*ch"."""
    framed = sorted({word for entry in spelled for word in entry if "*" in word[1:-1]})
    return tuple((word.partition("*")[0], word.partition("*")[2]) for word in framed)


def _bones() -> dict[str, str]:
    found: dict[str, str] = {}
    for entry, bit in request_entries(BONED):
        for word in entry:
            if bit != BIT["not_stop"] and word.isalnum() and len(bones(word)) >= BONES_MIN:
                found.setdefault(bones(word), word)
    return found


def _stop_rule(row: dict[str, str]) -> StopRule:
    needs, without = row["needs"].split(), row.get("without", "").split()
    return StopRule(
        needs=sum(BIT[name] for name in needs),
        without=sum(BIT[name] for name in without),
        name="_".join(needs),
        reason=row["reason"],
    )
