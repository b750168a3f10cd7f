"""
Who must not be written to, looked up set-wise by keyed hashes (smsgate.security.suppression).

Whoever adds people and whoever blocks numbers lock each other out, after the rows of people that they hold:
a person who is being added while the number is being blocked is refused, or found and blocked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.campaigns.consent import ConsentEvent, ConsentState, Purpose
from smsgate.flows.ports_privacy import Suppressed
from smsgate.security.suppression import EVERYBODY
from smsgate.store.catalogue import load
from smsgate.store.consent_states import NewState, set_states
from smsgate.store.notices import publish_stop

if TYPE_CHECKING:
    import asyncpg

    from smsgate.security.suppression import SuppressionHashes
    from smsgate.store.connection import Connection

_SQL: Final = load("suppressions")
_INBOUND: Final = load("inbound")  # offers are closed in one way
_AGEING: Final = load("consent_ageing")
ERASED: Final = "erased"  # the person's own wish: nobody lifts it, and it holds for good
LOCK_KEY: Final = 0x736D7367_00000006  # "smsg", 6: people are added, or numbers blocked


async def suppressed_among(
    connection: Connection, hashes: SuppressionHashes, merchant_id: int, msisdns: Sequence[int]
) -> dict[int, Suppressed]:
    """Return those of the numbers that a merchant may not write to; no hash is made while none is kept."""
    if not await connection.fetchval(_SQL["is_any"]):
        return {}
    whose = {each: msisdn for msisdn in msisdns for each in hashes.both(merchant_id, msisdn)}
    rows = await connection.fetch(_SQL["known"], list(whose))
    found = [(whose[row["hash"]], row) for row in rows]
    lifted = await _lifted(connection, hashes, merchant_id, [msisdn for msisdn, _ in found])
    return {
        msisdn: Suppressed(row["reason"], row["created_at"])
        for msisdn, row in found
        if row["reason"] == ERASED or msisdn not in lifted or row["created_at"] >= lifted[msisdn]
    }


async def _lifted(
    connection: Connection, hashes: SuppressionHashes, merchant_id: int, msisdns: Sequence[int]
) -> dict[int, datetime]:
    """Return when a merchant last lifted the blocks of those of the numbers whose it did."""
    if not msisdns:
        return {}
    whose = {hashes.of(merchant_id, msisdn): msisdn for msisdn in msisdns}
    rows = await connection.fetch(_SQL["lifts"], list(whose))
    return {whose[row["hash"]]: row["lifted_at"] for row in rows}


async def lock_for_adding(connection: Connection) -> None:
    """Let no number be blocked, and no STOP of a stranger be noted, until this transaction ends."""
    await connection.execute(_SQL["lock_for_adding"], LOCK_KEY)


async def suppressed_to_add(
    connection: Connection, hashes: SuppressionHashes, merchant_id: int, msisdns: Sequence[int]
) -> dict[int, Suppressed]:
    """Do the same for people who are being added: no number is blocked until this transaction ends."""
    await lock_for_adding(connection)
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
    found: list[tuple[int, int]] = []
    for msisdn in reasons:
        people = await connection.fetch(_SQL["people_of_number"], msisdn, ConsentState.BLOCKED.value)
        for row in people:
            end = _End(msisdn, ConsentEvent.COMPLAINT, ConsentState.BLOCKED, now)
            await _end(connection, next_id, row, end, source)
            found.append((row["merchant_id"], msisdn))
    return found


async def note_stops(
    connection: Connection,
    hashes: SuppressionHashes,
    next_id: Callable[[], int],
    stops: Mapping[tuple[int, int], datetime],
    made: Collection[int] = (),
) -> None:
    """
    Remember that numbers asked for silence from merchants who do not know them yet.

    The keys are (merchant or EVERYBODY, number). Who has come to know one of them since the caller looked is
    ended here, but for the subscribers that the caller `made` itself: it knew of the STOP. The caller holds
    the rows of those it knows.
    """
    if not stops:
        return
    await connection.execute(_SQL["lock_for_blocking"], LOCK_KEY)
    all_ = [hashes.of(*key) for key in stops]
    await connection.execute(_SQL["note_stops"], all_, list(stops.values()), [True] * len(all_))
    merchant_ids, msisdns = map(list, zip(*stops, strict=True))
    wanting = await connection.fetch(_SQL["wanting_of_numbers"], msisdns, list(stops.values()), merchant_ids)
    for row in wanting:  # few: they were added in these moments
        if row["subscriber_id"] not in made:
            end = _End(row["msisdn"], ConsentEvent.STOP, ConsentState.UNSUBSCRIBED, row["at"])
            await _end(connection, next_id, row, end, "sms")


async def stops_among(
    connection: Connection, hashes: SuppressionHashes, merchant_id: int, msisdns: Sequence[int]
) -> dict[int, datetime]:
    """
    Return when those of the numbers that did asked for silence from this merchant, or whoever.

    Or when three silent years ended what a person had agreed to who was removed since.
    """
    if not await connection.fetchval(_SQL["is_any_stop"]):
        return {}
    whose = {each: msisdn for msisdn in msisdns for each in hashes.both(merchant_id, msisdn)}
    found: dict[int, datetime] = {}
    for row in await connection.fetch(_SQL["noted_stops"], list(whose)):
        msisdn, at = whose[row["hash"]], row["stopped_at"]
        found[msisdn] = max(at, found.get(msisdn, at))
    return found


async def noted_among(
    connection: Connection, hashes: SuppressionHashes, keys: Iterable[tuple[int, int]]
) -> set[tuple[int, int]]:
    """Return for which of (merchant or EVERYBODY, number) a STOP is noted."""
    if not await connection.fetchval(_SQL["is_any_stop"]):
        return set()
    whose = {hashes.of(*key): key for key in keys}
    return {whose[row["hash"]] for row in await connection.fetch(_SQL["noted_objections"], list(whose))}


class _End(NamedTuple):
    msisdn: int
    event: ConsentEvent
    state: ConsentState
    at: datetime


async def _end(
    connection: Connection, next_id: Callable[[], int], person: asyncpg.Record, end: _End, source: str
) -> None:
    """End offers to one person of a merchant: the state, its proof, open offers, what is in memory."""
    merchant_id, subscriber_id = person["merchant_id"], person["subscriber_id"]
    state = NewState(subscriber_id, Purpose.OFFERS, end.state, end.at)
    await set_states(connection, merchant_id, [state])
    await connection.execute(
        _AGEING["log"], merchant_id, next_id(), end.event.value, end.at, [subscriber_id], [end.msisdn],
        [Purpose.OFFERS.value], [end.state.value], source,
    )  # fmt: skip
    await connection.execute(_INBOUND["close_offers"], [merchant_id], [end.msisdn])
    await publish_stop(connection, merchant_id, end.msisdn)
