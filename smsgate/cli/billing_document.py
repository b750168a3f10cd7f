"""`smsgate billing document`: a stored document again, as PDF, XML or JSON; needs no database."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from smsgate.billing.documents import DocumentType
from smsgate.billing.invoices import check_invoice, invoice_from_json
from smsgate.cli.examples import examples
from smsgate.cli.exits import as_usage
from smsgate.cli.files import unreadable, write_whole
from smsgate.invoicing.forms import Form, rendered

HELP: Final = (
    "Make a document again from its stored payload, octet by octet the same; amounts are proved first."
)
EPILOG: Final = examples(
    "smsgate billing document F-000123.json --output F-000123.pdf",
    "smsgate billing document F-000123.json --as ubl --output F-000123.xml",
)
PAYLOAD_OCTETS_MAX: Final = 64 << 20  # some 200,000 lines


def document(
    payload: Annotated[
        Path, typer.Argument(metavar="PAYLOAD.json", help="The stored payload; - is standard input.")
    ],
    form: Annotated[Form, typer.Option("--as", help="pdf is Factur-X.")] = Form.PDF,
    output: Annotated[
        Path | None, typer.Option(help="Write here, whole or not at all.", show_default="standard output")
    ] = None,
) -> None:
    with as_usage("PAYLOAD.json"):
        invoice = invoice_from_json(_read(payload))
        check_invoice(invoice, rests=invoice.code is DocumentType.CREDIT_NOTE)
        octets = rendered(invoice, form)
    if output is None:
        sys.stdout.buffer.write(octets)
        sys.stdout.flush()
    else:
        write_whole(output, octets)


def _read(path: Path) -> bytes:
    try:
        if str(path) == "-":
            return sys.stdin.buffer.read(PAYLOAD_OCTETS_MAX)
        with path.open("rb") as file:
            return file.read(PAYLOAD_OCTETS_MAX)
    except OSError as exc:
        raise unreadable(path, exc) from exc
