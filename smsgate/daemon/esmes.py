"""The side that other companies' ESMEs bind to: listener, desk, intake, relay, and their loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog

from smsgate.billing.networks import NetworkTable
from smsgate.clock import Clock
from smsgate.config import Settings
from smsgate.config.esmes import EsmesSettings
from smsgate.daemon.gateway import end_tasks
from smsgate.daemon.services import Services
from smsgate.errors import StoreUnavailable
from smsgate.esmes.desk import EsmeDesk
from smsgate.esmes.listener import EsmeListener
from smsgate.flows.esme_accounts import EsmeAccounts
from smsgate.flows.esme_admission import Admission
from smsgate.flows.esme_intake import REFRESH_S, EsmeIntake
from smsgate.flows.esme_judge import Judge
from smsgate.flows.esme_limits import EsmeLimits
from smsgate.flows.esme_queries import EsmeQueries
from smsgate.flows.esme_relay import DeliveryBodies, EsmeRelay
from smsgate.flows.loops import Loop
from smsgate.flows.ports import Wakeups
from smsgate.flows.ports_commerce import SenderInfo
from smsgate.flows.pricing import Pricing
from smsgate.ids import IdMaker
from smsgate.security.public_ids import PublicIds
from smsgate.store.esme_deliveries import PgEsmeDeliveries
from smsgate.store.esme_traffic import PgEsmeTraffic
from smsgate.store.esmes import PgEsmeAccounts
from smsgate.store.pool import Database
from smsgate.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

RELAY_INTERVAL_S = 0.2  # receipts and MOs that another loop or process wrote wait this long at most
REFUSALS_INTERVAL_S = 5.0  # a minute of refused binds is told so long after it at most
ACCOUNTS_INTERVAL_S = 2.0  # what the operator changes is seen within this


class EsmeSide:
    def __init__(
        self,
        settings: EsmesSettings,
        database: Database,
        *,
        mac_key: bytes,
        ids: IdMaker,
        public_ids: PublicIds,
        pricing: Pricing,
        networks: NetworkTable,
        may_use: Callable[[str, str], bool],
        wakeups: Wakeups,
        clock: Clock,
    ) -> None:
        accounts = PgEsmeAccounts(database)
        traffic = PgEsmeTraffic(database, ids)
        limits = EsmeLimits(traffic, clock)
        judge = Judge(pricing, networks, may_use)
        self.intake = EsmeIntake(traffic, limits, judge, pricing, public_ids, wakeups, ids, clock)
        self.queries = EsmeQueries(traffic, limits, public_ids, clock)
        self.desk = EsmeDesk(accounts, self.intake, self.queries, DeliveryBodies(public_ids), clock)
        self.admission = Admission(
            accounts,
            mac_key,
            clock,
            sessions_of=self.desk.sessions_of,
            tell_unknown=settings.tell_unknown_system_id,
        )
        self.relay = EsmeRelay(PgEsmeDeliveries(database), self.desk, clock)
        self.desk.attach(self.admission, self.relay)
        self.listener = EsmeListener(settings.listen(), self.desk, clock)
        self.loops = [
            Loop("esme-limits", self.intake.refresh, clock, interval_s=REFRESH_S),
            Loop("esme-refusals", self.admission.report, clock, interval_s=REFUSALS_INTERVAL_S),
            Loop("esme-accounts", self.desk.refresh, clock, interval_s=ACCOUNTS_INTERVAL_S),
            Loop("esme-relay", self.relay.step, clock, interval_s=RELAY_INTERVAL_S, wake=self.relay.wake),
        ]
        self._intake_task: asyncio.Task[None] | None = None
        self._loop_tasks: list[asyncio.Task[None]] = []

    async def start(self) -> list[asyncio.Task[None]]:
        """
        Begin to listen; a task that ends by itself is a reason to end the process.

        Raises:
            ConfigError: an address or a certificate that cannot be used.
        """
        await self.intake.refresh()  # prices and limits are known before the first submit
        await self.listener.start()
        self._intake_task = asyncio.create_task(self.intake.run(), name="esme-intake")
        self._loop_tasks = [asyncio.create_task(loop.run(), name=loop.name) for loop in self.loops]
        return [self._intake_task, *self._loop_tasks, *self.listener.tasks]

    def halt(self, halted: bool) -> None:
        """Refuse submits and replacements while `halted`; sessions stay, receipts and MOs go on."""
        self.intake.halted = self.queries.halted = halted

    async def drain(self, timeout_s: float) -> None:
        """Leave in order: no new connection, every submit answered, all ESMEs unbound, answers durable."""
        self.listener.stop()
        for loop in self.loops:
            loop.stop()
        await end_tasks(self._loop_tasks, timeout_s)
        await self.desk.drain(timeout_s)
        self.admission.report_all()
        self.intake.close()
        await end_tasks([self._intake_task] if self._intake_task else [], timeout_s)
        try:
            await self.relay.settle()
        except StoreUnavailable as exc:  # they come again, which "at least once" allows
            log.warning("esme_answers_not_kept", error=str(exc))
        log.info("esmes_drained")

    def watch(self, metrics: Metrics) -> None:
        """Have the metrics read what runs here."""
        desk, intake, relay = self.desk, self.intake, self.relay
        metrics.gauge(
            "esme_binds",
            "Binds of ESMEs, by kind",
            lambda: {(kind,): count for kind, count in desk.counts().items()},
            "kind",
        )
        metrics.counter("esme_binds_refused", "Binds of ESMEs refused", lambda: self.admission.refused)
        metrics.counter(
            "esme_connections_turned_away", "Connections above the limits", lambda: desk.turned_away
        )
        metrics.counter("esme_submits", "Submits of ESMEs accepted", lambda: intake.accepted)
        metrics.counter(
            "esme_submits_refused",
            "Submits of ESMEs refused, by command_status",
            lambda: {(f"0x{status:02x}",): count for status, count in intake.refused.items()},
            "status",
        )
        metrics.gauge("esme_submits_waiting", "Submits that wait for their commit", intake.backlog)
        metrics.counter("esme_deliveries", "Receipts and MOs that ESMEs took", lambda: relay.delivered)
        metrics.counter(
            "esme_deliveries_refused", "Receipts and MOs that ESMEs refused", lambda: relay.refused
        )


def esme_accounts(settings: Settings, services: Services, senders: Mapping[str, SenderInfo]) -> EsmeAccounts:
    """Return what makes and changes accounts, for the API and the command line."""
    return EsmeAccounts(
        PgEsmeAccounts(services.database),
        services.esme_mac_key,
        senders,
        services.ids,
        password_length=settings.esmes.password_length,
    )
