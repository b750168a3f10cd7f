"""What waits for its other half is counted by carrier."""

from __future__ import annotations

from datetime import UTC, datetime

from smsgate.store.backlogs import StoredBacklogs
from smsgate.store.pool import Database

NOW = datetime(2026, 11, 26, tzinfo=UTC)
RECEIPT = """
INSERT INTO receipt_unmatched (carrier_id, unmatched_id, smsc_id, state, error, received_at, next_try_at)
VALUES (1, $1, $2, 2, '', $3, $3)
"""
PART = """
INSERT INTO mo_part (carrier_id, source, destination, ref, total, part, received_at)
VALUES (2, 33612345678, '38123', 7, 2, 1, $1)
"""


async def test_receipts_and_parts_that_wait_are_counted_by_carrier(database: Database) -> None:
    async with database.bulk() as connection:
        for number in range(3):
            await connection.execute(RECEIPT, number, b"%d" % number, NOW)
        await connection.execute(PART, NOW)
    backlogs = StoredBacklogs(database)
    await backlogs.look([(1, "one"), (2, "two")])
    assert backlogs.found == {
        ("one", "receipts_unmatched"): 3,
        ("one", "mo_parts"): 0,
        ("two", "receipts_unmatched"): 0,
        ("two", "mo_parts"): 1,
    }
