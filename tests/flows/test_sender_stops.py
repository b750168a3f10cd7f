"""Who said STOP to a sender number gets no marketing from it, by whatever way it would come."""

from __future__ import annotations

from datetime import UTC, datetime

from smsgate.flows.esme_records import AccountDraft, Purpose
from smsgate.flows.gates import ALWAYS_OPEN
from smsgate.flows.records import ChunkClaim, ChunkKey
from smsgate.ids import IdMaker
from smsgate.store.esmes import PgEsmeAccounts
from smsgate.store.pool import Database
from smsgate.store.sending import StoredSending
from tests.flows.inbound_world import say
from tests.flows.world import FIRST_MSISDN, MERCHANT, PUBLIC_IDS, SENDER, World, a_world, eventually

OWNER = 5


async def said_stop(world: World, number: int, sender: str = SENDER) -> None:
    """Have somebody, then nobody's subscriber, said STOP to a number of an ESME."""
    await world.execute(
        "INSERT INTO sender_stop VALUES ($1, $2, $3, now())", MERCHANT, sender, FIRST_MSISDN + number
    )


async def claimed(sending: StoredSending, campaign_id: int, now: datetime) -> ChunkClaim:
    [claim] = await sending.claim_chunks(
        MERCHANT, [campaign_id], owner=OWNER, allowance_step=1, now=now, gates=ALWAYS_OPEN, senders=[SENDER]
    )
    return claim


async def test_a_campaign_leaves_out_who_said_stop_to_its_sender_number_before_subscribing(
    database: Database,
) -> None:
    async with a_world(database, subscribers=3) as world:
        await said_stop(world, 1)
        await said_stop(world, 2, "36999")  # to another number
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        assert [len(world.texts_to(number)) for number in range(3)] == [1, 0, 1]


async def test_a_chunk_that_is_claimed_again_leaves_out_who_said_stop_to_its_sender_number_since(
    database: Database,
) -> None:
    async with a_world(database, subscribers=3) as world:
        now = datetime.now(UTC)
        sending = StoredSending(database, IdMaker(OWNER, lambda: int(now.timestamp() * 1000)), PUBLIC_IDS)
        campaign_id = await world.campaign()
        claim = await claimed(sending, campaign_id, now)
        assert len(claim.msisdns) == 3
        key = ChunkKey(MERCHANT, campaign_id, claim.chunk_no, claim.fence)
        await sending.release_chunks({key: None}, owner=OWNER)
        await said_stop(world, 1)
        again = await claimed(sending, campaign_id, now)
        assert again.msisdns == [FIRST_MSISDN, FIRST_MSISDN + 2]
        assert await world.value("SELECT reason FROM sent") == "stopped"


async def test_a_stop_to_an_esmes_number_holds_what_is_claimed_already(database: Database) -> None:
    """Also of a stranger, whom no merchant knows and whose STOP holds no merchant."""
    async with a_world(database, subscribers=1) as world:
        await PgEsmeAccounts(database).add(
            AccountDraft(MERCHANT, 77, "clinic", Purpose.MARKETING, b"mac", (SENDER,), numbers=(SENDER,))
        )
        async with world.gateway() as gateway:
            stranger = 5
            await say(world, stranger, "STOP", answers=0)
            assert FIRST_MSISDN + stranger in gateway.pump.look.stops.held(SENDER)
            assert await world.value("SELECT count(*) FROM sender_stop") == 1
            await say(world, stranger, "START", answers=0)
            assert await world.value("SELECT count(*) FROM sender_stop") == 0
