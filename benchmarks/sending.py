"""
How fast one gateway process sends: N offers from claim to committed receipt; an ordinary design beside it.

    python -m benchmarks.sending [--messages N] [--ordinary N] [--smsc HOST:PORT]

The gateway is the product's own role `gateway` on an embedded database with durable settings. CPU is per
message; `database_cpu_us` is of all processes of PostgreSQL. The SMSC's own CPU is not counted, but it
shares the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

import uvloop
from pydantic import SecretStr

from benchmarks.ordinary import run_ordinary
from benchmarks.smsc import PASSWORD, SYSTEM_ID
from benchmarks.stage import FIRST_MSISDN, SENDER, TEXT, Meter, an_smsc, figures, throw_away_database, until
from smsgate.config import DatabaseSettings, HttpSettings, NodeSettings, Settings, WebhookSettings
from smsgate.daemon.process import Process, running
from smsgate.links.profile import CarrierProfile
from smsgate.links.profile_senders import SenderNumber
from smsgate.links.profile_values import Host
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database
from smsgate.telemetry.logs import configure_logs

DATABASE = "bench"
MERCHANT = 7
CAMPAIGN = 1_001
OFFER = 2_001
CHUNK = 1_000
UNIT_MICROS = 45_000
COST_MICROS = 30_000
SETUP_SQL = f"""
INSERT INTO price_list (price_list_id, name, side, currency)
VALUES (1, 'sell', 'sell', 'EUR'), (2, 'sim-cost', 'cost', 'EUR');
INSERT INTO price_version (price_list_id, version, effective_from, source_sha256)
VALUES (1, 1, now() - interval '1 day', ''), (2, 1, now() - interval '1 day', '');
INSERT INTO price_item (item_id, price_list_id, version, direction, network, unit_micros)
VALUES (11, 1, 1, 'mt', '*', {UNIT_MICROS}), (21, 2, 1, 'mt', '*', {COST_MICROS});
INSERT INTO merchant (merchant_id, name, slug, country, language, timezone, currency, price_list_id)
VALUES ({MERCHANT}, 'Boxman', 'boxman', 'FR', 'fr', 'Europe/Paris', 'EUR', 1);
"""
COUNTS_SQL = """
SELECT (SELECT count(*) FROM sent WHERE status = 0) AS accepted,
       (SELECT count(*) FROM receipt) AS receipts,
       (SELECT coalesce(sum(messages), 0)::bigint FROM ledger_entry
         WHERE account = 'revenue' AND direction = 'mt') AS ledger_messages,
       (SELECT count(*) FROM sent WHERE status = -1) AS unknown
"""


def settings_for(server: EmbeddedPostgres, smsc: tuple[str, int], limit_per_s: int, window: int) -> Settings:
    carrier = CarrierProfile(
        name="sim",
        hosts=(Host(*smsc),),
        system_id=SYSTEM_ID,
        password=SecretStr(PASSWORD),
        tls="none",
        insecure_plaintext=True,
        rate_per_s=limit_per_s,
        window_max=window,
        response_timeout_s=30.0,
        senders=(SenderNumber(number=SENDER, receives=True),),
        cost_list="sim-cost",
    )
    return Settings(
        node=NodeSettings(state_dir=server.data_dir.parent, roles=("gateway",)),
        database=DatabaseSettings(),
        http=HttpSettings(port=0),
        webhooks=WebhookSettings(),
        carriers=(carrier,),
    )


async def prepare(database: Database, messages: int) -> None:
    """Write merchant, prices and subscribers; the campaign is still a draft."""
    now = datetime.now(UTC)
    async with database.bulk_transaction() as connection:
        await connection.execute(SETUP_SQL)
        await connection.execute(
            "INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country, offers_state, "
            "offers_state_at) SELECT $1, 10000 + n, $2::bigint + n, 'fr', 'FR', 'subscribed', $3 "
            "FROM generate_series(0, $4::int - 1) AS s (n)",
            MERCHANT,
            FIRST_MSISDN,
            now,
            messages,
        )
        await connection.execute(
            "INSERT INTO offer (merchant_id, offer_id, version) VALUES ($1, $2, 1)", MERCHANT, OFFER
        )
        await connection.execute(
            "INSERT INTO offer_version (merchant_id, offer_id, version, text, shop_name, item, "
            "unit_price_minor, currency, quantity_max, language, country, sender, expires_at) "
            "VALUES ($1, $2, 1, $3, 'Boxman', 'CD Madonna', 1990, 'EUR', 5, 'fr', 'FR', $4, $5)",
            MERCHANT,
            OFFER,
            TEXT,
            SENDER,
            now + timedelta(hours=4),
        )
        await connection.execute(
            "INSERT INTO campaign (merchant_id, campaign_id, offer_id, offer_version, state, recipients) "
            "VALUES ($1, $2, $3, 1, 'draft', $4)",
            MERCHANT,
            CAMPAIGN,
            OFFER,
            messages,
        )
        await connection.execute(
            "INSERT INTO campaign_chunk (merchant_id, campaign_id, no, subscriber_lo, subscriber_hi, size) "
            "SELECT $1, $2, n + 1, 10000 + n * $3, 10000 + least((n + 1) * $3, $4) - 1, "
            "least($3, $4 - n * $3) FROM generate_series(0, ($4 - 1) / $3) AS s (n)",
            MERCHANT,
            CAMPAIGN,
            CHUNK,
            messages,
        )
    async with database.control() as connection:
        await connection.execute("ANALYZE subscriber, campaign_chunk")


async def measure(process: Process, meter: Meter, messages: int, limit_s: float) -> dict[str, Any]:
    """Start the campaign and wait until every message has its receipt, committed."""
    database, gateway = process.services.database, process.gateway
    assert gateway is not None
    switchboard, pump = gateway.switchboard, gateway.pump

    async def bound() -> bool:
        return any(bind.state == "bound" for carrier in switchboard for bind in carrier.binds())

    async def at_rest() -> bool:
        """Ask the database only when the process has nothing left to do: the question costs CPU, too."""
        if pump.submitted < messages or pump.uncommitted or not gateway.outcomes.empty():
            return False
        async with database.report() as connection:
            return bool(await connection.fetchval("SELECT count(*) >= $1 FROM receipt", messages))

    assert await until(bound, 10.0), "the SMSC lets nobody bind"
    before = await meter.read()
    async with database.bulk() as connection:
        await connection.execute(
            "UPDATE campaign SET state = 'sending', started_at = now() WHERE campaign_id = $1", CAMPAIGN
        )
    pump.wake_claims.set()
    complete = await until(at_rest, limit_s)
    after = await meter.read()
    async with database.report() as connection:
        counts = dict(await connection.fetchrow(COUNTS_SQL) or {})
    return {**figures(before, after, messages), **counts, "complete": complete}


async def run(options: argparse.Namespace) -> dict[str, Any]:
    result: dict[str, Any] = {"machine": machine()}
    async with throw_away_database() as server:
        meter = Meter(server)
        if options.ordinary:
            async with an_smsc(options.smsc) as smsc:
                await server.recreate_database("ordinary")
                result["ordinary"] = await run_ordinary(server, meter, smsc, options.ordinary)
        async with an_smsc(options.smsc) as smsc:
            await server.recreate_database(DATABASE)
            async with await Database.open(server, database=DATABASE) as database:
                await prepare(database, options.messages)
            settings = settings_for(server, smsc, options.rate, options.window)
            async with running(settings, say=lambda _: None, database_name=DATABASE) as process:
                result["smsgate"] = await measure(process, meter, options.messages, options.limit)
    if "ordinary" in result:
        result["ratios"] = ratios(result["smsgate"], result["ordinary"])
    return result


def ratios(ours: dict[str, Any], ordinary: dict[str, Any]) -> dict[str, float]:
    """How many times the ordinary design needs what this one needs; of per_second the other way round."""
    parts = ("gateway_cpu_us", "database_cpu_us")
    return {
        "per_second": _ratio(ours["per_second"], ordinary["per_second"]),
        "cpu": _ratio(sum(ordinary[part] for part in parts), sum(ours[part] for part in parts)),
        **{part.removesuffix("_us"): _ratio(ordinary[part], ours[part]) for part in parts},
        "wal_bytes": _ratio(ordinary["wal_bytes_per_message"], ours["wal_bytes_per_message"]),
    }


def _ratio(more: float, less: float) -> float:
    """Return 0.0 where there is nothing to compare: too few messages for the clock's grain of 10 ms."""
    return round(more / less, 1) if less else 0.0


def machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "load_1min_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "uvloop": version("uvloop"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument(
        "--ordinary", type=int, default=2_000, help="messages of the baseline; 0 leaves it out"
    )
    parser.add_argument("--smsc", metavar="HOST:PORT", help="another SMSC that lets smsgate/secret bind")
    parser.add_argument("--rate", type=int, default=100_000, help="the account's segments a second")
    parser.add_argument("--window", type=int, default=2_000, help="unanswered submit_sm")
    parser.add_argument("--limit", type=float, default=45.0, help="seconds until it is given up")
    options = parser.parse_args()
    configure_logs("warning", "json")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(run(options)), indent=2))


if __name__ == "__main__":
    main()
