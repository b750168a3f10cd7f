from __future__ import annotations

from datetime import UTC, datetime

import pytest

from smsgate.flows.commerce_records import EventColumns, PageAsk, SystemMessage, SystemMessageColumns
from smsgate.flows.events import add_event
from smsgate.flows.system_messages import columns_of
from smsgate.ids import first_id_at
from smsgate.store.catalogue import load
from smsgate.store.events import PgEvents, insert_events
from smsgate.store.pages import page_rows
from smsgate.store.pool import Database
from smsgate.store.system_messages import insert_system_messages

PAGED = {
    "offers": ("offers_page",),
    "campaigns": ("campaigns_page",),
    "orders": ("orders_page",),
    "events": ("events_page",),
    "messages": ("messages_page", "campaign_messages_in_state_page", "inbound_messages_page"),
    "webhook_endpoints": ("endpoints_page", "deliveries_page"),
    "triggers": ("triggers_page",),
}


def some_events(count: int) -> EventColumns:
    columns, now = EventColumns(), datetime.now(UTC)
    base = first_id_at(int(now.timestamp() * 1000))
    for n in range(count):
        add_event(
            columns,
            merchant_id=7,
            event_id=base + n,
            type_="order.created",
            subject=f"ord_{n}",
            data={},
            at=now,
        )
    return columns


@pytest.mark.parametrize(("file", "name"), [(file, name) for file, names in PAGED.items() for name in names])
def test_a_paged_statement_can_be_turned_round(file: str, name: str) -> None:
    sql = load(file)[name]
    assert sql.count("< $2") == 1
    assert sql.count(" DESC") == 1
    assert "page_id" in sql


async def test_any_way_through_the_pages_meets_each_row_once(database: Database) -> None:
    columns = some_events(23)
    async with database.bulk_transaction() as connection:
        await insert_events(connection, columns)
    newest_first = columns.event_ids[::-1]
    events = PgEvents(database)
    for limit in (1, 2, 7, 22, 23, 24, 100):
        seen: list[int] = []
        ask = PageAsk(limit)
        while True:
            page = await events.page(7, ask, 0)
            seen += [row.event_id for row in page.rows]
            if not page.has_more:
                break
            ask = PageAsk(limit, after=seen[-1])
        assert seen == newest_first
        back: list[int] = [newest_first[-1]]
        while True:
            page = await events.page(7, PageAsk(limit, before=back[0]), 0)
            back = [row.event_id for row in page.rows] + back
            if not page.has_more:
                break
        assert back == newest_first


async def test_a_page_of_another_merchant_is_empty_even_without_the_condition(database: Database) -> None:
    """The second wall: row-level security holds where a statement forgets its merchant."""
    async with database.bulk_transaction() as connection:
        await insert_events(connection, some_events(3))
    sql = (
        "SELECT event_id AS page_id FROM event WHERE $1::bigint IS NOT NULL AND event_id < $2 "
        "ORDER BY event_id DESC LIMIT $3"
    )
    async with database.transaction(8) as connection:
        assert await page_rows(connection, sql, 8, PageAsk(10)) == ([], False)
    async with database.transaction(7) as connection:
        assert len((await page_rows(connection, sql, 7, PageAsk(10)))[0]) == 3


async def test_system_messages_are_written_set_wise_with_their_place_in_the_queue(database: Database) -> None:
    now = datetime.now(UTC)
    base = first_id_at(int(now.timestamp() * 1000))
    messages = [
        SystemMessage(
            merchant_id=n % 2, message_id=base + n, msisdn=33_612_000_000 + n, kind="order_receipt",
            sender="36111", body=f"text {n}", expires_at=now, subscriber_id=None if n % 3 else n, order_id=n,
        )
        for n in range(50)
    ]  # fmt: skip
    async with database.bulk_transaction() as connection:
        await insert_system_messages(connection, columns_of(messages))
        await insert_system_messages(connection, SystemMessageColumns())
        rows = await connection.fetch(
            "SELECT m.merchant_id, m.message_id, m.body, m.subscriber_id, m.order_id, m.campaign_id, "
            "q.expires_at FROM message m JOIN interactive_queue q USING (merchant_id, message_id) "
            "ORDER BY m.message_id"
        )
    assert [tuple(row) for row in rows] == [
        (m.merchant_id, m.message_id, m.body, m.subscriber_id, m.order_id, None, now) for m in messages
    ]
