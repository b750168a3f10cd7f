"""A database that the first schema served for a while is migrated with all that stands in it."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.migrate import migrate, shipped
from smsgate.store.roles import ADMIN

# One row of each table that a later migration changes: a text part that waits, a receipt that waits, a chunk,
# a system message.
ROWS = """
INSERT INTO mo_part (carrier_id, source, destination, ref, total, part, text, received_at, raw, data_coding)
VALUES (1, 33612345678, '38123', 7, 2, 1, 'Bon', now(), 'Bon', 0),
       (1, 33612345678, '38123', 7, 2, 2, 'jour', now(), '\\x006a006f00750072', 8),
       (1, 0, '38123', 7, 3, 1, 'x', now(), 'x', 4);
INSERT INTO receipt_unmatched (carrier_id, unmatched_id, smsc_id, state, error, received_at, next_try_at)
VALUES (1, 5, 'abc', 2, '000', now(), now());
INSERT INTO campaign_chunk (merchant_id, campaign_id, no, subscriber_lo, subscriber_hi, size)
VALUES (3, 4, 1, 1, 1000, 1000);
INSERT INTO interactive_queue (merchant_id, message_id, expires_at) VALUES (3, 9, now());
"""


@pytest.fixture
def first_schema(tmp_path: Path) -> Path:
    first = shipped()[0]
    (tmp_path / f"{first.version:04}_{first.name}.sql").write_text(first.sql)
    return tmp_path


async def test_what_stood_in_the_first_schema_stands_in_the_newest(
    postgres_server: EmbeddedPostgres, empty_database: str, first_schema: Path
) -> None:
    connection = await asyncpg.connect(**postgres_server.connect_args(ADMIN, empty_database))
    try:
        await migrate(connection, login=True, directory=first_schema)
        await connection.execute(ROWS)
        assert len(await migrate(connection, login=True)) == len(shipped()) - 1
        parts = await connection.fetch("SELECT sender, part, codec FROM mo_part ORDER BY total, part")
        assert [tuple(row) for row in parts] == [
            ("33612345678", 1, "gsm7"),
            ("33612345678", 2, "utf-16-be"),
            ("0", 1, "binary"),
        ]
        assert await connection.fetchval("SELECT other_id FROM receipt_unmatched") == b""
        assert await connection.fetchval("SELECT no FROM campaign_chunk") == 1
        assert await connection.fetchval("SELECT account_id FROM interactive_queue") == 0
    finally:
        await connection.close()
