"""Closes and documents of a process or a command, by its configuration."""

from __future__ import annotations

from functools import partial
from typing import Final

from smsgate.billing.invoices import Invoice
from smsgate.config import Settings
from smsgate.daemon.services import Services
from smsgate.flows.closing import Closing
from smsgate.flows.commitments import Commitments
from smsgate.flows.document_files import DocumentFiles
from smsgate.flows.documents import Documents
from smsgate.flows.ereporting import EReporting
from smsgate.flows.fec import Fec
from smsgate.flows.forecasting import Forecasting
from smsgate.flows.invoicing import Invoicing
from smsgate.flows.line_messages import InvoiceLines
from smsgate.flows.payouts import Payouts
from smsgate.flows.prepaying import Prepaying
from smsgate.invoicing.forms import Form, rendered
from smsgate.security.public_ids import Kind
from smsgate.store.budget_terms import PgBudgets
from smsgate.store.closing import PgClosing
from smsgate.store.commitments import PgCommitments
from smsgate.store.document_files import PgDocumentFiles
from smsgate.store.fec import PgFec
from smsgate.store.forecasting import PgForecasts
from smsgate.store.issued import PgDocuments
from smsgate.store.line_messages import PgInvoiceLines
from smsgate.store.payouts import PgPayouts
from smsgate.store.prepaying import PgPrepaid

_FORMS: Final = {"pdf": Form.PDF, "xml": Form.CII, "ubl": Form.UBL, "peppol": Form.PEPPOL}


def invoicing_of(settings: Settings, services: Services) -> Invoicing:
    seller, clock, next_id = settings.billing.seller(), services.clock, services.ids.next
    store = PgClosing(services.database, partial(services.public_ids.encode, Kind.CAMPAIGN))
    closing = Closing(store, seller, clock, next_id, delay=settings.billing.delay)
    return Invoicing(
        closing=closing,
        forecasting=Forecasting(closing, PgForecasts(services.database), clock),
        documents=Documents(PgDocuments(services.database), seller, clock, next_id),
        lines=InvoiceLines(PgInvoiceLines(services.database)),
        commitments=Commitments(PgCommitments(services.database), clock),
        fec=Fec(PgFec(services.database), seller),
        e_reporting=EReporting(PgFec(services.database), seller),
        payouts=Payouts(PgPayouts(services.database), seller, clock, next_id),
        files=document_files_of(services),
    )


def document_files_of(services: Services) -> DocumentFiles:
    return DocumentFiles(PgDocumentFiles(services.database), _render, services.clock)


def prepaying_of(settings: Settings, services: Services) -> Prepaying:
    database, next_id = services.database, services.ids.next
    return Prepaying(
        PgPrepaid(database, next_id),
        PgBudgets(database, next_id),
        settings.billing.seller(),
        services.clock,
        next_id,
    )


def _render(invoice: Invoice, form: str) -> bytes:
    return rendered(invoice, _FORMS[form])
