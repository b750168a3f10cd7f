"""An operator's day: merchants, keys, prices, bills."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import pytest

from smsgate.security.api_keys import Mode, parse_key
from tests.cli.command_shell import Shell

PRICES = "direction,network,unit_price\nmt,208,0.045\nmo,*,0.01\n"
_numbers = itertools.count(1)


def a_name(word: str) -> str:
    return f"{word}-{next(_numbers)}"


def a_merchant(shell: Shell, *options: str) -> str:
    slug = a_name("shop")
    shell.ok("merchant", "add", slug, "--name", "Boxman", "--country", "FR", *options)
    return slug


def a_list(shell: Shell, *options: str, csv: str = PRICES) -> str:
    name = a_name("list")
    shell.ok("billing", "publish", name, "-", "--yes", *options, stdin=csv)
    return name


def test_a_merchant_is_added_priced_and_listed(shell: Shell) -> None:
    slug, prices = a_merchant(shell, "--contact", "bxm.fr"), a_list(shell)
    shell.ok("merchant", "price-list", slug, prices)
    (found,) = [row for row in shell.ok("merchant", "list", "--json").json() if row["slug"] == slug]
    assert found["price_list"] == prices
    assert found["contact"] == "bxm.fr"
    assert found["id"].startswith("mer_")
    assert slug in shell.ok("merchant", "list").out


def test_a_merchant_is_given_a_weight_and_no_weight_beyond_its_range(shell: Shell) -> None:
    slug = a_merchant(shell)

    def weight() -> int:
        (found,) = [row for row in shell.ok("merchant", "list", "--json").json() if row["slug"] == slug]
        return int(found["sending_weight"])

    assert weight() == 1
    assert shell.ok("merchant", "weight", slug, "3", "--json").json()["sending_weight"] == 3
    assert weight() == 3
    assert shell.run("merchant", "weight", slug, "0").code == 2
    assert weight() == 3


def test_a_merchant_is_suspended_and_resumed(shell: Shell) -> None:
    slug = a_merchant(shell)

    def state() -> str:
        (found,) = [row for row in shell.ok("merchant", "list", "--json").json() if row["slug"] == slug]
        return str(found["state"])

    assert f"smsgate merchant resume {slug}" in shell.ok("merchant", "suspend", slug).err
    assert state() == "suspended"
    assert shell.ok("merchant", "resume", slug, "--json").json()["state"] == "active"
    assert state() == "active"


def test_a_taken_slug_is_a_failure_and_a_bad_one_a_usage_error(shell: Shell) -> None:
    slug = a_merchant(shell)
    taken = shell.run("merchant", "add", slug, "--name", "B", "--country", "FR")
    assert taken.code == 1
    assert (
        taken.err == f"smsgate: The slug '{slug}' is taken: choose another, or see smsgate merchant list.\n"
    )
    bad = shell.run("merchant", "add", "Bad Slug", "--name", "B", "--country", "FR")
    assert bad.code == 2
    assert "SLUG: write 2 to 40 lower-case letters" in bad.err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--country", "France"),
        ("--timezone", "Paris"),
        ("--currency", "XXX"),
        ("--currency", "KWD"),
        ("--language", "french"),
    ],
)
def test_a_bad_option_is_named(shell: Shell, option: str, value: str) -> None:
    found = shell.run("merchant", "add", "x1", "--name", "B", "--country", "FR", option, value)
    assert found.code == 2
    assert found.err.startswith(f"smsgate: {option}: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("billing", "statement", "nobody", "2026-11"),
        ("billing", "export", "nobody", "2026-11"),
        ("key", "add", "nobody", "--name", "x"),
        ("merchant", "price-list", "nobody", "x"),
        ("merchant", "suspend", "nobody"),
    ],
)
def test_an_unknown_merchant_is_named_with_the_way_to_the_known_ones(
    shell: Shell, arguments: tuple[str, ...]
) -> None:
    found = shell.run(*arguments)
    assert found.code == 1
    assert "No merchant has the slug 'nobody': `smsgate merchant list`" in found.err
    assert found.out == ""


def test_a_key_is_printed_once_and_revoked(shell: Shell) -> None:
    slug = a_merchant(shell)
    made = shell.ok("key", "add", slug, "--name", "shop")
    key = parse_key(made.out.strip())
    assert key.mode is Mode.LIVE
    (listed,) = shell.ok("key", "list", slug, "--json").json()
    assert (listed["public_id"], listed["owner"], listed["revoked_at"]) == (key.public_id, slug, None)
    assert "keys.manage" not in listed["scopes"]
    assert "billing.read" in listed["scopes"]
    assert key.text[-20:] not in shell.ok("key", "list").out
    shell.ok("key", "revoke", key.public_id)
    (listed,) = shell.ok("key", "list", slug, "--json").json()
    assert listed["revoked_at"] is not None


def test_a_test_key_of_few_scopes_and_a_key_of_the_operator(shell: Shell) -> None:
    slug = a_merchant(shell)
    made = shell.ok("key", "add", slug, "--name", "r", "--scopes", "read", "--test", "--json").json()
    assert made["key"].startswith("sgk_test_")
    assert (made["scopes"], made["owner"]) == (["read"], slug)
    ops = shell.ok("key", "add", "--operator", "--name", a_name("ops"), "--json").json()
    assert (ops["scopes"], ops["owner"]) == (["operator"], "operator")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("key", "add", "--name", "x"), "say --operator"),
        (("key", "add", "m", "--operator", "--name", "x"), "say --operator"),
        (("key", "add", "m", "--name", "x", "--scopes", "read,operator"), "--scopes: operator is none of"),
        (("key", "add", "--operator", "--name", "x", "--scopes", "read"), "leave --scopes away"),
        (("billing", "export", "m", "2026-13"), "YYYY-MM: 2026-13 is no month"),
        (("billing", "statement", "m", "november"), "YYYY-MM: 'november' is no month"),
        (("billing", "statement", "m", "2026-11", "--currency", "eur"), "--currency: "),
        (("billing", "publish", "x", "nowhere.csv"), "nowhere.csv cannot be read"),
        (("run", "--roles", "api,king"), "--roles: king is none of api, gateway, webhooks"),
        (("smsc", "--receipt-delay-s", "3,1"), "--receipt-delay-s: '3,1' is no range"),
        (("smsc", "--ok", "0.9", "--stop", "0.9"), "shares of replies sum to 1.8"),
        (("phone", "inbox", "../stats"), "is no phone number"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(shell: Shell, arguments: tuple[str, ...], words: str) -> None:
    found = shell.run(*arguments)
    assert found.code == 2, found
    assert words in found.err
    assert found.out == ""


def test_prices_are_published_and_shown(shell: Shell) -> None:
    name = a_list(shell)
    shown = shell.ok("prices", "show", name, "--json").json()
    assert shown["version"] == 1
    assert shown["items"] == [
        {"direction": "mo", "network": "*", "unit_price": "0.01", "basis": "submit", "tiers": None},
        {"direction": "mt", "network": "208", "unit_price": "0.045", "basis": "submit", "tiers": None},
    ]
    (row,) = [row for row in shell.ok("prices", "list", "--json").json() if row["name"] == name]
    assert (row["side"], row["currency"], row["versions"], row["in_force"]) == ("sell", "EUR", 1, 1)
    rows = "mccmnc,rate,effective\n208,0.04,2026-01-01T00:00Z\n208,0.05,2026-02-01T00:00Z\n"
    shell.ok("billing", "publish", f"{name}-2", "-", "--yes", "--partial", stdin=rows)
    shown = shell.ok("prices", "show", f"{name}-2", "--json").json()  # the last of those that have begun
    assert (shown["version"], shown["items"][0]["unit_price"]) == (2, "0.05")


def test_prices_of_the_future_are_not_yet_in_force(shell: Shell) -> None:
    name = a_list(shell)
    rows = "direction,network,unit_price\nmt,*,0.09\n"
    shell.ok("billing", "publish", name, "-", "--yes", "--from", "2099-01-01T00:00:00+01:00", stdin=rows)
    assert shell.ok("prices", "show", name, "--json").json()["version"] == 1


def test_a_broken_price_file_is_refused_whole(shell: Shell) -> None:
    name = a_name("list")
    found = shell.run("billing", "publish", name, "-", "--yes", stdin=PRICES + "mt,209,0,046\n")
    assert found.code == 1, found
    assert "-, line 4: it has 4 cells, the header has 3" in found.err
    assert f"No price list is called '{name}'" in shell.run("prices", "show", name).err


@pytest.mark.parametrize(
    ("options", "sheet"),
    [
        (("--currency", "TND"), PRICES),
        ((), "mccmnc,rate,currency\n605,0.05,TND\n"),
    ],
)
def test_no_list_sells_in_a_currency_that_no_invoice_can_say(
    shell: Shell, options: tuple[str, ...], sheet: str
) -> None:
    name = f"tunisia-{len(options)}"
    found = shell.run("billing", "publish", name, "-", "--yes", *options, stdin=sheet)
    assert found.code != 0
    assert "TND has 3 decimals, and an e-invoice at most 2" in found.err
    cost = shell.run("billing", "publish", name, "-", "--yes", "--side", "cost", *options, stdin=sheet)
    assert cost.code == 0


def test_a_list_keeps_its_side_and_its_currency(shell: Shell) -> None:
    name = a_list(shell, "--side", "cost", "--currency", "SEK")
    found = shell.run("billing", "publish", name, "-", "--yes", "--currency", "EUR", stdin=PRICES)
    assert found.code == 1
    assert "of side cost in SEK" in found.err
    given = shell.run("merchant", "price-list", a_merchant(shell), name)
    assert given.code == 1
    assert "holds costs" in given.err


def test_a_month_without_usage_is_a_statement_of_zero(shell: Shell, tmp_path: Path) -> None:
    slug = a_merchant(shell)
    statement = shell.ok("billing", "statement", slug, "2026-11", "--json").json()
    assert (statement["total"], statement["messages"], statement["currency"]) == ("0.00", 0, "EUR")
    exported = shell.ok("billing", "export", slug, "2026-11")
    assert exported.out.splitlines()[0].startswith("merchant,month,currency")
    assert f"{slug}, 2026-11: 0 messages, 0 segments" in exported.err
    file = tmp_path / "month.csv"
    assert shell.ok("billing", "export", slug, "2026-11", "--output", str(file)).out == ""
    assert file.read_text() == exported.out
    assert file.read_bytes().endswith(b",amount\r\n")
    assert [path.name for path in tmp_path.iterdir()] == ["month.csv"]


def test_stored_texts_cannot_move_the_cursor(shell: Shell) -> None:
    slug = a_name("shop")
    shell.ok("merchant", "add", slug, "--name", "evil\u202ename", "--country", "FR")
    listed = shell.ok("merchant", "list").out
    assert "evil\\u202ename" in listed
    assert "\u202e" not in listed


def test_bad_configuration_says_where_and_what_to_write(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "smsgate.toml"
    file.write_text("[http]\nport = 'eighty'\n")
    found = shell.run("merchant", "list", "--config", str(file))
    assert found.code == 2
    assert "http.port" in found.err
    assert "0 to 65535" in found.err
    missing = shell.run("run", "--config", str(tmp_path / "none.toml"))
    assert missing.code == 2
    assert "cannot be read" in missing.err


def test_a_database_that_is_away_has_a_code_of_its_own(shell: Shell) -> None:
    away = {"SMSGATE_DATABASE_DSN": "postgresql://smsgate:geheim@127.0.0.1:1/smsgate"}
    for arguments in (("merchant", "list"), ("migrate",), ("run",)):
        found = shell.run(*arguments, env=away)
        assert found.code == 3, found
        assert "cannot be reached" in found.err
        assert "geheim" not in found.err + found.out


def test_without_a_daemon_the_database_is_started_and_stopped(directory: Path) -> None:
    shell = Shell(directory / "alone")
    shell.cwd.mkdir(mode=0o711)
    assert "has no smsgate schema yet" in shell.run("migrate", "--check").err
    assert "Migration 0001_core applied" in shell.ok("migrate").err
    assert shell.ok("migrate", "--check").code == 0
    a_merchant(shell)
    assert len(json.loads(shell.ok("merchant", "list", "--json").out)) == 1
    assert not (shell.state_dir / "postgres" / "postmaster.pid").exists()
    shutil.rmtree(shell.cwd)
