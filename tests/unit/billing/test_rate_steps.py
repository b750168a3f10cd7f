"""`smsgate billing rate` tells each step, by the code that bills."""

from __future__ import annotations

from datetime import UTC, datetime

from smsgate.billing.prices import Basis, Direction, PriceBook, PriceItem, PriceVersion
from smsgate.billing.rate_steps import RateQuestion, rate_message

START = datetime(2026, 1, 1, tzinfo=UTC)
SELL = PriceBook(
    1,
    "EUR",
    [
        PriceVersion(1, START, [PriceItem(1, Direction.MT, "208", 45_000)]),
        PriceVersion(
            2, datetime(2026, 6, 1, tzinfo=UTC), [PriceItem(2, Direction.MT, "208", 50_000, Basis.DELIVERED)]
        ),
    ],
)
COST = PriceBook(2, "EUR", [PriceVersion(1, START, [PriceItem(3, Direction.MT, "*", 30_000)])])


def question(
    network: str = "20801", segments: int = 2, month: int = 5, direction: Direction = Direction.MT
) -> RateQuestion:
    at = datetime(2026, month, 1, tzinfo=UTC)
    return RateQuestion("33612345678", network, "by its block", segments, "161 septets", direction, at)


def test_price_cost_and_margin_are_told_with_their_arithmetic() -> None:
    rated = rate_message(question(), ("fr", SELL), [("sim", "sim-cost", COST)])
    assert rated.sell is not None
    assert rated.sell.amount_micros == 90_000
    text = " ".join(step.sentence for step in rated.steps)
    assert "The list fr is at version 1 at 2026-05-01T00:00:00+00:00." in text
    assert "Its mt price for the country 208 holds." in text
    assert "0.045 x 2 = 0.09 EUR, is charged when the carrier takes it." in text
    assert "Carrier sim: 0.03 x 2 = 0.06 EUR, costs when the carrier takes it." in text
    assert "By sim 0.03 EUR is left: earned." in text


def test_the_version_is_that_of_the_instant_start_included() -> None:
    rated = rate_message(question(month=6), ("fr", SELL), [])
    assert rated.sell is not None
    assert (rated.sell.version, rated.sell.amount_micros) == (2, 100_000)
    assert "is charged when it is delivered" in rated.steps[-1].sentence


def test_no_price_is_a_refusal_and_for_a_reply_free() -> None:
    refused = rate_message(question("26201"), ("fr", SELL), [])
    assert refused.steps[-1].sentence == "It has no mt price for 26201, so the message is not sent."
    free = rate_message(question(direction=Direction.MO), ("fr", SELL), [])
    assert free.steps[-1].sentence == "It has no mo price for 20801, so it is free."
    assert rate_message(question(), None, []).sell is None


def test_a_price_below_cost_is_called_so() -> None:
    cheap = PriceBook(3, "EUR", [PriceVersion(1, START, [PriceItem(1, Direction.MT, "*", 20_000)])])
    rated = rate_message(question(), ("cheap", cheap), [("sim", "sim-cost", COST)])
    assert rated.steps[-1].sentence == "By sim -0.02 EUR is left: below cost."
