from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from smsgate.billing.postings import Account, PostingKey, imbalance, post_columns, posting

KEY = PostingKey(7, 100, 11, "EUR", 3, 21, "EUR")
KEYS = [
    KEY,
    KEY._replace(merchant_id=8),
    KEY._replace(sell_item_id=12),
    KEY._replace(campaign_id=None),
    KEY._replace(carrier_id=None, cost_item_id=None, cost_currency=None),
    KEY._replace(cost_currency="USD"),
]


def test_a_batch_becomes_one_posting_per_merchant_campaign_and_price_item() -> None:
    other = KEY._replace(sell_item_id=12)
    made = post_columns([KEY, other, KEY], [1, 2, 1], [44_000, 90_000, 44_000], [20_000, 40_000, 20_000])
    assert [(p.key.sell_item_id, p.messages, p.segments, p.sell_micros, p.cost_micros) for p in made] == [
        (11, 2, 2, 88_000, 40_000),
        (12, 1, 2, 90_000, 40_000),
    ]


def test_debits_are_positive_and_credits_negative() -> None:
    made = posting(KEY, 1, 1, 44_000, 20_000)
    assert [(line.account, line.owner_id, line.amount_micros) for line in made.lines] == [
        (Account.UNBILLED, 7, 44_000),
        (Account.REVENUE, 7, -44_000),
        (Account.COST, 3, 20_000),
        (Account.CARRIER_ACCRUAL, 3, -20_000),
    ]


def test_free_messages_are_counted_too() -> None:
    made = posting(KEY._replace(carrier_id=None, cost_item_id=None, cost_currency=None), 5, 5, 0, 0)
    assert (made.messages, len(made.lines), imbalance([made])) == (5, 2, {"EUR": 0})


rows = st.lists(
    st.tuples(st.sampled_from(KEYS), st.integers(1, 10), st.integers(0, 10**9), st.integers(0, 10**9)),
    max_size=50,
)


@given(rows, st.randoms())
def test_every_posting_balances_per_currency_and_the_order_of_rows_does_not_matter(
    rows: list[Any], random: Any
) -> None:
    def post(batch: list[Any]) -> list[Any]:
        columns = [list(column) for column in zip(*batch, strict=True)] if batch else [[], [], [], []]
        keys, segments, sells, costs = columns
        costs = [cost if key.carrier_id is not None else 0 for key, cost in zip(keys, costs, strict=True)]
        return post_columns(keys, segments, sells, costs)

    made = post(rows)
    assert all(not any(imbalance([p]).values()) for p in made)
    assert sum(p.sell_micros for p in made) == sum(sell for _, _, sell, _ in rows)
    assert sum(p.messages for p in made) == len(rows)
    random.shuffle(rows)
    assert {p.key: p for p in post(rows)} == {p.key: p for p in made}


def test_a_ledger_that_does_not_balance_is_seen() -> None:
    made = posting(KEY, 1, 1, 44_000, 20_000)
    broken = replace(made, lines=made.lines[:-1])
    assert imbalance([made, broken]) == {"EUR": 20_000}
