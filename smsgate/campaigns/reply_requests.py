"""Which entries of the stop lists a text holds, and which of them are part of what means something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.campaigns.reply_doubts import RETURNING
from smsgate.campaigns.reply_entries import BIT
from smsgate.campaigns.reply_tries import FOREIGN_STOP, STOP
from smsgate.campaigns.reply_words import requests

if TYPE_CHECKING:
    from smsgate.campaigns.reply_abroad import Request
    from smsgate.campaigns.reply_tables import Vocabulary
    from smsgate.campaigns.reply_tokens import TakenApart

NOT: Final = BIT["not_stop"]
MISTAKEN: Final = BIT["mistake"] | BIT["resume"]
_TAKES_BACK: Final = MISTAKEN | RETURNING


class Hit(NamedTuple):
    start: int
    end: int
    asks: Request


def bits_of(hits: list[Hit]) -> int:
    bits = 0
    for hit in hits:
        bits |= hit.asks.bits
    return bits


def requests_in(text: TakenApart, words: Vocabulary) -> list[Hit]:
    """Return the entries of the stop lists."""
    found: list[Hit] = []
    for start, (said, opened) in enumerate(zip(text.found, text.openings, strict=True)):
        if said is opened.alone:
            for mask in opened.asks:
                found.append(Hit(start, start + 1, mask))  # noqa: PERF401  # mostly there is none or one
        elif said[STOP] or said[FOREIGN_STOP]:
            for length, mask in requests(said, text.tokens[start], words):
                found.append(Hit(start, start + length, mask))
    return found


def meant(text: TakenApart, found: list[Hit], kinds: list[str]) -> tuple[list[Hit], int, set[int]]:
    """
    Return the entries without those that are part of a phrase which means something else.

    And the bits of what is left, and the places of such phrases.
    """
    others: list[Hit] = [hit for hit in found if hit.asks.bits & NOT and _in_one_clause(text, hit)]
    if others and len(kinds) - kinds.count("harmless") == 2 and text.tokens[0] in _NO_STOP:
        others = []
    taken = {place for hit in others for place in range(hit.start, hit.end)}
    if taken:
        found = [
            hit
            for hit in found
            if hit.asks.bits & _TAKES_BACK or not any(_says_otherwise(other, hit) for other in others)
        ]
        found = [hit for hit in found if hit.asks.bits != NOT]
    return found, bits_of(found), taken


def _in_one_clause(text: TakenApart, hit: Hit) -> bool:
    """Return whether no mark stands inside: "STOP" on one line and "in" on the next is no "stop in"."""
    return any(start <= hit.start and hit.end <= end for start, end in text.clauses)


# "Non stop" from a phone means no and stop; in a longer sentence it is an adverb.
_NO_STOP: Final = frozenset(("non", "no", "nao"))


def _says_otherwise(other: Hit, hit: Hit) -> bool:
    """Return whether a phrase that means something else overlaps the hit, and the hit is no longer phrase."""
    apart = hit.end <= other.start or other.end <= hit.start
    holds = (
        hit.start <= other.start and other.end <= hit.end and hit.end - hit.start > other.end - other.start
    )
    return not apart and not holds
