"""`smsgate billing close`, `invoice`, `credit` and `reverse`: months become documents, and what is undone."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from smsgate.billing.numbering import NUMBER_DIGITS
from smsgate.billing.periods import Month
from smsgate.cli.billing_tables import show_documents
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit, as_usage
from smsgate.cli.files import write_whole
from smsgate.cli.output import JsonOption, say, show, show_table
from smsgate.cli.sessions import all_rows, merchant_of, with_settings
from smsgate.config import load_settings
from smsgate.daemon.invoicing import document_files_of, invoicing_of
from smsgate.daemon.services import Services
from smsgate.errors import Invalid
from smsgate.flows.billing_records import Closed, DocumentRow
from smsgate.flows.documents import StoredDocument
from smsgate.flows.reversals import Reversing
from smsgate.invoicing.forms import Form, rendered
from smsgate.money import micros_to_text, minor_to_text
from smsgate.security.public_ids import Kind
from smsgate.store.reversals import PgReversals

CLOSE_HELP: Final = (
    "Close a month and write its documents; what is closed already is shown again.\n\n"
    "Without MERCHANT every merchant whose month is due is closed, as the daemon does it. "
    "Exit code 1: the month is not over, another one comes first, or seller or buyer are not known."
)
CLOSE_EPILOG: Final = examples(
    "smsgate billing close boxman 2026-11",
    "smsgate billing close",
    "smsgate billing close boxman 2026-11 --json",
)
INVOICE_HELP: Final = "List a merchant's documents, or show one; --as writes it as a file."
INVOICE_EPILOG: Final = examples(
    "smsgate billing invoice boxman",
    "smsgate billing invoice F-2026-000042",
    "smsgate billing invoice F-2026-000042 --as pdf --output F-2026-000042.pdf",
)
CREDIT_HELP: Final = (
    "Write a credit note: --line 2=100 credits 100 segments of line 2, without --line all that is left "
    "and was not given back message by message.\n\n"
    "Exit code 1: more than is left, or no invoice of this number; then nothing is written."
)
CREDIT_EPILOG: Final = examples(
    "smsgate billing credit F-2026-000042 --line 1=100 --line 2=7", "smsgate billing credit F-2026-000042"
)
REVERSE_HELP: Final = (
    "Give charges of messages back, each once: before its month's close they are gone, after it the next "
    "document has a line.\n\n"
    "Exit code 1: some of them were credited by hand, with their line; then nothing is given back."
)
REVERSE_EPILOG: Final = examples(
    'smsgate billing reverse boxman msg_4SM5xMC6jN0nK0nRvRX2rZ --reason "sent twice by our fault"'
)

KEPT_AS: Final = {Form.CII: "xml"}  # others have one name over HTTP and here
NUMBER_FORM: Final = re.compile(rf".+-[0-9]{{{NUMBER_DIGITS}}}")  # all else is a slug

Number = Annotated[str, typer.Argument(metavar="NUMBER", help="What stands on it, such as F-2026-000042.")]


def close(
    merchant: Annotated[str | None, typer.Argument(metavar="[MERCHANT]", help="Its slug.")] = None,
    month: Annotated[
        str | None, typer.Argument(metavar="[YYYY-MM]", help="A month of its time zone.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    asked = None
    if merchant is not None:
        with as_usage("YYYY-MM"):
            asked = Month.parse(month or "")
    settings = load_settings(config)

    async def work(services: Services) -> Closed:
        closing = invoicing_of(settings, services).closing
        if merchant is None or asked is None:
            return await closing.close_due()
        row = await merchant_of(services, merchant)
        return Closed(await closing.close(row.merchant_id, asked))

    closed = with_settings(settings, work)
    show_documents(closed.documents, as_json)
    for waiting in closed.waiting:
        say(f"Merchant {waiting.merchant_id}, {waiting.month}, waits: {waiting.why}.")
    if closed.waiting:
        raise typer.Exit(Exit.FAILED)


def invoice(
    which: Annotated[str, typer.Argument(metavar="NUMBER|MERCHANT", help="A document's number, or a slug.")],
    form: Annotated[Form | None, typer.Option("--as", help="pdf is Factur-X.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write here, whole or not at all.", show_default="standard output")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    settings = load_settings(config)
    made: list[bytes] = []

    async def work(services: Services) -> StoredDocument | Sequence[DocumentRow]:
        documents = invoicing_of(settings, services).documents
        if NUMBER_FORM.fullmatch(which):
            document = await documents.by_number(which)
            if form is not None and form is not Form.JSON:
                made.append(await document_files_of(services).make(document, KEPT_AS.get(form, form.value)))
            return document
        row = await merchant_of(services, which)
        return await all_rows(
            lambda ask: documents.page(row.merchant_id, ask), lambda document: document.document_id
        )

    found = with_settings(settings, work)
    if not isinstance(found, StoredDocument):
        show_documents(found, as_json)
    elif form is not None:
        octets = made[0] if made else rendered(found.invoice, form)
        if output is None:
            sys.stdout.buffer.write(octets)
            sys.stdout.flush()
        else:
            write_whole(output, octets)
    elif as_json:
        sys.stdout.buffer.write(rendered(found.invoice, Form.JSON))
        sys.stdout.flush()
    else:
        _show_document(found)


def credit(
    number: Number,
    line: Annotated[
        list[str] | None, typer.Option(metavar="LINE=QUANTITY", help="Again as often as needed.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    with as_usage("--line"):
        asked = [_line(text) for text in line] if line else None
    settings = load_settings(config)

    async def work(services: Services) -> Sequence[DocumentRow]:
        documents = invoicing_of(settings, services).documents
        return [await documents.credit(await documents.by_number(number), asked)]

    show_documents(with_settings(settings, work), as_json)


def reverse(
    merchant: Annotated[str, typer.Argument(metavar="MERCHANT", help="Its slug.")],
    messages: Annotated[list[str], typer.Argument(metavar="MESSAGE_ID...", help="As the API names them.")],
    reason: Annotated[str, typer.Option(help="For the books.")],
    config: ConfigOption = None,
) -> None:
    settings = load_settings(config)

    async def work(services: Services) -> int:
        row = await merchant_of(services, merchant)
        ids = [services.public_ids.decode(_kind(text), text) for text in messages]
        reversing = Reversing(PgReversals(services.database, services.ids.next), services.clock)
        return await reversing.reverse(row.merchant_id, ids, reason)

    count = with_settings(settings, work)
    say(f"{count} charges given back" if count else "Nothing was charged, or all was given back before")


def _kind(text: str) -> Kind:
    """Return what is given back: a message, or a reply."""
    reply = text.startswith(f"{Kind.INBOUND_MESSAGE.value}_")
    return Kind.INBOUND_MESSAGE if reply else Kind.MESSAGE


def _line(text: str) -> tuple[int, int]:
    number, _equals, quantity = text.partition("=")
    try:
        return int(number), int(quantity)
    except ValueError:
        raise Invalid(f"{text[:40]!r} is no LINE=QUANTITY such as 2=100") from None


def _show_document(document: StoredDocument) -> None:
    invoice, row = document.invoice, document.row
    show(f"{row.number}, {row.month}, issued {row.issued_on}, due {invoice.due_on}: {invoice.buyer.name}")
    if invoice.preceding_number:
        show(f"credits {invoice.preceding_number} of {invoice.preceding_on}")
    show_table(
        ("line", "name", "for", "quantity", "unit price", "VAT", "net"),
        [
            [
                str(number), line.name, line.origin, str(line.quantity), micros_to_text(line.unit_micros),
                line.vat_category, minor_to_text(line.net_minor, invoice.currency),
            ]
            for number, line in enumerate(invoice.lines, 1)
        ],
    )  # fmt: skip
    net, vat, gross = (
        minor_to_text(amount, invoice.currency)
        for amount in (invoice.net_minor, invoice.vat_minor, invoice.gross_minor)
    )
    show(f"net {net}, VAT {vat}, gross {gross} {invoice.currency}")
    for advance in invoice.advances:
        paid = minor_to_text(advance.gross_minor, invoice.currency)
        vat = minor_to_text(advance.vat_minor, invoice.currency)
        show(f"deducts {paid} of {advance.number} of {advance.issued_on}, VAT in it {vat}")
    if invoice.paid_minor:
        show(f"to pay {minor_to_text(invoice.due_minor, invoice.currency)} {invoice.currency}")
