"""`smsgate billing publish` and `rate`: prices seen before they hold, and what a message would cost."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.carriers import write_config
from tests.cli.command_shell import Shell

PRICES = "direction,network,unit_price\nmt,208,0.045\nmo,*,0.01\n"
_numbers = itertools.count(1)


def a_list(shell: Shell, *options: str, csv: str = PRICES) -> str:
    name = f"sheet-{next(_numbers)}"
    shell.ok("billing", "publish", name, "-", "--yes", *options, stdin=csv)
    return name


def versions_of(shell: Shell, name: str) -> int:
    return next(
        int(row["versions"]) for row in shell.ok("prices", "list", "--json").json() if row["name"] == name
    )


def test_nothing_is_published_until_its_differences_were_taken(shell: Shell) -> None:
    name = a_list(shell)
    sheet = "mccmnc;rate;change\n208;0,05;increase\n20801;0,04;new\n"
    seen = shell.run("billing", "publish", name, "-", stdin=sheet)
    assert seen.code == 1
    assert "Nothing is published yet: repeat it with --yes." in seen.err
    rows = [line.split() for line in seen.out.splitlines()]
    assert ["mt", "208", "0.045", "0.05", "increase"] in rows
    assert ["mt", "20801", "-", "0.04", "new"] in rows
    assert ["mo", "*", "0.01", "-", "removed"] in rows
    assert versions_of(shell, name) == 1
    shell.ok("billing", "publish", name, "-", "--yes", stdin=sheet)
    assert versions_of(shell, name) == 2


def test_a_change_begins_when_every_node_knows_of_it(shell: Shell) -> None:
    """What is accepted until then has the old prices; what is accepted is never priced anew."""
    name = a_list(shell)
    asked_at = datetime.now(UTC)
    publish = ("billing", "publish", name, "-", "--yes", "--json")
    (version,) = shell.ok(*publish, stdin=PRICES.replace("0.045", "0.05")).json()["versions"]
    assert datetime.fromisoformat(version["effective_from"]) >= asked_at + timedelta(seconds=75)
    at_once = (datetime.now(UTC) + timedelta(seconds=50)).isoformat()
    refused = shell.run(*publish, "--from", at_once, stdin=PRICES)
    assert (refused.code, "nor before every node knows of it" in refused.err) == (1, True)
    assert versions_of(shell, name) == 2


def test_prices_by_quantity_are_seen_published_and_shown(shell: Shell) -> None:
    name = a_list(shell)
    sheet = "network,price,tiers\n208,0.045,graduated 101=0.04 1001=0.035\n"
    seen = shell.run("billing", "publish", name, "-", stdin=sheet)
    assert "mt         208      0.045  0.045 graduated 101=0.04 1001=0.035  terms" in seen.out
    shell.ok("billing", "publish", name, "-", "--yes", "--from", "2099-01-01T00:00:00Z", stdin=sheet)
    shell.ok("billing", "publish", f"{name}-new", "-", "--yes", stdin=sheet)
    (row,) = shell.ok("prices", "show", f"{name}-new", "--json").json()["items"]
    assert (row["unit_price"], row["tiers"]) == ("0.045", "graduated 101=0.04 1001=0.035")
    cost = shell.run("billing", "publish", f"{name}-cost", "-", "--side", "cost", "--yes", stdin=sheet)
    assert (cost.code, "for lists of side sell" in cost.err) == (1, True)


def test_a_list_that_was_only_looked_at_is_not_made(shell: Shell) -> None:
    assert shell.run("billing", "publish", "never", "-", stdin=PRICES).code == 1
    assert "never" not in shell.ok("prices", "list").out


def test_a_sheet_of_two_instants_is_two_versions_published_together(shell: Shell) -> None:
    name = a_list(shell)
    sheet = "mccmnc,rate,effective\n208,0.05,2099-01-01\n20801,0.04,\n"
    arguments = ("billing", "publish", name, "-", "--partial", "--zone", "Europe/Paris", "--yes", "--json")
    made = shell.ok(*arguments, stdin=sheet).json()
    assert [version["version"] for version in made["versions"]] == [2, 3]
    assert made["versions"][1]["effective_from"] == "2098-12-31T23:00:00Z" or made["versions"][1][
        "effective_from"
    ].startswith("2099-01-01T00:00:00+01:00")
    assert [change["network"] for change in made["versions"][1]["changes"]] == ["208"]
    again = shell.run(
        "billing", "publish", name, "-", "--partial", "--zone", "Europe/Paris", "--yes", stdin=sheet
    )
    assert again.code == 1
    assert "A version from this instant exists" in again.err
    assert versions_of(shell, name) == 3


def test_a_sheet_whose_own_words_are_not_true_is_refused(shell: Shell) -> None:
    name = a_list(shell)
    sheet = "mccmnc,rate,change\n208,0.06,decrease\n"
    refused = shell.run("billing", "publish", name, "-", "--yes", stdin=sheet)
    assert refused.code == 1
    assert "line 2 says decrease, and mt 208 is increase" in refused.err
    assert versions_of(shell, name) == 1
    shell.ok("billing", "publish", name, "-", "--yes", "--ignore-changes", stdin=sheet)


def test_a_price_below_cost_is_told_from_either_side(shell: Shell) -> None:
    cost = a_list(shell, "--side", "cost", "--currency", "CHF", csv="mccmnc,rate\n20810,0.07\n")
    publish = ("billing", "publish", f"{cost}-sell", "-", "--currency", "CHF", "--yes")
    refused = shell.run(*publish, stdin=PRICES)
    assert refused.code == 1
    assert "1 networks would sell below cost, first 20810 from" in refused.err
    assert f"{cost} costs 0.07; add --allow-below-cost" in refused.err
    assert f"{cost}-sell" not in shell.ok("prices", "list").out
    sold = shell.ok(*publish, "--allow-below-cost", stdin=PRICES)
    assert f"network 20810 sells at 0.045 ({cost}-sell) and costs 0.07 ({cost})" in sold.err
    dearer = shell.run("billing", "publish", cost, "-", stdin="mccmnc,rate\n208,0.08\n")
    assert f"network 208 sells at 0.045 ({cost}-sell) and costs 0.08 ({cost})" in dearer.err


@pytest.mark.parametrize(
    ("sheet", "options", "sentence"),
    [
        ("mccmnc,rate\n2081,0.05\n", (), "was a leading zero lost?"),
        ("mccmnc,rate,currency\n208,0.05,USD\n", (), "The sheet's prices are in USD, the list"),
        ("mccmnc,rate,effective\n208,0.05,2099-01-01\n", (), "names no offset"),
        ("mccmnc,rate,effective\n208,0.05,2020-01-01T00:00Z\n", ("--yes",), "cannot change in the past"),
    ],
)
def test_a_sheet_that_cannot_be_meant_says_why(
    shell: Shell, sheet: str, options: tuple[str, ...], sentence: str
) -> None:
    name = a_list(shell)
    found = shell.run("billing", "publish", name, "-", *options, stdin=sheet)
    assert found.code == 1
    assert sentence in found.err
    assert versions_of(shell, name) == 1


def test_a_message_is_priced_step_by_step(shell: Shell, tmp_path: Path) -> None:
    cost = a_list(shell, "--side", "cost", csv="mccmnc,rate\n*,0.03\n")
    config = str(write_config(tmp_path / "c.toml", smpp="127.0.0.1:2775", more=f'cost_list = "{cost}"'))
    shell.ok("merchant", "add", "rated", "--name", "Boxman", "--country", "FR")
    unpriced = shell.run("billing", "rate", "rated", "+33612345678", "OK", "--config", config)
    assert unpriced.code == 1
    assert "The merchant has no price list" in unpriced.out
    shell.ok("merchant", "price-list", "rated", a_list(shell))
    text = "x" * 161
    told = shell.ok("billing", "rate", "rated", "+33612345678", text, "--config", config).out
    assert "161 septets of GSM-7" in told
    assert "0.045 x 2 = 0.09 EUR" in told
    assert "By sim 0.03 EUR is left: earned." in told
    found = shell.ok("billing", "rate", "rated", "+33612345678", text, "--config", config, "--json").json()
    assert found["network"] == "20810"
    assert found["charge"]["amount"] == "0.09"
    assert found["charge"]["network"] == "208"
    assert [(cost["carrier"], cost["amount"]) for cost in found["costs"]] == [("sim", "0.06")]
    early = shell.run("billing", "rate", "rated", "+33612345678", "OK", "--at", "2020-01-01T00:00:00Z")
    assert early.code == 1
    assert "has no version in force" in early.out
    abroad = shell.run("billing", "rate", "rated", "+4915112345678", "OK")
    assert abroad.code == 1
    assert "so the message is not sent" in abroad.out


def test_a_month_by_another_list_is_told_for_each_merchant_with_its_sum(shell: Shell) -> None:
    name = a_list(shell)
    found = shell.ok("billing", "simulate", "--price-list", name, "--month", "2026-10", "--json").json()
    assert (found["price_list"], found["version"], found["merchants"]) == (name, 1, [])
    assert (found["total"]["segments"], found["total"]["difference"]) == (0, "0.00")
    unknown = shell.run("billing", "simulate", "--price-list", "nobody's", "--month", "2026-10")
    assert (unknown.code, 'no price list "nobody\'s"' in unknown.err) == (1, True)
    for arguments in ((), ("--price-list", name), ("case.json", "--month", "2026-10")):
        assert shell.run("billing", "simulate", *arguments).code == 2


def test_what_cannot_be_rated_is_a_usage_error(shell: Shell) -> None:
    for arguments, words in (
        (("rated", "+336", "OK"), "NUMBER: "),
        (("rated", "+33612345678", "OK", "--at", "yesterday"), "--at: 'yesterday'"),
        (("rated", "+33612345678", "OK", "--carrier", "nobody"), "--carrier: "),
    ):
        found = shell.run("billing", "rate", *arguments)
        assert found.code == 2, found
        assert words in found.err
