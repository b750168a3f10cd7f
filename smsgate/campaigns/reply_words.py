"""
The word tables of reply reading, compiled once per subscriber language.

An entry counts in every language, unless it stands in the `ambiguous` list: then only for subscribers whose
own language
is the entry's file ("si" is yes in Spanish and unclear in French).
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final, NamedTuple

from smsgate.campaigns.folding import fold
from smsgate.campaigns.tables import table

LANGUAGE_FILES: Final = ("fr", "en", "sv", "de", "es", "it")
# In the order that settles a tie between two entries of the same length.
CATEGORIES: Final = (
    "split", "quantity", "unclear", "weak", "no", "strong", "yes", "choice", "start", "help", "feedback",
    "harmless",
)  # fmt: skip
SIZES: Final = "xxs|xs|s|m|l|xl|xxl|xxxl|[a-f]|#"

_APOSTROPHES: Final = re.compile(r"['’‘`´ʼ]")
_QUOTES: Final = re.compile(r"[“”„«»″]")
_NOT_WORD: Final = re.compile(r"[^\w#@_*^ ]+")


class Vocabulary(NamedTuple):
    """Compiled tables of one language; patterns match at the start of a word in text with single spaces."""

    version: str
    categories: tuple[tuple[str, re.Pattern[str]], ...]
    stop: re.Pattern[str]
    stop_short: re.Pattern[str]
    stop_alone: re.Pattern[str]
    not_stop: re.Pattern[str]
    auto: re.Pattern[str]
    question: re.Pattern[str]
    numbers: dict[str, int]
    known: frozenset[str]
    neighbours_not: frozenset[str]
    order_nouns: frozenset[str]
    signature: re.Pattern[str]
    emoji_harmless: frozenset[str]
    emoji_no: frozenset[str]
    emoji_stop: frozenset[str]


def plain(text: str) -> str:
    """Return folded text with apostrophes as spaces and typographic quotes as straight ones."""
    return _QUOTES.sub('"', _APOSTROPHES.sub(" ", fold(text)))


@cache
def vocabulary(language: str) -> Vocabulary:
    """Return the tables for a subscriber's language; an unknown one gets only what is the same everywhere."""
    own = language if language == "ar-Latn" else language.split("-", maxsplit=1)[0].casefold()
    own = "en" if own == "und" else own
    common = table("words", "common.toml")
    sources = {name: table("words", f"{name}.toml") for name in LANGUAGE_FILES} | table(
        "words", "others.toml"
    )
    ambiguous = frozenset(_entries(common["ambiguous"]))
    numbers: dict[str, int] = {}
    entries: dict[str, list[str]] = {}
    for name, words in (("", common), *sources.items()):
        for key, value in words.items():
            if not isinstance(value, str) or key == "ambiguous":
                continue
            if key == "numbers":
                for pair in value.split(";"):
                    word, _, number = pair.partition("=")
                    if name == own or plain(word.strip()) not in ambiguous:
                        numbers.setdefault(plain(word.strip()), int(number))
                continue
            kept = [e for e in _entries(value, raw=key == "auto") if name in {"", own} or e not in ambiguous]
            entries.setdefault(key, []).extend(kept)
    # In the subscriber's own language its own numbers win over another language's homographs.
    for pair in str(sources.get(own, {}).get("numbers", "")).split(";"):
        word, equals, number = pair.partition("=")
        if equals:
            numbers[plain(word.strip())] = int(number)
    known = {
        word for key, listed in entries.items() if key != "auto" for entry in listed for word in entry.split()
    }
    return Vocabulary(
        version=str(common["version"]),
        categories=tuple((name, _compile(entries.get(name, []))) for name in CATEGORIES),
        stop=_compile(entries["stop"]),
        stop_short=_compile(entries["stop_short"]),
        stop_alone=_compile(entries["stop_alone"] + entries["stop_short"] + entries["stop"]),
        not_stop=_compile(entries["not_stop"]),
        auto=_compile(entries["auto"]),
        question=_compile(entries["question"]),
        numbers=numbers,
        known=frozenset(known | numbers.keys()),
        neighbours_not=frozenset(entries["stop_neighbours_not"]),
        order_nouns=frozenset(entries["order_nouns"]),
        signature=_compile(entries["signature"]),
        emoji_harmless=frozenset(common["emoji_harmless"]),
        emoji_no=frozenset(common["emoji_no"]) - {"\u200d"},
        emoji_stop=frozenset(common["emoji_stop"]),
    )


def _entries(text: str, *, raw: bool = False) -> list[str]:
    out = []
    for piece in re.split(r"[;\n]", text):
        folded = plain(piece)
        entry = " ".join((folded if raw else _NOT_WORD.sub(" ", folded)).split())
        if entry:
            out.append(entry)
    return out


def _compile(entries: list[str]) -> re.Pattern[str]:
    """Return one alternation, longest entries first; every repetition in it is bounded."""
    ordered = sorted(set(entries), key=lambda entry: (-len(entry.split()), -len(entry), entry))
    alternatives = "|".join(map(_pattern, ordered)) or r"(?!)"
    # An entry that ends in a quotation mark or bracket has its end in itself.
    return re.compile(rf"(?:{alternatives})(?:(?<=\W)|(?=$|[^\w]))")


def _pattern(entry: str) -> str:
    anchor, entry = ("^", entry[1:]) if entry.startswith("^") else ("", entry)
    words = []
    for word in entry.split():
        if word == "_":
            words.append(r"\S{1,40}(?: \S{1,40}){0,2}")
        elif word == "@":
            words.append(rf"(?:{SIZES})")
        elif word.endswith("*"):
            words.append(re.escape(word[:-1]) + r"\w{0,20}")
        else:
            words.append(re.escape(word))
    return anchor + " ".join(words)
