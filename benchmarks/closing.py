"""
The close of a month of many merchants, from the cut to the documents, in a throw-away database.

    python -m benchmarks.closing [--merchants N] [--messages N]

Message rows and ledger entries are written by SQL as flushes of about 80 messages would: one posting for each
merchant, day and price item. What is measured is the closes alone: cuts, sums over ledger and message rows,
lines, numbers, documents, postings. CPU of this process and of all processes of PostgreSQL.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from benchmarks.billed_months import close_months, write_merchants
from benchmarks.running import show
from smsgate.bench.meter import Meter, rss_max_mb
from smsgate.bench.parts import throw_away_database
from smsgate.ids import first_id_at
from smsgate.store.bench_books import wal_octets
from smsgate.store.partitions import make_ahead
from smsgate.store.pool import Database

DAYS: Final = 30
ITEMS: Final = 4
FIRST_DAY: Final = datetime(2026, 11, 1, 8, tzinfo=UTC)
CLOSE_AT: Final = datetime(2026, 12, 5, tzinfo=UTC)

_TERMS: Final = """
INSERT INTO price_list (price_list_id, name, side, currency) VALUES (1, 'sell', 'sell', 'EUR');
INSERT INTO price_version (price_list_id, version, effective_from, source_sha256)
VALUES (1, 1, '2025-01-01', '');
INSERT INTO price_item (item_id, price_list_id, version, direction, network, unit_micros)
SELECT 11 + n, 1, 1, 'mt', (20801 + n)::text, 45000 + n FROM generate_series(0, 3) AS s (n);
"""
# $1 first id of the day, $2 messages of a merchant, day and item, $3 the instant
_SENT: Final = """
INSERT INTO sent (merchant_id, message_id, segment, carrier_id, status, segments, smsc_id, sell_item_id,
                  sell_micros, cost_item_id, cost_micros, sent_at)
SELECT m.merchant_id, $1::bigint + (m.merchant_id * 4 + i.n) * $2::bigint + k, 1, 1, 0, 1, 'ab12'::bytea,
    11 + i.n, 45000 + i.n, 0, 0, $3::timestamptz
FROM merchant m, generate_series(0, 3) AS i (n), generate_series(0, $2::bigint - 1) AS s (k)
"""
_ENTRIES: Final = """
INSERT INTO ledger_entry (merchant_id, posting_id, line, account, currency, amount_micros, direction,
                          item_id, campaign_id, carrier_id, messages, segments, at, accepted_at)
SELECT m.merchant_id, $1::bigint + m.merchant_id * 4 + i.n, l.line, l.account, 'EUR',
    l.sign * (45000 + i.n) * $2::bigint, 'mt', 11 + i.n, 5, 1, $2, $2, $3::timestamptz, $3::timestamptz
FROM merchant m, generate_series(0, 3) AS i (n),
    (VALUES (1, 'unbilled', 1), (2, 'revenue', -1)) AS l (line, account, sign)
"""


async def write_month(database: Database, merchants: int, messages: int) -> int:
    """Write the month and return how many messages it has."""
    each = max(1, round(messages / (merchants * DAYS * ITEMS)))
    async with database.control() as connection:
        await connection.execute(_TERMS)
        await write_merchants(connection, merchants)
        for day in range(DAYS):
            at = FIRST_DAY + timedelta(days=day)
            await make_ahead(connection, at, 0)
            first_id = first_id_at(int(at.timestamp() * 1000))
            await connection.execute(_SENT, first_id, each, at)
            await connection.execute(_ENTRIES, first_id, each, at)
        await connection.execute("VACUUM (ANALYZE)")
    return each * merchants * DAYS * ITEMS


async def run(merchants: int, messages: int) -> dict[str, Any]:
    async with throw_away_database() as server, await Database.open(server) as database:
        written = await write_month(database, merchants, messages)
        meter = Meter(server.data_dir, partial(wal_octets, database))
        before = await meter.read()
        closed = await close_months(database, CLOSE_AT)
        after = await meter.read()
        net = sum(row.net_minor for row in closed.documents)
        assert len(closed.documents) == merchants
        async with database.control() as connection:
            left = await connection.fetchval(
                "SELECT sum(amount_micros) FROM ledger_entry WHERE account = 'unbilled'"
            )
        assert left == 0
        return {
            "merchants": merchants,
            "messages": written,
            "documents": len(closed.documents),
            "net_minor": net,
            "wall_s": round(after.wall_s - before.wall_s, 1),
            "own_cpu_s": round(after.gateway_cpu_s - before.gateway_cpu_s, 1),
            "database_cpu_s": round(after.database_cpu_s - before.database_cpu_s, 1),
            "wal_mb": round((after.wal_octets - before.wal_octets) / 1_048_576, 1),
            "rss_mb": rss_max_mb(),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--merchants", type=int, default=100)
    parser.add_argument("--messages", type=int, default=1_000_000)
    options = parser.parse_args()
    show(run(options.merchants, options.messages))


if __name__ == "__main__":
    main()
