"""
What a customer wants done with an order that is there: cancel, withdraw, or "that was not me".

The words are data (`order_words.toml`). They are looked for in texts that order nothing, and mean something
only to a person who has an order; what is not found here is read as any other reply.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache
from typing import Final

from smsgate.campaigns.folding import fold
from smsgate.campaigns.replies import TEXT_CHARACTERS_MAX, Label
from smsgate.campaigns.tables import table

COMMANDING: Final = frozenset({Label.DECLINE, Label.UNCLEAR, Label.STOP})
_WORD: Final = re.compile(r"[\w']+")


class OrderCommand(StrEnum):
    """In the order in which they are looked for."""

    DISPUTE = "dispute"
    WITHDRAW = "withdraw"
    CANCEL = "cancel"


def order_command(text: str, label: Label) -> OrderCommand | None:
    """Return what a text that was read as `label` asks for; a question asks for nothing."""
    if label not in COMMANDING or "?" in text:
        return None
    said = _said(text)
    for command in OrderCommand:
        phrases, negations = _words(command)
        found = phrases.search(said)
        if found and (command is OrderCommand.DISPUTE or not negations.search(said)):
            return command
    return None


def may_command(text: str) -> bool:
    """Return whether `order_command` may find something: then the person's orders are looked up."""
    return _any_command().search(_said(text)) is not None


def _said(text: str) -> str:
    return f" {' '.join(_WORD.findall(fold(text[:TEXT_CHARACTERS_MAX])))} "


@cache
def _any_command() -> re.Pattern[str]:
    words = table("order_words.toml")
    return _any_of([phrase for command in OrderCommand for phrase in words[command.value]])


@cache
def _words(command: OrderCommand) -> tuple[re.Pattern[str], re.Pattern[str]]:
    words = table("order_words.toml")
    return _any_of(words[command.value]), _any_of(words["not"])


def _any_of(phrases: list[str]) -> re.Pattern[str]:
    longest_first = sorted(phrases, key=len, reverse=True)
    return re.compile(f" (?:{'|'.join(map(re.escape, longest_first))}) ")
