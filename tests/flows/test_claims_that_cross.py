"""Two that want the same people at the same time: one waits for the other, or begins anew; nobody fails."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from smsgate.flows.gates import ALWAYS_OPEN
from smsgate.store.pool import Database
from smsgate.store.roles import ADMIN
from tests.flows.test_held import Claimer
from tests.flows.world import FIRST_MSISDN, MERCHANT, SENDER, a_world

# Goes for the second place as soon as the claim waits for the first one, which it holds.
CROSS_IT = """
DO $do$ BEGIN
    WHILE NOT EXISTS (SELECT FROM pg_locks l
                       WHERE NOT l.granted AND pg_backend_pid() = ANY (pg_blocking_pids(l.pid))) LOOP
        PERFORM pg_sleep(0.01);
    END LOOP;
    {};
END $do$"""


def a_place(msisdn: int, answered_at: str) -> str:
    """Return the statement that opens an offer of another campaign."""
    return (
        "INSERT INTO open_offer (msisdn, sender, merchant_id, campaign_id, message_id, offer_id, "
        f"offer_version, subscriber_id, expires_at, answered_at) VALUES ({msisdn}, '{SENDER}', {MERCHANT}, "
        f"1, 1, 1, 1, 1, now(), {answered_at})"
    )


async def test_a_claim_that_meets_another_crosswise_is_made_anew(database: Database) -> None:
    """It opens the offer of whom no row is about, then takes an answered place; the other inversely."""
    fresh, answered = FIRST_MSISDN, FIRST_MSISDN + 1
    async with a_world(database, subscribers=3) as world:
        campaign_id = await world.campaign()
        await world.execute(a_place(answered, "now()"))
        other = await database.connect(ADMIN)
        try:
            async with other.transaction():
                await other.execute("SELECT FROM open_offer WHERE msisdn = $1 FOR UPDATE", answered)
                claiming = asyncio.create_task(
                    Claimer(world, ALWAYS_OPEN).claim(campaign_id, datetime.now(UTC))
                )
                await other.execute(CROSS_IT.format(a_place(fresh, "NULL")))
        finally:
            await other.close()
        (claim,) = await claiming
        assert claim.msisdns == [answered, FIRST_MSISDN + 2]
        held = "SELECT hold FROM campaign_chunk WHERE state = 'ready'"
        assert await world.value(held) == "open_offer"
