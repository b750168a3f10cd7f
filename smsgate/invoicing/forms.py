"""The forms in which a document is handed out."""

from __future__ import annotations

from enum import StrEnum

from smsgate.billing.invoices import Invoice, canonical_json
from smsgate.invoicing.en16931 import Syntax, invoice_xml
from smsgate.invoicing.pdf import facturx_pdf


class Form(StrEnum):
    """`pdf` is Factur-X: PDF/A-3b with the CII inside."""

    PDF = "pdf"
    CII = "cii"
    UBL = "ubl"
    PEPPOL = "peppol"
    JSON = "json"


def rendered(invoice: Invoice, form: Form) -> bytes:
    """
    Return the document in one of its forms.

    Raises:
        Invalid: code `document_wrong`.
    """
    if form is Form.PDF:
        return facturx_pdf(invoice)
    if form is Form.JSON:
        return canonical_json(invoice) + b"\n"
    return invoice_xml(invoice, Syntax(form.value))
