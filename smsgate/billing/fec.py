"""
FEC: the accounting entries of documents in the file that French tax auditors read (R19).

Source: Livre des procédures fiscales, art. A47 A-1: 18 columns, file SIREN + FEC + closing date. Amounts have
a decimal comma.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.errors import Invalid
from smsgate.money import minor_to_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from smsgate.billing.documents import DocumentType
    from smsgate.billing.vat import VatRow

SEPARATOR: Final = "\t"
SIREN_DIGITS: Final = 9


class FecRow(NamedTuple):
    """The columns by their legal names, in their legal order."""

    JournalCode: str
    JournalLib: str
    EcritureNum: str
    EcritureDate: str
    CompteNum: str
    CompteLib: str
    CompAuxNum: str
    CompAuxLib: str
    PieceRef: str
    PieceDate: str
    EcritureLib: str
    Debit: str
    Credit: str
    EcritureLet: str
    DateLet: str
    ValidDate: str
    Montantdevise: str
    Idevise: str


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts of the general plan that documents are booked on."""

    journal: tuple[str, str] = ("VE", "Ventes")
    customer: tuple[str, str] = ("411000", "Clients")
    sales: tuple[str, str] = ("706000", "Prestations de services")
    vat: tuple[str, str] = ("445710", "TVA collectée")


@dataclass(frozen=True, slots=True)
class BookedDocument:
    """Amounts are those printed on the document: a credit note's are positive too."""

    number: str
    doc_type: DocumentType
    issued_on: date
    currency: str
    customer_id: str
    customer_name: str
    net_minor: int
    vat_rows: tuple[VatRow, ...]
    gross_minor: int


def fec_name(siren: str, closing: date) -> str:
    """
    Return the file's name without its ending: ("552100554", 2026-12-31) is "552100554FEC20261231".

    Raises:
        Invalid: code `siren_invalid`.
    """
    if len(siren) != SIREN_DIGITS or not (siren.isascii() and siren.isdecimal()):
        raise Invalid(f"{siren[:20]!r} is no SIREN of {SIREN_DIGITS} digits", code="siren_invalid")
    return f"{siren}FEC{closing:%Y%m%d}"


def fec_rows(documents: Iterable[BookedDocument], accounts: Accounts | None = None) -> list[FecRow]:
    """Return the rows of the documents in order of date and number, one entry number per document."""
    ordered = sorted(documents, key=lambda document: (document.issued_on, document.number))
    rows: list[FecRow] = []
    for entry, document in enumerate(ordered, 1):
        rows += _rows(document, entry, accounts or Accounts())
    return rows


def _rows(document: BookedDocument, entry: int, accounts: Accounts) -> list[FecRow]:
    day = f"{document.issued_on:%Y%m%d}"
    swapped = document.doc_type.value == "381"
    label = f"{'Avoir' if swapped else 'Facture'} {document.number}"

    def row(
        account: tuple[str, str], amount_minor: int, *, debit: bool, auxiliary: tuple[str, str]
    ) -> FecRow:
        debit_minor, credit_minor = (amount_minor, 0) if debit != swapped else (0, amount_minor)
        return FecRow(
            *accounts.journal, str(entry), day, *account, *auxiliary, document.number, day, label,
            comma_text(debit_minor, document.currency), comma_text(credit_minor, document.currency),
            "", "", day, *_foreign(document, amount_minor),
        )  # fmt: skip

    customer = document.customer_id, document.customer_name
    rows = [row(accounts.customer, document.gross_minor, debit=True, auxiliary=customer)]
    rows.append(row(accounts.sales, document.net_minor, debit=False, auxiliary=("", "")))
    rows += [
        row(accounts.vat, each.amount_minor, debit=False, auxiliary=("", ""))
        for each in document.vat_rows
        if each.amount_minor
    ]
    return rows


def _foreign(document: BookedDocument, amount_minor: int) -> tuple[str, str]:
    if document.currency == "EUR":
        return "", ""
    return comma_text(amount_minor, document.currency), document.currency


def comma_text(minor: int, currency: str) -> str:
    return minor_to_text(minor, currency).replace(".", ",")


def fec_text(rows: Iterable[FecRow]) -> str:
    """Return the file: a header, tabs, CRLF; tabs and line ends within a cell become spaces."""
    lines = [FecRow._fields, *rows]
    return "".join(
        SEPARATOR.join(" ".join(cell.replace(SEPARATOR, " ").splitlines()) for cell in line) + "\r\n"
        for line in lines
    )
