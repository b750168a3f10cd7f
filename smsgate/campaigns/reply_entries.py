"""
The entries of the word files, `words/*.toml`: one file per language, and `common.toml` ("") for all.

`words/README.md` says what each list means.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import chain, product
from sys import intern
from typing import TYPE_CHECKING, Any, Final

from smsgate.campaigns.folding import fold
from smsgate.campaigns.reply_tries import MEANING, Node, Words, grown
from smsgate.campaigns.tables import table

if TYPE_CHECKING:
    from collections.abc import Iterable

LANGUAGES: Final = (
    "fr", "en", "sv", "de", "es", "it", "pt", "nl", "da", "nb", "fi", "pl", "tr", "ru", "uk", "ar",
    "ar-Latn", "cs", "ro", "el", "hu",
)  # fmt: skip
# What a phrase says about the decision. Where one stands in two lists, the first of these holds.
CATEGORIES: Final = (
    "quantity", "split", "no", "function", "unclear", "buy", "choice", "pointer", "start", "weak",
    "yes", "help", "question", "interest", "joy", "praise", "feedback", "signing", "introduced", "purpose",
    "use", "address", "item", "pronoun", "adverb", "harmless", "against", "fits",
)  # fmt: skip
# What is said of a variant: two of different kinds are one choice ("the blue in L").
ATTRIBUTES: Final = ("colour", "size", "format", "ordinal")
# What a phrase says about silence: four kinds of phrases, and the ideas that `stop_rules` joins.
STOP_KINDS: Final = ("not_stop", "stop", "stop_short", "stop_alone")
IDEAS: Final = (
    "neg", "none", "more", "msg", "contact", "contacting", "send", "get", "want", "quit", "del", "me",
    "wrong", "numb", "never", "gave", "consented", "withdraw", "be", "whence", "who", "obtain", "yours",
    "glad", "mynum", "tired", "list", "exit", "child", "dev", "legal", "scam", "death", "insult",
    "minor", "gone", "know", "you", "how", "age", "item", "name", "question", "mistake", "resume",
    "left", "again", "between", "banter",
)  # fmt: skip
# Lists of single words that stand in phrases as "&people": one entry for all of them.
CLASSES: Final = ("people", "places", "occasions", "uses", "times")
# What gives a machine away: always, or at the beginning alone ("^" in the list); what a person may say, too
# ("I'm driving"); what it tells people to send ("reply STOP to end"). Of one entry the first of them holds.
STRONG, FIRST, WEAK, TOLD = MACHINES = ("strong", "first", "weak", "told")
NAME: Final = "&name"  # stands in an entry for a first name
BIT: Final = {name: 1 << place for place, name in enumerate((*STOP_KINDS, *IDEAS))}

# Spellings of Arabic that people do not keep apart: ة ه, ى ي, the Persian letters, the stretching stroke.
_ARABIC: Final = str.maketrans("ةىیک", "هييك", "ـ")
_APOSTROPHES: Final = re.compile(r"['’‘`´ʼ]")
_QUOTES: Final = re.compile(r"[“”„«»″]")
_NOT_WORD: Final = re.compile(r"[^\w#@_*^& ]+")
_CHOICE: Final = re.compile(r"[()]")  # "(it|this)": one of them


def plain(text: str) -> str:
    """Return folded text with apostrophes as spaces and typographic quotes as straight ones."""
    if text.isascii():
        return text.lower().replace("'", " ").replace("`", " ")
    return _QUOTES.sub('"', _APOSTROPHES.sub(" ", fold(text).translate(_ARABIC)))


@cache
def word_file(language: str) -> dict[str, Any]:
    return table("words", f"{language or 'common'}.toml")


@cache
def decision_entries(language: str) -> tuple[tuple[Words, str], ...]:
    words = word_file(language)
    found: dict[Words, str] = {}
    for category in CATEGORIES:
        for entry in entries_of(words.get(category, "")):
            found.setdefault(_of_language(entry, language), "name" if category == "signing" else category)
        if category == "choice":
            for entry in entries_of(words.get("colour", "")):
                found.setdefault(entry, category)
    everyones = dict(decision_entries("")) if language else {}
    return tuple((entry, _bought(entry, said, found, everyones)) for entry, said in found.items())


def _bought(entry: Words, said: str, own: dict[Words, str], everyones: dict[Words, str]) -> str:
    """Return `buy` for an entry that is a yes before one of `buy` ("ok lo prendo"): it says both."""
    if said == "yes":
        for place in range(1, len(entry)):
            head, rest = entry[:place], entry[place:]
            if own.get(rest) == "buy" and "yes" in {own.get(head), everyones.get(head)}:
                return "buy"
    return said


def attribute_entries() -> dict[str, str]:
    """Return by word of every language what it says of a variant: colour, size, format or ordinal."""
    media = {entry[0]: "format" for entry in entries_of(word_file("")["media"])}
    return media | {
        entry[0]: kind
        for language in LANGUAGES
        for kind in ATTRIBUTES
        for entry in entries_of(word_file(language).get(kind, ""))
        if len(entry) == 1
    }


def _of_language(entry: Words, language: str) -> Words:
    """Return an entry with its classes as that language's: "&people" is "&people.fr" in French."""
    for word in entry:
        if word[0] == "&" and len(word) > 1:
            break
    else:
        return entry
    return tuple(
        f"{word}.{language}" if len(word) > 1 and word[0] == "&" and word != NAME else word for word in entry
    )


@cache
def classes_of() -> dict[str, Words]:
    """Return by word the classes it belongs to, each with its language."""
    found: dict[str, list[str]] = {}
    for language in LANGUAGES:
        for kind in CLASSES:
            for entry in entries_of(word_file(language).get(kind, "")):
                if len(entry) != 1:
                    raise ValueError(f"{kind} of {language} are single words, not {' '.join(entry)!r}")
                found.setdefault(entry[0], []).append(f"&{kind}.{language}")
    return {word: tuple(classes) for word, classes in found.items()}


@cache
def request_entries(language: str) -> tuple[tuple[Words, int], ...]:
    words = word_file(language)
    return tuple(
        (entry, BIT[kind]) for kind in BIT if kind != "item" for entry in entries_of(words.get(kind, ""))
    )


@cache
def number_entries(language: str) -> tuple[tuple[Words, int], ...]:
    pairs = [
        pair.partition("=")
        for pair in re.split(r"[;\n]", word_file(language).get("numbers", ""))
        if "=" in pair
    ]
    return tuple((tuple(plain(word).split()), int(value)) for word, _, value in pairs)


def spoken_entries() -> set[tuple[str, str]]:
    """Return each spoken spelling, which no list has, with the word of a list that is meant: "mej", "mig"."""
    pairs = (
        pair.partition("=")
        for language in LANGUAGES
        for pair in re.split(r"[;\n]", word_file(language).get("spoken", ""))
        if "=" in pair
    )
    return {(plain(word).strip(), plain(other).strip()) for word, _, other in pairs}


def numerals() -> set[str]:
    """Return the words of all languages that are a number by themselves."""
    return {word[0] for name in LANGUAGES for word, _ in number_entries(name) if len(word) == 1}


@cache
def spelled_entries() -> frozenset[Words]:
    """Return every entry of every language that is no name and no machine's phrase, and words of classes."""
    return frozenset(
        entry
        for language in ("", *LANGUAGES)
        for entry, _ in (*decision_entries(language), *request_entries(language))
    ) | {(word,) for word in classes_of()}


@cache
def listed() -> frozenset[str]:
    """Return every word of the tables."""
    return frozenset(chain.from_iterable(spelled_entries()))


def tree_of(entries: Iterable[Words]) -> Node:
    """Return a trie of entries as its only table."""
    return grown((entry, MEANING, "") for entry in entries)


def anchored_entries(kind: str) -> dict[Words, bool]:
    """Return a list of all languages; what begins with "^" there counts at the beginning of a text alone."""
    found: dict[Words, bool] = {}
    for language in LANGUAGES:
        for entry in entries_of(word_file(language).get(kind, "")):
            found.setdefault((entry[0].removeprefix("^"), *entry[1:]), entry[0].startswith("^"))
    return found


def machine_entries() -> dict[Words, str]:
    """Return what says in any language that a machine wrote, and how sure that is."""
    found = {entry: FIRST if first else STRONG for entry, first in anchored_entries("auto").items()}
    for kind, list_ in ((WEAK, "auto_weak"), (TOLD, "told")):
        for entry in anchored_entries(list_):
            found.setdefault(entry, kind)
    return found


@cache
def entries_of(text: str) -> tuple[Words, ...]:
    pieces = (piece for written in re.split(r"[;\n]", text) for piece in _written_out(written))
    return tuple(dict.fromkeys(piece for piece in pieces if piece))


def _written_out(entry: str) -> Iterable[Words]:
    """Return every phrase that "(i|we) (want|need) (it|)" stands for; what is folded is each choice, once."""
    if "(" not in entry:
        return [_words_of(entry)]
    choices = [[_words_of(choice) for choice in part.split("|")] for part in _CHOICE.split(entry)]
    return (tuple(chain.from_iterable(chosen)) for chosen in product(*choices))


def _words_of(text: str) -> Words:
    return tuple(map(intern, _NOT_WORD.sub(" ", plain(text)).split()))


def forget_entries() -> None:
    """Let go of what tables are compiled from: some 60 MB that no reading looks at."""
    for known in (word_file, decision_entries, classes_of, request_entries, number_entries, spelled_entries,
                  listed, entries_of):  # fmt: skip
        known.cache_clear()
