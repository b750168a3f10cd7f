"""Worked cases end to end: what the database's closes bill is what the cases expect."""

from __future__ import annotations

from typing import Any

import pytest

from smsgate.billing.cases.fields import Fields
from smsgate.demo.throwaway import verified
from smsgate.demo.worked_case import invoice_through_database
from smsgate.errors import Invalid
from smsgate.store.pool import Database
from tests.unit.billing.worked_cases import CASES, backwards, changed, comparable, twice

INVOICES = {name: case for name, case in CASES.items() if case["kind"] == "invoice"}
CHANGES: list[Any] = [lambda _name, values: values, backwards, twice]


@pytest.mark.parametrize("name", INVOICES)
async def test_a_case_gives_its_answer_as_it_is_turned_round_and_delivered_twice(
    database: Database, name: str
) -> None:
    case = INVOICES[name]
    for run, change in enumerate(CHANGES, 1):
        answer = await invoice_through_database(
            Fields(changed(case["input"], change), "input"), database, run
        )
        assert comparable(answer) == comparable(case["expected"])
    await verified(database)


async def test_messages_from_before_there_were_ids_are_refused(database: Database) -> None:
    case = {**INVOICES["s05-rounding"]["input"]}
    case["messages"] = [{**case["messages"][0], "accepted_at": "2024-12-31T12:00:00+00:00"}]
    case["price_lists"] = [
        {**each, "versions": [{**version, "effective_from": "2020-01-01"} for version in each["versions"]]}
        for each in case["price_lists"]
    ]
    with pytest.raises(Invalid, match="from 2025-01-02 on"):
        await invoice_through_database(Fields(case, "input"), database, 1)
