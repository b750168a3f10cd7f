"""
The word tables of reply reading at hand, and what a word is in them.

A reply is read with the tables of the subscriber's language first and with those of all other languages
second, because people answer in the language they think in. They are taken from what was kept
(`have_at_hand`), and compiled where nothing was.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Final

from smsgate.campaigns.reply_abroad import Request
from smsgate.campaigns.reply_compiling import compiled_shared, compiled_vocabulary
from smsgate.campaigns.reply_entries import BIT, IDEAS, LANGUAGES, NAME, forget_entries
from smsgate.campaigns.reply_kept import (
    packed_shared,
    packed_vocabulary,
    unpacked_shared,
    unpacked_vocabulary,
)
from smsgate.campaigns.reply_tables import NUMBER, Opening, Shared, Vocabulary
from smsgate.campaigns.reply_tries import FOREIGN_MEANING, FOREIGN_STOP, MEANING, STOP, Found, Words, begin

SIZES: Final = frozenset(("xxs", "xs", "s", "m", "l", "xl", "xxl", "xxxl", *"abcdef"))
STEM_LETTERS_MAX: Final = 14
EVERYONES: Final = ""  # by this name in the place of a language: what all share
PROFILES_MAX: Final = 1_000  # languages of profiles, as shops write them
GLUED_YES_MIN: Final = 5  # letters of a yes and a word of thanks without a space; a thanks has three
RESOLVED_MAX: Final = 20_000  # words kept with what they stand for, of all people together


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
    """
    Return what `word` may be in an entry: itself, the stems that it begins with, a size, its classes, and
    all that of the word that it is the spoken form of.
    """
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
    found += shared().classes.get(word, ())
    if word in shared().names:
        found.append(NAME)
    if word in shared().spoken:
        found += forms(shared().spoken[word])
    return tuple(found)


def yes_and_thanks(word: str, words: Vocabulary) -> tuple[str, str] | None:
    """Return a yes and a word of thanks or asking that stand without a space: "jabitte", "sigrazie"."""
    if len(word) < GLUED_YES_MIN or word in shared().known or word in shared().names:
        return None
    for place in range(2, len(word) - 2):
        if word[:place] in words.agreeing and word[place:] in shared().signing.thanks:
            return word[:place], word[place:]
    return None


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
    kept = _kept.pop(own, None)
    return compiled_vocabulary(own, shared()) if kept is None else unpacked_vocabulary(kept)


@cache
def shared() -> Shared:
    """Return what all languages have in common, and the entries of each that count in all."""
    kept = _kept.pop(EVERYONES, None)
    return compiled_shared() if kept is None else unpacked_shared(kept)


def compiled_tables() -> dict[str, bytes]:
    """Return the tables of all languages, compiled now and packed, by language and `EVERYONES`: seconds."""
    everyones = compiled_shared()
    found = {EVERYONES: packed_shared(everyones)}
    for language in LANGUAGES:
        found[language] = packed_vocabulary(compiled_vocabulary(language, everyones))
    forget_entries()
    return found


def have_at_hand(packed: dict[str, bytes]) -> None:
    """Take packed tables for those of every language: what all share now, a language when it is read."""
    _kept.clear()
    _kept.update(packed)
    vocabulary.cache_clear()
    shared.cache_clear()
    shared()


_kept: dict[str, bytes] = {}  # packed tables that nobody has asked for yet
