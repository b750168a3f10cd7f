"""Closes and documents, as the API and the command line have them."""

from __future__ import annotations

from dataclasses import dataclass

from smsgate.flows.closing import Closing
from smsgate.flows.commitments import Commitments
from smsgate.flows.document_files import DocumentFiles
from smsgate.flows.documents import Documents
from smsgate.flows.ereporting import EReporting
from smsgate.flows.fec import Fec
from smsgate.flows.forecasting import Forecasting
from smsgate.flows.line_messages import InvoiceLines
from smsgate.flows.payouts import Payouts


@dataclass(frozen=True, slots=True)
class Invoicing:
    closing: Closing
    forecasting: Forecasting
    documents: Documents
    lines: InvoiceLines
    commitments: Commitments
    fec: Fec
    e_reporting: EReporting
    payouts: Payouts
    files: DocumentFiles
