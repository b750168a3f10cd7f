"""What a gateway's process does by itself now and then: retires rows, closes months, watches prices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from smsgate.clock import Clock
from smsgate.config import Settings
from smsgate.daemon.services import Services
from smsgate.flows.billing_reports import BillingReports
from smsgate.flows.closing import Closing
from smsgate.flows.housekeeping import Housekeeping
from smsgate.flows.kept_files import FileHousekeeping
from smsgate.flows.loops import Loop
from smsgate.flows.person_requests import OwedErasures
from smsgate.flows.ports import Carrier
from smsgate.flows.price_watch import WATCH_INTERVAL_S, PriceWatch
from smsgate.flows.pricing import Pricing
from smsgate.store.housekeeping import PgHousekeeping
from smsgate.store.privacy import PgPrivacy
from smsgate.telemetry.metrics import Metrics

HOUSEKEEPING_INTERVAL_S: Final = 3600.0
ERASURES_INTERVAL_S: Final = 10.0  # what a request left is gone so much later, or at a start
CLOSES_INTERVAL_S: Final = 600.0  # a month closes that much after its time at most


def background_loops(
    settings: Settings,
    services: Services,
    closing: Closing,
    pricing: Pricing,
    carriers: Iterable[Carrier],
    metrics: Metrics,
) -> Iterator[Loop]:
    """Yield the loops, and have the metrics read them; `carriers` are those that run at this moment."""
    yield _housekeeping(settings, services, metrics)
    yield _erasures(services, metrics)
    if settings.billing.close == "automatic":  # else the operator closes months
        metrics.gauge(
            "closes_waiting",
            "Merchants whose month is cut and cannot be closed",
            lambda: {(code,): count for code, count in closing.waiting.items()},
            "code",
        )
        yield Loop("closes", closing.step, services.clock, interval_s=CLOSES_INTERVAL_S)
    watch = PriceWatch(
        pricing,
        services.clock,
        lambda: {carrier.cost_list for carrier in carriers if carrier.cost_list is not None},
    )
    metrics.gauge(
        "prices_below_cost",
        "Networks that sell for less than a carrier that runs here costs, now or by a version to come",
        lambda: watch.found,
        "sell_list",
        "cost_list",
        "when",
    )
    yield Loop("price-watch", watch.step, services.clock, interval_s=WATCH_INTERVAL_S)


def _housekeeping(settings: Settings, services: Services, metrics: Metrics) -> Loop:
    retention = settings.retention.kept()
    housekeeping = Housekeeping(
        PgHousekeeping(services.database, services.suppression, services.public_ids),
        retention,
        services.clock,
    )
    metrics.counter(
        "rows_retired",
        "Rows of small tables whose time was over, by the rule of retention",
        lambda: {(rule,): count for rule, count in housekeeping.deleted.items()},
        "rule",
    )
    metrics.gauge(
        "drops_wait",
        "1: a day whose time is over was not dropped in the last run, for its table was in use",
        lambda: int(housekeeping.drops_wait),
    )
    return Loop("housekeeping", housekeeping.step, services.clock, interval_s=HOUSEKEEPING_INTERVAL_S)


def _erasures(services: Services, metrics: Metrics) -> Loop:
    privacy = PgPrivacy(services.database, services.suppression, services.ids, services.order_stamps)
    owed = OwedErasures(privacy, services.clock)
    metrics.gauge("erasures_owed", "Erasures that wait for who else writes of the person", lambda: owed.left)
    return Loop("erasures", owed.step, services.clock, interval_s=ERASURES_INTERVAL_S)


def kept_files(reports: BillingReports, clock: Clock, metrics: Metrics) -> Loop:
    """Return the loop that removes files of the role api, and have the metrics read it."""
    housekeeping = FileHousekeeping({
        "usage_file": reports.usage_files.files, "dispute_pack": reports.bills.files,
    })  # fmt: skip
    metrics.counter(
        "files_removed",
        "Files that were removed after their time",
        lambda: {(rule,): count for rule, count in housekeeping.removed.items()},
        "rule",
    )
    return Loop("files", housekeeping.step, clock, interval_s=HOUSEKEEPING_INTERVAL_S)
