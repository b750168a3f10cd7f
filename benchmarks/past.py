"""
The bulk path over a database that is years old, beside the same over a new one, in turns.

    python -m benchmarks.past [--messages N] [--rows N] [--merchants N] [--turns N] [--smsc HOST:PORT]

Both are written once, and each run begins with a copy. A run of the old one is compared with the runs of the
new one just before and after it, and the ratio is the median of `--turns` such.

`--rows` of past messages (message, sent and receipt of each) to the very people that the campaign is for, in
campaigns of 3,000, of `--merchants` other merchants and of the campaign's own. Everybody has an open offer
from before, which is over, so the claims take its place and keep nothing of it. Ends with 1 when a message
costs more than SLOWER_MAX times what it costs without a past.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from statistics import median
from typing import Any, Final

from benchmarks.running import run_as_daemon
from smsgate.bench.main import BenchOptions, Figures, run_bench
from smsgate.bench.parts import written_database
from smsgate.bench.scene import MERCHANT, SENDER
from smsgate.ids import first_id_at
from smsgate.links.profile_values import read_host
from smsgate.store.partitions import make_ahead
from smsgate.store.pool import Database
from smsgate.store.roles import ADMIN

SLOWER_MAX: Final = 1.2
TURNS: Final = 5  # a machine's own speed moves from minute to minute
OLDEST_DAYS: Final = 40
NEWEST_DAYS: Final = 10  # so no cap counts the last of them
CHUNK: Final = 3_000
_FIRST_MERCHANT: Final = 1_000
_FIRST_CAMPAIGN: Final = 5_000_000
_SPREAD_MS: Final = 40_000_000  # of a day's first chunk to its last one

_PEOPLE: Final = """
CREATE UNLOGGED TABLE past_person AS
SELECT row_number() OVER (ORDER BY msisdn) - 1 AS n, subscriber_id, msisdn FROM subscriber
WHERE offers_state = 'subscribed'
"""
_MERCHANTS: Final = """
INSERT INTO merchant (merchant_id, name, slug, country, language, timezone, currency, price_list_id)
SELECT $1 + n, 'Shop ' || n, 'shop-' || n, 'FR', 'fr', 'Europe/Paris', 'EUR', 1
FROM generate_series(0, $2::bigint - 1) AS s (n)
"""
# Of chunk c, numbered through all days: a merchant and a campaign.
_OWNERS: Final = """
CREATE UNLOGGED TABLE past_owner AS
SELECT c, CASE WHEN c % 100 = 0 THEN $1 ELSE $2 + c % $3::bigint END AS merchant_id,
    $4::bigint + c AS campaign_id, $5::timestamptz AS at
FROM generate_series(0, $6::bigint - 1) AS s (c)
"""
_OFFERS: Final = (
    "INSERT INTO offer (merchant_id, offer_id, version) SELECT merchant_id, campaign_id, 1 FROM past_owner"
)
_VERSIONS: Final = """
INSERT INTO offer_version (merchant_id, offer_id, version, text, shop_name, item, unit_price_minor, currency,
    quantity_max, language, country, sender, expires_at)
SELECT merchant_id, campaign_id, 1, 'text', 'Shop', 'CD', 1990, 'EUR', 5, 'fr', 'FR', $1, at FROM past_owner
"""
_CAMPAIGNS: Final = """
INSERT INTO campaign (merchant_id, campaign_id, offer_id, offer_version, state, recipients, created_at,
    started_at, finished_at)
SELECT merchant_id, campaign_id, campaign_id, 1, 'finished', $1, at, at, at FROM past_owner
"""
_COUNTERS: Final = """
INSERT INTO campaign_counter (merchant_id, campaign_id, kind, n)
SELECT merchant_id, campaign_id, kind, $1
FROM past_owner, unnest(ARRAY['recipients', 'accepted', 'delivered']) AS k (kind)
"""
# $1: the day's first id; $2: the day's first chunk. Ids as claims give them: a chunk's are neighbours.
_MESSAGES: Final = """
INSERT INTO message (merchant_id, message_id, campaign_id, subscriber_id, msisdn, kind, sender, fields)
SELECT o.merchant_id, $1::bigint + ((p.n / $3 * $4::bigint) << 22) + p.n % $3, o.campaign_id, p.subscriber_id,
    p.msisdn, 'offer', $5, ARRAY['Camille']
FROM past_person p JOIN past_owner o ON o.c = $2 + p.n / $3
ORDER BY p.n
"""
_SENT: Final = """
INSERT INTO sent (merchant_id, message_id, segment, carrier_id, status, segments, smsc_id, sell_item_id,
    sell_micros, cost_item_id, cost_micros, sent_at)
SELECT merchant_id, message_id, 1, 1, 0, 1, convert_to(lpad(to_hex(message_id), 12, '0'), 'UTF8'), 11, 45000,
    21, 30000, $3
FROM message WHERE message_id >= $1 AND message_id < $2
"""
_RECEIPTS: Final = """
INSERT INTO receipt (merchant_id, message_id, segment, state, received_at)
SELECT merchant_id, message_id, segment, 2, sent_at FROM sent WHERE message_id >= $1 AND message_id < $2
"""
_OPEN_OFFERS: Final = """
INSERT INTO open_offer (msisdn, sender, merchant_id, campaign_id, message_id, offer_id, offer_version,
    subscriber_id, expires_at, opened_at)
SELECT msisdn, sender, merchant_id, campaign_id, message_id, campaign_id, 1, subscriber_id, $3::timestamptz,
    $3
FROM message WHERE message_id >= $1 AND message_id < $2
"""
_VACUUM: Final = (
    "VACUUM (ANALYZE) message, sent, receipt, open_offer, campaign, offer, offer_version, campaign_counter"
)


async def write_past(database: Database, *, rows: int, people: int, merchants: int) -> None:
    """Write `rows` of past messages, 3 a message, to all people as often as that takes."""
    days = -(-rows // (3 * people))
    chunks = -(-people // CHUNK)
    newest = datetime.now(UTC).replace(hour=6, minute=0, second=0, microsecond=0) - timedelta(
        days=NEWEST_DAYS
    )
    connection = await database.connect(ADMIN)
    try:
        await make_ahead(connection, newest - timedelta(days=OLDEST_DAYS), OLDEST_DAYS)
        await connection.execute(_PEOPLE)
        await connection.execute("ANALYZE past_person")
        await connection.execute(_MERCHANTS, _FIRST_MERCHANT, merchants)
        await connection.execute(
            _OWNERS, MERCHANT, _FIRST_MERCHANT, merchants, _FIRST_CAMPAIGN, newest, days * chunks
        )
        await connection.execute("ANALYZE past_owner")
        await connection.execute(_OFFERS)
        await connection.execute(_VERSIONS, SENDER)
        await connection.execute(_CAMPAIGNS, CHUNK)
        await connection.execute(_COUNTERS, CHUNK)
        for nth in range(days):
            at = newest - timedelta(hours=24 * OLDEST_DAYS * nth // days)
            first = first_id_at(int(at.timestamp() * 1000))
            last = first + (_SPREAD_MS << 22)
            await connection.execute(_MESSAGES, first, nth * chunks, CHUNK, _SPREAD_MS // chunks, SENDER)
            await connection.execute(_SENT, first, last, at)
            await connection.execute(_RECEIPTS, first, last)
            if nth == 0:
                await connection.execute(_OPEN_OFFERS, first, last, at)
        await connection.execute("DROP TABLE past_person, past_owner")
        await connection.execute(_VACUUM)
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


async def run(options: BenchOptions, rows: int, merchants: int, turns: int) -> dict[str, Any]:
    past = partial(write_past, rows=rows, people=options.messages, merchants=merchants)
    async with (
        written_database(options.messages) as newly,
        written_database(options.messages, past) as before,
    ):
        new = [await run_bench(options, newly)]
        old: list[Figures] = []
        for _ in range(turns):
            old.append(await run_bench(options, before))
            new.append(await run_bench(options, newly))
    assert all(figures.complete for figures in new + old)
    ratios = [
        2 * _cost_us(between) / (_cost_us(one) + _cost_us(next_one))
        for between, (one, next_one) in zip(old, pairwise(new), strict=True)
    ]
    return {
        "messages": options.messages,
        "past_rows": rows,
        "past_merchants": merchants,
        "new": [_shown(figures) for figures in new],
        "old": [_shown(figures) for figures in old],
        "ratios": [round(ratio, 3) for ratio in ratios],
        "ratio": round(median(ratios), 3),
    }


def _cost_us(figures: Figures) -> float:
    return figures.gateway_cpu_us + figures.database_cpu_us


def _shown(figures: Figures) -> dict[str, Any]:
    names = (
        "per_second",
        "gateway_cpu_us",
        "database_cpu_us",
        "wal_bytes",
        "rss_mb",
        "flush_ms",
        "interactive_ms",
    )
    return {name: figures.as_json()[name] for name in names}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=600_000)
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--merchants", type=int, default=1_000)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--smsc", metavar="HOST:PORT", help="another SMSC that lets smsgate/secret bind")
    given = parser.parse_args()
    options = BenchOptions(messages=given.messages)
    if given.smsc:
        options = replace(options, smsc=read_host(given.smsc))
    found = run_as_daemon(run(options, given.rows, given.merchants, given.turns))
    print(json.dumps(found, indent=2))
    return 0 if found["ratio"] <= SLOWER_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
