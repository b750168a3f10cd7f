"""Every way a receipt comes by every form of id: all are matched, and none to another carrier's message."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from smsgate.store.pool import Database
from tests.flows.receipt_ways import WAYS, way_octets, write_to_gateway
from tests.flows.world import OTHER_SENDER, World, a_simulator, a_world, eventually

LONG = 700_000_000  # long enough that no id is by chance another one in another base
FORMS = {
    "decimal, decimal": ("decimal", b"%d", "as_is"),
    "hex, decimal": ("hex", b"%d", "dec_to_hex"),
    "decimal, hex": ("decimal", b"%x", "hex_to_dec"),
    "16 hex digits, 20 decimal ones": ("hex-16", b"%020d", "dec_to_hex"),
    "upper-case hex, decimal": ("hex-upper", b"%d", "dec_to_hex"),
    "hex, upper-case hex": ("hex", b"%X", "as_is"),
    "dashes": ("dashes", b"5a0e-41c7-%d-eu1", "as_is"),
    "underscores": ("underscores", b"eu1_%d_mt_7", "as_is"),
    "64 characters": ("opaque-64", b"Qz" + b"x" * 30 + b"%032x", "as_is"),
}


async def two_campaigns(world: World) -> tuple[int, int]:
    """Have two carriers send to one half of the subscribers each."""
    half = 10_000 + len(WAYS)
    await world.execute(
        f"UPDATE subscriber SET tags = ARRAY[CASE WHEN subscriber_id < {half} THEN 'a' ELSE 'b' END]"
    )
    return await world.campaign(tags=["a"]), await world.campaign(tags=["b"], sender=OTHER_SENDER)


RESTARTED = ("hex, decimal", "decimal, hex", "underscores")


@pytest.mark.parametrize(
    ("form", "restart"), [*((form, False) for form in FORMS), *((form, True) for form in RESTARTED)]
)
async def test_every_way_of_a_receipt_finds_its_message_and_no_other_carriers(
    database: Database, form: str, restart: bool
) -> None:
    responses, receipt_id, learned = FORMS[form]
    first: dict[str, Any] = {"first_message_id": LONG, "receipts": False, "message_id_form": responses}
    count = len(WAYS)
    async with (
        a_world(database, subscribers=2 * count, **first) as world,
        a_simulator(**first) as world.other,
    ):
        world.profile_changes = {"binds": 2}
        mine, others = await two_campaigns(world)
        async with world.gateway() as gateway:
            for campaign_id in (mine, others):
                await eventually(partial(world.finished, campaign_id))
            if not restart:
                await all_ways(world, receipt_id)
                assert str(gateway.switchboard.by_id(1).receipt_ids) == f"{learned}, learned"
                assert gateway.outcomes.receipt_counts.matched == count
        if restart:
            async with world.gateway() as gateway:
                await eventually(lambda: len(gateway.switchboard.by_id(1)._senders) == 2)
                await all_ways(world, receipt_id)
                assert str(gateway.switchboard.by_id(1).receipt_ids) == f"{learned}, learned"
                await eventually(lambda: gateway.receipts_resolved == count)
        rows = await world.rows(
            "SELECT x.smsc_id, r.state FROM receipt r JOIN sent x USING (merchant_id, message_id) "
            "WHERE x.carrier_id = 1"
        )
        assert {row["state"] for row in rows} == {2}
        assert len({row["smsc_id"] for row in rows}) == len(rows) == count
        assert (await world.counters(mine))["delivered"] == count
        assert "delivered" not in await world.counters(others)
        assert await world.value("SELECT count(*) FROM receipt_unmatched") == 0
        assert await world.value("SELECT count(*) FROM inbound_message") == 0


async def all_ways(world: World, receipt_id: bytes) -> None:
    """Bring one receipt of each way, on one bind and the other by turns, for the messages in their order."""
    for place, way in enumerate(WAYS.values()):
        write_to_gateway(world, way_octets(way, receipt_id % (LONG + place)), bind=place)
    await eventually(lambda: world.value(f"SELECT count(*) = {len(WAYS)} FROM receipt"))
