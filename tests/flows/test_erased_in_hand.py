"""Texts that a gateway has claimed when their person is erased."""

from __future__ import annotations

from datetime import UTC, datetime

from smsgate.ids import IdMaker
from smsgate.security.suppression import SuppressionHashes
from smsgate.store.pool import Database
from smsgate.store.privacy import PgPrivacy
from smsgate.store.sending import StoredSending
from tests.flows.test_long_texts import LONG
from tests.flows.world import FIRST_MSISDN, MERCHANT, PUBLIC_IDS, SENDER, STAMPS, World, a_world, eventually

OWNER = 5

ORDER = "Boxman: commande 4711 confirmee"
LONG_PARTS = 3  # of LONG


async def erase(world: World, database: Database, number: int) -> None:
    now = datetime.now(UTC)
    ids = IdMaker(9, lambda: int(now.timestamp() * 1_000))
    privacy = PgPrivacy(database, SuppressionHashes(bytes(32)), ids, STAMPS)
    subscriber_id = await world.value(
        f"SELECT subscriber_id FROM subscriber WHERE msisdn = {FIRST_MSISDN + number}"
    )
    await privacy.erase(MERCHANT, subscriber_id, ids.next(), now)


async def test_what_a_dead_owner_gives_back_is_not_sent_to_nobody(database: Database) -> None:
    async with a_world(database, subscribers=1) as world:
        await world.system_message(0, ORDER)
        ids = IdMaker(OWNER, lambda: int(datetime.now(UTC).timestamp() * 1_000))
        sending = StoredSending(database, ids, PUBLIC_IDS)
        assert await sending.claim_interactive(owner=OWNER, limit=10, senders=[SENDER], now=datetime.now(UTC))
        await erase(world, database, 0)
        await sending.release_forgotten(set(), set(), owner=OWNER)
        async with world.gateway():
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
        rows = await world.rows("SELECT status, reason FROM sent")
        assert [tuple(row) for row in rows] == [(-2, "erased")]
        assert world.log.submits == 0


async def test_an_orders_confirmation_in_hand_is_not_sent_to_who_was_erased(database: Database) -> None:
    """Nobody may refuse it, so that no STOP holds it."""
    async with a_world(database, subscribers=2, window_max=LONG_PARTS) as world:
        world.profile_changes = {"response_timeout_s": 300.0}
        await world.system_message(0, LONG)
        await world.system_message(1, ORDER)
        await world.execute("DELETE FROM interactive_queue")
        async with world.gateway() as gateway:
            await eventually(lambda: world.log.binds)
            smsc, _ = world.simulator.smsc.admit(b"smsgate", b"secret")
            assert smsc is not None
            (peer,) = smsc.connections
            peer.pause_writing()  # it reads nothing either: the first text fills the window
            await world.execute(
                "INSERT INTO interactive_queue (merchant_id, message_id, expires_at) "
                "SELECT merchant_id, message_id, now() + interval '1 hour' FROM message"
            )
            await eventually(lambda: gateway.pump.submitted == LONG_PARTS)
            assert len(gateway.pump.held_messages) == 2
            await erase(world, database, 1)
            # This gateway hears no notices: as after a gap in its listening.
            gateway.pump.look.stops.overflowed += 1
            assert world.log.submits == 0
            peer.resume_writing()
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
        assert world.texts_to(0) == [LONG]
        assert world.texts_to(1) == []
