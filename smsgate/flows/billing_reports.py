"""What is told of bills beside statements and documents, as the API and the command line have it."""

from __future__ import annotations

from dataclasses import dataclass

from smsgate.flows.bill_uploads import BillUploads
from smsgate.flows.budget_records import BudgetStore
from smsgate.flows.document_exports import DocumentExports
from smsgate.flows.explaining import Explaining
from smsgate.flows.margins import Margins
from smsgate.flows.reconciling import Reconciling
from smsgate.flows.usage_files import UsageFiles


@dataclass(frozen=True, slots=True)
class BillingReports:
    explaining: Explaining
    reconciling: Reconciling
    bills: BillUploads
    margins: Margins
    usage_files: UsageFiles
    budgets: BudgetStore
    document_exports: DocumentExports
