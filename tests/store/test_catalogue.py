"""The SQL catalogue and the migrations keep the rules that leave Citus open."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files

import pytest

from smsgate.store import catalogue, distribution
from smsgate.store.catalogue import Statement, without_comments
from smsgate.store.migrate import shipped

VOLATILE = re.compile(
    r"\b(clock_timestamp|statement_timestamp|timeofday|random|gen_random_uuid|uuidv7|nextval)\s*\(",
    re.IGNORECASE,
)
MERCHANT_FILTER = re.compile(r"\bmerchant_id\s*=\s*\$\d", re.IGNORECASE)
LOCKS_ROWS = re.compile(r"\bFOR\s+(NO\s+KEY\s+)?UPDATE\b", re.IGNORECASE)
UPDATES = re.compile(r"\bUPDATE\s+(?!SKIP\b|NOWAIT\b|SET\b|OF\b)\w+", re.IGNORECASE)


def breaches(statement: Statement) -> list[str]:
    """Return which rules of distributed SQL a statement breaks."""
    sql = without_comments(statement.sql)
    found = []
    if statement.scope == "merchant":
        if "merchant_id" not in sql:
            found.append("a merchant's statement names merchant_id")
        if LOCKS_ROWS.search(sql) and not MERCHANT_FILTER.search(sql):
            found.append("FOR UPDATE needs merchant_id = $n")
    if statement.scope != "control":  # its tables are plain local ones
        if UPDATES.search(sql) and VOLATILE.search(sql):
            found.append("no volatile function in an UPDATE")
        if re.search(r"\b(pg_(try_)?advisory|NOTIFY\b|LISTEN\b|pg_notify)", sql, re.IGNORECASE):
            found.append("advisory locks and NOTIFY belong to the control connection")
        if re.search(
            r"\b(GROUPING\s+SETS|ROLLUP|CUBE)\b|\bWITH\s+RECURSIVE\b", sql, re.IGNORECASE
        ) and not MERCHANT_FILTER.search(sql):
            found.append("ROLLUP and recursion need merchant_id = $n")
    if re.search(r"\bDETACH\s+PARTITION\b.*\bCONCURRENTLY\b", sql, re.IGNORECASE | re.DOTALL):
        found.append("no DETACH PARTITION CONCURRENTLY")
    if re.search(r"%s|%\(|\{\w+\}", sql):
        found.append("parameters are $n, never pasted text")
    return found


def test_every_statement_keeps_the_rules() -> None:
    statements = catalogue.load_all()
    assert statements
    assert {name: found for name, statement in statements.items() if (found := breaches(statement))} == {}


@pytest.mark.parametrize(
    ("scope", "sql"),
    [
        ("merchant", "SELECT 1 FROM message"),
        ("merchant", "SELECT no FROM campaign_chunk WHERE merchant_id > 0 FOR UPDATE SKIP LOCKED"),
        ("merchant", "SELECT 1 FROM t -- merchant_id"),
        ("msisdn", "UPDATE open_offer SET answered_at = clock_timestamp() WHERE msisdn = $1"),
        ("account", "SELECT pg_advisory_lock(1)"),
        ("report", "SELECT sum(n) FROM t GROUP BY ROLLUP (a)"),
        ("control", "ALTER TABLE message DETACH PARTITION p CONCURRENTLY"),
        ("report", "SELECT * FROM t WHERE a = %s"),
    ],
)
def test_a_statement_that_breaks_a_rule_is_named(scope: str, sql: str) -> None:
    assert breaches(Statement("bad", scope, sql))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT no FROM campaign_chunk WHERE merchant_id = $1 ORDER BY no LIMIT 1 FOR UPDATE SKIP LOCKED",
        "UPDATE campaign SET finished_at = now() WHERE merchant_id = $1 AND campaign_id = $2",
        "INSERT INTO t (merchant_id, id) VALUES ($1, random()) ON CONFLICT (merchant_id, id) DO NOTHING",
    ],
)
def test_a_good_statement_passes(sql: str) -> None:
    assert breaches(Statement("good", "merchant", sql)) == []


def test_statements_are_read_with_name_and_scope() -> None:
    text = (
        "-- about this file\n\n-- name: one\n-- scope: merchant\n-- $1 merchant\nSELECT merchant_id\nFROM "
        "t;\n\n"
        "-- name: two\n-- scope: report\nSELECT ';'\n"
    )
    one, two = catalogue.parse("x", text)
    assert (one.name, one.scope, one.sql) == ("one", "merchant", "-- $1 merchant\nSELECT merchant_id\nFROM t")
    assert (two.name, two.scope, two.sql) == ("two", "report", "SELECT ';'")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "-- name: a\nSELECT 1",
        "-- name: a\n-- scope: world\nSELECT 1",
        "-- name: a\n-- scope: report\n",
        "-- name: A-b\n-- scope: report\nSELECT 1",
        "-- name: a\n-- scope: report\nSELECT 1\n-- name: a\n-- scope: report\nSELECT 2",
    ],
)
def test_a_catalogue_file_that_is_unclear_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^x\.sql: "):
        catalogue.parse("x", text)


def test_load_gives_the_texts_of_one_file() -> None:
    assert set(catalogue.load("node")) == {"next_epoch", "take_slot", "renew_slot", "release_slot", "live"}


def test_files_of_the_catalogue_are_all_sql() -> None:
    folder = files("smsgate.store") / "sql"
    assert [path.name for path in folder.iterdir() if not path.is_file()] == ["parts"]
    names = [path.name for place in (folder, folder / "parts") for path in place.iterdir() if path.is_file()]
    assert all(re.fullmatch(r"[a-z_]+\.sql", name) for name in names)


def created_tables(sql: str) -> Mapping[str, str]:
    """Return the body of each CREATE TABLE by its name."""
    pattern = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+) \((.*?)\n\)", re.DOTALL)
    return {match[1]: match[2] for match in pattern.finditer(without_comments(sql))}


def test_migrations_keep_foreign_keys_triggers_and_serials_out_of_distributed_tables() -> None:
    tables = distribution.load()
    bad = []
    for migration in shipped():
        sql = without_comments(migration.sql)
        if re.search(r"\bCREATE\s+(CONSTRAINT\s+)?TRIGGER\b", sql, re.IGNORECASE):
            bad.append((migration.name, "trigger"))
        definers = re.findall(r"CREATE FUNCTION (\w+)\([^$]*\bSECURITY\s+DEFINER\b", sql, re.IGNORECASE)
        # The one way into the ledger (decision 0029); what other merchants sent a person (decision 0038).
        if set(definers) - {"post_ledger", "keep_contacts"}:
            bad.append((migration.name, "SECURITY DEFINER"))
        for name, body in created_tables(sql).items():
            hot = tables[name].kind != "local"
            if hot and re.search(
                r"\bREFERENCES\b|\b(small|big)?serial\b|\bGENERATED\b.*\bIDENTITY\b", body, re.IGNORECASE
            ):
                bad.append((migration.name, name))
    assert bad == []


def test_a_part_stands_in_each_statement_that_names_it() -> None:
    text = "-- name: some\n-- scope: merchant\nSELECT 1 FROM subscriber WHERE\n-- part: audience\nLIMIT 1;"
    [statement] = catalogue.parse("some", text)
    assert "merchant_id = $1 AND offers_state = 'subscribed'" in statement.sql
    assert statement.sql.endswith("LIMIT 1")
    with pytest.raises(ValueError, match="some: there is no part 'nothing'"):
        catalogue.parse("some", text.replace("audience", "nothing"))


def test_whom_an_audience_means_is_said_once_for_preview_start_and_claim() -> None:
    part = (files("smsgate.store") / "sql" / "parts" / "audience.sql").read_text("utf-8").strip()
    statements = catalogue.load_all()
    meant = [name for name, each in statements.items() if "tags && $" in each.sql]
    assert sorted(meant) == [
        "campaigns.audience_groups",
        "campaigns.audience_sample",
        "campaigns.write_chunks",
        "sending.candidates",
        "sending.named_candidates",
    ]
    assert [name for name in meant if part not in statements[name].sql] == []
