"""Worked cases end to end: what the database's closes bill is what the cases expect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from smsgate.billing.cases.fields import Fields
from smsgate.demo.worked_case import invoice_through_database
from smsgate.errors import Invalid
from smsgate.store.pool import Database
from smsgate.store.verify import PgVerify
from tests.unit.billing.worked_cases import CASES, backwards, changed, comparable, twice

INVOICES = {name: case for name, case in CASES.items() if case["kind"] == "invoice"}


def as_it_is(_name: str, values: list[Any]) -> list[Any]:
    return values


def twice_and_turned_round(name: str, values: list[Any]) -> list[Any]:
    return backwards(name, twice(name, values))


@pytest.mark.parametrize("change", [as_it_is, twice_and_turned_round])
async def test_all_cases_of_one_database_give_their_answers_and_leave_books_that_hold(
    database: Database, change: Callable[[str, list[Any]], list[Any]]
) -> None:
    for run, (name, case) in enumerate(INVOICES.items(), 1):
        values = Fields(changed(case["input"], change), "input")
        answer = await invoice_through_database(values, database, run)
        assert comparable(answer) == comparable(case["expected"]), name
    (await PgVerify(database).looked()).hold()


async def test_messages_from_before_there_were_ids_are_refused(database: Database) -> None:
    case = {**INVOICES["s05-rounding"]["input"]}
    case["messages"] = [{**case["messages"][0], "accepted_at": "2024-12-31T12:00:00+00:00"}]
    case["price_lists"] = [
        {**each, "versions": [{**version, "effective_from": "2020-01-01"} for version in each["versions"]]}
        for each in case["price_lists"]
    ]
    with pytest.raises(Invalid, match="from 2025-01-02 on"):
        await invoice_through_database(Fields(case, "input"), database, 1)
