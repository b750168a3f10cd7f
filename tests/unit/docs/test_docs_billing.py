"""The worked example of docs/billing.md comes out of the code that bills."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from smsgate.billing.cases import KINDS, simulate
from smsgate.billing.periods import Month
from smsgate.billing.postings import Account, PostingKey, imbalance, post_columns
from smsgate.billing.prices import Direction, PriceItem, PriceVersion
from smsgate.billing.rating import rate_columns
from smsgate.billing.statements import CSV_HEADER, StatementLine, build_statement, statement_csv
from smsgate.money import micros_from_text, micros_to_text, minor_to_text

PAGE: Final = (Path(__file__).parents[3] / "docs" / "billing.md").read_text(encoding="utf-8")
MERCHANT: Final = 7
CAMPAIGN: Final = 8


def rows_of(name: str) -> list[list[str]]:
    """Return the cells of the table between two marks, without its head."""
    table = PAGE.split(f"<!-- {name} -->\n", 1)[1].split(f"<!-- {name} end -->", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def price_version() -> PriceVersion:
    items = [
        PriceItem(number, Direction(direction), network, micros_from_text(price))
        for number, (direction, network, price) in enumerate(rows_of("prices"), start=1)
    ]
    return PriceVersion(1, datetime(2026, 1, 1, tzinfo=UTC), items)


def statement_lines() -> list[StatementLine]:
    """Rate every message of the usage table, one by one, as a batch of its own."""
    version = price_version()
    lines = []
    for campaign, direction, network, messages, *_ in rows_of("usage"):
        count = int(messages)
        rated = rate_columns(version, Direction(direction), [network] * count, 1)
        assert set(rated.reasons) == {None}
        item = version.lookup(Direction(direction), network)
        assert item is not None
        lines.append(
            StatementLine(
                campaign=campaign,
                direction=direction,
                network=item.network,
                price_item=str(item.item_id),
                unit_micros=item.unit_micros,
                messages=count,
                segments=count,
                amount_micros=rated.total_micros,
            )
        )
    return lines


def test_every_line_has_the_price_and_the_amount_that_rating_gives() -> None:
    shown = [(price_of, unit, amount) for *_, price_of, unit, amount in rows_of("usage")]
    made = [
        (line.network, micros_to_text(line.unit_micros), micros_to_text(line.amount_micros))
        for line in statement_lines()
    ]
    assert shown == made


def test_sums_rounding_and_csv_are_the_statements_own() -> None:
    statement = build_statement(
        merchant_id=MERCHANT,
        merchant="Boxman",
        month=Month(2026, 11),
        zone_name="Europe/Paris",
        currency="EUR",
        lines=statement_lines(),
    )
    sums = dict(rows_of("sums"))
    assert sums["messages"] == str(statement.messages)
    assert sums["amount"] == micros_to_text(statement.exact_micros)
    assert sums["total"] == minor_to_text(statement.total_minor, "EUR")
    assert sums["rounding"] == micros_to_text(statement.rounding_micros)
    assert "2026-10-31 23:00 to 2026-11-30 23:00 UTC" in PAGE
    assert statement.starts_at == datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert statement.ends_at == datetime(2026, 11, 30, 23, tzinfo=UTC)
    cells = list(csv.DictReader(io.StringIO(statement_csv(statement))))
    assert micros_to_text(sum(micros_from_text(row["amount"]) for row in cells)) == sums["amount"]
    assert sum(int(row["messages"]) for row in cells) == statement.messages


def test_the_postings_balance_and_have_the_signs_of_the_page() -> None:
    lines = statement_lines()
    keys = [
        PostingKey(
            MERCHANT, CAMPAIGN if line.campaign else None, int(line.price_item), "EUR", None, None, None
        )
        for line in lines
    ]
    postings = post_columns(
        keys, [line.segments for line in lines], [line.amount_micros for line in lines], [0] * len(lines)
    )
    assert imbalance(postings) == {"EUR": 0}
    sums = dict(rows_of("sums"))
    for account in (Account.UNBILLED, Account.REVENUE):
        total = sum(line.amount_micros for made in postings for line in made.lines if line.account is account)
        assert micros_to_text(total) == sums[f"`{account}`"]


def test_every_column_of_the_csv_is_explained() -> None:
    section = PAGE.split("| column | |\n", 1)[1].split("\n\n", 1)[0]
    assert [name for name in CSV_HEADER if f"`{name}`" not in section] == []


def test_every_account_is_explained() -> None:
    section = PAGE.split("| account | whose | sign | meaning |\n", 1)[1].split("\n\n", 1)[0]
    assert [account for account in Account if f"`{account}`" not in section] == []


def test_the_case_of_the_page_has_the_answer_of_the_page() -> None:
    fenced = PAGE.split("<!-- case -->\n", 1)[1].split("<!-- case end -->", 1)[0]
    answer = simulate(json.loads(fenced.removeprefix("```json\n").removesuffix("```\n")))
    made = [
        [
            invoice["period"],
            f"{line['quantity']} x {line['unit_price']} {line['item']}",
            line["for_period"],
            line["net"],
            invoice["vat_total"],
            invoice["gross"],
        ]
        for invoice in answer["invoices"]
        for line in invoice["lines"]
    ]
    assert made == rows_of("answer")


def test_every_rule_and_every_kind_of_case_is_explained() -> None:
    rules = PAGE.split("## The rules of documents", 1)[1]
    assert [
        number for number in range(1, 21) if f"R{number} " not in rules and f"R{number}, " not in rules
    ] == []
    assert [kind for kind in KINDS if f"| `{kind}` |" not in rules] == []


@pytest.mark.parametrize(
    ("kind", "values", "answer"),
    [
        ("conversion", {"amounts": ["1000000.00"]}, [{"amount": "152449.02"}]),
        ("conversion", {"amounts": ["11.11"], "from": "USD", "rate": "0.91825"}, [{"amount": "10.20"}]),
        ("segments", {"texts": ["a" * 152 + "€" + "a" * 152]}, [{"id": 1, "segments": 3}]),
    ],
)
def test_figures_of_the_rules_come_out(kind: str, values: dict[str, object], answer: object) -> None:
    assert simulate({"kind": kind, "input": values}) == answer
