from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from smsgate.clock import ManualClock, SystemClock
from smsgate.telemetry.loop_lag import LoopLag
from smsgate.telemetry.metrics import (
    OTHER,
    SERIES_MAX,
    Metrics,
    quantiles,
    watch_carriers,
    watch_deliveries,
    watch_flushing,
    watch_loops,
)


@dataclass
class Bind:
    bind: str
    state: str
    window_used: int = 3
    window_max: int = 10


@dataclass
class Counts:
    submitted: int = 7
    in_doubt: int = 1


@dataclass
class Times:
    bounds: Sequence[float] = (0.1, 1.0)
    buckets: Sequence[int] = (3, 0, 1)
    sum: float = 4.5


@dataclass
class CarrierAccount:
    name: str
    rate_per_s: int
    held: list[Bind]
    counts: Counts = field(default_factory=Counts)
    response_times: Times = field(default_factory=Times)

    def rate_now(self) -> float:
        return 25.0

    def binds(self) -> Sequence[Bind]:
        return self.held


@dataclass
class Flushing:
    flushes: int = 4
    failures: int = 0
    durations_s: Sequence[float] = (0.1, 0.2, 0.3)


@dataclass
class Totals:
    delivered: int = 5
    failed: int = 1
    seconds: float = 2.5


@dataclass
class Deliveries:
    in_flight: int = 2
    totals: Totals = field(default_factory=Totals)


def scraped(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    text = generate_latest(metrics.registry).decode()
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_scrape_reads_the_plain_numbers_as_they_are_now() -> None:
    metrics, carrier = (
        Metrics(),
        CarrierAccount("sms-fr", 50, [Bind("trx-1", "bound"), Bind("trx-2", "closed")]),
    )
    watch_carriers(metrics, [carrier])
    watch_flushing(metrics, Flushing())
    watch_deliveries(metrics, Deliveries())
    found = scraped(metrics)
    assert found["smsgate_bind_up", ("trx-1", "sms-fr")] == 1
    assert found["smsgate_bind_up", ("trx-2", "sms-fr")] == 0
    assert found["smsgate_bind_window_used", ("trx-1", "sms-fr")] == 3
    assert found["smsgate_carrier_rate_limit", ("sms-fr",)] == 50
    assert found["smsgate_carrier_rate_now", ("sms-fr",)] == 25
    assert found["smsgate_carrier_response_seconds_bucket", ("sms-fr", "0.1")] == 3
    assert found["smsgate_carrier_response_seconds_bucket", ("sms-fr", "1.0")] == 3
    assert found["smsgate_carrier_response_seconds_bucket", ("sms-fr", "+Inf")] == 4
    assert found["smsgate_carrier_response_seconds_count", ("sms-fr",)] == 4
    assert found["smsgate_carrier_response_seconds_sum", ("sms-fr",)] == 4.5
    assert found["smsgate_carrier_events_total", ("sms-fr", "submitted")] == 7
    assert found["smsgate_flush_seconds", ("0.5",)] == 0.2
    assert found["smsgate_webhook_deliveries_total", ("delivered",)] == 5
    assert found["smsgate_webhook_seconds_total", ()] == 2.5
    carrier.counts.submitted = 8
    assert scraped(metrics)["smsgate_carrier_events_total", ("sms-fr", "submitted")] == 8


def test_one_broken_reading_does_not_blind_the_operator() -> None:
    metrics = Metrics()

    def broken() -> float:
        raise ZeroDivisionError

    metrics.gauge("broken", "Breaks", broken)
    metrics.gauge("well", "Works", lambda: 1)
    scraped(metrics)
    found = scraped(metrics)
    assert found["smsgate_well", ()] == 1
    assert found["smsgate_metrics_failures_total", ()] >= 1


def test_more_series_than_the_bound_are_summed_up() -> None:
    metrics = Metrics()
    metrics.counter("things", "Many", lambda: {(f"m{n}",): 1 for n in range(SERIES_MAX + 500)}, "merchant")
    found = {
        labels: value for (name, labels), value in scraped(metrics).items() if name == "smsgate_things_total"
    }
    assert len(found) == SERIES_MAX + 1
    assert found[(OTHER,)] == 500


def test_two_processes_registries_are_apart() -> None:
    first, second = Metrics(), Metrics()
    first.gauge("one", "Only here", lambda: 1)
    assert ("smsgate_one", ()) not in scraped(second)


def test_quantiles_of_nothing_are_nothing() -> None:
    assert quantiles([]) == {}
    assert quantiles([1.0]) == {("0.5",): 1.0, ("0.9",): 1.0, ("0.99",): 1.0, ("1",): 1.0}


async def test_a_blocked_loop_shows_as_lag_once() -> None:
    import time

    lag = LoopLag(SystemClock(), interval_s=0.01)
    beating = asyncio.create_task(lag.run())
    await asyncio.sleep(0.02)
    time.sleep(0.2)
    await asyncio.sleep(0.05)
    beating.cancel()
    assert lag.take_worst() > 0.1
    assert lag.take_worst() == 0
    assert lag.alive()


async def test_a_loop_that_has_not_turned_for_five_seconds_is_not_alive() -> None:
    clock = ManualClock(datetime(2026, 11, 23, tzinfo=UTC))
    lag = LoopLag(clock)
    metrics = Metrics()
    watch_loops(metrics, lag, [], clock)
    clock.advance(4.9)
    assert lag.alive()
    clock.advance(0.2)
    assert not lag.alive()
    assert scraped(metrics)["smsgate_loop_lag_seconds", ()] == pytest.approx(0)
