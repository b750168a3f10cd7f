"""What a claim knows of its people, neighbours or not: held to a model of the caps."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from smsgate.campaigns.caps import CapLimits, Contact, capped_until
from smsgate.flows.gates import Gates
from smsgate.store.connection import Connection
from smsgate.store.gates import Gate, Opening
from smsgate.store.pool import Database

MERCHANT, OTHER, SENDER, SECOND = 7, 8, "38123", "38124"
PEOPLE = 40
NOW = datetime.now(UTC).replace(microsecond=0)
LIMITS = CapLimits(
    person_per_day_max=2, person_per_week_max=4, merchant_per_day_max=1, merchant_per_week_max=2
)
CAMPAIGN = "SELECT 5 AS campaign_id, 6 AS offer_id, 1 AS offer_version, $1::timestamptz AS expires_at"
OPENED = """
INSERT INTO open_offer (msisdn, sender, merchant_id, campaign_id, message_id, offer_id, offer_version,
    subscriber_id, expires_at, opened_at) VALUES ($1, $2, $3, 1, $1, 1, 1, $1, $4, $5)
"""
CONTACTED = "INSERT INTO marketing_contact (msisdn, merchant_ids, at, last_at) VALUES ($1, $2, $3, $4)"
UNLOCKED = "SELECT msisdn FROM open_offer WHERE msisdn = ANY ($1) AND sender = $2 FOR UPDATE SKIP LOCKED"
COUNTED = """
SELECT msisdn, merchant_id, opened_at AS at FROM open_offer
 UNION ALL
SELECT c.msisdn, u.m, u.a FROM marketing_contact c, unnest(c.merchant_ids, c.at) AS u (m, a)
"""


async def _write_history(connection: Connection, numbers: Sequence[int], chance: random.Random) -> set[int]:
    """Write who had which messages in the last ten days; return whose offer by SENDER is still open."""
    still_open: set[int] = set()
    offers: list[tuple[object, ...]] = []
    contacts: list[tuple[object, ...]] = []
    for msisdn in numbers:
        for sender in (SENDER, SECOND):
            if chance.random() < 0.6:
                over = sender == SECOND or chance.random() < 0.7
                opened_at = NOW - timedelta(hours=chance.randrange(1, 240))
                expires_at = NOW - timedelta(hours=1) if over else NOW + timedelta(hours=1)
                merchant_id = chance.choice((MERCHANT, OTHER))
                offers.append((msisdn, sender, merchant_id, expires_at, opened_at))
                if not over:
                    still_open.add(msisdn)
        at = sorted(NOW - timedelta(hours=chance.randrange(1, 240)) for _ in range(chance.randrange(4)))
        if at:
            merchants = [chance.choice((MERCHANT, OTHER)) for _ in at]
            contacts.append((msisdn, merchants, at, at[-1]))
    await connection.executemany(OPENED, offers)
    await connection.executemany(CONTACTED, contacts)
    return still_open


async def _counted(connection: Connection) -> dict[int, list[Contact]]:
    """Return of each person what caps count."""
    found: defaultdict[int, list[Contact]] = defaultdict(list)
    for row in await connection.fetch(COUNTED):
        if row["at"] > NOW - timedelta(days=7):
            found[row["msisdn"]].append(Contact(row["merchant_id"], row["at"]))
    return {msisdn: sorted(contacts) for msisdn, contacts in found.items()}


def _until(contacts: Mapping[int, list[Contact]], numbers: Sequence[int]) -> set[int]:
    return {n for n in numbers if capped_until(contacts.get(n, []), MERCHANT, LIMITS, NOW) is not None}


@pytest.mark.parametrize("others", [0, 1, 4], ids=lambda others: f"{others} others between two people")
@pytest.mark.parametrize("seed", [1, 2])
async def test_caps_hold_who_had_enough_and_places_that_are_taken_count_on(
    database: Database, others: int, seed: int
) -> None:
    """People are neighbours, or others stand between them."""
    chance = random.Random(seed)
    everybody = range(33600000000, 33600000000 + PEOPLE * (others + 1))
    people = everybody[:: others + 1]
    async with database.control() as connection:
        still_open = await _write_history(connection, everybody, chance)
        before = await _counted(connection)
    async with database.bulk_transaction() as connection:
        campaign = await connection.fetchrow(CAMPAIGN, NOW + timedelta(days=1))
        assert campaign is not None
        gate = Gate(connection, Gates(enforce_hours=False, caps=LIMITS), [SENDER], MERCHANT, NOW)
        held = await gate.know(people)
        assert held.keys() == _until(before, people)
        free = [msisdn for msisdn in people if msisdn not in held]
        ids = range(1, len(free) + 1)
        (opened,) = await gate.open([SENDER], [Opening(campaign, ids, free, free)])
        # Whose offer is open may answer it meanwhile: that row is not locked.
        async with database.bulk_transaction() as answering:
            unlocked = await answering.fetch(UNLOCKED, list(still_open), SENDER)
    assert {row["msisdn"] for row in unlocked} == still_open
    got = free if opened is None else [free[message_id - 1] for message_id in opened]
    assert set(got) == set(free) - still_open
    assert 0 < len(got) < len(free)
    async with database.control() as connection:
        after = await _counted(connection)
    for msisdn in got:
        before[msisdn] = sorted([*before.get(msisdn, []), Contact(MERCHANT, NOW)])
    assert after == before
