"""
FEC: the accounting entries of documents in the file that French tax auditors read (R19).

Source: Livre des procédures fiscales, art. A47 A-1: 18 columns, file SIREN + FEC + closing date, ISO 8859-15,
entries numbered without gaps in each journal. Amounts have a decimal comma.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.billing.currencies import Ratio, converted_after
from smsgate.billing.documents import CREDITS, PREPAYMENTS, DocumentType
from smsgate.errors import Invalid
from smsgate.money import minor_to_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from smsgate.billing.vat import VatRow

SEPARATOR: Final = "\t"
ENCODING: Final = "iso8859-15"
EURO: Final = "EUR"  # the books' own currency (Code de commerce, art. L123-22)
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
    advances: tuple[str, str] = ("419100", "Clients - Avances et acomptes reçus")
    purchases: tuple[str, str] = ("AC", "Achats")
    supplier: tuple[str, str] = ("401000", "Fournisseurs")
    charges: tuple[str, str] = ("611000", "Sous-traitance générale")
    input_vat: tuple[str, str] = ("445660", "TVA déductible sur autres biens et services")


class BookedAdvance(NamedTuple):
    """
    A part of a prepayment invoice, at the rate at which that one was booked.

    `gross_before_minor` and `vat_before_minor` are what documents took of it before (`converted_after`).
    """

    gross_minor: int
    vat_minor: int
    rate: Ratio | None = None
    gross_before_minor: int = 0
    vat_before_minor: int = 0


@dataclass(frozen=True, slots=True)
class BookedDocument:
    """
    Amounts are those printed on the document: a credit note's are positive too.

    `rate` is how many euros one unit of its currency gives, and `euro_vat_minor` the VAT in euros as the
    document tells it; None: its rows have its own currency. `advances` are what an invoice deducts, and the
    one that a credit note of a prepayment gives back.
    """

    number: str
    doc_type: DocumentType
    issued_on: date
    currency: str
    customer_id: str
    customer_name: str
    net_minor: int
    vat_rows: tuple[VatRow, ...]
    gross_minor: int
    rate: Ratio | None = None
    euro_vat_minor: int | None = None
    advances: tuple[BookedAdvance, ...] = ()


def fec_name(siren: str, closing: date) -> str:
    """
    Return the file's name without its ending: ("552100554", 2026-12-31) is "552100554FEC20261231".

    Raises:
        Invalid: code `siren_invalid`.
    """
    if len(siren) != SIREN_DIGITS or not (siren.isascii() and siren.isdecimal()):
        raise Invalid(f"{siren[:20]!r} is no SIREN of {SIREN_DIGITS} digits", code="siren_invalid")
    return f"{siren}FEC{closing:%Y%m%d}"


def fec_rows(
    documents: Iterable[BookedDocument],
    accounts: Accounts | None = None,
    *,
    entries_before: Mapping[str, int] | None = None,
) -> list[FecRow]:
    """
    Return the rows of the documents in order of date and number, one entry number per document.

    `entries_before`: how many entries a journal has already, by its code.

    Raises:
        Invalid: code `fec_unbalanced`: a document whose gross is not its net and VAT.
    """
    used = accounts or Accounts()
    entries = Counter(entries_before or {})
    rows: list[FecRow] = []
    for document in sorted(documents, key=lambda document: (document.issued_on, document.number)):
        journal = journal_of(document.doc_type, used)
        entries[journal[0]] += 1
        rows += _entry(document, journal, entries[journal[0]], used)
    return rows


def journal_of(doc_type: DocumentType, accounts: Accounts) -> tuple[str, str]:
    return accounts.purchases if doc_type is DocumentType.SELF_BILLED else accounts.journal


class _Leg(NamedTuple):
    """One row: minor units of the document's currency, and those that are booked."""

    account: tuple[str, str]
    own_minor: int
    booked_minor: int
    debit: bool
    partner: bool = False  # it names whom the document is about


LABELS: Final = {"381": "Avoir", "386": "Acompte", "389": "Autofacture", "503": "Avoir sur acompte"}


def _entry(
    document: BookedDocument, journal: tuple[str, str], entry: int, accounts: Accounts
) -> list[FecRow]:
    day = f"{document.issued_on:%Y%m%d}"
    label = f"{LABELS.get(document.doc_type.value, 'Facture')} {document.number}"
    currency = document.currency if document.rate is None else EURO
    legs = _legs(document, accounts)
    signs = [1 if leg.debit else -1 for leg in legs]
    own = sum(sign * leg.own_minor for sign, leg in zip(signs, legs, strict=True))
    if own or sum(sign * leg.booked_minor for sign, leg in zip(signs, legs, strict=True)):
        raise Invalid(f"{document.number}: its gross is not net and VAT", code="fec_unbalanced")
    rows: list[FecRow] = []
    for leg in legs:
        partner = (document.customer_id, document.customer_name) if leg.partner else ("", "")
        amounts = (leg.booked_minor, 0) if leg.debit else (0, leg.booked_minor)
        foreign = ("", "")
        if document.currency != EURO:
            foreign = comma_text(leg.own_minor, document.currency), document.currency
        rows.append(
            FecRow(
                *journal, str(entry), day, *leg.account, *partner, document.number, day, label,
                comma_text(amounts[0], currency), comma_text(amounts[1], currency), "", "", day, *foreign,
            )
        )  # fmt: skip
    return rows


def _legs(document: BookedDocument, accounts: Accounts) -> list[_Leg]:
    """Return the partner's row, the net's and those of VAT; what is zero of VAT has none."""
    bought = document.doc_type is DocumentType.SELF_BILLED
    # A credit note turns a sale round; a payout is a purchase.
    debit = document.doc_type not in CREDITS and not bought
    # What is paid in advance is no sale yet: it is owed, until an invoice deducts it.
    sales = accounts.advances if document.doc_type in PREPAYMENTS else accounts.sales
    booked_gross, booked_vats = _booked(document)
    vats = [row.amount_minor for row in document.vat_rows]
    net, booked_net = document.net_minor, booked_gross - sum(booked_vats)
    if document.rate is None:
        booked_net = net
    return [
        _Leg(
            accounts.supplier if bought else accounts.customer, document.gross_minor, booked_gross, debit,
            partner=True,
        ),
        _Leg(accounts.charges if bought else sales, net, booked_net, not debit),
        *(
            _Leg(accounts.input_vat if bought else accounts.vat, own, booked, not debit)
            for own, booked in zip(vats, booked_vats, strict=True)
            if own
        ),
        *_deducted(document, accounts),
    ]  # fmt: skip


def _deducted(document: BookedDocument, accounts: Accounts) -> list[_Leg]:
    """Return the rows by which an invoice deducts advances: they, and the VAT in them, are owed no more."""
    if document.doc_type in CREDITS:
        return []
    gross = sum(advance.gross_minor for advance in document.advances)
    vat = sum(advance.vat_minor for advance in document.advances)
    booked_gross = sum(
        _in_books(advance.gross_minor, advance.gross_before_minor, advance.rate, document.currency)
        for advance in document.advances
    )
    booked_vat = sum(
        _in_books(advance.vat_minor, advance.vat_before_minor, advance.rate, document.currency)
        for advance in document.advances
    )
    legs = (
        _Leg(accounts.advances, gross - vat, booked_gross - booked_vat, debit=True),
        _Leg(accounts.vat, vat, booked_vat, debit=True),
        _Leg(accounts.customer, gross, booked_gross, debit=False, partner=True),
    )
    return [leg for leg in legs if leg.own_minor]


def _in_books(minor: int, before: int, rate: Ratio | None, currency: str) -> int:
    return minor if rate is None else converted_after(before, minor, currency, EURO, rate)


def _booked(document: BookedDocument) -> tuple[int, list[int]]:
    """Return gross and VAT in the currency of the books: the net is what they leave, so an entry balances."""
    vats = [row.amount_minor for row in document.vat_rows]
    rate = document.rate
    if rate is None:
        return document.gross_minor, vats
    gross_before = vat_before = 0
    if document.doc_type in CREDITS:
        gross_before = sum(advance.gross_before_minor for advance in document.advances)
        vat_before = sum(advance.vat_before_minor for advance in document.advances)
    booked = [converted_after(vat_before, vat, document.currency, EURO, rate) for vat in vats]
    if document.euro_vat_minor is not None and booked:
        booked[-1] += document.euro_vat_minor - sum(booked)  # as it is printed
    return converted_after(gross_before, document.gross_minor, document.currency, EURO, rate), booked


def comma_text(minor: int, currency: str) -> str:
    return minor_to_text(minor, currency).replace(".", ",")


def fec_text(rows: Iterable[FecRow]) -> str:
    """Return the file: a header, tabs, CRLF; tabs and line ends within a cell become spaces."""
    lines = [FecRow._fields, *rows]
    return "".join(
        SEPARATOR.join(" ".join(cell.replace(SEPARATOR, " ").splitlines()) for cell in line) + "\r\n"
        for line in lines
    )


def fec_octets(rows: Iterable[FecRow]) -> bytes:
    """Return the file in ISO 8859-15; letters that it has not lose accents, or become a question mark."""
    return "".join(_latin(character) for character in fec_text(rows)).encode(ENCODING)


def _latin(character: str) -> str:
    for text in (character, unicodedata.normalize("NFKD", character)):
        plain = text.encode(ENCODING, "ignore").decode(ENCODING)
        if plain:
            return plain
    return "?"
