"""Refusals by whatever number a carrier likes: kept as it came, and known to whoever asks."""

from __future__ import annotations

import pytest

from smsgate.store.pool import Database
from tests.flows.world import a_world, eventually


@pytest.mark.parametrize("status", [0x4FF, 0x8000_0001, 0xFFFF_FFFE, 0xFFFF_FFFF])
async def test_a_refusal_by_any_number_of_32_bits_is_kept_and_stops_no_flush(
    database: Database, status: int
) -> None:
    """The two highest are -1 and -2 to whoever reads them with a sign: our own "unknown" and "not sent"."""
    async with a_world(database, subscribers=3, refuse_share=1.0, refuse_status=status) as world:
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        assert [row["status"] for row in await world.rows("SELECT status FROM sent")] == [status] * 3
        assert (await world.counters(campaign_id))["refused"] == 3
        assert await world.value("SELECT count(*) FROM ledger_entry") == 0
