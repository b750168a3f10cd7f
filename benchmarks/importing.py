"""
An import of subscribers with the evidence of their consent, over HTTP, into a throw-away database.

    python -m benchmarks.importing [--rows N] [--csv]

One row of eighty has a number that nobody can have, and is reported; the others are checked in the database
at the end. A client process sends the file; CPU is per row, of the server and of PostgreSQL.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from benchmarks.running import show
from benchmarks.watching import ask
from smsgate.bench.meter import Meter, rss_max_mb, used_between
from smsgate.bench.parts import throw_away_database
from smsgate.config import HttpSettings, NodeSettings, Settings
from smsgate.daemon.process import running
from smsgate.daemon.services import add_operator_key
from smsgate.store.bench_books import wal_octets

_FIRST, _NUMBERS, _STRIDE = 33_610_000_000, 29_000_000, 61_803_399
BAD_OF: Final = 80
AGREED_AT: Final = datetime(2026, 5, 1, 12, tzinfo=UTC)
CLIENT: Final = """
import http.client, sys
host, port, key, kind, path = sys.argv[1:]
connection = http.client.HTTPConnection(host, int(port), timeout=600)
with open(path, "rb") as file:
    connection.request("POST", "/v1/imports", file,
                       {"Authorization": f"Bearer {key}", "Content-Type": kind}, encode_chunked=True)
    answer = connection.getresponse()
    print(answer.status, answer.read().decode())
"""


def row(nth: int) -> dict[str, Any]:
    return {
        "msisdn": "+33600" if nth % BAD_OF == 0 else f"+{_FIRST + nth * _STRIDE % _NUMBERS}",
        "consent_at": AGREED_AT.isoformat(),
        "consent_source": "form",
        "wording_version": "boxman-2026-05",
        "external_id": f"customer-{nth}",
        "language": "fr",
        "tags": ["music"],
        "fields": {"first_name": "Camille"},
    }


def write_ndjson(path: Path, rows: int) -> None:
    with path.open("wb") as file:
        file.writelines(orjson.dumps(row(nth)) + b"\n" for nth in range(rows))


def write_csv(path: Path, rows: int) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*(name for name in row(0) if name != "fields"), "field.first_name"])
        for nth in range(rows):
            values = row(nth)
            head = [str(value) for name, value in values.items() if name not in {"tags", "fields"}]
            writer.writerow([*head, "music", "Camille"])


async def a_key(base: str, operator: str) -> str:
    """Add a merchant and return a key of it."""
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {operator}"}) as session:

        async def post(path: str, body: dict[str, Any]) -> Any:
            async with session.post(base + path, json=body) as answer:
                assert answer.status == 201, await answer.text()
                return await answer.json()

        profile = {"name": "Boxman", "slug": "boxman", "country": "FR", "language": "fr"}
        merchant = await post("/v1/merchants", {**profile, "timezone": "Europe/Paris", "currency": "EUR"})
        asked = {"name": "shop", "mode": "live", "scopes": ["subscribers", "read"]}
        return str((await post(f"/v1/merchants/{merchant['id']}/api_keys", asked))["key"])


async def run(rows: int, *, as_csv: bool) -> dict[str, Any]:
    async with throw_away_database() as server:
        settings = Settings(
            node=NodeSettings(state_dir=server.data_dir.parent, roles=("api",)), http=HttpSettings(port=0)
        )
        path = server.data_dir.parent / "rows"
        (write_csv if as_csv else write_ndjson)(path, rows)
        async with running(settings, say=lambda _: None) as process:
            assert process.api is not None
            database, port = process.services.database, process.api.port
            key = await a_key(f"http://127.0.0.1:{port}", await add_operator_key(process.services, "bench"))
            meter = Meter(server.data_dir, partial(wal_octets, database))
            before = await meter.read()
            kind = "text/csv" if as_csv else "application/x-ndjson"
            arguments = ("-c", CLIENT, "127.0.0.1", str(port), key, kind, str(path))
            client = await asyncio.create_subprocess_exec(
                sys.executable, *arguments, stdout=asyncio.subprocess.PIPE
            )
            said, _ = await client.communicate()
            after = await meter.read()
            status, _, body = said.decode().partition(" ")
            assert status == "201", said
            answer = json.loads(body)
            bad = -(-rows // BAD_OF)
            wanted = {"rows_ok": rows - bad, "rows_failed": bad, "state": "finished"}
            assert {name: answer[name] for name in wanted} == wanted, answer
            for table in ("subscriber", "consent_event"):
                assert await ask(database, f"SELECT count(*) FROM {table}") == rows - bad
            used = used_between(before, after, rows)
            return {
                "rows": rows,
                "form": "csv" if as_csv else "ndjson",
                "wall_s": used.wall_s,
                "rows_per_s": used.per_second,
                "server_cpu_us": used.gateway_cpu_us,
                "database_cpu_us": used.database_cpu_us,
                "wal_octets_each": used.wal_octets // rows,
                "rss_mb": rss_max_mb(),
            }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--csv", action="store_true")
    given = parser.parse_args()
    show(run(given.rows, as_csv=given.csv))


if __name__ == "__main__":
    main()
