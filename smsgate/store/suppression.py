"""
Who must not be written to, looked up set-wise by keyed hashes (smsgate.security.suppression).

Whoever adds people and whoever blocks numbers lock each other out, after the rows of people that they hold:
a person who is being added while the number is being blocked is refused, or found and blocked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from smsgate.campaigns.consent import ConsentEvent, ConsentState, Purpose
from smsgate.flows.ports_privacy import Suppressed
from smsgate.security.suppression import EVERYBODY
from smsgate.store.catalogue import load
from smsgate.store.consent_states import NewState, set_states
from smsgate.store.notices import publish_stop

if TYPE_CHECKING:
    from smsgate.security.suppression import SuppressionHashes
    from smsgate.store.connection import Connection

_SQL: Final = load("suppressions")
_INBOUND: Final = load("inbound")  # offers are closed in one way
_AGEING: Final = load("consent_ageing")
LOCK_KEY: Final = 0x736D7367_00000006  # "smsg", 6: people are added, or numbers blocked


async def suppressed_among(
    connection: Connection, hashes: SuppressionHashes, merchant_id: int, msisdns: Sequence[int]
) -> dict[int, Suppressed]:
    """Return those of the numbers that a merchant may not write to; no hash is made while none is kept."""
    if not await connection.fetchval(_SQL["is_any"]):
        return {}
    whose = {each: msisdn for msisdn in msisdns for each in hashes.both(merchant_id, msisdn)}
    rows = await connection.fetch(_SQL["known"], list(whose))
    return {whose[row["hash"]]: Suppressed(row["reason"], row["created_at"]) for row in rows}


async def suppressed_to_add(
    connection: Connection, hashes: SuppressionHashes, merchant_id: int, msisdns: Sequence[int]
) -> dict[int, Suppressed]:
    """Do the same for people who are being added: no number is blocked until this transaction ends."""
    await connection.execute(_SQL["lock_for_adding"], LOCK_KEY)
    return await suppressed_among(connection, hashes, merchant_id, msisdns)


async def block(
    connection: Connection,
    hashes: SuppressionHashes,
    next_id: Callable[[], int],
    reasons: Mapping[int, str],
    source: str,
    now: datetime,
) -> list[tuple[int, int]]:
    """
    Block numbers for every merchant, those too that come to know them later.

    Return (merchant, number) of the people who were not blocked yet. The caller holds the rows of those it
    knows.
    """
    if not reasons:
        return []
    await connection.execute(_SQL["lock_for_blocking"], LOCK_KEY)
    all_ = [hashes.of(EVERYBODY, msisdn) for msisdn in reasons]
    await connection.execute(_SQL["suppress"], all_, list(reasons.values()), now)
    blocked = ConsentState.BLOCKED.value
    found: list[tuple[int, int]] = []
    for msisdn in reasons:
        for row in await connection.fetch(_SQL["people_of_number"], msisdn, blocked):
            merchant_id, who = row["merchant_id"], [row["subscriber_id"]]
            state = NewState(row["subscriber_id"], Purpose.OFFERS, ConsentState.BLOCKED, now)
            await set_states(connection, merchant_id, [state])
            await connection.execute(
                _AGEING["log"], merchant_id, next_id(), ConsentEvent.COMPLAINT.value, now, who, [msisdn],
                [Purpose.OFFERS.value], [blocked], source,
            )  # fmt: skip
            await connection.execute(_INBOUND["close_offers"], [merchant_id], [msisdn])
            await publish_stop(connection, merchant_id, msisdn)
            found.append((merchant_id, msisdn))
    return found
