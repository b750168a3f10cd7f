"""
Prometheus metrics, read when somebody asks.

The message path counts in plain integers of its own objects; here stands only how to read them. So a
message costs nothing, and a scrape costs one call per family. Labels are bounded by configuration (carrier,
bind, loop, kind), never numbers of persons or ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from itertools import accumulate
from typing import Any, Final, Literal, Protocol

import structlog
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from smsgate.clock import Clock
from smsgate.telemetry.loop_lag import LoopLag
from smsgate.version import VERSION

log = structlog.get_logger(__name__)

PREFIX: Final = "smsgate_"
SERIES_MAX: Final = 1_000  # of one family; what is beyond is summed up as `other`
OTHER: Final = "other"
QUANTILES: Final = (0.5, 0.9, 0.99, 1.0)

Labels = tuple[str, ...]
Read = Callable[[], float | Mapping[Any, float]]  # keys are tuples of label values


class Distribution(Protocol):
    """Observations in buckets, each counted once: by upper bound, and beyond the last one."""

    @property
    def bounds(self) -> Sequence[float]: ...
    @property
    def buckets(self) -> Sequence[int]: ...
    @property
    def sum(self) -> float: ...


@dataclass(frozen=True, slots=True)
class _Family:
    kind: Literal["counter", "gauge", "histogram"]
    name: str
    help: str
    labels: Labels
    read: Callable[[], Any]


class Metrics:
    """One process's registry; the composition root says what is read."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.failures = 0  # families that could not be read
        self._families: dict[str, _Family] = {}
        self.registry.register(_Reader(self._families.values(), self._failed))
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.gauge("build_info", "1, with the version of this process", lambda: {(VERSION,): 1}, "version")
        self.counter("metrics_failures", "Metric families that could not be read", lambda: self.failures)

    def counter(self, name: str, help_: str, read: Read, *labels: str) -> None:
        """Add a number that only grows; `name` without prefix and without `_total`."""
        self._add(_Family("counter", PREFIX + name, help_, labels, read))

    def gauge(self, name: str, help_: str, read: Read, *labels: str) -> None:
        """Add a number that goes up and down; with labels, `read` returns a mapping of their values."""
        self._add(_Family("gauge", PREFIX + name, help_, labels, read))

    def histogram(
        self, name: str, help_: str, read: Callable[[], Mapping[Labels, Distribution]], *labels: str
    ) -> None:
        """Add distributions by the values of their labels, of which there are few."""
        self._add(_Family("histogram", PREFIX + name, help_, labels, read))

    def _add(self, family: _Family) -> None:
        assert family.name not in self._families, family.name
        self._families[family.name] = family

    def _failed(self, family: _Family, exc: Exception) -> None:
        self.failures += 1
        log.warning("metric_not_read", metric=family.name, error=str(exc)[:200])


class _Reader(Collector):
    def __init__(self, families: Iterable[_Family], failed: Callable[[_Family, Exception], None]) -> None:
        self._families = families
        self._failed = failed

    def collect(self) -> Iterable[Metric]:
        for family in list(self._families):
            try:
                if family.kind == "histogram":
                    yield _histogram(family, family.read())
                    continue
                found = _bounded(family.read())
            except Exception as exc:  # noqa: BLE001  # one object in a strange state must not blind the operator
                self._failed(family, exc)
                continue
            make = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
            metric = make(family.name, family.help, labels=family.labels)
            for labels, value in found.items():
                metric.add_metric(labels, value)
            yield metric


def _histogram(family: _Family, found: Mapping[Labels, Distribution]) -> Metric:
    metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    for labels, seen in found.items():
        counts = list(accumulate(seen.buckets))
        names = [*(str(float(bound)) for bound in seen.bounds), "+Inf"]
        metric.add_metric(labels, list(zip(names, counts, strict=True)), seen.sum)
    return metric


def _bounded(found: float | Mapping[Any, float]) -> Mapping[Labels, float]:
    if not isinstance(found, Mapping):
        return {(): float(found)}
    if len(found) <= SERIES_MAX:
        return found
    kept = dict(list(found.items())[:SERIES_MAX])
    width = len(next(iter(kept)))
    kept[(OTHER,) * width] = sum(value for labels, value in found.items() if labels not in kept)
    return kept


def quantiles(values: Iterable[float]) -> dict[Labels, float]:
    """Return QUANTILES of the values at hand by their label; nothing when there are none."""
    ordered = sorted(values)
    if not ordered:
        return {}
    last = len(ordered) - 1
    return {(f"{q:g}",): ordered[round(q * last)] for q in QUANTILES}


# ------------------------------------------------------------ what the objects of smsgate show


class BindReading(Protocol):
    @property
    def bind(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def window_used(self) -> int: ...
    @property
    def window_max(self) -> int: ...


class CarrierReading(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def rate_per_s(self) -> int: ...
    @property
    def counts(self) -> object:
        """A dataclass of integers."""
        ...

    @property
    def response_times(self) -> Distribution: ...

    def rate_now(self) -> float: ...

    def binds(self) -> Sequence[BindReading]: ...


class FlushReading(Protocol):
    @property
    def flushes(self) -> int: ...
    @property
    def failures(self) -> int: ...
    @property
    def durations_s(self) -> Iterable[float]: ...


class DeliveriesReading(Protocol):
    @property
    def in_flight(self) -> int: ...
    @property
    def totals(self) -> object:
        """A dataclass of integers, and `seconds`."""
        ...


class BacklogsReading(Protocol):
    @property
    def found(self) -> Mapping[Labels, int]: ...


class LoopReading(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def beat_at(self) -> float: ...


def watch_carriers(metrics: Metrics, carriers: Iterable[CarrierReading]) -> None:
    """Show `carriers` as they are at each scrape: a reload, a stop or a start puts others in their place."""

    def binds(value: Callable[[BindReading], float]) -> Callable[[], dict[Labels, float]]:
        return lambda: {(c.name, b.bind): value(b) for c in carriers for b in c.binds()}

    metrics.gauge("bind_up", "1: bound", binds(lambda bind: float(bind.state == "bound")), "carrier", "bind")
    metrics.gauge(
        "bind_window_used", "submit_sm without answer", binds(lambda b: b.window_used), "carrier", "bind"
    )
    metrics.gauge(
        "bind_window_max", "submit_sm that may wait", binds(lambda b: b.window_max), "carrier", "bind"
    )
    metrics.gauge(
        "carrier_rate_limit",
        "Segments a second that the carrier allows",
        lambda: {(c.name,): c.rate_per_s for c in carriers},
        "carrier",
    )
    metrics.gauge(
        "carrier_rate_now",
        "Segments a second at this moment: less than the limit after the carrier throttled",
        lambda: {(c.name,): c.rate_now() for c in carriers},
        "carrier",
    )
    metrics.histogram(
        "carrier_response_seconds",
        "How long the carrier took to answer a submit_sm, one of each read",
        lambda: {(c.name,): c.response_times for c in carriers},
        "carrier",
    )
    metrics.counter(
        "carrier_events",
        "What was exchanged with a carrier, by kind",
        lambda: {(c.name, kind): n for c in carriers for kind, n in counts_of(c.counts).items()},
        "carrier",
        "kind",
    )


def watch_backlogs(metrics: Metrics, backlogs: BacklogsReading) -> None:
    metrics.gauge(
        "carrier_waiting",
        "What waits in the database for its other half, counted up to 100,000",
        lambda: backlogs.found,
        "carrier",
        "kind",
    )


def watch_flushing(metrics: Metrics, flushing: FlushReading) -> None:
    metrics.counter("flushes", "Transactions of the bulk path", lambda: flushing.flushes)
    metrics.counter("flush_failures", "Flushes that had to be repeated", lambda: flushing.failures)
    metrics.gauge(
        "flush_seconds", "Of the last flushes", lambda: quantiles(list(flushing.durations_s)), "quantile"
    )


def watch_deliveries(metrics: Metrics, deliveries: DeliveriesReading) -> None:
    metrics.gauge(
        "webhooks_in_flight", "Deliveries that wait for a shop's answer", lambda: deliveries.in_flight
    )
    metrics.counter(
        "webhook_deliveries",
        "Attempts to deliver events, by what became of them",
        lambda: {(kind,): n for kind, n in counts_of(deliveries.totals).items() if kind != "seconds"},
        "result",
    )
    metrics.counter(
        "webhook_seconds",
        "Time that shops took to answer",
        lambda: counts_of(deliveries.totals)["seconds"],
    )


def watch_loops(metrics: Metrics, lag: LoopLag, loops: Iterable[LoopReading], clock: Clock) -> None:
    known = tuple(loops)
    metrics.gauge("loop_lag_seconds", "How late the event loop's last beat was", lambda: lag.last_s)
    metrics.gauge("loop_lag_worst_seconds", "The latest beat since the last scrape", lag.take_worst)
    metrics.gauge(
        "loop_silent_seconds",
        "How long ago each inner loop went round",
        lambda: {(loop.name,): clock.monotonic() - loop.beat_at for loop in known},
        "loop",
    )


def counts_of(counts: object) -> dict[str, float]:
    """Return the numbers of a dataclass by name."""
    assert is_dataclass(counts)
    return {field.name: float(getattr(counts, field.name)) for field in fields(counts)}
