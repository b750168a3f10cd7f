"""`smsgate billing proof`: an invoice's proof file, written from the books, and checked without them."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from smsgate.billing.document_proofs import Held, check_proof
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit, UsageRefused
from smsgate.cli.files import unreadable, write_whole
from smsgate.cli.output import JsonOption, say, show, show_json
from smsgate.cli.sessions import with_settings
from smsgate.config import load_settings
from smsgate.daemon.billing_reports import document_proofs_of
from smsgate.daemon.services import Services
from smsgate.security.proof_chain import FILE_OCTETS_MAX

HELP: Final = (
    "Write the proof file of a month's invoice: the document as it was issued, and for each price of its "
    "lines the root of a hash tree over all messages that it counts. --message adds the path from a message "
    "to its root. Documents that no messages stand behind (prepayments, payouts, credit notes by hand) have "
    "none: exit code 1, and --output writes no file.\n\n"
    "--check FILE checks such a file: no database, no network. With --records the rows of the merchant's own "
    "export must lead to the same roots. The key is that of `smsgate order key`. Exit code 1: something does "
    "not hold; the first thing is said."
)
EPILOG: Final = examples(
    "smsgate billing proof F-2026-000042 --output F-2026-000042.proof",
    "smsgate billing proof F-2026-000042 --message msg_4SM5xMC6jN0nK0nRvRX2rZ --output sample.proof",
    "smsgate billing proof --check F-2026-000042.proof --key $(smsgate order key)",
    "smsgate billing proof --check F-2026-000042.proof --records boxman-2026-11.csv",
)


def proof(
    number: Annotated[str | None, typer.Argument(metavar="[NUMBER]", help="Such as F-2026-000042.")] = None,
    message: Annotated[
        list[str] | None, typer.Option(help="A message whose path to write; repeatable.", show_default="none")
    ] = None,
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Check this file.", show_default="none")
    ] = None,
    records: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="CSV", help="What `billing export --as csv` wrote; repeatable.", show_default="none"
        ),
    ] = None,
    public_key: Annotated[
        str | None,
        typer.Option("--key", metavar="HEX", help="The gateway's public key.", show_default="none"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write here, whole or not at all.", show_default="standard output")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    if (number is None) is (check is None):
        raise UsageRefused("Write a NUMBER, or --check FILE, and not both.")
    if check is not None:
        _tell(_checked(check, records or (), public_key), public_key, as_json=as_json)
    elif number is not None:
        _write(number, message or (), output, config)


def _write(number: str, messages: list[str] | tuple[()], output: Path | None, config: Path | None) -> None:
    settings = load_settings(config)

    async def work(services: Services) -> bytes:
        return await document_proofs_of(settings, services).file(number, messages)

    octets = with_settings(settings, work)
    if output is None:
        sys.stdout.buffer.write(octets)
    else:
        write_whole(output, octets)


def _checked(check: Path, records: list[Path] | tuple[()], public_key: str | None) -> Held:
    with ExitStack() as stack:
        path = check
        try:
            with check.open("rb") as file:
                octets = file.read(FILE_OCTETS_MAX + 1)
            opened = []
            for path in records:
                opened.append(stack.enter_context(path.open(encoding="utf-8", newline="")))
        except OSError as exc:
            raise unreadable(path, exc) from exc
        return check_proof(octets, key=public_key, records=opened)


def _tell(held: Held, public_key: str | None, *, as_json: bool) -> None:
    if as_json:
        show_json({
            "holds": not held.wrong, "wrong": held.wrong or None, "number": held.number or None,
            "lines": held.lines, "segments": held.segments, "rows": held.rows, "samples": held.samples,
            "rows_compared": held.rows_compared, "key": held.key or None,
        })  # fmt: skip
    elif held.wrong:
        say(f"smsgate: It does not hold: {held.wrong}.")
    else:
        known = "the key that you gave" if public_key else f"key {held.key}: compare it"
        show(
            f"{held.number} holds: {held.lines} lines, {held.segments} segments of {held.rows} messages, "
            f"{held.samples} samples, signed by {known}."
        )
        if held.rows_compared:
            show(f"{held.rows_compared} rows of your export lead to its roots.")
    if held.wrong:
        raise typer.Exit(Exit.FAILED)
