"""Postings of the billing core as rows of the ledger."""

from __future__ import annotations

from datetime import datetime

from smsgate.billing.postings import Account, Posting
from smsgate.flows.records import PostingLine

_SELL = frozenset({Account.UNBILLED, Account.REVENUE})


def ledger_lines(
    posting: Posting, posting_id: int, direction: str, carrier_id: int, at: datetime, accepted_at: datetime
) -> list[PostingLine]:
    """Return the lines of one posting; sell lines carry the sell item, cost lines the cost item."""
    key = posting.key
    return [
        PostingLine(
            merchant_id=key.merchant_id,
            posting_id=posting_id,
            line=number,
            account=line.account.value,
            currency=line.currency,
            amount_micros=line.amount_micros,
            direction=direction,
            item_id=key.sell_item_id if line.account in _SELL else key.cost_item_id or 0,
            campaign_id=key.campaign_id,
            carrier_id=carrier_id,
            messages=posting.messages,
            segments=posting.segments,
            at=at,
            accepted_at=accepted_at,
        )
        for number, line in enumerate(posting.lines, start=1)
    ]
