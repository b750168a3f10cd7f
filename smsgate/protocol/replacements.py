"""
What a text looks like when the characters that cost most are replaced: shown as a diff, never done silently.

Letters are composed first (NFC: e and an accent become é), then what the alphabet lacks is replaced by what
people write instead.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, NamedTuple

import regex

from smsgate.errors import TextError
from smsgate.protocol.encodings import GSM, Alphabet
from smsgate.protocol.gsm0338 import suggest

if TYPE_CHECKING:
    from collections.abc import Sequence

_CLUSTER = regex.compile(r"\X")


class Replacement(NamedTuple):
    """`position` counts code points of the text before; `after` may be empty."""

    position: int
    before: str
    after: str


class Replaced(NamedTuple):
    """`left` are the characters that nothing can stand for, each once: with them the text stays in UCS-2."""

    text: str
    replacements: tuple[Replacement, ...]
    left: tuple[str, ...]


def replace_for_segment(text: str, alphabets: Sequence[Alphabet]) -> Replaced:
    """
    Return `text` changed as little as brings it into one segment of one of `alphabets`; unchanged if it is.

    When nothing does, what GSM 03.38 would ask for.
    """
    if any(_fits(text, alphabet) for alphabet in alphabets):
        return Replaced(text, (), ())
    tries = [(replace_for(text, alphabet), alphabet) for alphabet in alphabets if alphabet.encoding == "gsm7"]
    good = [replaced for replaced, alphabet in tries if _fits(replaced.text, alphabet)]
    return min(good, key=lambda replaced: len(replaced.replacements), default=replace_for(text))


def _fits(text: str, alphabet: Alphabet) -> bool:
    try:
        return len(alphabet.encode(text)) <= alphabet.octets_max
    except TextError:
        return False


def replace_for(text: str, alphabet: Alphabet = GSM) -> Replaced:
    """Return `text` as it would be in this alphabet, and each change; the same text when it has them all."""
    pieces: list[str] = []
    changes: list[Replacement] = []
    left: dict[str, None] = {}
    for match in _CLUSTER.finditer(text):
        cluster = match[0]
        after = _replaced(cluster, alphabet)
        if after is None:
            left[cluster] = None
            after = cluster
        elif after != cluster:
            changes.append(Replacement(match.start(), cluster, after))
        pieces.append(after)
    return Replaced("".join(pieces), tuple(changes), tuple(left))


def _replaced(cluster: str, alphabet: Alphabet) -> str | None:
    if _has(cluster, alphabet):
        return cluster
    composed = unicodedata.normalize("NFC", cluster)
    pieces = [character if _has(character, alphabet) else suggest(character) for character in composed]
    known = [piece for piece in pieces if piece is not None]
    return "".join(known) if len(known) == len(pieces) else None


def _has(text: str, alphabet: Alphabet) -> bool:
    try:
        alphabet.encode(text)
    except TextError:
        return False
    return True
