"""
Campaigns of one person each, as a shop's webhooks make them: what claiming, sending and finishing one costs.

    python -m benchmarks.campaigns [--campaigns N] [--profile FILE]

All of them wait paused, begin at once, and are over when the last is finished and its receipt committed.
"""

from __future__ import annotations

import argparse
import cProfile
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from benchmarks.running import show
from benchmarks.watching import ask
from smsgate.bench.main import BenchOptions, bench_settings, until
from smsgate.bench.meter import Meter, rss_max_mb, used_between
from smsgate.bench.parts import own_smsc, throw_away_database
from smsgate.bench.scene import MERCHANT, SENDER, TEXT, prepare
from smsgate.daemon.gateway import Gateway
from smsgate.daemon.process import running
from smsgate.flows.audience import Audience
from smsgate.flows.commerce_records import CampaignRecord
from smsgate.flows.offer_records import NewOffer
from smsgate.flows.records import OfferVersion
from smsgate.store.bench_books import wal_octets
from smsgate.store.campaigns import start_campaigns
from smsgate.store.offers import insert_offers
from smsgate.store.pool import Database

FIRST_ID: Final = 5_000_000
GROUP: Final = 200  # campaigns written by one transaction
LIMIT_S: Final = 900.0
FINISHED: Final = f"SELECT count(*) FROM campaign WHERE campaign_id >= {FIRST_ID} AND state = 'finished'"
RECEIPTS: Final = "SELECT count(*) FROM receipt"
SUBSCRIBED: Final = """
SELECT array_agg(subscriber_id ORDER BY subscriber_id) FROM subscriber WHERE offers_state = 'subscribed'
"""


async def write_campaigns(database: Database, people: list[int]) -> None:
    now = datetime.now(UTC)
    version = OfferVersion(
        MERCHANT, 0, 1, TEXT, "Boxman", "CD Madonna", 1990, "EUR", 5, "fr", "FR", SENDER, now + timedelta(1)
    )
    for start in range(0, len(people), GROUP):
        some = range(start, min(start + GROUP, len(people)))
        offers = [NewOffer(version, FIRST_ID + n, version.expires_at, None, None, now) for n in some]
        campaigns = [
            CampaignRecord(
                merchant_id=MERCHANT, campaign_id=FIRST_ID + n, external_id=None, offer_id=FIRST_ID + n,
                offer_version=1, state="paused", audience=Audience(None, (people[n],)), recipients=1,
                trigger_id=None, created_at=now, started_at=now,
            )
            for n in some
        ]  # fmt: skip
        async with database.transaction(MERCHANT) as connection:
            await insert_offers(connection, MERCHANT, offers)
            await start_campaigns(connection, MERCHANT, campaigns)


async def over(gateway: Gateway, database: Database, count: int) -> bool:
    """Ask the database only when the SMSC has sent every receipt: the question costs CPU, too."""
    receipts = sum(carrier.counts.receipts for carrier in gateway.switchboard)
    if receipts < count or not gateway.outcomes.empty():
        return False
    return bool(await ask(database, FINISHED) == count and await ask(database, RECEIPTS) == count)


async def run(count: int, profile: str | None) -> dict[str, Any]:
    options = BenchOptions(messages=count)
    async with throw_away_database() as server, own_smsc() as smsc:
        async with await Database.open(server) as database:
            place = await prepare(database, count)
            await write_campaigns(database, (await ask(database, SUBSCRIBED))[:count])
        async with running(bench_settings(server, options, smsc.host, place), say=lambda _: None) as process:
            assert process.gateway is not None
            gateway, database = process.gateway, process.services.database
            meter = Meter(server.data_dir, partial(wal_octets, database))
            before = await meter.read()
            profiler = cProfile.Profile() if profile else None
            if profiler:
                profiler.enable()
            async with database.bulk() as connection:
                await connection.execute(
                    "UPDATE campaign SET state = 'sending' WHERE campaign_id >= $1", FIRST_ID
                )
            gateway.pump.wake_claims.set()
            assert await until(partial(over, gateway, database, count), LIMIT_S)
            if profiler:
                profiler.disable()
                profiler.dump_stats(str(profile))
            used = used_between(before, await meter.read(), count)
            assert await ask(database, "SELECT count(*) FROM sent WHERE status = 0") == count
            return {
                "campaigns": count,
                "campaigns_per_s": used.per_second,
                "gateway_cpu_us": used.gateway_cpu_us,
                "database_cpu_us": used.database_cpu_us,
                "wal_octets_each": used.wal_octets // count,
                "rss_mb": rss_max_mb(),
            }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--campaigns", type=int, default=10_000)
    parser.add_argument("--profile", metavar="FILE", help="write cProfile's statistics of the gateway")
    given = parser.parse_args()
    show(run(given.campaigns, given.profile))


if __name__ == "__main__":
    main()
