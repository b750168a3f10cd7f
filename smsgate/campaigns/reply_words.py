"""
The word tables of reply reading: one file per language, compiled once.

A reply is read with the tables of the subscriber's language first and with those of all other languages
second, because people answer in the language they think in. An entry of another language counts only where
it cannot be mistaken: not when the subscriber's language has the same word, not when two languages disagree
about it, and as a single word of the Latin alphabet only when it is long enough and not in the list
`ambiguous`.
"""

from __future__ import annotations

from functools import cache, lru_cache, reduce
from operator import or_
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.campaigns.reply_entries import (
    BIT,
    LANGUAGES,
    NAME,
    STOP_KINDS,
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
    STRONG_LETTERS_MIN,
    Near,
    Slip,
    bones,
    neighbours,
)
from smsgate.campaigns.reply_tries import Begins, Node, Words, begin, insert, shrunk
from smsgate.campaigns.tables import rules_version, table

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZES: Final = frozenset(("xxs", "xs", "s", "m", "l", "xl", "xxl", "xxxl", *"abcdef"))
STEM_LETTERS_MAX: Final = 14
FOREIGN_LETTERS_MIN: Final = 4  # shorter Latin words are too often words of another language
RESOLVED_MAX: Final = 20_000  # words kept with what they stand for, of all people together

GLUED_LETTERS_MIN: Final = 7  # of a phrase that was typed without its spaces

BONED: Final = "ar-Latn"  # the language whose words are known by their consonants

NUMBER: Final = "#"


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
def _meaning(category: str, language: str) -> Meaning:
    """Return what many entries say, once."""
    return Meaning(category, language)


class StopRule(NamedTuple):
    needs: int
    without: int
    name: str
    reason: str


class Vocabulary(NamedTuple):
    """
    The tables of one subscriber language.

    Tries are nested dictionaries of words that end in `END`: of a `Meaning`, or for `stops` of a `Request`,
    which is languages with bits.
    """

    meanings: Node
    stops: Node
    words: frozenset[str]  # single words of the own language: they are never read as another language's
    keywords: frozenset[str]  # those of them that say more about a stop than an idea
    numbers: dict[str, int]
    language: str
    begins: dict[str, Begins]  # of words seen so far
    seen: dict[str, tuple[str, Words, int]]  # of words as written: token, spellings and value as a number
    slips: dict[str, Slip]  # of words seen so far
    strong: Near  # long stop words that ask for silence by themselves
    near: Near  # long words of the stop lists


class Shared(NamedTuple):
    """The tables that are the same for everybody."""

    version: str
    meanings: Node
    stops: Node
    known: frozenset[str]  # spellings that are right as they stand, in one language or another
    numbers: dict[str, int]
    stems: frozenset[str]
    frames: tuple[tuple[str, str], ...]  # "ma*ch": what words begin and end with
    strong: Near
    bones: dict[str, str]  # words of the stop lists of Arabic in Latin letters by their consonants
    glued: frozenset[str]  # phrases of the stop lists without their spaces
    rules: tuple[StopRule, ...]
    machine: Node
    reactions: Node
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


# The tables that `Begins` looks into, in its order.
MEANING, FOREIGN_MEANING, STOP, FOREIGN_STOP, MACHINE = range(5)


def begins_of(word: str, spelling: Words, words: Vocabulary) -> Begins:
    """Return what begins with `word` in each of the tables; a few thousand words are kept."""
    found = words.begins.get(word)
    if found is None:
        everywhere = shared()
        trees = (words.meanings, everywhere.meanings, words.stops, everywhere.stops, everywhere.machine)
        found = tuple(begin(tree, spelling) for tree in trees)
        if len(words.begins) < RESOLVED_MAX:
            words.begins[word] = found
    return found


@cache
def vocabulary(language: str) -> Vocabulary:
    """Return the tables for a subscriber's language; `own_language` says which."""
    own = own_language(language)
    meanings: Node = {}
    numbers: dict[str, int] = {}
    stops: dict[Words, int] = {}
    for source in (own, ""):
        for word, value in number_entries(source):
            if len(word) == 1:
                numbers.setdefault(word[0], value)
            insert(meanings, word, Meaning("number", source, value))
        for entry, category in decision_entries(source):
            insert(meanings, entry, _meaning(category, source))
        for entry, bit in request_entries(source):
            stops[entry] = stops.get(entry, 0) | bit
    insert(meanings, (NUMBER,), Meaning("number", ""))
    tree: Node = {}
    for entry, mask in stops.items():
        insert(tree, entry, Request(((own, mask),), mask))
    everywhere = shared()
    keywords = {e[0] for e, _ in decision_entries(own) if len(e) == 1}
    keywords |= {e[0] for e, bit in request_entries(own) if len(e) == 1 and bit & _STOPPING}
    single = frozenset(
        entry[0] for entry, _ in (*decision_entries(own), *request_entries(own)) if len(entry) == 1
    )
    return Vocabulary(
        meanings=shrunk(meanings),
        stops=shrunk(tree),
        words=single | numbers.keys(),
        keywords=frozenset(keywords | numbers.keys()),
        language=own,
        numbers=everywhere.numbers | numbers,
        begins={},
        seen={},
        slips={},
        strong=neighbours(_strong(stops)),
        near=neighbours(_slippery(stops)),
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
    readings, stops = _abroad_entries({entry[0] for entry in entries_of(common["ambiguous"])})
    meanings: Node = {}
    for entry, found in readings.items():
        meaning = _agreed(found)
        if meaning is not None:
            if meaning.category == "number" and len(entry) == 1:
                numbers[entry[0]] = meaning.value
            insert(meanings, entry, meaning)
    tree: Node = {}
    for entry, masks in stops.items():
        insert(tree, entry, Request(tuple(masks.items()), reduce(or_, masks.values())))
    everyones = {entry: reduce(or_, masks.values()) for entry, masks in stops.items()}
    spelled = spelled_entries()
    return Shared(
        version=rules_version(),
        meanings=shrunk(meanings),
        stops=shrunk(tree),
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
        machine=tree_of(*(word_file(language).get("auto", "") for language in LANGUAGES)),
        reactions=tree_of(*(word_file(language).get("reaction", "") for language in LANGUAGES)),
        signatures=tree_of(common["signature"]),
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


def _abroad_entries(
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
                others = [each for each in readings.get(entry, ()) if each.language != language]
                readings[entry] = (*others, _meaning(category, language))
        for entry, bit in request_entries(language):
            if _abroad(entry, ambiguous):
                masks = stops.setdefault(entry, {})
                masks[language] = masks.get(language, 0) | bit
    return readings, stops


def _agreed(found: Sequence[Meaning]) -> Meaning | None:
    """Return what an entry means outside its languages: nothing where they disagree about an order."""
    first = found[0]
    if all((m.category, m.value) == (first.category, first.value) for m in found):
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


def _bones() -> dict[str, str]:
    found: dict[str, str] = {}
    for entry, bit in request_entries(BONED):
        for word in entry:
            if bit != BIT["not_stop"] and word.isalnum() and len(bones(word)) >= BONES_MIN:
                found.setdefault(bones(word), word)
    return found


def _abroad(entry: Words, ambiguous: set[str]) -> bool:
    """Return whether an entry may count for subscribers of another language."""
    if len(entry) > 1:
        long = any(len(word) >= FOREIGN_LETTERS_MIN and word[0] != "&" for word in entry)
        return long or len(entry) > 2
    word = entry[0].removesuffix("*")
    return word not in ambiguous and (not word.isascii() or len(word) >= FOREIGN_LETTERS_MIN)


def _stop_rule(row: dict[str, str]) -> StopRule:
    needs, without = row["needs"].split(), row.get("without", "").split()
    return StopRule(
        needs=sum(BIT[name] for name in needs),
        without=sum(BIT[name] for name in without),
        name="_".join(needs),
        reason=row["reason"],
    )
