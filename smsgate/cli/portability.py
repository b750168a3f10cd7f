"""`smsgate portability`: numbers that moved to another network, imported and looked up."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any, Final

import orjson
import typer

from smsgate.billing.networks import default_table
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.files import unreadable
from smsgate.cli.output import JsonOption, say, show_json, show_table
from smsgate.cli.sessions import with_services
from smsgate.daemon.services import Services
from smsgate.errors import Invalid
from smsgate.store.portability import PgPortability, PortabilityChange, in_batches

COLUMNS: Final = ("msisdn", "mccmnc")
BATCH: Final = 20_000  # rows of one transaction: about 3 MB
LINE_MAX: Final = 1_000  # characters of one line: more is another file
MSISDN_DIGITS: Final = range(5, 16)  # E.164: 15 at most
NETWORK_DIGITS: Final = range(5, 7)
STANDARD_INPUT: Final = Path("-")

Row = tuple[int, str | None]

app: Final = typer.Typer(help="Numbers that moved to another network.", no_args_is_help=True)


@app.command(
    "import",
    help="Replace the table of ported numbers, or change it by a delta.\n\nA CSV file begins with the line "
    "msisdn,mccmnc; a file named *.ndjson holds one object a line with these two keys. In a delta an empty "
    "mccmnc (null) says that the number is back. A full table takes over when all of it is loaded, a delta "
    "is applied whole or not at all.",
    epilog=examples(
        "smsgate portability import ported.csv",
        "smsgate portability import today.ndjson --delta",
        "zcat ported.csv.gz | smsgate portability import -",
    ),
)
def import_(
    file: Annotated[Path, typer.Argument(help="CSV or NDJSON; - reads CSV from standard input.")],
    delta: Annotated[bool, typer.Option("--delta", help="Change the table in force.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    async def work(services: Services) -> PortabilityChange:
        store, now = PgPortability(services.database), services.clock.now()
        with _opened(file) as lines:
            rows = _ndjson(lines, str(file)) if file.suffix == ".ndjson" else _csv(lines, str(file))
            batches = in_batches(rows if delta else _moved(rows, str(file)), BATCH)
            return await (store.change(batches, now) if delta else store.replace(batches, now))

    done = with_services(config, work)
    if as_json:
        show_json({"version": done.version, "rows": done.rows, "numbers": done.numbers, "delta": delta})
    else:
        say(f"{done.rows} rows read; version {done.version} holds {done.numbers} numbers.")


@app.command(
    "lookup",
    help="Say on which network numbers are, and whether they moved there.",
    epilog=examples(
        "smsgate portability lookup 33612345678 33712345678", "smsgate portability lookup 33612345678 --json"
    ),
)
def lookup(
    msisdns: Annotated[list[str], typer.Argument(help="Numbers in international form.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    numbers = [_msisdn(text, text[:20]) for text in msisdns]

    async def work(services: Services) -> dict[int, str]:
        return await PgPortability(services.database).lookup(numbers)

    ported, table = with_services(config, work), default_table()
    found: list[dict[str, Any]] = [
        {
            "msisdn": str(number),
            "mccmnc": ported.get(number) or table.network_of(str(number)).mccmnc,
            "by": "ported" if number in ported else "prefix",
        }
        for number in numbers
    ]
    if as_json:
        show_json(found)
    else:
        show_table(("MSISDN", "MCCMNC", "BY"), [tuple(row.values()) for row in found])


@contextmanager
def _opened(file: Path) -> Iterator[IO[str]]:
    if file == STANDARD_INPUT:
        with open(sys.stdin.fileno(), encoding="utf-8-sig", newline="", closefd=False) as opened:
            yield opened
        return
    try:
        opened = file.open(encoding="utf-8-sig", newline="")
    except OSError as exc:
        raise unreadable(file, exc) from exc
    with opened:
        yield opened


def _csv(lines: IO[str], where: str) -> Iterator[Row]:
    try:
        header = lines.readline(LINE_MAX)
        if [name.strip() for name in header.split(",")] != list(COLUMNS):
            raise Invalid(f"{where} must begin with the line {','.join(COLUMNS)}; it has {header[:50]!r}.")
        for number, row in enumerate(csv.reader(lines, strict=True), 2):
            if len(row) != len(COLUMNS):
                raise Invalid(f"{where}, line {number}: it has {len(row)} cells, not {len(COLUMNS)}.")
            yield _msisdn(row[0], f"{where}, line {number}"), _network(row[1], f"{where}, line {number}")
    except (UnicodeDecodeError, csv.Error) as exc:
        raise Invalid(f"{where} is not CSV in UTF-8: {exc}.") from None


def _ndjson(lines: IO[str], where: str) -> Iterator[Row]:
    for number, line in enumerate(_lines(lines, where), 1):
        try:
            row = orjson.loads(line)
            msisdn, network = str(row["msisdn"]), row["mccmnc"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise Invalid(
                f"{where}, line {number}: not an object with msisdn and mccmnc: {line[:50]!r}."
            ) from None
        place = f"{where}, line {number}"
        yield _msisdn(msisdn, place), _network("" if network is None else str(network), place)


def _lines(lines: IO[str], where: str) -> Iterator[str]:
    try:
        yield from iter(lambda: lines.readline(LINE_MAX), "")
    except UnicodeDecodeError as exc:
        raise Invalid(f"{where} is not UTF-8: {exc}.") from None


def _moved(rows: Iterator[Row], where: str) -> Iterator[Row]:
    """Refuse a row without a network, and no row at all: only a delta can say that numbers are back."""
    empty = True
    for msisdn, network in rows:
        if network is None:
            raise Invalid(
                f"{where}: a row has no mccmnc; only a delta (--delta) may say that a number is back."
            )
        empty = False
        yield msisdn, network
    if empty:
        raise Invalid(f"{where} holds no number; a full table that is empty would end all that is in force.")


def _msisdn(text: str, where: str) -> int:
    digits = text.strip().removeprefix("+")
    if not (digits.isascii() and digits.isdecimal() and len(digits) in MSISDN_DIGITS) or digits[0] == "0":
        raise Invalid(f"{where}: {text[:20]!r} is no number in international form, like 33612345678.")
    return int(digits)


def _network(text: str, where: str) -> str | None:
    digits = text.strip()
    if not digits:
        return None
    if not (digits.isascii() and digits.isdecimal() and len(digits) in NETWORK_DIGITS) or digits[0] == "0":
        raise Invalid(f"{where}: {text[:20]!r} is no MCC+MNC, like 20801.")
    return digits
