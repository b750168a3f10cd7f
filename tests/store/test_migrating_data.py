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
INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country, offers_state)
SELECT 3, id, msisdn, 'fr', 'FR', 'subscribed'
  FROM unnest(ARRAY[1, 2, 3, 4, 5, 6, 7], ARRAY[16, 11, 12, 15, 13, 14, 17]) AS s (id, msisdn);
INSERT INTO campaign_chunk (merchant_id, campaign_id, no, subscriber_lo, subscriber_hi, size, state,
                            message_id_base, message_count)
VALUES (3, 4, 0, 1, 1, 1, 'done', 77, 1), (3, 4, 1, 2, 4, 3, 'ready', NULL, NULL),
       (3, 4, 2, 5, 7, 3, 'ready', NULL, NULL), (3, 5, 0, 1, 3, 3, 'ready', NULL, NULL);
INSERT INTO interactive_queue (merchant_id, message_id, expires_at) VALUES (3, 9, now());
"""


# What nobody had claimed is there as runs of people who follow each other; 16 is claimed, or not in them.
ANY_NUMBER = (0, 2**63 - 1)
CHUNKS = [(4, 0, *ANY_NUMBER, 1), (4, 3, 11, 15, 5), (4, 4, 17, 17, 1), (5, 1, 11, 12, 2), (5, 2, 16, 16, 1)]


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
        chunks = await connection.fetch(
            "SELECT campaign_id, no, msisdn_lo, msisdn_hi, size FROM campaign_chunk ORDER BY 1, 2"
        )
        assert [tuple(row) for row in chunks] == CHUNKS
        assert await connection.fetchval("SELECT account_id FROM interactive_queue") == 0
    finally:
        await connection.close()
