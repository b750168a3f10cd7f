"""`smsgate billing simulate`: worked cases, computed by the code that bills."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from smsgate.billing.cases import simulate as answer
from smsgate.cli.examples import examples
from smsgate.cli.files import unreadable
from smsgate.cli.json_lines import STDIN
from smsgate.cli.sessions import run_to_end
from smsgate.demo.throwaway import answers_through_database
from smsgate.errors import Invalid

CASE_OCTETS_MAX: Final = 64 * 1_048_576  # a hundred thousand messages with their receipts take a third of it
HELP: Final = (
    "Compute a worked case and print the answer as JSON.\n\n"
    'A case is an object with "kind" and "input"; a file with "cases", or a list of cases, gets an answer a '
    "line, in their order. Amounts are decimal strings, times ISO 8601; docs/billing.md tells the fields of "
    "each kind. No database is read or written, but with --through-database: then invoice cases go end to "
    "end through an empty one that is thrown away. Exit code 1: a case cannot be computed; then nothing is "
    "printed."
)
EPILOG: Final = examples(
    "smsgate billing simulate case.json",
    "smsgate billing simulate cases.json > answers.jsonl",
    "smsgate billing simulate case.json --through-database",
    """echo '{"kind":"segments","input":{"texts":["OK"]}}' | smsgate billing simulate -""",
)


def simulate(
    case: Annotated[str, typer.Argument(metavar="CASE.json", help="A file; - is standard input.")],
    through_database: Annotated[
        bool,
        typer.Option(
            "--through-database",
            help="Write an invoice case's messages into an empty database, and close its months there.",
        ),
    ] = False,
) -> None:
    found = _read(case)
    listed = found.get("cases") if isinstance(found, dict) else found
    many = isinstance(listed, list)
    cases: list[object] = listed if isinstance(listed, list) else [found]
    places = [f"case {number}: " if many else "" for number in range(1, len(cases) + 1)]
    if through_database:
        answers = run_to_end(answers_through_database(cases, places))
    else:
        answers = [_answer(each, place) for each, place in zip(cases, places, strict=True)]
    for each in answers:  # whole numbers may be longer than the 64 bits of `show_json`
        sys.stdout.write(f"{json.dumps(each, ensure_ascii=False)}\n")
    sys.stdout.flush()


def _answer(case: object, place: str) -> Any:
    try:
        return answer(case)
    except Invalid as exc:
        raise Invalid(f"{place}{exc}", code=exc.code) from exc


def _read(source: str) -> object:
    """
    Return the JSON; a number with a point stays the text that it is, for money is never a float.

    Raises:
        UsageRefused: the file cannot be opened.
        Invalid: no JSON, or a text that is no Unicode.
    """
    try:
        if source == STDIN:
            octets = sys.stdin.buffer.read(CASE_OCTETS_MAX + 1)
        else:
            with Path(source).open("rb") as file:
                octets = file.read(CASE_OCTETS_MAX + 1)
    except OSError as exc:
        raise unreadable(source, exc) from None
    if len(octets) > CASE_OCTETS_MAX:
        raise Invalid(f"the case is longer than {CASE_OCTETS_MAX} octets")
    try:
        found = json.loads(octets.decode("utf-8-sig"), parse_float=str)
        json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair in \u escapes is no text
    except (ValueError, RecursionError) as exc:
        raise Invalid(f"the case is no JSON: {exc}") from None
    return found
