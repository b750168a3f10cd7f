"""Documents in rows, as several commands of `smsgate billing` show them."""

from __future__ import annotations

from collections.abc import Sequence

from smsgate.cli.output import say, show_json, show_table
from smsgate.flows.billing_records import DocumentRow
from smsgate.money import minor_to_text


def show_documents(rows: Sequence[DocumentRow], as_json: bool) -> None:
    if as_json:
        show_json([document_json(row) for row in rows])
        return
    if not rows:
        say("No documents.")
        return
    show_table(
        ("number", "month", "type", "issued", "net", "VAT", "gross", "paid", ""),
        [
            [
                row.number, str(row.month), row.doc_type, row.issued_on.isoformat(),
                minor_to_text(row.net_minor, row.currency), minor_to_text(row.vat_minor, row.currency),
                minor_to_text(row.gross_minor, row.currency), minor_to_text(row.paid_minor, row.currency),
                row.currency,
            ]
            for row in rows
        ],
    )  # fmt: skip


def document_json(row: DocumentRow) -> dict[str, str]:
    return {
        "number": row.number,
        "month": str(row.month),
        "type": row.doc_type,
        "issued_on": row.issued_on.isoformat(),
        "currency": row.currency,
        "net": minor_to_text(row.net_minor, row.currency),
        "vat": minor_to_text(row.vat_minor, row.currency),
        "gross": minor_to_text(row.gross_minor, row.currency),
        "paid": minor_to_text(row.paid_minor, row.currency),
    }
