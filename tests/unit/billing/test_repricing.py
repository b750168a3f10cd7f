"""A month by other prices: spans of VAT, what counts, and which network a message had."""

from __future__ import annotations

from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from smsgate.billing.periods import Month, month_bounds
from smsgate.billing.prices import Basis, Direction, PriceItem, PriceVersion
from smsgate.billing.repricing import Recount, named_network, vat_spans
from smsgate.billing.vat import Vat, VatHistory

OCTOBER = Month(2026, 10)
TWENTY, TEN = Vat("S", 20_000_000), Vat("S", 10_000_000)
VERSION = PriceVersion(
    3,
    datetime(2030, 1, 1, tzinfo=UTC),
    [
        PriceItem(1, Direction.MT, "208", 50_000),
        PriceItem(2, Direction.MT, "20801", 40_000, Basis.DELIVERED),
        PriceItem(3, Direction.MO, "*", 10_000),
    ],
)


def test_a_month_with_one_rate_is_one_span() -> None:
    ((starts_at, ends_at, vat),) = vat_spans(
        OCTOBER, "Europe/Paris", VatHistory([(date(2020, 1, 1), TWENTY)])
    )
    assert (starts_at, ends_at) == month_bounds(OCTOBER, "Europe/Paris")
    assert vat == TWENTY


def test_a_rate_that_changes_cuts_the_month_at_the_merchants_own_midnight() -> None:
    history = VatHistory([(date(2020, 1, 1), TWENTY), (date(2026, 10, 26), TEN)])
    first, second = vat_spans(OCTOBER, "Europe/Paris", history)
    assert first.ends_at == second.starts_at == datetime(2026, 10, 25, 23, tzinfo=UTC)  # winter time by then
    assert (first.vat, second.vat) == (TWENTY, TEN)


rows = st.lists(
    st.tuples(st.sampled_from(["20801", "20810", "208*", "26201"]), st.integers(1, 5), st.booleans()),
    max_size=30,
)


@given(rows, st.integers(0, 30))
def test_every_segment_is_charged_unpriced_or_not_delivered_however_it_is_cut(
    messages: list[tuple[str, int, bool]], cut: int
) -> None:
    recounts = []
    for batches in ([messages], [messages[:cut], messages[cut:]]):
        recount = Recount(VERSION)
        for batch in batches:
            recount.add_sent(
                [row[0] for row in batch], [row[1] for row in batch], [row[2] for row in batch], TWENTY
            )
        recounts.append(recount)
    one, other = recounts
    assert sorted(one.usage(OCTOBER)) == sorted(other.usage(OCTOBER))
    undelivered = sum(count for network, count, arrived in messages if network == "20801" and not arrived)
    unpriced = sum(count for network, count, _arrived in messages if network == "26201")
    assert one.unpriced_segments == unpriced
    assert one.segments + unpriced + undelivered == sum(count for _network, count, _arrived in messages)


def test_a_reply_is_one_segment_and_free_without_a_price() -> None:
    recount = Recount(VERSION)
    recount.add_received(["20801", "26201"], [1, 3], TWENTY)
    free = Recount(PriceVersion(1, VERSION.effective_from, [PriceItem(1, Direction.MT, "*", 1)]))
    free.add_received(["20801"], [1], TWENTY)
    assert (recount.segments, free.segments, free.unpriced_segments) == (4, 0, 0)


def test_a_message_is_of_the_network_that_its_price_named_else_of_its_number() -> None:
    assert named_network("20801", "20810") == "20801"  # as it was known when it was priced
    assert named_network("208", "20810") == "20810"
    assert named_network("208", "*") == "208*"  # the number was erased
    assert named_network("*", "26201") == "26201"
