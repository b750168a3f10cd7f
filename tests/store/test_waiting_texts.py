"""What waits in the interactive lane is taken by a few rows, however much a merchant sent this day."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from smsgate.ids import first_id_at
from smsgate.store.catalogue import load
from smsgate.store.pool import Database
from tests.store.test_list_indexes import plan_of, read_by

MERCHANT, OWNER, ACCOUNT = 7, 9, 5
SENT_BEFORE, WAITING, TAKEN = 60_000, 5_000, 20
SENDER, OTHER = "38123", "38124"

FILLING = """
INSERT INTO message (merchant_id, message_id, subscriber_id, msisdn, kind, sender, body)
SELECT {merchant}, {base} + n, n, 33600000000 + n, 'order_receipt',
    CASE WHEN n <= {before} THEN '{other}' ELSE '{sender}' END, 'x'
FROM generate_series(1, {before} + {waiting}) n;
INSERT INTO interactive_queue (merchant_id, message_id, expires_at, account_id)
SELECT {merchant}, {base} + {before} + n, now() + interval '1 hour', {account}
FROM generate_series(1, {waiting}) n;
ANALYZE interactive_queue;
"""

each_claim = pytest.mark.parametrize(
    ("name", "account", "rest"),
    [("take_interactive", 0, (["offers"], False)), ("take_submitted", ACCOUNT, (ACCOUNT,))],
)


async def fill(database: Database, account: int) -> None:
    base = first_id_at(int(datetime.now(UTC).timestamp() * 1000))
    async with database.control() as connection:
        await connection.execute(
            FILLING.format(
                merchant=MERCHANT, base=base, before=SENT_BEFORE, waiting=WAITING, account=account,
                sender=SENDER, other=OTHER,
            )
        )  # fmt: skip


async def read_by_claim(database: Database, name: str, senders: list[str], *rest: object) -> int:
    """Return how many messages a claim read."""
    async with database.bulk_transaction() as connection:
        sql = load("sending")[name]
        plan = await plan_of(connection, sql, MERCHANT, OWNER, TAKEN, senders, datetime.now(UTC), *rest)
    return sum(read_by(node) for node in plan if str(node.get("Relation Name", "")).startswith("message_p"))


@each_claim
async def test_a_claim_reads_what_it_takes_and_not_the_messages_of_the_day(
    database: Database, name: str, account: int, rest: tuple[object, ...]
) -> None:
    """After 300 kills 10,000 waited behind 94,000, and a claim of 20 read all of these, for 66 ms."""
    await fill(database, account)
    assert await read_by_claim(database, name, [SENDER], *rest) == TAKEN


@each_claim
async def test_a_claim_for_no_sender_looks_at_no_message(
    database: Database, name: str, account: int, rest: tuple[object, ...]
) -> None:
    """A merchant whose money is used up, or a carrier that is away: only what is too late is taken."""
    await fill(database, account)
    assert await read_by_claim(database, name, [], *rest) == 0
