"""The messages of an invoice case, each id once, whatever their order and however often they come."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from smsgate.billing.cases.fields import Fields
from smsgate.billing.cases.terms import direction_of, network_of
from smsgate.billing.charging import FinalReceipt
from smsgate.billing.prices import Direction
from smsgate.billing.segments import segments_of
from smsgate.protocol.receipt_states import FINAL, STATE_WORDS

if TYPE_CHECKING:
    from datetime import datetime

ID_NAMES: Final = ("id", "message_id", "message")
TAKEN_NAMES: Final = (
    "recorded_at", "submit_recorded_at", "submit_response_at", "submit_resp_at", "response_at",
    "responded_at", "carrier_accepted_at", "submit_at", "submitted_at",
)  # fmt: skip
REVERSAL_NAMES: Final = ("reversals", "reversal", "corrections", "refunds")
REVERSES_NAMES: Final = ("reverses", "reversal_of", "of")
REVERSED_AT_NAMES: Final = ("recorded_at", "reversed_at", "at", "received_at", "accepted_at")
REFUSED: Final = frozenset({"rejected", "refused", "failed", "error", "reject", "nack"})
TAKEN: Final = frozenset({"ok", "accepted", "success", "taken", "submitted", "sent", "0"})
UNANSWERED: Final = frozenset(
    {"unknown", "none", "no_response", "timeout", "pending", "unanswered", "queued"}
)


class Reversal(NamedTuple):
    """`messages` of those under the id are given back; None: all that are left."""

    recorded_at: datetime
    messages: int | None


class Message(NamedTuple):
    """`taken_at` is None when the carrier refused the message or never answered."""

    name: Any
    messages: int
    direction: Direction
    network: str
    price_list: str | None
    accepted_at: datetime
    segments: int
    taken_at: datetime | None
    receipts: frozenset[FinalReceipt]
    reversals: tuple[Reversal, ...]


def read_messages(case: Fields, zone_name: str) -> list[Message]:
    """Return the messages in order of id."""
    copies: defaultdict[str, list[Fields]] = defaultdict(list)
    back: list[Fields] = []
    for record in case.records("messages"):
        if record.find(*REVERSES_NAMES) is None:
            copies[record.text(*ID_NAMES)].append(record)
        else:
            back.append(record)
    receipts = _by_message(case.records("receipts", "dlrs"), copies)
    reversals = _by_message([*case.records(*REVERSAL_NAMES), *back], copies)
    return [
        _message(sorted(copies[name], key=_canonical), receipts[name], reversals[name], zone_name)
        for name in sorted(copies)
    ]


def _by_message(records: list[Fields], known: dict[str, list[Fields]]) -> defaultdict[str, list[Fields]]:
    found: defaultdict[str, list[Fields]] = defaultdict(list)
    for record in records:
        name = record.text(*REVERSES_NAMES, "message_id", "message", "id")
        if name not in known:
            record.refuse("message_id", f"{name[:40]!r} is no message of the case")
        found[name].append(record)
    return found


def _message(
    copies: list[Fields], receipts: list[Fields], reversals: list[Fields], zone_name: str
) -> Message:
    """Return one message of all that came under its id; the copy that came first in time speaks for all."""
    base = min(copies, key=lambda copy: _accepted_at(copy, zone_name))
    accepted_at = _accepted_at(base, zone_name)
    all_receipts = [
        *receipts,
        *(each for copy in copies for each in copy.records("receipts", "receipt", "dlrs")),
    ]
    finals = frozenset(
        receipt for each in all_receipts if (receipt := _receipt(each, zone_name)).state in FINAL
    )
    direction = direction_of(base)
    count = base.whole("count", "messages", default=1)
    if count < 0:
        base.refuse("count", "is below zero")
    return Message(
        name=base.find(*ID_NAMES),
        messages=count,
        direction=direction,
        network=network_of(base),
        price_list=base.text("price_list", "list", default="") or None,
        accepted_at=accepted_at,
        segments=_segments(base),
        taken_at=_taken_at(copies, accepted_at, direction, zone_name),
        receipts=finals,
        reversals=_reversals([*reversals], copies, zone_name),
    )


def _accepted_at(record: Fields, zone_name: str) -> datetime:
    return record.instant("accepted_at", "received_at", "at", zone_name=zone_name)


def _segments(record: Fields) -> int:
    if record.find("segments", "parts") is None:
        return segments_of(record.text("text", default=""))
    segments = record.whole("segments", "parts")
    if segments < 0:
        record.refuse("segments", "is below zero")
    return segments


def _receipt(record: Fields, zone_name: str) -> FinalReceipt:
    word = record.text("state", "stat", "status")
    state = STATE_WORDS.get(word.upper().encode())
    if state is None:
        record.refuse("state", f"{word[:40]!r} is no state of a receipt")
    received_at = record.instant("received_at", "at", "recorded_at", zone_name=zone_name)
    recorded_at = record.optional_instant("recorded_at", zone_name=zone_name)
    return FinalReceipt(received_at, state, recorded_at or received_at)


def _taken_at(
    copies: list[Fields], accepted_at: datetime, direction: Direction, zone_name: str
) -> datetime | None:
    for copy in copies:
        if copy.find("submit", "submit_result", "carrier", "response") is not None:
            outcome, answer = _outcome(copy)
            if outcome in REFUSED | UNANSWERED and direction is Direction.MT:
                return None
            instants = [answer.optional_instant("at", *TAKEN_NAMES, zone_name=zone_name)]
            break
    else:
        instants = []
    instants += [copy.optional_instant(*TAKEN_NAMES, zone_name=zone_name) for copy in copies]
    recorded = min((instant for instant in instants if instant is not None), default=accepted_at)
    return max(accepted_at, recorded)


def _outcome(record: Fields) -> tuple[str, Fields]:
    """Return how the carrier answered, and the object that may say when."""
    found = record.find("submit", "submit_result", "carrier", "response")
    answer = Fields(found if isinstance(found, dict) else {"result": found}, f"{record.where}.submit")
    word = answer.text("result", "outcome", "state", "status", default="accepted").lower()
    if word.isdecimal() and int(word):
        word = "rejected"
    if word not in REFUSED | TAKEN | UNANSWERED:
        answer.refuse("result", f"{word[:40]!r} is no answer of a carrier")
    return word, answer


def _reversals(given: list[Fields], copies: list[Fields], zone_name: str) -> tuple[Reversal, ...]:
    """Return the reversals in order of time, each once."""
    for copy in copies:
        at = copy.optional_instant("reversed_at", "refunded_at", "cancelled_at", zone_name=zone_name)
        if at is not None:
            given.append(Fields({"recorded_at": at.isoformat()}, copy.where))
        found = copy.find(*REVERSAL_NAMES)
        if isinstance(found, str):
            given.append(Fields({"recorded_at": found}, copy.where))
        elif found is not None:
            given += copy.records(*REVERSAL_NAMES)
    once = {_canonical(record): record for record in given}
    reversals = [
        Reversal(
            record.instant(*REVERSED_AT_NAMES, zone_name=zone_name),
            record.whole("count", "messages") if record.find("count", "messages") is not None else None,
        )
        for record in once.values()
    ]
    return tuple(sorted(reversals, key=lambda each: (each.recorded_at, each.messages or 0)))


def _canonical(record: Fields) -> str:
    return json.dumps(record.values, sort_keys=True)
