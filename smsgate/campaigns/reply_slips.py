"""
Slips of the finger: which listed word a word is meant to be.

Used for requests for silence alone. An order is never read out of a word that is not spelled right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

NEAR_LETTERS_MIN: Final = 6  # shorter words have too many neighbours
NEAR_ALONE_LETTERS_MIN: Final = 8  # of a word that asks for silence by itself
STRONG_LETTERS_MIN: Final = 7  # of a stop word that may be one slip away
SINGLE_LETTERS_MIN: Final = 5  # of a word that is known with a letter doubled or not
BONES_MIN: Final = 3  # consonants by which a word of the Maghreb is known

Near = dict[str, tuple[str, ...]]  # words by themselves and by what is left of them without one letter

# Arabic in Latin letters has no spelling: digits stand for letters, vowels come and go.
_BONES: Final = str.maketrans("9q8752", "kkghx'", "346aeiouy'")
_DOUBLED: Final = re.compile(r"(.)\1+")
_ARABIC_BEGINS: Final = re.compile(r"^(?:[وف]?(?:ال|لل|[لبك])|[وف])(?=\w{3})")


class Slip(NamedTuple):
    """What a word that no list holds is with one slip of the finger."""

    stop: str | None  # a stop word that it alone may be
    word: str  # a word of the stop lists, or itself


def one_less(word: str) -> list[str]:
    return [word[:i] + word[i + 1 :] for i in range(len(word))]


def one_edit(word: str, target: str) -> bool:
    """Return whether one insertion, deletion, substitution or swap of neighbours makes `target`."""
    if abs(len(word) - len(target)) > 1:
        return False
    if len(word) == len(target):
        different = [i for i, (a, b) in enumerate(zip(word, target, strict=True)) if a != b]
        swapped = len(different) == 2 and different[1] == different[0] + 1
        return len(different) == 1 or (
            swapped
            and word[different[0]] == target[different[1]]
            and word[different[1]] == target[different[0]]
        )
    longer, shorter = (word, target) if len(word) > len(target) else (target, word)
    return any(longer[:i] + longer[i + 1 :] == shorter for i in range(len(longer)))


def neighbours(words: Iterable[str]) -> Near:
    near: Near = {}
    for word in sorted(words):  # of two that are equally near the same one is meant in every process
        for shorter in (word, *one_less(word)):
            near[shorter] = (*near.get(shorter, ()), word)
    return near


def nearest(word: str, near: Near, *, loosely: bool = False) -> str | None:
    """
    Return a listed word one slip away: a letter missing, extra, wrong, or two of them swapped.

    `loosely` takes a letter that moved further too.
    """
    for shorter in (word, *one_less(word)):
        for meant in near.get(shorter, ()):
            if loosely or one_edit(word, meant):
                return meant
    return None


def single(word: str) -> str:
    """Return a word with each doubled letter once: whether one is doubled is the commonest slip of all."""
    return _DOUBLED.sub(r"\1", word)


def bare(word: str) -> str:
    """Return an Arabic word without its article and the prepositions that are written with it."""
    return _ARABIC_BEGINS.sub("", word)


def bones(word: str) -> str:
    """Return the consonants of Arabic in Latin letters: "wa9fou", "wakef" and "w9fo" are all "wkf"."""
    found = word.replace("kh", "x").replace("ch", "c").replace("sh", "c").translate(_BONES)
    return _DOUBLED.sub(r"\1", found[:1] + found[1:].replace("w", ""))
