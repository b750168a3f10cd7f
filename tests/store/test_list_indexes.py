"""The API's lists read about a page by an index; the look for webhooks' work reads active endpoints alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from smsgate.ids import first_id_at
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection
from smsgate.store.pages import ID_END
from smsgate.store.pool import Database

MERCHANT, ROWS, PAGE = 7, 20_000, 21
READ_MAX = 4 * PAGE  # rows that a node of the plan may read for one page
RARE = 400  # one row of so many has the value that is asked for

FILLING = """
INSERT INTO orders (merchant_id, order_id, number, offer_id, offer_version, campaign_id, message_id,
    subscriber_id, msisdn, inbound_id, sender, quantity, unit_price_minor, total_minor, currency, state,
    created_at, changed_at)
SELECT 7, n, n::text, 1, 1, n % {rare}, n, n, 33600000000 + n, n, '38123', 1, 100, 100, 'EUR',
    CASE n % {rare} WHEN 5 THEN 'rejected' ELSE 'confirmed' END, now(), now()
FROM generate_series(1, {rows}) n;
INSERT INTO offer_version (merchant_id, offer_id, version, text, shop_name, item, unit_price_minor, currency,
    quantity_max, language, country, sender, expires_at)
VALUES (7, 1, 1, '', '', '', 100, 'EUR', 5, 'fr', 'FR', '38123', now());
INSERT INTO inbound_message (merchant_id, inbound_id, carrier_id, msisdn, destination, text, raw, data_coding,
    subscriber_id, campaign_id, label, outcome, reason, rules_version, received_at)
SELECT 7, n, 1, 33600000000 + n, '38123', 'OK', '', 0, n % {rare}, n % {rare}, 'accept',
    CASE n % {rare} WHEN 5 THEN 'asked' ELSE 'ordered' END, '', '', now()
FROM generate_series(1, {rows}) n;
INSERT INTO event (merchant_id, event_id, type, subject, data, created_at)
SELECT 7, {base} + n, CASE n % {rare} WHEN 5 THEN 'offer.sold_out' ELSE 'inbound.received' END,
    'ord_' || n % {rare}, '{{}}', now()
FROM generate_series(1, {rows}) n;
INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country)
SELECT 7, n, 33600000000 + n, 'fr', 'FR' FROM generate_series(1, {rows}) n;
ANALYZE orders, order_event, offer_version, inbound_message, event, subscriber;
"""


async def fill(connection: Connection) -> None:
    base = first_id_at(int(datetime.now(UTC).timestamp() * 1000))
    await connection.execute(FILLING.format(rows=ROWS, rare=RARE, base=base))


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def read_by(node: dict[str, Any]) -> int:
    """Return the rows that a node read, those that its filter threw away too."""
    return int((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])


async def plan_of(connection: Connection, sql: str, *values: object) -> list[dict[str, Any]]:
    (row,) = await connection.fetch(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *values)
    return list(nodes(orjson.loads(row[0])[0]["Plan"]))


@pytest.mark.parametrize(
    ("file", "name", "filters", "index"),
    [
        ("orders", "orders_page", (None, None, None), "orders_pkey"),
        ("orders", "orders_page", ("rejected", None, None), "orders_state"),
        ("orders", "orders_page", (None, 5, None), "orders_campaign"),
        ("orders", "orders_page", (None, None, "77"), "orders_merchant_id_number_key"),
        ("messages", "inbound_messages_page", (5, None, None), "inbound_message_campaign"),
        ("inbox", "inbox_page", ("open",), "inbound_message_inbox"),
        ("events", "events_page", (0, "offer.sold_out", None), "type"),
        ("events", "events_page", (0, None, "ord_5"), "subject"),
        ("subscribers", "subscribers_page", (33600000005, None, None), "msisdn"),
    ],
)
async def test_a_filtered_list_reads_about_a_page_by_an_index(
    database: Database, file: str, name: str, filters: tuple[object, ...], index: str
) -> None:
    async with database.control() as connection:
        await fill(connection)
    values = (MERCHANT, ID_END, PAGE, *filters)
    async with database.transaction(MERCHANT) as connection:
        for _ in range(7):  # from the sixth time on a server may keep one plan for all values
            await connection.fetch(load(file)[name], *values)
        plan = await plan_of(connection, load(file)[name], *values)
    assert any(index in node.get("Index Name", "") for node in plan), plan
    assert max(read_by(node) for node in plan) <= READ_MAX, plan


async def test_what_piles_up_for_a_disabled_endpoint_is_not_read_in_the_look_for_work(
    database: Database,
) -> None:
    async with database.control() as connection:
        await connection.execute(
            """INSERT INTO webhook_endpoint (merchant_id, endpoint_id, url, event_types, secret, state)
               VALUES (7, 1, 'https://a', '{}', '', 'active'), (7, 2, 'https://b', '{}', '', 'disabled'),
                      (8, 3, 'https://c', '{}', '', 'active');
               INSERT INTO webhook_delivery
                   (merchant_id, event_id, endpoint_id, subject, state, next_attempt_at)
               SELECT 7, n, CASE WHEN n <= 50 THEN 1 ELSE 2 END, n::text, 'pending', now() - interval '1 min'
               FROM generate_series(1, 5050) n;
               UPDATE webhook_delivery SET owner = 1 WHERE event_id = 1;
               ANALYZE webhook_endpoint, webhook_delivery"""
        )
    now = datetime.now(UTC)
    async with database.bulk() as connection:
        found = await connection.fetch(load("deliveries")["due_endpoints"], now, 100)
        assert [(row["merchant_id"], row["endpoint_id"]) for row in found] == [(7, 1)]
        plan = await plan_of(connection, load("deliveries")["due_endpoints"], now, 100)
    assert max(read_by(node) for node in plan) <= 3, plan
