"""An answer that crosses what the shop, the API or another process does in the same moment."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime
from functools import partial

from smsgate.errors import Conflict, TransitionRefused
from smsgate.flows.ports_api import ConsentDraft
from smsgate.flows.records import MobileOriginated
from smsgate.ids import IdMaker
from smsgate.security.suppression import SuppressionHashes
from smsgate.store.inbound import StoredInbound
from smsgate.store.pool import Database
from smsgate.store.subscribers import PgSubscribers
from tests.flows.inbound_world import an_open_offer, order_numbers, outcomes, say, stock
from tests.flows.test_order_questions import orders_of
from tests.flows.world import FIRST_MSISDN, MERCHANT, SENDER, STAMPS, World, eventually
from tests.store.waiting import somebody_waits

HASHES = SuppressionHashes(bytes(32))


async def revoke(world: World, number: int) -> None:
    """Take the consent back as POST /v1/consents does."""
    now = datetime.now(UTC)
    ids = IdMaker(41, lambda: int(now.timestamp() * 1000))
    draft = ConsentDraft(
        ids.next(), 10_000 + number, "offers", granted=False, wording_version="", source="web", evidence={},
        occurred_at=now, event_id=ids.next(), event_subject="sub_x", event_data={},
    )  # fmt: skip
    await PgSubscribers(world.database, HASHES).consent(MERCHANT, draft, now)


async def test_an_ok_after_a_stop_by_the_api_orders_nothing(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await revoke(world, 1)
        await say(world, 1, "OK")  # told that nothing is open
        assert await order_numbers(world) == []
        assert await outcomes(world) == {"no_open_offer": 1}
        assert await stock(world) == 10
        await say(world, 2, "OK")
        assert len(await order_numbers(world)) == 1


async def test_an_ok_that_waited_for_a_stop_elsewhere_meets_no_offer(database: Database) -> None:
    """What is open is read once the person is locked: the other process has deleted it by then."""
    async with an_open_offer(database):
        msisdn = FIRST_MSISDN + 1
        mo = MobileOriginated(1, msisdn, str(msisdn), SENDER, "OK", b"OK", 0, datetime.now(UTC))
        store = StoredInbound(database, itertools.count(1 << 40).__next__, HASHES, STAMPS)

        async def look() -> object:
            async with store.group() as group:
                return (await group.context([mo], [], [], mo.received_at)).open_offers

        async with database.bulk_transaction() as stopping:
            await stopping.execute("SELECT 1 FROM subscriber WHERE subscriber_id = 10001 FOR UPDATE")
            looking = asyncio.create_task(look())
            await eventually(lambda: somebody_waits(database))
            await stopping.execute("DELETE FROM open_offer WHERE msisdn = $1", msisdn)
        assert await looking == {}


async def test_a_shops_no_and_a_customers_no_that_cross_never_lock_each_other_out(database: Database) -> None:
    people = 30
    async with an_open_offer(database, subscribers=people, stock=100) as (world, _):
        orders = orders_of(database)
        mos = [world.answer(number, "OK") for number in range(people)]
        await eventually(lambda: all(mo.taken for mo in mos))
        placed = [
            (row["order_id"], row["msisdn"] - FIRST_MSISDN)
            for row in await world.rows("SELECT order_id, msisdn FROM orders ORDER BY order_id")
        ]

        async def reject(order_id: int) -> bool:
            try:
                await orders.reject(MERCHANT, order_id)
            except (Conflict, TransitionRefused):
                return False
            return True

        given_back = []
        for order_id, number in placed:
            mo = world.answer(number, "NON")
            given_back.append(await reject(order_id))
            await eventually(partial(getattr, mo, "taken"))
            assert len(mo.statuses) == 1  # nobody had to come back
        assert await stock(world) == 100
        assert await world.value("SELECT count(*) FROM orders WHERE state = 'rejected'") == sum(given_back)


async def test_the_shops_no_locks_the_offer_before_the_order(database: Database) -> None:
    """As the inbound flow does: otherwise each may hold what the other waits for."""
    async with an_open_offer(database, stock=10) as (world, _):
        await say(world, 1, "OK")
        order_id = await world.value("SELECT order_id FROM orders")
        orders = orders_of(database)
        async with database.bulk_transaction() as inbound:
            await inbound.execute("SELECT 1 FROM offer FOR UPDATE")
            rejecting = asyncio.create_task(orders.reject(MERCHANT, order_id))
            await eventually(lambda: somebody_waits(database))
            await inbound.execute("SELECT 1 FROM orders FOR UPDATE NOWAIT")
        await rejecting
        assert await stock(world) == 10


async def test_the_shops_no_waits_for_nobody_where_pieces_are_not_counted(database: Database) -> None:
    """Groups hold such an offer for their commits, one after the other without end."""
    async with an_open_offer(database, stock=None) as (world, _):
        await say(world, 1, "OK")
        order_id = await world.value("SELECT order_id FROM orders")
        orders = orders_of(database)
        async with database.bulk_transaction() as inbound, asyncio.timeout(10.0):
            await inbound.execute("SELECT 1 FROM offer FOR SHARE")
            await orders.reject(MERCHANT, order_id)
        assert await stock(world) is None
