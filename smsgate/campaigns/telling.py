"""
Which of the gateway's own texts still go to a person who asked for silence: the last look asks.

A STOP ends offers, not orders: what an open order needs goes on, until the person said
"STOP ALL", the carrier shut the number, it was blocked, or it is another person's. Then the shop is told.
A silence lasts until the person agrees again: being asked, or a no, is none.
Whoever writes to us afterwards is answered: HELP works in every state, and no merchant can switch it off.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from smsgate.campaigns.consent import ANSWERS_OFFERS, ConsentState, Purpose

# The one text that a silence brings with it: it goes in any case: exactly one confirmation of a STOP.
CONFIRMATIONS: Final = frozenset({"stop_confirmation", "stop_topic", "erasure_asked", "apology"})
# Asked on a consent that is newer than any STOP, or not at all.
QUESTIONS: Final = frozenset({"optin_question", "optin_topic_question"})
# They ask for more messages, or promise them: worth nothing once the person said STOP.
INVITATIONS: Final = QUESTIONS | {"start_welcome", "topic_welcome", "less_confirmation"}
_SHUT: Final = frozenset({ConsentState.BLOCKED, ConsentState.EXPIRED, ConsentState.ERASED})


class Standing(NamedTuple):
    """What is known of a person when a text is about to leave."""

    states: Mapping[Purpose, ConsentState]
    offers_at: datetime | None  # since when the state for offers is what it is
    silent_at: datetime | None  # when "STOP ALL" was said, or the carrier shut the number


def is_open(state: ConsentState) -> bool:
    """Return whether a person whose state for offers is this one is refused no answer of the gateway's."""
    return state is not ConsentState.UNSUBSCRIBED and state not in _SHUT


def refusal_of_text(kind: str, standing: Standing, *, answers: bool, made_at: datetime) -> str | None:
    """
    Return why a text of the gateway's own may not go any more; None: it may.

    `answers` says that it answers what the person wrote. The codes are `suppressed` and `stopped`.
    """
    if kind in CONFIRMATIONS:
        return None
    state = standing.states.get(Purpose.OFFERS, ConsentState.NONE)
    invites_stopped = kind in INVITATIONS and state is ConsentState.UNSUBSCRIBED
    if invites_stopped and standing.offers_at is not None and standing.offers_at >= made_at:
        return "stopped"
    if state in _SHUT:
        goes = answers and standing.offers_at is not None and made_at >= standing.offers_at
        return None if goes else "suppressed"
    if state in ANSWERS_OFFERS or standing.silent_at is None:
        return None
    goes = (answers or kind in QUESTIONS) and made_at >= standing.silent_at
    return None if goes else "stopped"
