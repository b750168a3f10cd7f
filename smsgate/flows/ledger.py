"""Postings of the billing core as rows of the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from smsgate.billing.postings import Account, Posting, PostingKey, posting


@dataclass(frozen=True, slots=True)
class PostingLine:
    """
    One line of a ledger posting; the lines of a posting sum to 0 per currency.

    `at` is when it was recorded, `accepted_at` the quarter of an hour in which its messages were accepted.
    """

    merchant_id: int
    posting_id: int
    line: int
    account: str
    currency: str
    amount_micros: int
    direction: str
    item_id: int
    campaign_id: int | None
    carrier_id: int
    messages: int
    segments: int
    at: datetime
    accepted_at: datetime


class Charge(NamedTuple):
    """Accepted messages that cost the same: they are one posting of a flush."""

    merchant_id: int
    campaign_id: int | None
    carrier_id: int
    sell_item_id: int
    sell_micros: int
    cost_item_id: int
    cost_micros: int
    segments: int
    quarter_hour: int  # unix second: of the acceptance, whose month the merchant's statement goes by
    currency: str
    cost_currency: str


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


def charge_lines(
    posting_id: int, charge: Charge, count: int, at: datetime, direction: str = "mt"
) -> list[PostingLine]:
    """Return the lines of `count` messages, below zero given back; a side without an item is not charged."""
    key = PostingKey(
        charge.merchant_id,
        charge.campaign_id,
        charge.sell_item_id,
        charge.currency,
        charge.carrier_id if charge.cost_item_id else None,
        charge.cost_item_id or None,
        charge.cost_currency if charge.cost_item_id else None,
    )
    made = posting(
        key, count, count * charge.segments, charge.sell_micros * count, charge.cost_micros * count
    )
    accepted_at = datetime.fromtimestamp(charge.quarter_hour, UTC)
    return ledger_lines(made, posting_id, direction, charge.carrier_id, at, accepted_at)
