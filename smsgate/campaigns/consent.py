"""
Consent of one number towards one merchant for one purpose.

The log of events is append-only; this is the fold. STOP is always taken, in every state. An import or an
API row never revives what ended after its evidence: only the person, or a newer one, does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

# A reply that may be a STOP holds marketing for so long, unless somebody decides. A week has days to look in,
# and is less than the ten business days of 47 CFR 64.1200(a)(10).
DOUBT_MAX: Final = timedelta(days=7)
PENDING_DAYS_MAX: Final = 7  # a double opt-in question that waits longer is no consent
# A merchant's offers come no oftener to who asked for fewer messages: a weekly shop leaves out each second.
LESS_PERIOD: Final = timedelta(days=14)
IDLE_YEARS_MAX: Final = 3  # CNIL: prospect data at most three years after the person's last contact


class Purpose(StrEnum):
    """What a person agrees to, each apart: an order's receipt needs none of them."""

    OFFERS = "offers"
    LOCATION = "location"  # offers by where the person is
    POLLS = "polls"
    APPOINTMENTS = "appointments"


class ConsentState(StrEnum):
    NONE = "none"
    PENDING = "pending"
    SUBSCRIBED = "subscribed"
    PAUSED = "paused"
    UNSUBSCRIBED = "unsubscribed"
    EXPIRED = "expired"
    ERASED = "erased"
    BLOCKED = "blocked"


# In which an offer may be answered that came before.
ANSWERS_OFFERS: Final = frozenset({ConsentState.SUBSCRIBED, ConsentState.PAUSED})


class ConsentEvent(StrEnum):
    OPT_IN = "opt_in"  # form, shop or API with complete evidence; single opt-in
    OPT_IN_DOUBLE = "opt_in_double"  # the same, and a question goes out first
    IMPORT = "import"
    # The order of a customer who could object then: no consent, where the law asks for none.
    SIMILAR_PRODUCTS = "similar_products"
    YES = "yes"  # a yes-word while the question is pending
    NO = "no"  # a no to it
    START = "start"  # JOIN or START by SMS from the phone itself
    STOP = "stop"
    CARRIER_STOP = "carrier_stop"
    COMPLAINT = "complaint"  # wrong person, death, child, complaint
    UNBLOCK = "unblock"  # a person looked at the case and lifted the block
    PAUSE = "pause"
    RESUME = "resume"  # the pause's date has come
    LESS = "less"  # fewer messages from now on (`LESS_PERIOD`), until a START or a yes
    QUESTION_EXPIRED = "question_expired"
    IDLE = "idle"  # three years without contact
    REASSIGNED = "reassigned"  # the number belongs to another person now
    ERASE = "erase"


@dataclass(frozen=True, slots=True)
class Decision:
    """
    What an event does; `accepted` False leaves the state as it was, with the stable `code` of the refusal.

    `tell` is the kind of system text to send; `close_offers` empties queues and open offers of the scope: at
    the end of a consent, and where one begins again, since a claim that crossed the end may have left some.
    """

    state: ConsentState
    accepted: bool = True
    code: str = ""
    tell: str | None = None
    close_offers: bool = False


_S, _E = ConsentState, ConsentEvent
_WELCOME: Final = Decision(_S.SUBSCRIBED, tell="start_welcome")
_ASK: Final = Decision(_S.PENDING, tell="optin_question")
_STOPPED: Final = Decision(_S.UNSUBSCRIBED, tell="stop_confirmation", close_offers=True)
# In which no consent is in force; one may have been before, also where there is none.
_ENDED: Final = frozenset(ConsentState) - ANSWERS_OFFERS
# What an opt-in or import that is written down later must be newer than. The person's no to the question is
# as good an answer as a STOP, and what three silent years ended is not brought back by what began it.
VOIDS_EARLIER: Final = (_E.STOP, _E.CARRIER_STOP, _E.COMPLAINT, _E.NO, _E.IDLE)
_BY_ROW: Final = (_E.OPT_IN, _E.OPT_IN_DOUBLE, _E.IMPORT, _E.SIMILAR_PRODUCTS)


def _stay(state: ConsentState) -> Decision:
    return Decision(state)


def _refuse(state: ConsentState, code: str) -> Decision:
    return Decision(state, accepted=False, code=code)


def _column(state: ConsentState) -> dict[ConsentEvent, Decision]:
    """Return what every event does in `state`: first the common row, then what differs."""
    row: dict[ConsentEvent, Decision] = {
        _E.OPT_IN: _WELCOME,
        _E.OPT_IN_DOUBLE: _ASK,
        _E.IMPORT: Decision(_S.SUBSCRIBED),
        _E.SIMILAR_PRODUCTS: Decision(_S.SUBSCRIBED),
        _E.YES: _stay(state),
        _E.NO: _stay(state),
        _E.START: _WELCOME,
        _E.STOP: _STOPPED,
        _E.CARRIER_STOP: Decision(_S.UNSUBSCRIBED, close_offers=True),
        _E.COMPLAINT: Decision(_S.BLOCKED, close_offers=True),
        _E.UNBLOCK: _stay(state),
        _E.PAUSE: _stay(state),
        _E.RESUME: _stay(state),
        _E.LESS: _stay(state),
        _E.QUESTION_EXPIRED: _stay(state),
        _E.IDLE: Decision(_S.EXPIRED, close_offers=True),
        _E.REASSIGNED: Decision(_S.EXPIRED, close_offers=True),
        # Told by nobody: a text of its own would keep the number, of which a keyed hash alone is left.
        _E.ERASE: Decision(_S.ERASED, close_offers=True),
    }
    row.update(_DIFFERENT[state])
    if state in _ENDED:
        for event, decision in row.items():
            if decision.accepted and decision.state is _S.SUBSCRIBED:
                row[event] = replace(decision, close_offers=True)
    return row


_DIFFERENT: Final[dict[ConsentState, dict[ConsentEvent, Decision]]] = {
    _S.NONE: {_E.IDLE: _stay(_S.NONE)},
    _S.PENDING: {
        _E.OPT_IN_DOUBLE: _stay(_S.PENDING),  # one question, not two
        _E.SIMILAR_PRODUCTS: _stay(_S.PENDING),  # who was asked is not answered for
        _E.YES: _WELCOME,
        _E.NO: Decision(_S.NONE),
        _E.QUESTION_EXPIRED: Decision(_S.NONE),
        _E.IDLE: Decision(_S.NONE),
    },
    _S.SUBSCRIBED: {
        _E.OPT_IN: _stay(_S.SUBSCRIBED),
        _E.OPT_IN_DOUBLE: _stay(_S.SUBSCRIBED),
        _E.IMPORT: _stay(_S.SUBSCRIBED),
        _E.SIMILAR_PRODUCTS: _stay(_S.SUBSCRIBED),
        _E.PAUSE: Decision(_S.PAUSED, tell="pause_confirmation"),
        _E.LESS: Decision(_S.SUBSCRIBED, tell="less_confirmation"),
    },
    _S.PAUSED: {
        _E.OPT_IN: _stay(_S.PAUSED),
        _E.OPT_IN_DOUBLE: _stay(_S.PAUSED),
        _E.IMPORT: _stay(_S.PAUSED),
        _E.SIMILAR_PRODUCTS: _stay(_S.PAUSED),
        _E.RESUME: Decision(_S.SUBSCRIBED),
        _E.LESS: Decision(_S.PAUSED, tell="less_confirmation"),  # for when the pause is over
    },
    _S.UNSUBSCRIBED: {
        _E.SIMILAR_PRODUCTS: _refuse(_S.UNSUBSCRIBED, "stop_is_newer"),  # a purchase takes no objection back
        _E.STOP: _stay(_S.UNSUBSCRIBED),  # two stops give one confirmation
        _E.CARRIER_STOP: _stay(_S.UNSUBSCRIBED),
        _E.IDLE: _stay(_S.UNSUBSCRIBED),  # an objection outlives three years of silence
        _E.REASSIGNED: Decision(_S.EXPIRED),
    },
    _S.EXPIRED: {
        _E.CARRIER_STOP: Decision(_S.UNSUBSCRIBED),
        _E.IDLE: _stay(_S.EXPIRED),
        _E.REASSIGNED: _stay(_S.EXPIRED),
    },
    # The keyed hash in the suppression list is all that is left. It refuses rows and, before a state is asked
    # for, a START and a keyword, too: who was erased is told to turn to the contact.
    _S.ERASED: {
        **{event: _refuse(_S.ERASED, "suppressed") for event in _BY_ROW},
        _E.STOP: Decision(_S.ERASED, tell="stop_confirmation"),
        _E.CARRIER_STOP: _stay(_S.ERASED),
        _E.IDLE: _stay(_S.ERASED),
        _E.REASSIGNED: _stay(_S.ERASED),
        _E.ERASE: _stay(_S.ERASED),
    },
    # Whoever complained is not won back by a word: a person of the merchant clears the case first.
    _S.BLOCKED: {
        **{event: _refuse(_S.BLOCKED, "suppressed") for event in (*_BY_ROW, _E.START)},
        _E.STOP: _stay(_S.BLOCKED),
        _E.CARRIER_STOP: _stay(_S.BLOCKED),
        _E.COMPLAINT: _stay(_S.BLOCKED),
        _E.UNBLOCK: Decision(_S.UNSUBSCRIBED),  # who begins again is the person's to say
        _E.IDLE: _stay(_S.BLOCKED),
        _E.REASSIGNED: Decision(_S.EXPIRED),
    },
}

# The whole grid: every state answers every event.
TRANSITIONS: Final[dict[tuple[ConsentState, ConsentEvent], Decision]] = {
    (state, event): decision for state in ConsentState for event, decision in _column(state).items()
}


def decide(
    current: ConsentState,
    event: ConsentEvent,
    *,
    evidence_at: datetime,
    last_stop_at: datetime | None = None,
    evidence_complete: bool = True,
) -> Decision:
    """
    Return what `event` does to a consent in `current`.

    `evidence_at` is when the person agreed (or when the event happened), `last_stop_at` the last of what
    voids earlier consents (`VOIDS_EARLIER`) of this number for this purpose, whatever the present state. An
    opt-in or import that is not newer than that is refused with `stop_is_newer`, one without wording
    version, time, source and who with `consent_missing`.
    """
    assert evidence_at.tzinfo is not None
    if event in _BY_ROW:
        if not evidence_complete:
            return _refuse(current, "consent_missing")
        if last_stop_at is not None and evidence_at <= last_stop_at:
            return _refuse(current, "stop_is_newer")
    return TRANSITIONS[current, event]


def may_market(state: ConsentState) -> bool:
    """
    Return whether an offer may leave.

    Asked at the last step before submit_sm, not only when a campaign is built.
    """
    return state is ConsentState.SUBSCRIBED


def refusal_to_tell(purpose: Purpose | None, states: Mapping[Purpose, ConsentState]) -> str | None:
    """
    Return why a text about the person's own business may not go; None: it may.

    `purpose` None is what an order or another contract brings with it: it needs no consent, and ends with a
    STOP that left nothing agreed to. So it does where offers expired: the number may be another person's.
    What else expired ended by itself alone. The codes are `suppressed`, `stopped` and `consent_missing`.
    """
    found = set(states.values())
    agreed = bool(found & ANSWERS_OFFERS)
    if found & {_S.BLOCKED, _S.ERASED} or (states.get(Purpose.OFFERS) is _S.EXPIRED and not agreed):
        return "suppressed"
    if purpose is None:
        return "stopped" if _S.UNSUBSCRIBED in found and not agreed else None
    state = states.get(purpose, _S.NONE)
    if state is _S.UNSUBSCRIBED:
        return "stopped"
    return None if state is _S.SUBSCRIBED else "consent_missing"


def question_open(asked_at: datetime, now: datetime) -> bool:
    """Return whether a yes-word still answers the double opt-in question."""
    return now - asked_at <= timedelta(days=PENDING_DAYS_MAX)
