"""A group of answers finds what it reads and changes by key, however little the planner knows."""

from __future__ import annotations

import pytest

from smsgate.store.catalogue import load
from smsgate.store.pool import Database
from tests.store.test_list_indexes import plan_of, read_by

MANY = {  # rows of three merchants in turn
    "offer": """
INSERT INTO offer (merchant_id, offer_id, version, stock, stock_remaining)
SELECT 7 + n % 3, n, 1, 9, 9 FROM generate_series(0, 20000) n""",
    "subscriber": """
INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country)
SELECT 7 + n % 3, n, 33600000000 + n, 'fr', 'FR' FROM generate_series(0, 20000) n""",
    "orders": """
INSERT INTO orders (merchant_id, order_id, number, offer_id, offer_version, campaign_id, message_id, nth,
    subscriber_id, msisdn, inbound_id, sender, quantity, unit_price_minor, total_minor, currency, state,
    created_at, changed_at)
SELECT 7 + n % 3, n, n::text, 1, 1, 1, n, 1, n, 33600000000 + n, n, '38123', 1, 100, 100, 'EUR', 'placed',
    now(), now()
  FROM generate_series(0, 20000) n""",
}
GROUP = 200  # answers: enough that reading a table that seems small looks cheaper than as many look-ups


@pytest.mark.parametrize(
    ("name", "asked", "index"),
    [
        ("orders_of_messages", list(range(GROUP)), "orders_merchant_id_message_id_nth_key"),
        ("lock_orders", list(range(GROUP)), "orders_pkey"),
        ("taken_numbers", [str(n) for n in range(GROUP)], "orders_merchant_id_number_key"),
    ],
)
async def test_the_orders_of_a_group_are_found_by_key_though_the_table_was_never_analyzed(
    database: Database, name: str, asked: list[object], index: str
) -> None:
    async with database.bulk_transaction() as connection:
        plan = await plan_of(connection, load("inbound")[name], 7, asked)
    [node] = [node for node in plan if node.get("Relation Name") == "orders"]
    assert node["Index Name"] == index
    assert "Filter" not in node


async def test_what_the_buyers_of_a_group_agreed_to_is_found_by_key_though_the_log_was_empty(
    database: Database,
) -> None:
    """By the plan that is kept: it is made without values, when the first answer comes."""
    buyers = "{" + ",".join(map(str, range(GROUP))) + "}"
    async with database.bulk_transaction() as connection:
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE consents AS {load('order_proof')['consents']}")
        plan = await plan_of(connection, f"EXECUTE consents (7, '{buyers}', '{buyers}')")
        await connection.execute("DEALLOCATE consents")
    [node] = [node for node in plan if node.get("Relation Name") == "consent_event"]
    assert node["Index Name"] == "consent_event_subscriber"
    assert "Filter" not in node


@pytest.mark.parametrize(
    ("name", "table", "values"),
    [
        ("set_order_states", "orders", ("placed", "2026-11-28", 1, 100, "t", None, None)),
        ("take_stock", "offer", (1,)),
        ("set_doubts", "subscriber", ("2026-11-28",)),
        ("set_less", "subscriber", (None,)),
    ],
)
async def test_what_a_group_changes_is_found_by_key_whoever_the_merchants_are(
    database: Database, name: str, table: str, values: tuple[object, ...]
) -> None:
    """By the plan that is kept, which is made while the table is empty."""
    merchants = "{" + ",".join(str(7 + n % 3) for n in range(GROUP)) + "}"
    ids = "{" + ",".join(map(str, range(GROUP))) + "}"
    rest = [f"{{{','.join(['null' if value is None else str(value)] * GROUP)}}}" for value in values]
    arguments = ", ".join(f"'{each}'" for each in (merchants, ids, *rest))
    async with database.bulk_transaction() as connection:
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE changing AS {load('inbound')[name]}")
        await plan_of(connection, f"EXECUTE changing ({arguments})")
        await connection.execute(MANY[table])
        plan = await plan_of(connection, f"EXECUTE changing ({arguments})")
        await connection.execute("DEALLOCATE changing")
    read = [
        read_by(node) for node in plan if node.get("Relation Name") == table and "Scan" in node["Node Type"]
    ]
    assert read == [GROUP], read
