"""Below the floor of the disk: what was sent gets its outcome, nothing new is taken, and nothing is lost."""

from __future__ import annotations

from functools import partial

from smsgate.daemon.gateway import Gateway
from smsgate.flows.sending_limits import SendingLimits
from smsgate.store.pool import Database
from tests.flows.inbound_world import an_open_offer, order_numbers
from tests.flows.world import World, a_world, eventually

LOOKS = 15  # for campaigns, of a gateway that is to claim nothing


async def looked(gateway: Gateway) -> None:
    """Wait until the gateway has looked for campaigns a while."""
    (claims,) = (loop for loop in gateway.loops if loop.name == "claims")
    beats: set[float] = set()

    def enough() -> bool:
        beats.add(claims.beat_at)
        return len(beats) > LOOKS

    await eventually(enough)


async def one_more(world: World, gateway: Gateway) -> None:
    """Send a system message, and wait until its outcome is committed."""
    message_id = await world.system_message(1, "Boxman: bonjour")
    gateway.pump.wake_interactive.set()
    await eventually(lambda: world.value("SELECT count(*) = 1 FROM sent WHERE message_id = $1", message_id))


async def test_a_halted_gateway_writes_no_more_than_was_allowed_and_goes_on_afterwards(
    database: Database,
) -> None:
    limits = SendingLimits(poll_s=0.02, allowance_min=20, allowance_s=0.001)
    async with a_world(database, subscribers=600, rate_per_s=2_000, limits=limits) as world:
        campaign_id = await world.campaign(chunk=100)
        async with world.gateway() as gateway:
            await eventually(partial(world.submitted, 20))
            gateway.halt(True)
            await one_more(
                world, gateway
            )  # commits come one by one: whatever was granted before is known now
            allowed = await world.value("SELECT sum(allowance)::int FROM campaign_chunk")
            assert allowed < 600
            await eventually(lambda: world.value("SELECT count(*) = $1::int FROM sent", allowed + 1))
            assert world.log.submits == allowed + 1
            await looked(gateway)
            assert world.log.submits == allowed + 1
            await one_more(world, gateway)
            assert world.log.submits == allowed + 2
            assert await world.value("SELECT sum(allowance)::int FROM campaign_chunk") == allowed
            gateway.halt(False)
            await eventually(lambda: world.finished(campaign_id))
        assert world.log.submits == world.log.accepted == 602


async def test_a_halted_gateway_has_replies_come_again(database: Database) -> None:
    async with an_open_offer(database) as (world, gateway):
        gateway.halt(True)
        mo = world.answer(1, "OK")
        await eventually(lambda: world.log.written_again > 0)
        assert not mo.taken
        assert await world.value("SELECT count(*) FROM inbound_message") == 0
        assert gateway.intake.turned_away > 0
        gateway.halt(False)
        await eventually(lambda: mo.taken)
        assert len(await order_numbers(world)) == 1
