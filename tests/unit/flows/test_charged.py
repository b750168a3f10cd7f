"""What answers of a carrier charge: by price, size and quarter of an hour, whatever stands side by side."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from smsgate.flows.outcomes import Outcomes
from smsgate.ids import first_id_at
from tests.batches import batch_of

AT = datetime(2026, 11, 28, 12, 14, 59, tzinfo=UTC)
PRICES = st.sampled_from([(11, 45_000, 21, 30_000), (11, 45_000, 22, 31_000), (12, 45_000, 21, 30_000)])
# Of 12:00 to 12:15, or of the quarter after it.
INSTANTS = st.sampled_from([AT, AT + timedelta(minutes=2)])


def at_ms(at: datetime) -> int:
    return int(at.timestamp() * 1_000)


def quarter_of(at: datetime) -> int:
    return int(at.replace(minute=at.minute // 15 * 15, second=0).timestamp())


@given(st.lists(st.tuples(PRICES, INSTANTS, st.integers(1, 3)), min_size=1, max_size=9), st.booleans())
def test_each_message_is_charged_at_its_price_size_and_quarter(
    messages: list[tuple[tuple[int, int, int, int], datetime, int]], of_one_segment: bool
) -> None:
    messages = sorted(messages, key=lambda each: each[1])
    prices, instants, sizes = zip(*messages, strict=True)
    sell_items, sells, cost_items, costs = zip(*prices, strict=True)
    batch = batch_of(
        [first_id_at(at_ms(at)) + n for n, at in enumerate(instants)],
        sell_item_ids=sell_items,
        sell_micros=sells,
        cost_item_ids=cost_items,
        cost_micros=costs,
        segments=None if of_one_segment else sizes,
    )
    outcomes = Outcomes(count(1).__next__)
    outcomes.accepted(batch, list(range(batch.size)), [b"%d" % n for n in range(batch.size)], AT)
    charged = Counter({tuple(charge[3:9]): n for charge, n in outcomes.flush.charges.items()})
    assert charged == Counter(
        (*price, 1 if of_one_segment else size, quarter_of(at)) for price, at, size in messages
    )
