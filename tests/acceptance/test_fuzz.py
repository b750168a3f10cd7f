"""
Strangers at the door: schemathesis reads the gateway's own document and sends what it can think of.

With a merchant's key and with the operator's, to objects that exist, nothing that it sends is answered by a
5xx, and the gateway is ready afterwards as before.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.town import Ground, Town, a_town, eventually

EXAMPLES_MAX = 15  # per operation and phase: some thousand requests in all
OPERATORS_ROUTES = "^/v1/(merchants|api_keys|price_lists|carriers)"
SEED = 1999
LIMIT_S = 480.0  # a guard against a hang, and no bar: some thousand requests took 94 s, and once over 240


@pytest.mark.timeout(LIMIT_S + 30)
@pytest.mark.parametrize(("who", "choice"), [("merchant", "exclude"), ("operator", "include")])
async def test_nothing_that_schemathesis_sends_is_answered_by_a_5xx(
    ground: Ground, tmp_path: Path, who: str, choice: str
) -> None:
    async with a_town(ground, subscribers=2) as town:
        await write_real_ids(town, tmp_path / "schemathesis.toml")
        key = town.merchant.key if who == "merchant" else town.operator.key
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            f"{town.base_url}/v1/openapi.json",
            *("--header", f"Authorization: Bearer {key}"),
            *(f"--{choice}-path-regex", OPERATORS_ROUTES),
            *("--checks", "not_a_server_error"),
            *("--phases", "examples,coverage,fuzzing"),
            *("--max-examples", str(EXAMPLES_MAX)),
            *("--seed", str(SEED)),
            *("--suppress-health-check", "all"),
            *("--warnings", "off"),
            "--no-shrink",
            "--continue-on-failure",
            "--no-color",
            cwd=tmp_path,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(LIMIT_S):
                report, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, report.decode()[-6_000:]
        statuses = await answered(town)
        assert sum(statuses.values()) > 500
        assert [status for status in statuses if status >= 500] == []
        assert {200, 201, 404, 422} <= statuses.keys(), "it must come past the door to find anything"
        assert (await town.anybody.ask("GET", "/readyz")).status == 200


async def write_real_ids(town: Town, path: Path) -> None:
    """Let `{id}` be an object that exists, so that more than the look-up is tried."""
    await town.finished(await town.new_record())
    await town.answer(town.msisdns[0], "OK")
    await town.only_order()
    await eventually(lambda: len(town.texts(town.msisdns[0])) == 2)
    names = (
        "subscribers",
        "offers",
        "campaigns",
        "messages",
        "inbound_messages",
        "orders",
        "events",
        "imports",
    )
    ids = {name: (await town.merchant.all(f"/v1/{name}"))[0]["id"] for name in names}
    for name in ("webhook_endpoints", "triggers"):
        ids[name] = (await town.merchant.all(f"/v1/{name}"))[0]["id"]
    ids["price_lists"] = (await town.operator.all("/v1/price_lists"))[0]["id"]
    ids["merchants"] = town.merchant_id
    lines = []
    for name, id_ in ids.items():
        lines += [
            "[[operations]]",
            f'include-path-regex = "^/v1/{name}/"',
            f'parameters = {{ "path.id" = "{id_}" }}',
        ]
    path.write_text("\n".join(lines) + "\n")


async def answered(town: Town) -> Counter[int]:
    """Return how often the gateway answered each status, by its own count."""
    found: Counter[int] = Counter()
    for family in text_string_to_metric_families((await town.anybody.get("/metrics")).decode()):
        for sample in family.samples:
            if sample.name == "smsgate_http_requests_total":
                found[int(sample.labels["status"])] += int(sample.value)
    return found
