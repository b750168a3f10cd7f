"""Which price a message has that waited over a change of prices (R2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from smsgate.billing.prices import Direction, PriceBook, PriceItem, PriceVersion
from smsgate.flows.rates import rated
from smsgate.ids import first_id_at

CHANGE = datetime(2026, 12, 1, tzinfo=UTC)
BEFORE, AFTER = CHANGE - timedelta(minutes=10), CHANGE + timedelta(minutes=10)


def a_book() -> PriceBook:
    """Four cents, and four and a half from the change on."""
    starts = (CHANGE - timedelta(days=200), CHANGE)
    prices = (40_000, 45_000)
    return PriceBook(
        1,
        "EUR",
        [
            PriceVersion(number, start, [PriceItem(number, Direction.MT, "*", price)])
            for number, (start, price) in enumerate(zip(starts, prices, strict=True), 1)
        ],
    )


def an_id(at: datetime) -> int:
    return first_id_at(int(at.timestamp() * 1_000))


def test_each_message_has_the_price_of_its_own_acceptance() -> None:
    book = a_book()
    ids = [an_id(BEFORE), an_id(AFTER), an_id(CHANGE), an_id(BEFORE) + 1]
    found = rated(book, ids, ["20801", "20801", "20810", "20810"], [1, 2, 1, 3])
    assert found.item_ids == [1, 2, 2, 1]
    assert found.micros == [40_000, 90_000, 45_000, 120_000]
    assert found.reasons == [None] * 4


def test_a_batch_of_one_version_has_its_price() -> None:
    assert rated(a_book(), [an_id(BEFORE)] * 2, ["20801"] * 2, 1).micros == [40_000] * 2
    assert rated(a_book(), [an_id(AFTER)] * 2, ["20801"] * 2, 1).micros == [45_000] * 2


def test_a_message_that_is_older_than_the_list_has_the_price_of_its_first_version() -> None:
    early = an_id(BEFORE - timedelta(days=300))
    found = rated(a_book(), [early, an_id(AFTER)], ["20801"] * 2, 1)
    assert (found.micros, found.reasons) == ([40_000, 45_000], [None, None])


def test_without_a_list_or_a_version_nothing_has_a_price() -> None:
    assert rated(None, [an_id(BEFORE)], ["20801"], 1).reasons == ["price_missing"]
    assert rated(PriceBook(1, "EUR", []), [an_id(BEFORE)], ["20801"], 1).reasons == ["price_missing"]
