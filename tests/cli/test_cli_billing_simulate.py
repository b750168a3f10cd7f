from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command_shell import Shell

DATA = Path(__file__).parents[1] / "data" / "billing-cases"
CONVERSION: dict[str, Any] = {"kind": "conversion", "input": {"amounts": ["100.00"]}}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A directory where nothing was started: worked cases need no database."""
    return Shell(tmp_path)


def test_a_case_is_answered_in_the_form_of_what_it_expects(shell: Shell) -> None:
    path = DATA / "03-price-change.json"
    expected = json.loads(path.read_text("utf-8"))["expected"]
    assert shell.ok("billing", "simulate", str(path)).json() == expected
    assert shell.ok("billing", "simulate", "-", stdin=path.read_text("utf-8")).json() == expected
    assert not shell.state_dir.exists()


def test_a_file_of_cases_has_an_answer_a_line_in_their_order(shell: Shell) -> None:
    names = ["25-csv", "16-prepaid-balance", "s32-francs"]
    cases = [json.loads((DATA / f"{name}.json").read_text("utf-8")) for name in names]
    found = shell.ok("billing", "simulate", "-", stdin=json.dumps({"cases": cases}))
    assert [json.loads(line) for line in found.out.splitlines()] == [case["expected"] for case in cases]
    assert shell.ok("billing", "simulate", "-", stdin=json.dumps(cases)).out == found.out


def test_a_price_that_is_written_as_a_number_is_taken_as_it_is_written(shell: Shell) -> None:
    text = (DATA / "03-price-change.json").read_text("utf-8").replace('"0.047125"', "0.047125")
    expected = json.loads((DATA / "03-price-change.json").read_text("utf-8"))["expected"]
    assert shell.ok("billing", "simulate", "-", stdin=text).json() == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "smsgate: The case is no JSON: Expecting property name"),
        ("[" * 100_000, "smsgate: The case is no JSON: "),
        ('{"kind":"csv","input":{"columns":["\\ud83d"],"rows":[]}}', "smsgate: The case is no JSON: "),
        ("7", "smsgate: Case is no object.\n"),
        ("[7]", "smsgate: Case 1: case is no object.\n"),
        ('{"kind":"sing","input":{}}', "smsgate: Kind 'sing' is none of conversion, credit_notes, csv, "),
        (json.dumps({"cases": [CONVERSION, {"kind": "csv"}]}), "smsgate: Case 2: case.input is missing.\n"),
    ],
)
def test_what_cannot_be_computed_is_said_and_nothing_is_printed(
    shell: Shell, text: str, sentence: str
) -> None:
    found = shell.run("billing", "simulate", "-", stdin=text)
    assert (found.code, found.out) == (1, "")
    assert found.err.startswith(sentence)


def test_a_file_that_is_not_there_is_a_usage_error(shell: Shell) -> None:
    found = shell.run("billing", "simulate", "nowhere.json")
    assert (found.code, found.out, found.err) == (
        2,
        "",
        "smsgate: nowhere.json cannot be read: No such file or directory.\n",
    )


def test_invoice_cases_go_through_a_database_end_to_end_and_give_the_same_answers(shell: Shell) -> None:
    names = ["07-charge-basis", "s09-reversals", "25-csv"]
    cases = [json.loads((DATA / f"{name}.json").read_text("utf-8")) for name in names]
    text = json.dumps({"cases": cases})
    found = shell.ok("billing", "simulate", "-", "--through-database", stdin=text)
    assert found.out == shell.ok("billing", "simulate", "-", stdin=text).out
    assert not shell.state_dir.exists()
    wrong = json.dumps({"cases": [cases[0], {"kind": "invoice", "input": {"messages": 7}}]})
    refused = shell.run("billing", "simulate", "-", "--through-database", stdin=wrong)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("smsgate: Case 2: input.messages is no list.")
