"""Blocks that a person takes back: for one merchant, or for all; who and why is kept for good."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final

import orjson

from smsgate.campaigns.consent import ConsentEvent, ConsentState, Purpose, decide
from smsgate.errors import DomainError, NotFound
from smsgate.flows.ports_privacy import Lift
from smsgate.security.suppression import EVERYBODY
from smsgate.store.catalogue import load
from smsgate.store.consent_states import NewState, set_states
from smsgate.store.suppression import LOCK_KEY

if TYPE_CHECKING:
    import asyncpg

    from smsgate.security.suppression import SuppressionHashes
    from smsgate.store.connection import Connection

_SQL: Final = load("suppressions")
_INBOUND: Final = load("inbound")
NOT_BLOCKED: Final = "This number is not blocked."
BY_CARRIER: Final = "carrier"  # what a network keeps, no merchant takes back


async def lift(
    connection: Connection,
    hashes: SuppressionHashes,
    next_id: Callable[[], int],
    msisdn: int,
    merchant_id: int | None,
    by: Lift,
    now: datetime,
) -> list[int]:
    """
    Take a block back, and return the merchants whose person may agree again; None: for every merchant.

    Whoever is blocked becomes unsubscribed: only the person, or a newer consent, begins again.

    Raises:
        NotFound: the number is not blocked.
        DomainError: code `blocked_by_carrier`; a merchant cannot take that back.
    """
    await connection.execute(_SQL["lock_for_blocking"], LOCK_KEY)
    everybody = hashes.of(EVERYBODY, msisdn)
    known = await connection.fetch(_SQL["known"], [everybody])
    people = await connection.fetch(
        _SQL["blocked_of_number"], msisdn, merchant_id, ConsentState.BLOCKED.value
    )
    if not people and not (known and merchant_id is None):
        raise NotFound(NOT_BLOCKED)
    if merchant_id is not None and any(row["reason"] == BY_CARRIER for row in known):
        raise DomainError(
            "A carrier's list blocks this number; the operator alone can lift it.",
            code="blocked_by_carrier",
            http_status=409,
        )
    whose = everybody if merchant_id is None else hashes.of(merchant_id, msisdn)
    if merchant_id is None:
        await connection.execute(_SQL["unsuppress"], everybody)
    await connection.execute(_SQL["add_lift"], whose, now, by.decided_by, by.reason)
    for person in people:
        await _reopen(connection, next_id, person, msisdn, by, now)
    return [person["merchant_id"] for person in people]


async def _reopen(
    connection: Connection,
    next_id: Callable[[], int],
    person: asyncpg.Record,
    msisdn: int,
    by: Lift,
    now: datetime,
) -> None:
    """Bring one merchant's person back among those who said STOP, with the proof of who did it."""
    merchant_id, subscriber_id = person["merchant_id"], person["subscriber_id"]
    evidence = orjson.dumps({"decided_by": by.decided_by, "key": by.key_id, "reason": by.reason}).decode()
    state = decide(ConsentState.BLOCKED, ConsentEvent.UNBLOCK, evidence_at=now).state
    purposes = [Purpose(purpose) for purpose in person["purposes"]]
    count = len(purposes)
    await connection.execute(
        _INBOUND["insert_consents"], [merchant_id] * count, [next_id() for _ in purposes],
        [subscriber_id] * count, [msisdn] * count, [ConsentEvent.UNBLOCK.value] * count,
        [state.value] * count, [None] * count, [now] * count, [purpose.value for purpose in purposes],
        [""] * count, ["human"] * count, [evidence] * count,
    )  # fmt: skip
    states = [NewState(subscriber_id, purpose, state, now) for purpose in purposes]
    await set_states(connection, merchant_id, states)
