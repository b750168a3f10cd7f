"""`smsgate pdu`: what octets of SMPP mean, and which octets mean that."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit
from smsgate.cli.json_lines import STDIN, Row, answer_lines
from smsgate.cli.output import show
from smsgate.cli.pdu_view import view
from smsgate.errors import Invalid
from smsgate.protocol.frames import COMMAND_LENGTH_MAX, HEADER_SIZE
from smsgate.protocol.inspection import encode_inspected, inspect_pdu, inspect_receipt_text

app: Final = typer.Typer(
    help="Look into SMPP PDUs, and make them.", no_args_is_help=True, rich_markup_mode=None
)

RECEIPT_TEXT: Final = "receipt_text"
LINES: Final = (
    "Lines are JSON objects or bare hexadecimal digits, one answer per line, in order; what else an object "
    "holds is not looked at. Exit code 1: at least one line could not be read, and its answer is an error."
)

LimitOption = Annotated[
    int,
    typer.Option(
        "--command-length-max",
        min=HEADER_SIZE,
        metavar="OCTETS",
        help="A PDU that announces more ends the stream.",
    ),
]


@app.command(
    "decode",
    help='Read PDUs: {"id","hex","pdu"?} per line -> {"id","verdict","pdu","fields","tlvs","error"?}. '
    '"pdu":"receipt_text" means: this is the text of a receipt; with "esm_class" of its PDU if known.\n\n'
    + LINES
    + "\n\nHexadecimal digits as an argument are shown for people.",
    epilog=examples(
        "smsgate pdu decode 00000010000000150000000000000001",
        "smsgate pdu decode pdus.jsonl > answers.jsonl",
        "echo 00000010000000150000000000000001 | smsgate pdu decode",
    ),
)
def decode(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[HEX | FILE]...",
            help="Digits, or files of lines; - is standard input.",
            show_default=False,
        ),
    ] = None,
    command_length_max: LimitOption = COMMAND_LENGTH_MAX,
) -> None:
    def answer(row: Row) -> Row:
        return read(row, command_length_max)

    files = []
    for source in sources or [STDIN]:
        try:
            octets = _octets(source)
        except Invalid:
            files.append(source)
            continue
        for line in view(octets, command_length_max):
            show(line)
    if not answer_lines(files, "hex", answer):
        raise typer.Exit(Exit.FAILED)


@app.command(
    "encode",
    help='Make PDUs: {"id","pdu"?,"fields","tlvs"?} per line, as decode writes them -> {"id","hex"}. Lengths '
    "and counts are found anew; fields that are left out are 0 or empty.\n\n" + LINES,
    epilog=examples(
        "smsgate pdu encode answers.jsonl",
        "smsgate pdu decode pdus.jsonl | smsgate pdu encode",
        """echo '{"pdu":"enquire_link","fields":{"sequence_number":7}}' | smsgate pdu encode""",
    ),
)
def encode(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE]...", help="Files of lines; - is standard input.", show_default=False),
    ] = None,
) -> None:
    if not answer_lines(files or [STDIN], "pdu", made):
        raise typer.Exit(Exit.FAILED)


def read(row: Row, command_length_max: int) -> Row:
    """
    Return what the octets of a line mean.

    Raises:
        Invalid: they are not written in hexadecimal digits.
    """
    octets = _octets(row.get("hex"))
    if row.get("pdu") == RECEIPT_TEXT:
        esm_class = row.get("esm_class")
        return dict(inspect_receipt_text(octets, esm_class if isinstance(esm_class, int) else None))
    return dict(inspect_pdu(octets, command_length_max))


def made(row: Row) -> Row:
    """
    Return the octets of the PDU that a line shows.

    Raises:
        Invalid, ProtocolError: it is not shown as decode shows it, or no PDU can hold it.
    """
    if "error" in row:
        reason = f": {row['error']}" if isinstance(row["error"], str) else ""
        raise Invalid(f"this PDU was not read, so it cannot be made again{reason}")
    fields, tlvs, name = row.get("fields", {}), row.get("tlvs", []), row.get("pdu")
    if not isinstance(fields, dict) or not isinstance(tlvs, list):
        raise Invalid('write {"pdu":"submit_sm","fields":{...},"tlvs":[...]}, as decode does')
    return {"hex": encode_inspected(fields, tlvs, name).hex()}


def _octets(value: object) -> bytes:
    """Return octets written in hexadecimal digits, with spaces or without."""
    if not isinstance(value, str):
        raise Invalid('write {"hex":"00000010..."}, or the digits alone')
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise Invalid(f"{value[:40]!r} is not made of pairs of hexadecimal digits") from None
