"""A group of answers looks up its orders by their keys, however little the planner knows of the table."""

from __future__ import annotations

import pytest

from smsgate.store.catalogue import load
from smsgate.store.pool import Database
from tests.store.test_list_indexes import plan_of

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
