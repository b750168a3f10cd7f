"""`smsgate retention`: what is kept how long, on a real database."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta

import pytest

from smsgate.campaigns.retention import kept, rules
from smsgate.clock import SystemClock
from smsgate.daemon.services import open_services
from tests.cli.command_shell import Shell


@pytest.fixture(scope="module")
def shop(shell: Shell) -> Shell:
    shell.ok("merchant", "add", "boxman", "--name", "Boxman", "--country", "FR", "--contact", "bxm.fr")
    return shell


async def hear_of_stops(shell: Shell, *ages: timedelta) -> None:
    async with open_services(shell.state_dir, None, SystemClock(), print) as services:
        async with services.database.bulk() as connection:
            for age in ages:
                at = services.clock.now() - age
                await connection.execute(
                    "INSERT INTO number_stop VALUES ($1, $2)", secrets.token_bytes(16), at
                )


def test_every_rule_is_shown_with_its_oldest_row_and_what_is_late(shop: Shell) -> None:
    asyncio.run(hear_of_stops(shop, timedelta(days=20), timedelta(days=5)))
    found = {row["rule"]: row for row in shop.ok("retention", "show", "--json").json()}
    assert list(found) == list(rules())
    stop = found["number_stop"]
    assert (stop["days"], stop["by"], stop["late"]) == (kept("number_stop").days, "rows", False)
    assert all(row["oldest"] is None for rule, row in found.items() if rule != "number_stop")
    asyncio.run(
        hear_of_stops(shop, timedelta(days=1), timedelta(days=1), kept("number_stop") + timedelta(days=1))
    )
    shown = shop.ok("retention", "show").out
    (line,) = [each for each in shown.splitlines() if each.startswith("number_stop")]
    assert "3653 days" in line
    assert " late" in line
    assert (
        next(row for row in shop.ok("retention", "show", "--json").json() if row["late"])["rule"]
        == "number_stop"
    )


def test_a_merchant_keeps_texts_for_another_time_within_bounds(shop: Shell) -> None:
    shop.ok("retention", "choose", "boxman", "reply_text", "90")
    text = next(row for row in shop.ok("retention", "show", "--json").json() if row["rule"] == "reply_text")
    assert (text["days"], text["chosen"], text["merchants_may_choose"]) == (400, {"boxman": 90}, [30, 1096])
    assert "400 days, boxman 90" in shop.ok("retention", "show").out
    refused = shop.run("retention", "choose", "boxman", "reply_text", "5")
    assert (refused.code, refused.err) == (
        2, "smsgate: RULE: reply_text may be 30 to 1096 days for a merchant.\n",
    )  # fmt: skip
    assert shop.run("retention", "choose", "boxman", "order", "90").code == 2
    shop.ok("retention", "reset", "boxman", "reply_text")
    assert shop.run("retention", "reset", "boxman", "reply_text").code == 1
