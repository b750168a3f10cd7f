"""
The offer and its messages: from what is stored to how each ends.

What 4.2 calls draft is a check (nothing is stored), approved and scheduled are campaigns that have not begun:
an offer that is stored passed the check, so it is live at once. Its message is selected, and held or queued,
in one transaction, so nobody meets the first. That a message was answered is said of its place
(`open_offer.answered_at`): it ends the wait of the next offer, not the way of this message.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from smsgate.errors import TransitionRefused


class OfferState(StrEnum):
    LIVE = "live"
    SOLD_OUT = "sold_out"  # what is not written yet waits: a piece may come back, or the merchant have more
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class OfferEvent(StrEnum):
    SEND = "send"  # a campaign of it begins
    STOCK_GONE = "stock_gone"  # the last piece was taken, or the merchant has no more
    STOCK_BACK = "stock_back"  # an order gave some back
    RESTOCK = "restock"  # the merchant has more, or fewer, and some are left
    END = "end"  # of the newest version
    NEW_VERSION = "new_version"
    WITHDRAW = "withdraw"


class Drop(StrEnum):
    """Why a message that was chosen never leaves; the `reason` of its outcome."""

    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class OfferStep:
    """
    What one event does.

    `notify` is the event type for the shop, None is silence. `drop` ends what was not written yet: of the
    versions before, if the event is a new one.
    """

    state: OfferState
    notify: str | None = None
    drop: Drop | None = None


_S, _E = OfferState, OfferEvent
_WITHDRAW: Final = OfferStep(_S.WITHDRAWN, "offer.withdrawn", Drop.WITHDRAWN)

# Every pair that is not here is refused; tests walk the whole grid. Answers may come after the end
# (campaigns.orders.LATE_ANSWER_GRACE_S), and orders give pieces back whatever became of the offer.
OFFER_TRANSITIONS: Final[dict[tuple[OfferState, OfferEvent], OfferStep]] = {
    (_S.LIVE, _E.SEND): OfferStep(_S.LIVE),
    (_S.LIVE, _E.STOCK_GONE): OfferStep(_S.SOLD_OUT, "offer.sold_out"),
    (_S.LIVE, _E.STOCK_BACK): OfferStep(_S.LIVE),
    (_S.LIVE, _E.RESTOCK): OfferStep(_S.LIVE),
    (_S.LIVE, _E.END): OfferStep(_S.EXPIRED, drop=Drop.EXPIRED),
    (_S.LIVE, _E.NEW_VERSION): OfferStep(_S.LIVE, "offer.version_published", Drop.SUPERSEDED),
    (_S.LIVE, _E.WITHDRAW): _WITHDRAW,
    (_S.SOLD_OUT, _E.STOCK_BACK): OfferStep(_S.LIVE),
    (_S.SOLD_OUT, _E.RESTOCK): OfferStep(_S.LIVE),
    (_S.SOLD_OUT, _E.END): OfferStep(_S.EXPIRED, drop=Drop.EXPIRED),
    (_S.SOLD_OUT, _E.NEW_VERSION): OfferStep(_S.SOLD_OUT, "offer.version_published", Drop.SUPERSEDED),
    (_S.SOLD_OUT, _E.WITHDRAW): _WITHDRAW,
    (_S.EXPIRED, _E.STOCK_GONE): OfferStep(_S.EXPIRED, "offer.sold_out"),
    (_S.EXPIRED, _E.STOCK_BACK): OfferStep(_S.EXPIRED),
    (_S.EXPIRED, _E.RESTOCK): OfferStep(_S.EXPIRED),  # for a version to come
    (_S.EXPIRED, _E.END): OfferStep(_S.EXPIRED),
    (_S.EXPIRED, _E.NEW_VERSION): OfferStep(_S.LIVE, "offer.version_published", Drop.SUPERSEDED),
    (_S.EXPIRED, _E.WITHDRAW): _WITHDRAW,
    (_S.WITHDRAWN, _E.STOCK_BACK): OfferStep(_S.WITHDRAWN),
    (_S.WITHDRAWN, _E.END): OfferStep(_S.WITHDRAWN),
    (_S.WITHDRAWN, _E.WITHDRAW): OfferStep(_S.WITHDRAWN),
}

_SAID: Final = {
    OfferState.LIVE: "live",
    OfferState.SOLD_OUT: "sold out",
    OfferState.EXPIRED: "over",
    OfferState.WITHDRAWN: "withdrawn",
}


def offer_state(
    *, withdrawn: bool, stock_remaining: int | None, expires_at: datetime, now: datetime
) -> OfferState:
    """Return the state of an offer whose newest version ends at `expires_at`: two of them are not stored."""
    if withdrawn:
        return OfferState.WITHDRAWN
    if now >= expires_at:
        return OfferState.EXPIRED
    return OfferState.SOLD_OUT if stock_remaining == 0 else OfferState.LIVE


def advance_offer(state: OfferState, event: OfferEvent) -> OfferStep:
    """
    Return what `event` does to an offer in `state`.

    Raises:
        TransitionRefused: code `sold_out`, or `offer_closed`.
    """
    step = OFFER_TRANSITIONS.get((state, event))
    if step is None:
        code = "sold_out" if state is OfferState.SOLD_OUT else "offer_closed"
        raise TransitionRefused(f"an offer that is {_SAID[state]} does not take {event}", code=code)
    return step


class MessageState(StrEnum):
    HELD = "held"
    QUEUED = "queued"
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    DELIVERED = "delivered"
    FAILED = "failed"
    NOT_SENT = "not_sent"


class MessageEvent(StrEnum):
    HOLD = "hold"  # quiet hours, a cap, another open offer, no money
    RELEASE = "release"
    ACCEPT = "accept"  # by the carrier
    DOUBT = "doubt"  # it was written, and no answer came
    REFUSE = "refuse"  # by the carrier
    DROP = "drop"  # for a reason such as `Drop` names
    DELIVER = "deliver"  # the first final receipt
    FAIL = "fail"  # the same


_M, _V = MessageState, MessageEvent
_WAITING: Final = {
    _V.HOLD: _M.HELD,
    _V.RELEASE: _M.QUEUED,
    _V.ACCEPT: _M.ACCEPTED,
    _V.DOUBT: _M.UNKNOWN,
    _V.REFUSE: _M.REFUSED,
    _V.DROP: _M.NOT_SENT,
}
_CHANGES: Final[dict[MessageState, dict[MessageEvent, MessageState]]] = {
    _M.QUEUED: _WAITING,
    # What is held is not written: it is released first, by a claim that looks at everything again.
    _M.HELD: {_V.HOLD: _M.HELD, _V.RELEASE: _M.QUEUED, _V.DROP: _M.NOT_SENT},
    # A long text of which the rest was dropped did not arrive.
    _M.ACCEPTED: {_V.DELIVER: _M.DELIVERED, _V.FAIL: _M.FAILED, _V.DROP: _M.FAILED},
    # The answer may come late, or only the receipt.
    _M.UNKNOWN: {
        _V.ACCEPT: _M.ACCEPTED,
        _V.REFUSE: _M.REFUSED,
        _V.DELIVER: _M.DELIVERED,
        _V.FAIL: _M.FAILED,
        _V.DROP: _M.FAILED,
    },
}

# The whole grid: every state answers every event. What is not named above changes nothing: whatever is told
# twice, late or in contradiction, the first end stays, and nothing is written again.
MESSAGE_TRANSITIONS: Final[dict[tuple[MessageState, MessageEvent], MessageState]] = {
    (state, event): _CHANGES.get(state, {}).get(event, state)
    for state in MessageState
    for event in MessageEvent
}


def message_state(*events: MessageEvent) -> MessageState:
    """Return what became of a message that was chosen, after these events in their order."""
    state = MessageState.QUEUED
    for event in events:
        state = MESSAGE_TRANSITIONS[state, event]
    return state
