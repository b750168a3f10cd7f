"""
Texts of the gateway itself that come back: from an echo, or from another gateway like this one.

They name OK, STOP and START, and say "no more messages": read as a person's they would be stops and orders.
Recognised are the whole texts of `texts.toml` in all languages, and offers with everything that the law asks.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final, NamedTuple

from smsgate.campaigns.offers import says_all_of_an_offer
from smsgate.campaigns.reply_tokens import clean
from smsgate.campaigns.tables import table
from smsgate.campaigns.texts import LANGUAGES, kinds

CHARACTERS_MIN: Final = 25  # the shortest text of the table has more; what people write has mostly fewer
OFFER: Final = "offer"

_PIECE: Final = re.compile(r"\{(\w+)\}|([\[\]])")
# What stands in a place; everything else is a name of up to a segment.
_FORMS: Final = {
    "quantity": r"\d{1,4}",
    "maximum": r"\d{1,4}",
    "days": r"\d{1,3}",
    "order": r"\d{4,12}",
    "at": r"[\d.:/ -]{4,20}",
}
_NAME: Final = r".{1,120}?"
_OK: Final = re.compile(r"\bok\b", re.IGNORECASE)
_STOP: Final = re.compile(r"\b(?:stopp?|baja|sair)\b", re.IGNORECASE)
# The end of an offer after its STOP: a number, or what it is good for.
_AFTER_STOP: Final = re.compile(
    r"(?: (?:to|au|an|al|till|naar|sms|end|stop|opt out|quit|\d+))*\W*", re.IGNORECASE
)


class OwnText(NamedTuple):
    """`around` is what fills the places at its two ends: there a person may have written something."""

    kind: str
    around: tuple[str, ...]


class _Template(NamedTuple):
    kind: str
    literal: str  # the longest run of it that is always there
    template: str


def own_text(seen: str) -> OwnText | None:
    """Return which of the gateway's texts `seen` is, from its first character to its last; None: none."""
    if len(seen) < CHARACTERS_MIN or ":" not in seen:
        return None
    text = " ".join(seen.split())
    for kind, literal, template in _templates():
        if literal in text and (found := _pattern(template).fullmatch(text)):
            return OwnText(kind, tuple(value for value in found.groups() if value))
    return _offer(text)


def _offer(text: str) -> OwnText | None:
    """One OK, and one STOP at the end, as an offer has them: whoever quotes it and answers says one more."""
    stops = list(_STOP.finditer(text))
    if len(stops) != 1 or len(_OK.findall(text)) != 1 or not _AFTER_STOP.fullmatch(text, stops[0].end()):
        return None
    if not says_all_of_an_offer(text):
        return None
    return OwnText(OFFER, (text.partition(":")[0],))


@cache
def _templates() -> tuple[_Template, ...]:
    texts = table("texts.toml")
    found = {clean(texts[language][kind]): kind for language in LANGUAGES for kind in kinds()}
    return tuple(_Template(kind, _longest(template), template) for template, kind in found.items())


def _longest(template: str) -> str:
    always = re.sub(r"\[[^\]]*\]", "{}", template)
    return max(re.split(r"\{\w*\}", always), key=len).strip()


@cache
def _pattern(template: str) -> re.Pattern[str]:
    """Return what the template makes, with or without what is optional; names at its two ends are groups."""
    pattern, end = "", 0
    for piece in _PIECE.finditer(template):
        pattern += re.escape(template[end : piece.start()])
        end = piece.end()
        if piece[2]:
            pattern += "(?:" if piece[2] == "[" else ")?"
        else:
            form = _FORMS.get(piece[1], _NAME)
            outermost = piece.start() == 0 or template[end:] in {"", "]", "."}
            pattern += f"({form})" if outermost and form is _NAME else form
    return re.compile(pattern + re.escape(template[end:]))
