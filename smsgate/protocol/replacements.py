"""
What a text looks like when the characters that cost most are replaced: shown as a diff, never done silently.

Letters are composed first (NFC: e and an accent become é), then what the alphabet lacks is replaced by what
people write instead.
"""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

import regex

from smsgate.protocol.gsm0338 import is_gsm, suggest

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


def replace_for_gsm(text: str) -> Replaced:
    """Return `text` as it would be in GSM 03.38, and each change; the same text when it fits as it is."""
    pieces: list[str] = []
    changes: list[Replacement] = []
    left: dict[str, None] = {}
    for match in _CLUSTER.finditer(text):
        cluster = match[0]
        after = _replaced(cluster)
        if after is None:
            left[cluster] = None
            after = cluster
        elif after != cluster:
            changes.append(Replacement(match.start(), cluster, after))
        pieces.append(after)
    return Replaced("".join(pieces), tuple(changes), tuple(left))


def _replaced(cluster: str) -> str | None:
    if is_gsm(cluster):
        return cluster
    pieces = [suggest(character) for character in unicodedata.normalize("NFC", cluster)]
    known = [piece for piece in pieces if piece is not None]
    return "".join(known) if len(known) == len(pieces) else None
