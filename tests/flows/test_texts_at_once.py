"""Confirmations that the transaction of their answers claims: which are, and what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest

from smsgate.daemon.gateway import Gateway
from smsgate.errors import CommitUnknown
from smsgate.flows.allowances import SENDER_SHARE
from smsgate.flows.sending_limits import SendingLimits
from smsgate.flows.texts_at_once import IN_THE_QUEUE
from smsgate.store.connection import begin_again
from smsgate.store.inbound import StoredGroup, StoredInbound
from smsgate.store.pool import Database
from tests.flows.inbound_world import an_open_offer, order_numbers, say
from tests.flows.statements import statements
from tests.flows.test_budgets import prepaid, settled, verified
from tests.flows.test_erased_in_hand import erase
from tests.flows.test_inbound_two_groups import no_commits
from tests.flows.test_routing import two_carriers
from tests.flows.world import FIRST_MSISDN, OTHER_SENDER, SENDER, UNIT_MICROS, World, a_world, eventually
from tests.store.waiting import so_many_wait

CLAIM = "sending.take_interactive"
WRITTEN = "system_messages.insert_system_messages"
OWNED = "SELECT count(*)::int FROM interactive_queue WHERE owner IS NOT NULL"
WAITING = "SELECT count(*)::int FROM interactive_queue WHERE owner IS NULL"


async def nothing_older(gateway: Gateway, sender: str = SENDER) -> None:
    """Wait until the gateway knows that no older text waits."""
    await eventually(lambda: gateway.claiming._ahead.is_first(sender))


@asynccontextmanager
async def ready(database: Database, **campaign: Any) -> AsyncIterator[tuple[World, Gateway]]:
    async with an_open_offer(database, **campaign) as (world, gateway):
        await nothing_older(gateway)
        yield world, gateway


async def none_left(world: World) -> bool:
    return bool(await world.value("SELECT count(*) = 0 FROM interactive_queue"))


async def test_a_confirmation_is_claimed_with_its_order_and_by_nothing_else(database: Database) -> None:
    async with ready(database) as (world, _), statements(world.database) as found:
        async with world.locked("flush_log"):
            await say(world, 1, "OK")
            assert (await world.value(OWNED), await world.value(WAITING)) == (1, 0)
        await eventually(lambda: none_left(world))
        sent = await world.rows("SELECT status, sell_micros FROM sent ORDER BY sent_at DESC LIMIT 1")
        assert [tuple(row) for row in sent] == [(0, UNIT_MICROS)]
        await verified(world)
    assert WRITTEN in found
    assert CLAIM not in found


async def test_it_counts_as_in_doubt_from_before_its_commit_until_it_has_its_outcome(
    database: Database,
) -> None:
    async with ready(database) as (world, gateway):
        await eventually(lambda: not gateway.pump.uncommitted)
        room = gateway.pump.grants().room
        async with world.locked("flush_log"):
            async with no_commits(world):
                mo = world.answer(1, "OK")
                await eventually(lambda: so_many_wait(world.database, 1))
                await eventually(lambda: gateway.pump.grants().room == room - 1)  # beside other claims
                assert gateway.claiming._ahead.room()[1] == gateway.claiming._ahead._most(1) - 1
            await eventually(lambda: mo.taken)
            await eventually(lambda: gateway.pump.grants().room == room - 1)
        await eventually(lambda: gateway.pump.grants().room == room)


async def test_a_text_for_which_there_is_no_room_in_the_bound_waits_in_the_queue(database: Database) -> None:
    async with ready(database) as (world, gateway), statements(world.database) as found:
        with gateway.pump.allowances.promised(gateway.pump.grants().room):
            mo = world.answer(1, "OK")
            await eventually(lambda: mo.taken)
            assert (await world.value(OWNED), await world.value(WAITING)) == (0, 1)
        await eventually(lambda: none_left(world))
        assert len(world.texts_to(1)) == 2
    assert CLAIM in found


async def test_a_text_of_a_merchant_with_a_budget_waits_until_money_is_set_aside(database: Database) -> None:
    async with ready(database) as (world, _), statements(world.database) as found:
        await prepaid(world, 100 * UNIT_MICROS)
        await say(world, 1, "OK")
        await eventually(lambda: none_left(world))
        await eventually(lambda: settled(world))
        await verified(world)
    assert CLAIM in found


async def test_a_group_waits_for_nobody_who_compares_claims_with_the_books(database: Database) -> None:
    """It holds locks, for which a claim under way may wait."""
    async with ready(database) as (world, gateway):
        async with gateway.claiming._under_way.none():
            mo = world.answer(1, "OK")
            await eventually(lambda: mo.taken)
            assert (await world.value(OWNED), await world.value(WAITING)) == (0, 1)
        await eventually(lambda: none_left(world))
        assert len(world.texts_to(1)) == 2


async def test_a_text_that_its_group_is_about_to_commit_is_not_taken_for_forgotten(
    database: Database,
) -> None:
    async with ready(database) as (world, gateway), statements(world.database) as found:
        async with no_commits(world):
            mo = world.answer(1, "OK")
            await eventually(lambda: so_many_wait(world.database, 1))
            gateway.pump.forgotten = True
            await eventually(lambda: gateway.claiming._under_way.closed)  # it waits for the group
        await eventually(lambda: mo.taken)
        await eventually(lambda: not gateway.pump.forgotten)
        await eventually(lambda: none_left(world))
        assert len(world.texts_to(1)) == 2
    assert CLAIM not in found


async def test_a_stop_is_confirmed_by_way_of_the_queue(database: Database) -> None:
    """Whose consent a group changes, is looked at again."""
    async with ready(database) as (world, _), statements(world.database) as found:
        await say(world, 1, "STOP")
    assert CLAIM in found


class _Ends(StoredInbound):
    """What happens once a group is committed, before its process knows."""

    after: ClassVar[Callable[[], Awaitable[None]]]

    @asynccontextmanager
    async def group(self) -> AsyncIterator[StoredGroup]:
        async with super().group() as group:
            yield group
        await _Ends.after()


async def test_a_commit_that_is_not_seen_is_found_and_the_text_leaves_once(database: Database) -> None:
    lost = 0

    async def lose() -> None:
        nonlocal lost
        lost += 1
        if lost == 1:
            raise CommitUnknown("connection lost")

    async with ready(database) as (world, gateway):
        _Ends.after = lose
        gateway.intake._store.__class__ = _Ends
        mo = world.answer(1, "OK")
        await eventually(lambda: none_left(world) if len(world.texts_to(1)) > 1 else False)
        await eventually(lambda: mo.taken)
        await eventually(lambda: not gateway.pump.held_messages)
        assert lost == 2
        assert len(await order_numbers(world)) == 1
        texts = world.texts_to(1)
        assert texts.count(texts[1]) == 1


async def test_what_comes_again_a_minute_after_a_commit_that_was_not_seen_is_no_second_order(
    database: Database,
) -> None:
    """Its carrier was told to bring it again, on a session that lives on."""
    lost = False

    async with ready(database) as (world, gateway):

        async def lose() -> None:
            nonlocal lost
            if not lost:
                lost = True
                await world.execute("UPDATE mo_seen SET seen_at = seen_at - interval '61 s'")
                raise CommitUnknown("connection lost")

        _Ends.after = lose
        gateway.intake._store.__class__ = _Ends
        mo = world.answer(1, "2")
        await eventually(lambda: mo.taken)
        assert await world.value("SELECT count(*) FROM orders") == 1
        assert await world.value("SELECT count(*) FROM inbound_message WHERE outcome = 'ordered'") == 1
        assert gateway.intake.repeated == 1


async def test_a_person_s_next_answer_does_not_overtake_what_is_given_back(database: Database) -> None:
    lost = asyncio.Event()

    async def lose() -> None:
        if not lost.is_set():
            lost.set()
            raise CommitUnknown("connection lost")

    async with a_world(database, subscribers=2, limits=SendingLimits(poll_s=4.0)) as world:
        campaign_id = await world.campaign()
        async with world.gateway() as gateway:
            await eventually(lambda: world.finished(campaign_id))
            await nothing_older(gateway)
            _Ends.after = lose
            gateway.intake._store.__class__ = _Ends
            world.answer(1, "OK")
            await lost.wait()
            world.answer(1, "HELP")
            await eventually(lambda: len(world.texts_to(1)) == 3)
            (number,) = await order_numbers(world)
            assert number in world.texts_to(1)[1]


async def test_a_group_that_is_decided_again_has_no_claims_looked_for(database: Database) -> None:
    """It is certainly rolled back; each look makes all claims wait."""
    again = 0

    class _Again(StoredInbound):
        @asynccontextmanager
        async def group(self) -> AsyncIterator[StoredGroup]:
            nonlocal again
            async with super().group() as group:
                yield group
                again += 1
                if again == 1:
                    raise begin_again("an offer has ended")

    async with ready(database) as (world, gateway), statements(world.database) as found:
        gateway.intake._store.__class__ = _Again
        await say(world, 1, "OK")
        await asyncio.sleep(1.5)  # longer than between looks
        assert again == 2
    assert not [name for name in found if "forgotten" in name]


@pytest.mark.parametrize("by", ["at once", "the queue"])
async def test_answers_of_a_stuck_carrier_hold_their_share_of_the_bound(database: Database, by: str) -> None:
    people, limits = 320, SendingLimits(poll_s=0.02, in_doubt_max=240)
    async with two_carriers(database, [], subscribers=people, limits=limits) as world:
        world.window_max = 1
        world.other_senders = (OTHER_SENDER,)
        world.profile_changes = {"response_timeout_s": 300.0}
        await world.execute("UPDATE subscriber SET tags = '{few}' WHERE msisdn < $1", FIRST_MSISDN + 100)
        campaign_id = await world.campaign()
        async with world.gateway() as gateway:
            await eventually(lambda: world.finished(campaign_id))
            await nothing_older(gateway)
            if by == "the queue":
                gateway.intake._texts = IN_THE_QUEUE
            smsc, _ = world.simulator.smsc.admit(b"smsgate", b"secret")
            assert smsc is not None
            (peer,) = smsc.connections
            for number in range(people):
                world.answer(number, "OK")
            peer.pause_writing()
            await eventually(lambda: world.value(f"SELECT count(*) = {people} FROM orders"))
            other = await world.campaign(tags=["few"], sender=OTHER_SENDER)
            await eventually(lambda: world.finished(other), 30.0)
            assert len(gateway.pump.held_messages) <= limits.in_doubt_max / SENDER_SHARE + 1  # in the window
            peer.resume_writing()


async def test_a_claim_from_the_queue_counts_what_answers_about_to_commit_will_bring_of_the_sender_s_share(
    database: Database,
) -> None:
    """Both took as much as the share had room for."""
    limits = SendingLimits(poll_s=0.02, in_doubt_max=16)
    async with a_world(database, subscribers=8, window_max=1, limits=limits) as world:
        world.profile_changes = {"response_timeout_s": 300.0}
        campaign_id = await world.campaign()
        async with world.gateway() as gateway:
            await eventually(lambda: world.finished(campaign_id))
            world.simulator.smsc.settings.answers_submits = False
            for number in range(3):
                await world.system_message(number, "Bonjour")
            await eventually(lambda: world.value(f"SELECT ({OWNED}) = 3"))  # one is in the window
            await nothing_older(gateway)
            async with no_commits(world):
                mos = [world.answer(number, "OK") for number in (3, 4)]
                await eventually(lambda: gateway.claiming._ahead._coming.total() == 2)
                for number in (5, 6):
                    await world.system_message(number, "Bonjour")
                await asyncio.sleep(0.5)  # many looks
                assert (await world.value(OWNED), await world.value(WAITING)) == (3, 2)
            await eventually(lambda: all(mo.taken for mo in mos))
            assert len(gateway.pump.held_messages) <= limits.in_doubt_max / SENDER_SHARE + 1
            world.simulator.smsc.settings.answers_submits = True
            world.simulator.smsc.drop_connections()
            await eventually(lambda: none_left(world))


async def test_a_group_that_is_rolled_back_claims_nothing(database: Database) -> None:
    async with ready(database) as (world, gateway):
        async with no_commits(world):
            mo = world.answer(1, "OK")
            await eventually(lambda: so_many_wait(world.database, 1))
            await eventually(world.kill_bulk_connections)
        await eventually(lambda: mo.taken)
        await eventually(lambda: none_left(world))
        assert len(world.texts_to(1)) == 2
        await eventually(lambda: not gateway.pump.allowances._promised)  # to a look that is under way
        assert gateway.claiming._ahead._coming.total() == 0
        await eventually(lambda: not gateway.pump.held_messages)


async def test_a_process_that_dies_after_the_commit_leaves_its_text_unknown(database: Database) -> None:
    died = asyncio.Event()

    async def die() -> None:
        died.set()
        await asyncio.Event().wait()

    async with a_world(database, subscribers=2) as world:
        campaign_id = await world.campaign()
        async with world.killed_gateway() as gateway:
            await eventually(lambda: world.finished(campaign_id))
            await nothing_older(gateway)
            _Ends.after = die
            gateway.intake._store.__class__ = _Ends
            mo = world.answer(1, "OK")
            await died.wait()
            assert await world.value(OWNED) == 1
        async with world.gateway():
            await eventually(lambda: mo.taken)
            await eventually(lambda: none_left(world))
        rows = await world.rows(
            "SELECT s.status, s.reason FROM sent s JOIN message USING (merchant_id, message_id) "
            "WHERE order_id IS NOT NULL"
        )
        assert [tuple(row) for row in rows] == [(-1, "owner_lost")]
        assert len(await order_numbers(world)) == 1
        assert len(world.texts_to(1)) == 1  # the offer
        await verified(world)


@pytest.mark.parametrize("goes", ["before", "meanwhile"])
async def test_a_text_whose_sender_no_carrier_has_waits_for_one(database: Database, goes: str) -> None:
    async with two_carriers(database, [], subscribers=2) as world:
        other = world.other
        assert other is not None
        world.other_senders = (OTHER_SENDER,)
        async with world.gateway() as gateway:
            campaign_id = await world.campaign(sender=OTHER_SENDER)
            await eventually(lambda: world.finished(campaign_id))
            await nothing_older(gateway, OTHER_SENDER)

            async def go() -> None:
                world.other = None
                await gateway.reload(world.profiles(), world.table())

            if goes == "before":
                await go()
                mo = world.answer(1, "OK", to=OTHER_SENDER)
            else:
                async with no_commits(world):
                    mo = world.answer(1, "OK", to=OTHER_SENDER)
                    await eventually(lambda: so_many_wait(world.database, 1))
                    # A look for older texts may be under way still: it promises what it may claim.
                    await eventually(lambda: gateway.pump.allowances._promised == 1)
                    await go()
            await eventually(lambda: mo.taken)
            await eventually(lambda: world.value(f"SELECT ({OWNED}) = 0 AND ({WAITING}) = 1"))
            assert await world.value("SELECT count(*) FROM sent") == 2  # the offers
            world.other = other
            await gateway.reload(world.profiles(), world.table())
            await eventually(lambda: none_left(world))
        assert other.smsc.log.accepted == 3


async def test_a_confirmation_in_hand_is_not_sent_to_who_was_erased_meanwhile(database: Database) -> None:
    async with a_world(database, subscribers=2, window_max=1) as world:
        world.profile_changes = {"response_timeout_s": 300.0}
        campaign_id = await world.campaign()
        async with world.gateway() as gateway:
            await eventually(lambda: world.finished(campaign_id))
            await nothing_older(gateway)
            before = gateway.pump.submitted
            smsc, _ = world.simulator.smsc.admit(b"smsgate", b"secret")
            assert smsc is not None
            (peer,) = smsc.connections
            mos = [world.answer(number, "OK") for number in range(2)]
            peer.pause_writing()  # it reads nothing either: the first text fills the window
            await eventually(lambda: world.value("SELECT count(*) = 2 FROM orders"))
            await eventually(lambda: len(gateway.pump.held_messages) == 2)
            assert gateway.pump.submitted == before + 1
            (late,) = [batch.msisdns[-1] for batch in gateway.pump.batches() if batch.next < batch.size]
            await erase(world, database, late - FIRST_MSISDN)
            gateway.pump.look.stops.overflowed += 1  # as after a gap in its listening
            peer.resume_writing()
            await eventually(lambda: all(mo.taken for mo in mos))
            await eventually(lambda: none_left(world))
        assert len(world.texts_to(late - FIRST_MSISDN)) == 1  # the offer
        assert len(world.texts_to(1 - (late - FIRST_MSISDN))) == 2
