"""`smsgate billing simulate`: worked cases, computed by the code that bills."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from smsgate.billing.cases import simulate as answer
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import UsageRefused
from smsgate.cli.files import unreadable
from smsgate.cli.json_lines import STDIN
from smsgate.cli.output import JsonOption
from smsgate.errors import Invalid

CASE_OCTETS_MAX: Final = 64 * 1_048_576  # a hundred thousand messages with their receipts take a third of it
HELP: Final = (
    "Compute a worked case, or a past month by another price list; the books stay as they are.\n\n"
    'A case is an object with "kind" and "input"; a file with "cases", or a list of cases, gets an answer a '
    "line, in their order. Amounts are decimal strings, times ISO 8601; docs/billing.md tells the fields of "
    "each kind. No database is read or written, but with --through-database: then invoice cases go end to "
    "end through an empty one that is thrown away. Exit code 1: a case cannot be computed; then nothing is "
    "printed.\n\n"
    "--price-list computes a month that is over from its messages by the list's newest version, whatever its "
    "instants say, and shows each merchant's difference: lines, tiers and minimums as a close bills them, "
    "without VAT. Exit code 1: a merchant's month cannot be computed; the others are shown."
)
EPILOG: Final = examples(
    "smsgate billing simulate case.json",
    "smsgate billing simulate cases.json > answers.jsonl",
    "smsgate billing simulate case.json --through-database",
    "smsgate billing simulate --price-list fr-2027 --month 2026-10",
    "smsgate billing simulate --price-list fr-standard --version 4 --month 2026-10 --merchant boxman --json",
    """echo '{"kind":"segments","input":{"texts":["OK"]}}' | smsgate billing simulate -""",
)


def simulate(
    case: Annotated[
        str | None, typer.Argument(metavar="[CASE.json]", help="A file; - is standard input.")
    ] = None,
    through_database: Annotated[
        bool,
        typer.Option(
            "--through-database",
            help="Write an invoice case's messages into an empty database, and close its months there.",
        ),
    ] = False,
    price_list: Annotated[
        str | None, typer.Option(help="Compute a month by this list of side sell.", show_default="none")
    ] = None,
    version: Annotated[int | None, typer.Option(help="Of the list.", show_default="the newest")] = None,
    month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="A month that is over.", show_default="none")
    ] = None,
    merchant: Annotated[str | None, typer.Option(help="Its slug.", show_default="all")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    if (case is None) is (price_list is None):
        raise UsageRefused("Write a CASE.json, or --price-list with --month, and not both.")
    if (price_list is None) is not (month is None):
        raise UsageRefused("--price-list: it takes --month, and --month takes it.")
    if price_list is not None and month is not None:
        from smsgate.cli.billing_reprice import reprice  # noqa: PLC0415  # a second, and no case needs it

        reprice(price_list, version, month, merchant, config, as_json)
    elif case is not None:
        _answer_cases(case, through_database=through_database)


def _answer_cases(source: str, *, through_database: bool) -> None:
    found = _read(source)
    listed = found.get("cases") if isinstance(found, dict) else found
    many = isinstance(listed, list)
    cases: list[object] = listed if isinstance(listed, list) else [found]
    places = [f"case {number}: " if many else "" for number in range(1, len(cases) + 1)]
    if through_database:
        from smsgate.cli.sessions import run_to_end  # noqa: PLC0415  # as above
        from smsgate.demo.throwaway import answers_through_database  # noqa: PLC0415

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
