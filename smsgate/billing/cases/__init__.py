"""
Worked cases: one JSON object with `kind` and `input`, and what the code that bills makes of it.

This is the border of the package for people who check it: amounts come in as decimal strings and go out so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from smsgate.billing.cases.accounts import prepaid_case, reconciliation_case
from smsgate.billing.cases.documents import credit_notes_case, fec_case, numbering_case, payout_case
from smsgate.billing.cases.fields import Fields
from smsgate.billing.cases.invoices import invoice_case
from smsgate.billing.cases.small import conversion_case, csv_case, segments_case, vat_category_case
from smsgate.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS: Final[dict[str, Callable[[Fields], Any]]] = {
    "invoice": invoice_case,
    "credit_notes": credit_notes_case,
    "prepaid": prepaid_case,
    "payout": payout_case,
    "vat_category": vat_category_case,
    "reconciliation": reconciliation_case,
    "numbering": numbering_case,
    "fec": fec_case,
    "csv": csv_case,
    "conversion": conversion_case,
    "segments": segments_case,
}
SYNONYMS: Final = {
    "invoices": "invoice",
    "credit_note": "credit_notes",
    "credits": "credit_notes",
    "prepaid_account": "prepaid",
    "prepaid_caps": "prepaid",
    "spend_caps": "prepaid",
    "caps": "prepaid",
    "cap": "prepaid",
    "premium": "payout",
    "premium_sms": "payout",
    "payouts": "payout",
    "premium_payout": "payout",
    "premium_payouts": "payout",
    "vat": "vat_category",
    "vat_categories": "vat_category",
    "vat_decision": "vat_category",
    "reconcile": "reconciliation",
    "carrier_reconciliation": "reconciliation",
    "numbers": "numbering",
    "document_numbers": "numbering",
    "number": "numbering",
    "gapless_numbers": "numbering",
    "currency": "conversion",
    "currency_conversion": "conversion",
    "currencies": "conversion",
    "conversions": "conversion",
    "francs": "conversion",
    "frf": "conversion",
    "segment": "segments",
    "segmentation": "segments",
    "csv_export": "csv",
    "fec_rows": "fec",
    "text": "segments",
}


def is_invoice(case: object) -> bool:
    """
    Return whether a case is of kind `invoice`, by whatever synonym.

    Raises:
        Invalid: no object, or without a kind.
    """
    return _kind(Fields(case, "case")) == "invoice"


def simulate(case: object) -> Any:
    """
    Return the answer to one case, in the form of its `expected`; `expected` itself is not read.

    Raises:
        Invalid: a kind that is not known, or an input that cannot be read; says where.
    """
    record = Fields(case, "case")
    answer = KINDS.get(_kind(record))
    if answer is None:
        told = record.text("kind")
        raise Invalid(f"kind {told[:40]!r} is none of {', '.join(sorted(KINDS))}", code="case_invalid")
    return answer(Fields(record.need("input"), "input"))


def _kind(record: Fields) -> str:
    """Return the kind by its own name: case, hyphens and spaces are of no account."""
    word = record.text("kind").lower().replace("-", "_").replace(" ", "_")
    return SYNONYMS.get(word, word)
