"""
What a text says to the open question whether messages are wanted (a double opt-in).

Only a clear yes agrees: the reader's, and no word of an order or a number beside it. A no is a no to the
question, whatever offer it may have meant. Everything else goes where it would go without the question.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from smsgate.campaigns.consent_commands import TEXT_CHARACTERS_MAX
from smsgate.campaigns.folding import fold
from smsgate.campaigns.replies import Context, Label, read_reply
from smsgate.campaigns.tables import table

_WORD: Final = re.compile(r"[\w-]+")
_BY_WORD: Final = "start_word"  # the reader's rule: JOIN, START, "sign me up": such a word orders nothing


class Said(StrEnum):
    """What a text answers; `JOIN` is a yes in a word that no offer can mean (START, JOIN, "sign me up")."""

    YES = "yes"
    JOIN = "join"
    NO = "no"
    NOTHING = "nothing"


def said_to_question(text: str, language: str, names: Iterable[str]) -> Said:
    """
    Return what `text` answers; `language` and `names` are of the person and the merchant that asked.

    A STOP, and a no that names an order, are read before: they are none of these.
    """
    reading = read_reply(text, language, names=names, context=Context.OPTIN)
    if reading.label is Label.DECLINE:
        return Said.NO
    if reading.label is not Label.START or not _orders_nothing(text):
        return Said.NOTHING
    return Said.JOIN if reading.rule == _BY_WORD else Said.YES


def _orders_nothing(text: str) -> bool:
    words = _WORD.findall(fold(text[:TEXT_CHARACTERS_MAX]))
    return not any(char.isdecimal() for char in text) and frozenset(
        table("consent_words.toml")["order"]
    ).isdisjoint(words)
