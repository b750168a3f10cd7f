"""
Postings: what a batch of accepted messages moves in the ledger, in double entry.

One posting per (merchant, campaign, price item, cost item) of a batch; its lines sum to zero per currency.
Signs: what the merchant owes and what we spend is positive (debit), what we earn and what we owe is negative.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Account(StrEnum):
    UNBILLED = "unbilled"  # the merchant used it, no document says so yet
    REVENUE = "revenue"
    COST = "cost"
    CARRIER_ACCRUAL = "carrier_accrual"  # the carrier will bill it
    RECEIVABLE = "receivable"  # a document says so, and it is not paid
    VAT = "vat"
    ROUNDING = "rounding"  # what documents round away, and what they round up
    CASH = "cash"  # what a merchant paid before it sends
    PREPAID = "prepaid"  # what is owed for it in messages
    PAYOUT = "payout"  # what is owed to the merchant for premium messages
    PAYOUT_COST = "payout_cost"


class PostingKey(NamedTuple):
    merchant_id: int
    campaign_id: int | None  # None: a message outside any campaign, such as an order receipt
    sell_item_id: int
    sell_currency: str
    carrier_id: int | None  # None: no cost price is known for this carrier
    cost_item_id: int | None
    cost_currency: str | None


@dataclass(frozen=True, slots=True)
class PostingLine:
    account: Account
    owner_id: int  # merchant for unbilled and revenue, carrier for cost and carrier_accrual
    currency: str
    amount_micros: int


@dataclass(frozen=True, slots=True)
class Posting:
    """
    `messages` and `segments` are what the amounts stand for: whoever adds postings up gets the quantities
    too.
    """

    key: PostingKey
    messages: int
    segments: int
    lines: tuple[PostingLine, ...]

    @property
    def sell_micros(self) -> int:
        return sum(line.amount_micros for line in self.lines if line.account is Account.UNBILLED)

    @property
    def cost_micros(self) -> int:
        return sum(line.amount_micros for line in self.lines if line.account is Account.COST)


def post_columns(
    keys: Sequence[PostingKey],
    segments: Sequence[int],
    sell_micros: Sequence[int],
    cost_micros: Sequence[int],
) -> list[Posting]:
    """
    Add up a batch; a reversal is the same batch with negative segments and amounts, counted as -1 message a
    row.
    """
    totals: defaultdict[PostingKey, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for key, count, sell, cost in zip(keys, segments, sell_micros, cost_micros, strict=True):
        total = totals[key]
        total[0] += 1 if count >= 0 else -1
        total[1] += count
        total[2] += sell
        total[3] += cost
    return [posting(key, *total) for key, total in totals.items()]


def posting(key: PostingKey, messages: int, segments: int, sell_micros: int, cost_micros: int) -> Posting:
    """
    Return the balanced posting of one aggregate; amounts of zero have lines too, they are counted.

    Without a sell item (0) the merchant is not charged now: a receipt will say whether it is.
    """
    lines: list[PostingLine] = []
    if key.sell_item_id:
        lines += [
            PostingLine(Account.UNBILLED, key.merchant_id, key.sell_currency, sell_micros),
            PostingLine(Account.REVENUE, key.merchant_id, key.sell_currency, -sell_micros),
        ]
    if key.carrier_id is not None and key.cost_currency is not None:
        lines += [
            PostingLine(Account.COST, key.carrier_id, key.cost_currency, cost_micros),
            PostingLine(Account.CARRIER_ACCRUAL, key.carrier_id, key.cost_currency, -cost_micros),
        ]
    else:
        assert cost_micros == 0, "a cost needs a carrier and a currency"
    made = Posting(key, messages, segments, tuple(lines))
    assert not any(imbalance([made]).values())
    return made


def imbalance(postings: Iterable[Posting]) -> dict[str, int]:
    """Return the sum of all lines per currency: zero everywhere, or the ledger is broken."""
    sums: defaultdict[str, int] = defaultdict(int)
    for made in postings:
        for line in made.lines:
            sums[line.currency] += line.amount_micros
    return dict(sums)
