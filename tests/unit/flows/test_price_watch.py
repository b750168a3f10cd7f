"""Prices that lose money are seen as long as they do, and before a published version makes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from smsgate.billing.prices import Direction
from smsgate.billing.prices import PriceItem as BilledItem
from smsgate.clock import ManualClock
from smsgate.errors import Conflict
from smsgate.flows.price_watch import Pair, PriceWatch
from smsgate.flows.pricing import Pricing
from smsgate.flows.publishing import check_margins, losses_of_version
from smsgate.flows.usage_records import (
    MerchantPrices,
    PriceData,
    PriceItemRow,
    PriceListData,
    PriceVersionData,
)

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
RISE = NOW + timedelta(days=4)
SELL, COST = PriceListData(1, "fr", "sell", "EUR"), PriceListData(2, "sim-cost", "cost", "EUR")


class Published:
    """Sell 0.045 and 0.030 from 101 on to 208; costs 0.02, and `risen` from RISE on."""

    def __init__(self, risen: int, *, ladder: str | None = None) -> None:
        self.data = PriceData(
            [SELL, COST],
            [
                PriceVersionData(1, 1, NOW - timedelta(days=90)),
                PriceVersionData(2, 1, NOW - timedelta(days=90)),
                PriceVersionData(2, 2, RISE),
            ],
            [
                PriceItemRow(11, 1, 1, "mt", "208", 45_000, "submit", ladder),
                PriceItemRow(21, 2, 1, "mt", "*", 20_000, "submit", None),
                PriceItemRow(22, 2, 2, "mt", "*", risen, "submit", None),
            ],
        )

    async def version(self) -> tuple[object, ...]:
        return (1,)

    async def merchants(self) -> Sequence[MerchantPrices]:
        return []

    async def prices(self) -> PriceData:
        return self.data


def a_watch(published: Published, *, running: set[str]) -> tuple[PriceWatch, ManualClock]:
    clock = ManualClock(NOW)
    return PriceWatch(Pricing(published, clock), clock, lambda: running), clock


async def test_a_cost_that_will_rise_above_the_price_alarms_ahead_and_then_for_good() -> None:
    watch, clock = a_watch(Published(50_000), running={"sim-cost"})
    with capture_logs() as told:
        for _ in range(2):
            await watch.step()
        assert watch.found == {Pair("fr", "sim-cost", "ahead"): 1}
        clock.advance((RISE - NOW).total_seconds())
        for _ in range(2):
            await watch.step()
    assert watch.found == {Pair("fr", "sim-cost", "now"): 1}
    assert [(row["event"], row["when"], row["first"]) for row in told] == [
        ("prices_below_cost", "ahead", "208"),
        ("prices_below_cost_no_more", "ahead", "208"),
        ("prices_below_cost", "now", "208"),
    ]


async def test_a_cost_as_high_as_the_price_alarms_nobody() -> None:
    watch, _clock = a_watch(Published(45_000), running={"sim-cost"})
    await watch.step()
    assert watch.found == {}


async def test_costs_of_a_carrier_that_does_not_run_alarm_nobody() -> None:
    watch, _clock = a_watch(Published(50_000), running=set())
    await watch.step()
    assert watch.found == {}


async def test_the_lowest_step_of_a_price_by_quantity_must_cover_the_cost() -> None:
    steps = '{"mode": "graduated", "steps": [[1, 45000], [101, 19000]]}'
    watch, _clock = a_watch(Published(20_000, ladder=steps), running={"sim-cost"})
    await watch.step()
    assert watch.found == {Pair("fr", "sim-cost", "now"): 1}


async def test_a_version_is_held_against_costs_of_all_its_time_and_not_beyond() -> None:
    pricing = Pricing(Published(50_000), ManualClock(NOW))
    await pricing.refresh()
    items = [BilledItem(1, Direction.MT, "208", 47_000)]
    (loss,) = losses_of_version(SELL, items, NOW, [NOW], pricing)
    assert (loss[0], loss[1].sell_micros, loss[1].cost_micros) == (RISE, 47_000, 50_000)
    assert losses_of_version(SELL, items, NOW, [NOW, RISE], pricing) == []
    with pytest.raises(Conflict) as refused:
        check_margins(SELL, [loss], "think again")
    assert (refused.value.code, refused.value.extra) == ("below_cost", {"networks": ["208"]})
    check_margins(COST, [loss], "a carrier's prices are what they are")
