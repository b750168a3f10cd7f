"""
The word tables of reply reading: one file per language, compiled once.

A reply is read with the tables of the subscriber's language first and with those of all other languages
second, because people answer in the language they think in. An entry of another language counts only where
it cannot be mistaken: not when the subscriber's language has the same word, not when two languages disagree
about it, and as a single word of the Latin alphabet only when it is long enough and not in the list
`ambiguous`.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache, reduce
from operator import or_
from typing import Any, Final, NamedTuple

from smsgate.campaigns.folding import fold
from smsgate.campaigns.reply_tries import Begins, Node, Words, begin, insert
from smsgate.campaigns.tables import table

LANGUAGES: Final = (
    "fr", "en", "sv", "de", "es", "it", "pt", "nl", "da", "nb", "fi", "pl", "tr", "ru", "uk", "ar",
    "ar-Latn", "cs", "ro", "el", "hu",
)  # fmt: skip
# What a phrase says about the decision. Where one stands in two lists, the first of these holds.
CATEGORIES: Final = (
    "quantity", "split", "no", "function", "unclear", "buy", "choice", "start", "weak", "yes", "help",
    "question", "interest", "praise", "feedback", "item", "pronoun", "adverb", "harmless",
)  # fmt: skip
# What a phrase says about silence: four kinds of phrases, and the ideas that `stop_rules` joins.
STOP_KINDS: Final = ("not_stop", "stop", "stop_short", "stop_alone")
IDEAS: Final = (
    "neg", "none", "more", "msg", "contact", "contacting", "send", "get", "want", "quit", "del", "me",
    "wrong", "numb", "never", "gave", "consented", "withdraw", "be", "whence", "who", "obtain", "yours",
    "glad", "mynum", "tired", "list", "exit", "child", "dev", "legal", "scam", "death", "insult",
    "minor", "item", "name", "question",
)  # fmt: skip
BIT: Final = {name: 1 << place for place, name in enumerate((*STOP_KINDS, *IDEAS))}
SIZES: Final = frozenset(("xxs", "xs", "s", "m", "l", "xl", "xxl", "xxxl", *"abcdef"))
STEM_LETTERS_MAX: Final = 14
FOREIGN_LETTERS_MIN: Final = 4  # shorter Latin words are too often words of another language
RESOLVED_MAX: Final = 20_000  # words kept with what they stand for, of all people together

NUMBER: Final = "#"

_APOSTROPHES: Final = re.compile(r"['’‘`´ʼ]")
_QUOTES: Final = re.compile(r"[“”„«»″]")
_NOT_WORD: Final = re.compile(r"[^\w#@_*^ ]+")


class Request(NamedTuple):
    """What an entry of the stop lists may be: bits by language, and all of them together."""

    by: tuple[tuple[str, int], ...]
    bits: int


class Meaning(NamedTuple):
    """What a phrase says: its category, the language that has it ("" for all), the value of a number."""

    category: str
    language: str
    value: int = 0


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
    numbers: dict[str, int]
    known: frozenset[str]  # spellings that are right as they stand
    begins: dict[str, Begins]  # of words seen so far
    typo_of: dict[str, str]  # strong stop words of seven letters and more, with one letter left out


class Shared(NamedTuple):
    """The tables that are the same for everybody."""

    version: str
    meanings: Node
    stops: Node
    numbers: dict[str, int]
    stems: frozenset[str]
    rules: tuple[StopRule, ...]
    machine: Node
    reactions: Node
    signatures: Node
    names: frozenset[str]
    titles: frozenset[str]
    order_nouns: frozenset[str]
    neighbours_not: frozenset[str]
    farewells: frozenset[Words]
    emoji_harmless: frozenset[str]
    emoji_no: frozenset[str]
    emoji_stop: frozenset[str]


def plain(text: str) -> str:
    """Return folded text with apostrophes as spaces and typographic quotes as straight ones."""
    if text.isascii():
        return text.lower().replace("'", " ").replace("`", " ")
    return _QUOTES.sub('"', _APOSTROPHES.sub(" ", fold(text)))


def own_language(language: str) -> str:
    """Return the file that speaks for a profile's language; an unknown one is read as English."""
    own = (
        language if language in LANGUAGES else language.replace("_", "-").split("-", maxsplit=1)[0].casefold()
    )
    own = {"no": "nb", "nn": "nb"}.get(own, own)
    return own if own in LANGUAGES else "en"


@lru_cache(maxsize=RESOLVED_MAX)
def forms(word: str) -> Words:
    """Return what `word` may be in an entry: itself, the stems that it begins with, a size."""
    stems = shared().stems
    found = [word]
    found += [
        stem for n in range(2, min(len(word), STEM_LETTERS_MAX) + 1) if (stem := word[:n] + "*") in stems
    ]
    if word in SIZES or word == NUMBER:
        found.append("@")
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
        for word, value in _numbers(source):
            if len(word) == 1:
                numbers.setdefault(word[0], value)
            insert(meanings, word, Meaning("number", source, value))
        for entry, category in _decisions(source):
            insert(meanings, entry, Meaning(category, source))
        for entry, bit in _requests(source):
            stops[entry] = stops.get(entry, 0) | bit
    insert(meanings, (NUMBER,), Meaning("number", ""))
    tree: Node = {}
    for entry, mask in stops.items():
        insert(tree, entry, Request(((own, mask),), mask))
    everywhere = shared()
    strong = [e[0] for e, mask in stops.items() if len(e) == 1 and mask & (BIT["stop"] | BIT["stop_short"])]
    typo_of = {
        shorter: word
        for word in strong
        if len(word) > STRONG_LETTERS_MIN and not word.endswith("*")
        for shorter in (word, *_one_less(word))
    }
    single = frozenset(entry[0] for entry, _ in (*_decisions(own), *_requests(own)) if len(entry) == 1)
    return Vocabulary(
        meanings=meanings,
        stops=tree,
        words=single | numbers.keys(),
        numbers=everywhere.numbers | numbers,
        known=frozenset(single | {word for entry in _spelled() for word in entry} | numbers.keys()),
        begins={},
        typo_of=typo_of,
    )


STRONG_LETTERS_MIN: Final = 6


def _one_less(word: str) -> list[str]:
    return [word[:i] + word[i + 1 :] for i in range(len(word))]


def typo(word: str, words: Vocabulary) -> str | None:
    """Return the long stop word that is one letter away from `word`: missing, extra, wrong or swapped."""
    if len(word) < STRONG_LETTERS_MIN:
        return None
    found = words.typo_of.get(word)
    if found is None:
        for shorter in _one_less(word):
            found = words.typo_of.get(shorter)
            if found is not None:
                break
    return found


@cache
def shared() -> Shared:
    """Return what all languages have in common, and the entries of each that count in all."""
    common = table("words", "common.toml")
    people = table("words", "names.toml")
    ambiguous = {entry[0] for entry in _entries(common["ambiguous"])}
    numbers: dict[str, int] = {}
    readings: dict[Words, dict[str, Meaning]] = {}
    stops: dict[Words, dict[str, int]] = {}
    for language in LANGUAGES:
        for entry, value in _numbers(language):
            if _abroad(entry, ambiguous):
                readings.setdefault(entry, {})[language] = Meaning("number", language, value)
        for entry, category in _decisions(language):
            if _abroad(entry, ambiguous):
                readings.setdefault(entry, {})[language] = Meaning(category, language)
        for entry, bit in _requests(language):
            if _abroad(entry, ambiguous):
                masks = stops.setdefault(entry, {})
                masks[language] = masks.get(language, 0) | bit
    meanings: Node = {}
    for entry, found in readings.items():
        meaning = _agreed(list(found.values()))
        if meaning is not None:
            if meaning.category == "number" and len(entry) == 1:
                numbers[entry[0]] = meaning.value
            insert(meanings, entry, meaning)
    tree: Node = {}
    for entry, masks in stops.items():
        insert(tree, entry, Request(tuple(masks.items()), reduce(or_, masks.values())))
    return Shared(
        version=str(common["version"]),
        meanings=meanings,
        stops=tree,
        numbers=numbers,
        stems=frozenset(word for entry in _spelled() for word in entry if word.endswith("*")),
        rules=tuple(map(_stop_rule, common["stop_rules"])),
        machine=_tree(*(_file(language).get("auto", "") for language in LANGUAGES)),
        reactions=_tree(*(_file(language).get("reaction", "") for language in LANGUAGES)),
        signatures=_tree(common["signature"]),
        names=frozenset(e[0] for e in _entries(f"{people['first']};{people['family']}")),
        titles=frozenset(e[0] for e in _entries(people["titles"])),
        order_nouns=frozenset(e[0] for name in LANGUAGES for e in _entries(_file(name).get("ordernoun", ""))),
        neighbours_not=frozenset(e[0] for e in _entries(common["stop_neighbours_not"])),
        farewells=frozenset(_entries(common["farewell"])),
        emoji_harmless=frozenset(common["emoji_harmless"]),
        emoji_no=frozenset(common["emoji_no"]),
        emoji_stop=frozenset(common["emoji_stop"]),
    )


def _agreed(found: list[Meaning]) -> Meaning | None:
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


def _abroad(entry: Words, ambiguous: set[str]) -> bool:
    """Return whether an entry may count for subscribers of another language."""
    if len(entry) > 1:
        return any(len(word) >= FOREIGN_LETTERS_MIN for word in entry) or len(entry) > 2
    word = entry[0]
    return word not in ambiguous and (not word.isascii() or len(word) >= FOREIGN_LETTERS_MIN)


@cache
def _file(language: str) -> dict[str, Any]:
    return table("words", f"{language or 'common'}.toml")


@cache
def _decisions(language: str) -> tuple[tuple[Words, str], ...]:
    words = _file(language)
    found: dict[Words, str] = {}
    for category in CATEGORIES:
        for entry in _entries(words.get(category, "")):
            found.setdefault(entry, category)
    return tuple(found.items())


@cache
def _requests(language: str) -> tuple[tuple[Words, int], ...]:
    words = _file(language)
    return tuple(
        (entry, BIT[kind]) for kind in BIT if kind != "item" for entry in _entries(words.get(kind, ""))
    )


@cache
def _numbers(language: str) -> tuple[tuple[Words, int], ...]:
    pairs = [
        pair.partition("=") for pair in re.split(r"[;\n]", _file(language).get("numbers", "")) if "=" in pair
    ]
    return tuple((tuple(plain(word).split()), int(value)) for word, _, value in pairs)


@cache
def _spelled() -> frozenset[Words]:
    """Return every entry of every language that is no name and no machine's phrase."""
    return frozenset(
        entry for language in ("", *LANGUAGES) for entry, _ in (*_decisions(language), *_requests(language))
    )


def _stop_rule(row: dict[str, str]) -> StopRule:
    needs, without = row["needs"].split(), row.get("without", "").split()
    return StopRule(
        needs=sum(BIT[name] for name in needs),
        without=sum(BIT[name] for name in without),
        name="_".join(needs),
        reason=row["reason"],
    )


def _tree(*lists: str) -> Node:
    """Return a trie of entries; one that begins with "^" counts at the beginning of a text alone."""
    tree: Node = {}
    for text in lists:
        for entry in _entries(text):
            anchored = entry[0].startswith("^")
            insert(tree, (entry[0].removeprefix("^"), *entry[1:]), anchored)
    return tree


@cache
def _entries(text: str) -> tuple[Words, ...]:
    pieces = (tuple(_NOT_WORD.sub(" ", plain(piece)).split()) for piece in re.split(r"[;\n]", text))
    return tuple(piece for piece in pieces if piece)
