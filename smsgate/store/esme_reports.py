"""What ESMEs are told of their messages, written in the transaction that learnt it."""

from __future__ import annotations

from typing import Final

from smsgate.flows.esme_records import DELIVERY_LIFE
from smsgate.flows.records import ReportColumns
from smsgate.protocol.receipt_states import FINAL, ReceiptState
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection

_SQL: Final = load("esme_traffic")
_INTERMEDIATE: Final = [int(ReceiptState.ENROUTE), int(ReceiptState.ACCEPTD)]


async def insert_reports(connection: Connection, reports: ReportColumns) -> None:
    """
    Queue what the ESMEs asked to hear, in the caller's transaction and before it writes the receipts.

    Rows of messages that no ESME submitted are passed over.
    """
    if not reports.message_ids:
        return
    await connection.execute(
        _SQL["insert_reports"],
        reports.merchant_ids,
        reports.delivery_ids,
        reports.message_ids,
        reports.states,
        reports.errors,
        reports.happened_at,
        DELIVERY_LIFE,
        min(reports.message_ids),
        max(reports.message_ids),
        _INTERMEDIATE,
        sorted(FINAL),
    )
