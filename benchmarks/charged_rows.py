"""A day of charged messages, written by SQL: what the benchmarks of billing prove and export."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Final

from benchmarks.billed_months import write_merchants
from smsgate.ids import first_id_at
from smsgate.store.partitions import make_ahead
from smsgate.store.pool import Database

MERCHANTS: Final = 200
NETWORKS: Final = 13
SLICE: Final = 500_000  # rows of one statement
CHUNK: Final = 1_000  # messages of a lease (`smsgate.flows.budget_records`)
LEDGER_SPAN_S: Final = 10  # messages of one merchant and price within it are one posting
MONTH: Final = "2026-10"
DAY: Final = datetime(2026, 10, 14, tzinfo=UTC)
DAY_MS: Final = 86_400_000

PRICES: Final = """
INSERT INTO price_list (price_list_id, name, side, currency) VALUES (1, 'sell', 'sell', 'EUR'), (2, 'cost',
'cost', 'EUR'); INSERT INTO price_version (price_list_id, version, effective_from, source_sha256) VALUES
    (1, 1, '2026-01-01Z', ''), (2, 1, '2026-01-01Z', '');
INSERT INTO price_item (item_id, price_list_id, version, direction, network, unit_micros, basis)
SELECT 100 * l + n, l, 1, 'mt', (20800 + n)::text, CASE l WHEN 1 THEN 45000 ELSE 30000 END + 100 * n,
    CASE WHEN $delivered AND n % 2 = 1 THEN 'delivered' ELSE 'submit' END
FROM generate_series(1, 2) AS l, generate_series(0, $networks - 1) AS n;
"""
DELIVERED: Final = "SELECT coalesce(array_agg(item_id), '{}') FROM price_item WHERE basis = 'delivered'"
# Each merchant's campaign is a run of neighbours in chunks of $9, of one block of ids each, as claims make
# them; one message of nine has two segments.
SENT: Final = """
INSERT INTO sent (merchant_id, message_id, segment, carrier_id, status, segments, smsc_id, sell_item_id,
sell_micros,
                  cost_item_id, cost_micros, sent_at)
SELECT m.merchant, m.id, 0, 1, 0, m.size, convert_to(lpad(to_hex(m.n), 8, '0'), 'UTF8'), 100 + m.network,
    (45000 + 100 * m.network) * m.size, 200 + m.network, (30000 + 100 * m.network) * m.size, $6
FROM (
    SELECT n, $4::bigint + n * $5 / 1000000 AS merchant, n % 13 AS network, CASE WHEN n % 9 = 0 THEN 2 ELSE
    1 END AS size,
        $1::bigint + ((n / $9 * $9 * $7 / $8) << 22) + n % $9 AS id
    FROM generate_series($2::bigint, $3::bigint - 1) AS n
) m
"""
MESSAGES: Final = """
INSERT INTO message (merchant_id, message_id, campaign_id, subscriber_id, msisdn, kind, sender)
SELECT merchant_id, message_id, 5000 + merchant_id, message_id % 1000000, 33600000000 + message_id %
99999999, 'offer', '36111' FROM sent WHERE message_id >= $1 AND message_id < $2
"""
RECEIPTS: Final = """
INSERT INTO receipt (merchant_id, message_id, segment, state, received_at)
SELECT merchant_id, message_id, segment, CASE WHEN message_id % 20 = 0 THEN 5 ELSE 2 END, sent_at
FROM sent WHERE message_id >= $1 AND message_id < $2
"""
LEDGER: Final = """
WITH charge AS (
    SELECT row_number() OVER () AS posting, * FROM (
        SELECT merchant_id, sell_item_id, cost_item_id, to_timestamp(floor(ms / 900000) * 900) AS accepted_at,
            count(*) AS messages, sum(segments) AS segments, sum(sell_micros) AS sell, sum(cost_micros) AS
            cost, min(sent_at) AS at
        FROM (SELECT *, ((message_id >> 22) + 1735689600000)::numeric AS ms FROM sent
              WHERE sell_item_id <> ALL ($2::bigint[]) OR message_id % 20 <> 0) s
        GROUP BY merchant_id, sell_item_id, cost_item_id, floor(ms / 900000), floor(ms / (1000 * $1::int))
    ) g
)
INSERT INTO ledger_entry (merchant_id, posting_id, line, account, currency, amount_micros, direction,
item_id, campaign_id,
                          carrier_id, messages, segments, at, accepted_at)
SELECT merchant_id, posting, l.line, l.account, 'EUR', l.sign * CASE WHEN l.line < 3 THEN sell ELSE cost
END, 'mt',
    CASE WHEN l.line < 3 THEN sell_item_id ELSE cost_item_id END, 5000 + merchant_id, 1, messages, segments,
    at, accepted_at
FROM charge
CROSS JOIN (VALUES (1, 'unbilled', 1), (2, 'revenue', -1), (3, 'cost', 1), (4, 'carrier_accrual', -1)) AS l
(line, account, sign)
"""
# Of campaigns, whose messages `write_day` makes one a merchant.
COUNTERS: Final = """
INSERT INTO campaign_counter
SELECT merchant_id, 5000 + merchant_id, 'accepted', count(*) FROM sent GROUP BY merchant_id
"""
# Every merchant has a cap, and each chunk of its messages was one lease, which names what was charged.
LEASES: Final = """
INSERT INTO budget_charge (merchant_id, lease_id, month, prepaid, message_ids, spent_micros, day)
SELECT merchant_id, 1 + (message_id >> 22), '2026-10-01', false,
    range_agg(int8range(message_id, message_id, '[]')), sum(sell_micros), '2026-10-14'
FROM sent
WHERE sell_item_id <> ALL ($1::bigint[]) OR message_id % 20 <> 0
GROUP BY merchant_id, message_id >> 22
"""
SPENT: Final = """
INSERT INTO budget_spent (merchant_id, month, prepaid, spent_micros)
SELECT merchant_id, month, prepaid, sum(spent_micros) FROM budget_charge
GROUP BY merchant_id, month, prepaid
"""
BUDGETS: Final = """
INSERT INTO budget (merchant_id, currency, prepaid, month_cap_micros, month, month_ends_at,
                    month_spent_micros, began_at, day, day_spent_micros)
SELECT merchant_id, 'EUR', false, 9000000000000, month, '2026-11-01Z', spent_micros, '2026-10-01Z',
    '2026-10-14', spent_micros
FROM budget_spent
"""


async def write_day(
    database: Database,
    rows: int,
    *,
    merchants: int = MERCHANTS,
    messages: bool = False,
    budgets: bool = False,
    delivered: bool = False,
) -> None:
    """
    Write `rows` accepted messages of one day with their ledger.

    `messages`: what exports join, too. `budgets`: every merchant has one, and every message a lease.
    `delivered`: every other network charges on delivery, one of twenty messages is not delivered.
    """
    async with database.control() as connection:
        await make_ahead(connection, DAY, 1)
        text = PRICES.replace("$networks", str(NETWORKS)).replace("$delivered", str(delivered))
        await connection.execute(text)
        await write_merchants(connection, merchants)
        on_delivery = await connection.fetchval(DELIVERED)
        first_id = first_id_at(int(datetime.combine(DAY, time(), UTC).timestamp()) * 1000)
        for start in range(0, rows, SLICE):
            end = min(start + SLICE, rows)
            await connection.execute(
                SENT, first_id, start, end, 1, 1_000_000 * merchants // rows if rows else 0,
                DAY + timedelta(hours=12), DAY_MS, rows, CHUNK,
            )  # fmt: skip
        if messages:
            step = DAY_MS // 20 << 22
            for start in range(first_id, first_id + (DAY_MS << 22), step):
                await connection.execute(MESSAGES, start, start + step)
                await connection.execute(RECEIPTS, start, start + step)
        await connection.execute(LEDGER, LEDGER_SPAN_S, on_delivery)
        await connection.execute(COUNTERS)
        if budgets:
            await connection.execute(LEASES, on_delivery)
            await connection.execute(SPENT)
            await connection.execute(BUDGETS)
        await connection.execute("VACUUM (ANALYZE) sent, message, receipt, ledger_entry, budget_charge")
