"""Payouts in the database: each once, with its document and posting (`flows.payouts.PayoutStore`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from smsgate.billing.payouts import PremiumUse
from smsgate.errors import Conflict
from smsgate.flows.billing_records import BillingMerchant, DocumentRow, Issue
from smsgate.money import minor_to_text
from smsgate.store.catalogue import load
from smsgate.store.closing import first_day
from smsgate.store.documents import stored_row, write_documents
from smsgate.store.pool import Database
from smsgate.store.profiles import billing_merchant

_SQL: Final = load("payouts")


class PgPayouts:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def merchant(self, merchant_id: int) -> BillingMerchant:
        async with self._database.bulk() as connection:
            return await billing_merchant(connection, merchant_id)

    async def close(self, issue: Issue, uses: Sequence[PremiumUse]) -> DocumentRow:
        merchant_id, (document_id, posting_id) = issue.merchant_id, issue.ids
        (draft,) = issue.drafts
        key = merchant_id, first_day(issue.month), draft.document.currency
        async with self._database.bulk_transaction() as connection:
            # Whoever comes second waits here for the first one's commit, and finds what it wrote.
            if await connection.fetchval(_SQL["insert_payout"], *key, document_id, posting_id) is None:
                known: int = await connection.fetchval(_SQL["payout_document"], *key)
                row = await stored_row(connection, merchant_id, known)
                lines = await connection.fetch(_SQL["payout_lines"], merchant_id, known)
                if [PremiumUse(*line) for line in lines] != list(uses):
                    raise Conflict(
                        f"{issue.month} is paid out by {row.number} already, of "
                        f"{minor_to_text(row.gross_minor, row.currency)} {row.currency}",
                        code="payout_closed",
                    )
                return row
            await write_documents(connection, issue)
            columns = [list(column) for column in zip(*uses, strict=True)]
            await connection.execute(_SQL["insert_payout_lines"], merchant_id, document_id, *columns)
            return await stored_row(connection, merchant_id, document_id)
