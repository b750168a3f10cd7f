"""Items of delivered basis: the first final receipt charges, whichever way it comes, and once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smsgate.flows.records import Flush
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.store.flushing import commit
from smsgate.store.pool import Database
from tests.flows.world import PUBLIC_IDS, UNIT_MICROS, World, a_world, eventually

RECEIPT_AT = datetime.now(UTC)


async def by_delivery(world: World, *, cost: bool = False) -> None:
    """Have MTs charged by their receipts; the items are published, so the owner of the tables does it."""
    async with world.database.control() as connection:
        sides = ["sell", "cost"] if cost else ["sell"]
        await connection.execute(
            "UPDATE price_item i SET basis = 'delivered' FROM price_list l "
            "WHERE l.price_list_id = i.price_list_id AND l.side = ANY($1) AND i.direction = 'mt'",
            sides,
        )


async def charged(world: World, account: str = "unbilled") -> tuple[int, int]:
    async with world.database.control() as connection:
        row = await connection.fetchrow(
            "SELECT coalesce(sum(messages), 0)::int, coalesce(sum(amount_micros), 0)::bigint "
            "FROM ledger_entry WHERE account = $1",
            account,
        )
    assert row is not None
    return row[0], row[1]


async def delivered(world: World) -> int:
    return int(await world.value("SELECT count(*) FROM receipt WHERE state = $1", int(ReceiptState.DELIVRD)))


async def test_what_is_not_delivered_is_not_charged_and_its_cost_is_the_submits(database: Database) -> None:
    async with a_world(database, subscribers=200, rate_per_s=2_000, undelivered_share=0.4) as world:
        await by_delivery(world)
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
            await eventually(lambda: _all_receipts(world, 200))
        count = await delivered(world)
        assert 60 < count < 180
        assert await charged(world) == (count, count * UNIT_MICROS)
        assert (await charged(world, "cost"))[0] == 200


async def test_a_cost_of_delivered_basis_follows_the_receipt_too(database: Database) -> None:
    async with a_world(database, subscribers=50, undelivered_share=0.5) as world:
        await by_delivery(world, cost=True)
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
            await eventually(lambda: _all_receipts(world, 50))
        count = await delivered(world)
        assert (await charged(world))[0] == (await charged(world, "cost"))[0] == count


async def _all_receipts(world: World, count: int) -> bool:
    return bool(await world.value("SELECT count(*) FROM receipt") == count)


def receipts(world: World, *rows: tuple[int, ReceiptState, int], number: int) -> Flush:
    """Return a flush with receipts (message, state, seconds after the first) of delivered basis."""
    flush = Flush(number=number, at=RECEIPT_AT)
    for message_id, state, seconds in rows:
        flush.receipts.merchant_ids.append(7)
        flush.receipts.message_ids.append(message_id)
        flush.receipts.segments.append(1)
        flush.receipts.states.append(state)
        flush.receipts.errors.append(b"")
        flush.receipts.received_at.append(RECEIPT_AT + timedelta(seconds=seconds))
        flush.by_receipt.append((7, message_id, 1))
    return flush


DELIVRD, UNDELIV, EXPIRED = ReceiptState.DELIVRD, ReceiptState.UNDELIV, ReceiptState.EXPIRED


@pytest.mark.parametrize(
    ("flushes", "messages"),
    [
        ([[(DELIVRD, 1)]], 1),
        ([[(DELIVRD, 1)], [(DELIVRD, 2)]], 1),
        ([[(DELIVRD, 1), (DELIVRD, 2)]], 1),
        ([[(UNDELIV, 1)], [(DELIVRD, 2)]], 0),
        ([[(DELIVRD, 1)], [(UNDELIV, 2)]], 1),
        ([[(DELIVRD, 2), (EXPIRED, 1)]], 0),
        ([[(DELIVRD, 2)], [(EXPIRED, 1)]], 0),  # the earlier one came later: the charge is given back
        ([[(EXPIRED, 2)], [(DELIVRD, 1)]], 1),
    ],
)
async def test_the_first_final_receipt_by_its_arrival_decides_in_whatever_flush_it_comes(
    database: Database, flushes: list[list[tuple[ReceiptState, int]]], messages: int
) -> None:
    async with a_world(database, subscribers=1, receipts=False) as world:
        await by_delivery(world)
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        message_id = await world.value("SELECT message_id FROM sent")
        assert await charged(world) == (0, 0)
        ids = iter(range(1, 100))
        for number, rows in enumerate(flushes, 1):
            flush = receipts(world, *((message_id, state, at) for state, at in rows), number=number)
            for _ in range(2):  # its commit was not seen
                await commit(
                    world.database, flush, owner=999, next_id=lambda: next(ids), public_ids=PUBLIC_IDS
                )
        assert await charged(world) == (messages, messages * UNIT_MICROS)


async def test_receipts_that_come_after_a_restart_charge_as_well(database: Database) -> None:
    async with a_world(database, subscribers=40, receipt_delay_s=(1.5, 1.5)) as world:
        await by_delivery(world)
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        assert (await charged(world))[0] < 40
        async with world.gateway():  # it knows none of these messages
            await eventually(lambda: _charged_all(world, 40))


async def _charged_all(world: World, count: int) -> Any:
    return (await charged(world))[0] == count
