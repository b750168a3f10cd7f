"""Who takes over a batch: what the rule said when it was made, as far as it is still there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple, cast

from smsgate.billing.networks import default_table
from smsgate.clock import ManualClock
from smsgate.flows.batches import Batch, Way
from smsgate.flows.ports import Carrier
from smsgate.flows.routes import Prices, Routes
from smsgate.routing.choosing import Tier
from smsgate.routing.table import NO_ROUTES

TIERS = tuple(Tier((name,), (1,)) for name in "abc")


class Up(NamedTuple):
    """A carrier of which only its name and whether it is up are asked."""

    name: str
    away_since: float | None = None

    def down_since(self) -> float | None:
        return self.away_since


class Waiting(NamedTuple):
    carrier_id: int
    way: Way
    message_ids: tuple[int, ...] = (7,)


def next_of(
    *names: str, tried: frozenset[str] = frozenset(), away: str = "", may_wait: bool = False
) -> int | None:
    """Return who takes over from the carrier a, of the carriers that a reload left."""
    carriers = {
        "abc".index(name) + 1: cast("Carrier", Up(name, -60.0 if name in away else None)) for name in names
    }
    clock = ManualClock(datetime(2026, 11, 27, tzinfo=UTC))
    prices = cast("Prices", None)
    routes = Routes(carriers, {}, NO_ROUTES, prices, default_table(), clock, grace_s=5.0, simulated=9)
    return routes.next_carrier(cast("Batch", Waiting(1, Way("rule", TIERS, tried))), may_wait=may_wait)


def test_the_next_tier_takes_over_and_nobody_twice() -> None:
    assert next_of("a", "b", "c") == 2
    assert next_of("a", "b", "c", tried=frozenset("b")) == 3
    assert next_of("a", "b", "c", tried=frozenset("bc")) is None


def test_a_carrier_that_a_reload_removed_is_passed_over() -> None:
    assert next_of("a", "c") == 3
    assert next_of("b", "c") == 2
    assert next_of("a") is None


def test_a_carrier_that_is_away_is_waited_for_when_asked_and_when_none_is_up() -> None:
    assert next_of("a", "b", "c", away="b") == 3
    assert next_of("a", "b", "c", away="bc") is None
    assert next_of("a", "b", "c", away="b", may_wait=True) == 3
    assert next_of("a", "b", "c", away="bc", may_wait=True) == 2
    assert next_of("a", "b", "c", away="bc", tried=frozenset("bc"), may_wait=True) is None
