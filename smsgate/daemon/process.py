"""One process of smsgate with its roles: started in order, stopped in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import structlog
from aiohttp import web

from smsgate.api.app import build_app
from smsgate.api.app_keys import AUTHENTICATOR
from smsgate.api.context import ApiContext
from smsgate.api.health import MONITORED
from smsgate.api.serving import Serving, serve
from smsgate.billing.networks import default_table
from smsgate.clock import Clock, SystemClock
from smsgate.compiled import compiled_parts
from smsgate.config import Settings
from smsgate.config.marketing import gates_of
from smsgate.config.routes import route_table
from smsgate.daemon.background import background_loops, kept_files
from smsgate.daemon.billing_reports import reports_of
from smsgate.daemon.control import control_socket
from smsgate.daemon.disk import LOOK_INTERVAL_S, disk_guard
from smsgate.daemon.esmes import EsmeSide, esme_accounts
from smsgate.daemon.gateway import Gateway
from smsgate.daemon.invoicing import invoicing_of
from smsgate.daemon.nudges import Nudges
from smsgate.daemon.one_gateway import one_gateway
from smsgate.daemon.phones import simulated_phones
from smsgate.daemon.reloading import Reloading, sender_table
from smsgate.daemon.services import LEASE_LOST, LoopDied, Services, open_services, while_leased
from smsgate.daemon.watching import watch_gateway
from smsgate.daemon.webhooks import WebhookSide
from smsgate.flows.commerce import Commerce
from smsgate.flows.loops import Loop
from smsgate.flows.pricing import Pricing
from smsgate.flows.stops import RecentStops
from smsgate.flows.test_mode import SIMULATED_CARRIER
from smsgate.kept_tables import reply_tables_at_hand
from smsgate.store.carriers import register_carriers
from smsgate.store.commerce import commerce_stores
from smsgate.store.health import PgHealth
from smsgate.store.idempotency import PgIdempotency
from smsgate.store.imports import PgImports
from smsgate.store.merchants import PgApiKeys, PgMerchants
from smsgate.store.notices import Notices
from smsgate.store.prices import PgPrices
from smsgate.store.privacy import PgPrivacy
from smsgate.store.subscribers import PgSubscribers
from smsgate.store.usage import PgPriceData
from smsgate.telemetry.loop_lag import LoopLag
from smsgate.telemetry.metrics import Metrics, watch_loops
from smsgate.webhooks.client import WebhookClient
from smsgate.webhooks.prover import ChallengeProver

log = structlog.get_logger(__name__)

DRAIN_S = 10.0  # for open submit_sm_resp; carriers answer within their own time-out, 10 s by default
WEBHOOK_GRACE_S = 5.0
ESMES_DRAIN_S = 5.0  # for commits under way, and for ESMEs to answer our unbind
HEAR_LIMIT_S = 5.0  # a database that lets nobody listen still lets us send: claims read consent themselves


class Process:
    """What runs; made by `running`."""

    def __init__(
        self, settings: Settings, services: Services, read: Callable[[], Settings] | None = None
    ) -> None:
        """`read` gives the configuration anew, for a reload."""
        self.settings = settings
        self.services = services
        self.metrics = Metrics()
        self.draining = False
        self.gateway: Gateway | None = None
        self._senders = sender_table(settings)
        self.reloading = Reloading(settings, services.database, None, self._senders, read)
        self.webhooks: WebhookSide | None = None
        self.esmes: EsmeSide | None = None
        self.api: Serving | None = None  # without the role `api`: its health routes alone
        self._app: web.Application | None = None
        self.pricing = Pricing(PgPriceData(services.database), services.clock)
        self.stops = RecentStops()
        self._invoicing = invoicing_of(settings, services)
        self._reports = reports_of(settings, services, self.pricing, lambda: self.reloading.carriers)
        self._wakeups = Nudges()
        self._lag = LoopLag(services.clock)
        floor_mib = settings.database.disk_floor_mib
        self._disk = disk_guard(services.database.data_dir, floor_mib, self.metrics, self._on_disk)
        self._notices = Notices(
            services.database,
            on_stop=self._on_stop,
            on_withdrawal=self._on_withdrawal,
            on_ended=lambda whose, which, why: self.stops.end(whose, which, why, services.clock.monotonic()),
            on_key=self._on_key,
            on_prices=self.pricing.invalidate,
            on_gap=self._on_gap,
        )
        self._client = WebhookClient(settings.webhooks.policy())
        self._challenges = WebhookClient(settings.webhooks.policy())  # looks up names in threads of its own
        self._tasks: list[asyncio.Task[None]] = []  # end by themselves in `stop`
        self._endless: list[asyncio.Task[None]] = []  # have to be cancelled
        self._loops: list[Loop] = []
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Begin what the roles say; the port is listened on last, when everything behind it stands."""
        settings, services = self.settings, self.services
        roles = settings.node.roles
        await self._stack.enter_async_context(self._client)
        await self._stack.enter_async_context(self._challenges)
        self._stack.push_async_callback(self._reports.usage_files.close)
        self._endless.append(asyncio.create_task(self._notices.run(), name="notices"))
        await self._hear()
        names = [*(carrier.name for carrier in settings.carriers), SIMULATED_CARRIER]
        ids = await register_carriers(services.database, names)
        if "gateway" in roles and settings.carriers:
            if settings.database.dsns() is None:
                self._stack.enter_context(one_gateway(settings.node.state_dir))
            self._start_gateway(ids)
        self._phones = simulated_phones(
            settings,
            services,
            carrier_id=ids[SIMULATED_CARRIER],
            senders=self._senders,
            pricing=self.pricing,
            stops=self.stops,
            wakeups=self._wakeups,
        )
        commerce = self._commerce()
        if "gateway" in roles and settings.esmes.on:
            await self._start_esmes()
        if "gateway" in roles:
            await self._open_control_socket()
        if "webhooks" in roles:
            self._start_webhooks(commerce)
        if "gateway" in roles:
            carriers = self.gateway.switchboard if self.gateway else ()
            closing = self._invoicing.closing
            for loop in background_loops(settings, services, closing, self.pricing, carriers, self.metrics):
                self._begin(loop)
        if self._disk is not None:
            self._begin(Loop("disk", self._disk.step, services.clock, interval_s=LOOK_INTERVAL_S))
        self._watch()
        if "api" in roles:
            self._begin(kept_files(self._reports, services.clock, self.metrics))
        self.api = await self._listen(self._api_context(commerce))
        log.info("started", roles=sorted(roles), port=self.api.port, compiled=compiled_parts())

    async def _listen(self, context: ApiContext) -> Serving:
        http, port = self.settings.http, self.settings.listening_port
        if "api" not in self.settings.node.roles:
            return await serve(build_app(context, MONITORED), http.host, port)
        self._app = build_app(context)
        return await serve(self._app, http.host, port, port_shared=http.port_shared)

    async def _hear(self) -> None:
        """Claim nothing before STOPs of other processes are heard."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HEAR_LIMIT_S):
                await self._notices.connected.wait()

    def _on_stop(self, whose: int | str, msisdn: int) -> None:
        self.stops.add(whose, msisdn, self.services.clock.monotonic())

    def _on_key(self, public_id: str) -> None:
        if self._app is not None:
            self._app[AUTHENTICATOR].forget(public_id)

    def _on_disk(self, full: bool) -> None:
        if self.gateway is not None:
            self.gateway.halt(full)
        if self.esmes is not None:
            self.esmes.halt(full)

    def _on_withdrawal(self, merchant_id: int, msisdn: int) -> None:
        self.stops.add(merchant_id, msisdn, self.services.clock.monotonic(), marketing=False)

    def _on_gap(self) -> None:
        """What other processes said meanwhile was not heard: nothing that was read before counts any more."""
        self.stops.missed()
        self.pricing.invalidate()
        if self._app is not None:
            self._app[AUTHENTICATOR].forget_all()

    def _start_gateway(self, carrier_ids: Mapping[str, int]) -> None:
        settings, services = self.settings, self.services
        self.gateway = Gateway(
            services.database,
            carriers=[(carrier_ids[profile.name], profile) for profile in settings.carriers],
            ids=services.ids,
            public_ids=services.public_ids,
            pricing=self.pricing,
            networks=default_table(),
            stops=self.stops,
            wakeups=self._wakeups,
            clock=services.clock,
            owner=services.lease.epoch,
            limits=settings.sending.limits(),
            simulated_id=carrier_ids[SIMULATED_CARRIER],
            table=route_table(settings.routes, settings.carriers),
            rules=settings.consent.rules(),
            gates=gates_of(settings.hours, settings.caps),
            suppression=services.suppression,
            stamps=services.order_stamps,
        )
        self._wakeups.gateway = self.reloading.gateway = self.gateway
        self._tasks += self.gateway.start()

    async def _open_control_socket(self) -> None:
        switchboard = None if self.gateway is None else self.gateway.switchboard
        esmes = None if self.esmes is None else self.esmes.desk
        try:
            await self._stack.enter_async_context(
                control_socket(self.settings.node.state_dir, switchboard, esmes, self.reloading)
            )
        except OSError as exc:  # a directory that takes no socket must not keep messages from leaving
            log.warning("control_socket_refused", error=str(exc))

    async def _start_esmes(self) -> None:
        services, senders = self.services, self._senders
        self.esmes = EsmeSide(
            self.settings.esmes,
            services.database,
            mac_key=services.esme_mac_key,
            ids=services.ids,
            public_ids=services.public_ids,
            pricing=self.pricing,
            networks=default_table(),
            may_use=lambda sender, slug: sender in senders and senders[sender].allows(slug),
            wakeups=self._wakeups,
            clock=services.clock,
        )
        self._tasks += await self.esmes.start()

    def _commerce(self) -> Commerce:
        services = self.services
        return Commerce.of(
            commerce_stores(
                services.database,
                services.ids.next,
                services.suppression,
                services.order_stamps,
                services.clock,
            ),
            pricing=self.pricing,
            networks=default_table(),
            senders=self._senders,
            prover=ChallengeProver(self._challenges, services.clock),
            policy=self.settings.webhooks.policy(),
            secrets=services.keyring,
            ids=services.ids,
            public_ids=services.public_ids,
            clock=services.clock,
            wakeups=self._wakeups,
            stops=self.stops,
            proof_key=services.proof_key,
        )

    def _start_webhooks(self, commerce: Commerce) -> None:
        side = self.webhooks = WebhookSide(self.settings, self.services, self._client, commerce)
        self._wakeups.webhooks = side.deliveries
        self._tasks.append(asyncio.create_task(side.deliveries.run(), name="webhooks"))
        for loop in side.loops:
            self._begin(loop)

    def _begin(self, loop: Loop) -> None:
        self._loops.append(loop)
        self._tasks.append(asyncio.create_task(loop.run(), name=loop.name))

    def _watch(self) -> None:
        """Have the metrics read what runs here."""
        gateway, metrics, clock = self.gateway, self.metrics, self.services.clock
        self._endless.append(asyncio.create_task(self._lag.run(), name="loop-lag"))
        esmes = self.esmes
        loops = [*self._loops, *(gateway.loops if gateway else []), *(esmes.loops if esmes else [])]
        watch_loops(metrics, self._lag, loops, clock)
        if self.webhooks is not None:
            self.webhooks.watch(metrics)
        if esmes is not None:
            esmes.watch(metrics)
        if gateway is None:
            return
        watch_gateway(metrics, gateway)

    def _api_context(self, commerce: Commerce) -> ApiContext:
        services = self.services
        database = services.database
        return ApiContext(
            settings=self.settings.http.api(),
            clock=services.clock,
            gates=gates_of(self.settings.hours, self.settings.caps),
            reaches=self.settings.consent.reaches(),
            ids=services.ids,
            public_ids=services.public_ids,
            secrets=services.keyring,
            stops=self.stops,
            wakeups=self._wakeups,
            carriers=self.gateway.switchboard if self.gateway else [],
            carrier_desk=self.reloading if self.gateway else None,
            metrics=self.metrics.registry,
            key_mac_key=services.key_mac_key,
            api_keys=PgApiKeys(database),
            idempotency=PgIdempotency(database),
            merchants=PgMerchants(database),
            prices=PgPrices(database),
            subscribers=PgSubscribers(database, services.suppression),
            imports=PgImports(database, services.suppression),
            privacy=PgPrivacy(database, services.suppression, services.ids, services.order_stamps),
            health=PgHealth(database),
            esmes=esme_accounts(self.settings, services, self._senders),
            esme_sessions=None if self.esmes is None else self.esmes.desk,
            draining=lambda: self.draining,
            disk_full=lambda: self._disk is not None and self._disk.full,
            commerce=commerce,
            phones=self._phones,
            invoicing=self._invoicing,
            reports=self._reports,
        )

    async def wait(self, stop: asyncio.Event) -> None:
        """
        Return when `stop` is set.

        Raises:
            LoopDied: a loop ended by itself, or the node's lease was lost.
        """
        stopping = asyncio.create_task(stop.wait())
        loops = {self.services.lease_loop, *self._tasks, *self._endless}
        try:
            done, _ = await asyncio.wait({stopping, *loops}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        for task in done - {stopping}:
            cause = None if task.cancelled() else task.exception()
            if task is self.services.lease_loop and cause is None:
                raise LoopDied(LEASE_LOST)
            log.error("loop_died", loop=task.get_name(), error=repr(cause))
            raise LoopDied(f"the loop {task.get_name()} ended: {cause!r}") from cause

    async def stop(self) -> None:
        """
        Stop in order: unready, no new submits, answers awaited, all committed, unbound, parked, closed.

        What was taken and not sent is given back; nothing is sent twice and nothing is missing after it.
        """
        self.draining = True  # /readyz says so until the end: the API is closed last
        if self.gateway is not None:  # at once: with the lease the right to send may be lost
            self.gateway.stop_sending()
        if self.esmes is not None:  # first: what it has answered with 0 is in the gateway's queue
            await self.esmes.drain(ESMES_DRAIN_S)
        if self.gateway is not None:
            await self.gateway.drain(DRAIN_S)
        if self.webhooks is not None:
            await self.webhooks.deliveries.stop(WEBHOOK_GRACE_S)
        if self.api is not None:
            await self.api.stop()
        for loop in self._loops:
            loop.stop()
        for task in self._endless:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=WEBHOOK_GRACE_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._endless, return_exceptions=True)
        await self._stack.aclose()
        log.info("stopped")


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    say: Callable[[str], None],
    clock: Clock | None = None,
    read: Callable[[], Settings] | None = None,
) -> AsyncIterator[Process]:
    """
    Run a process of smsgate; leaving stops it in order.

    `read` gives the configuration anew, for a reload.
    """
    clock = clock or SystemClock()
    if {"gateway", "api"} & set(settings.node.roles):  # who reads replies, or those of simulated phones
        # Before there is a lease, which is lost in seconds: where no tables were kept this takes as long.
        reply_tables_at_hand()
    place = settings.database
    async with open_services(
        settings.node.state_dir, place.dsns(), clock, say, database_name=place.name
    ) as services:
        process = Process(settings, services, read)
        try:
            await while_leased(services, process.start())
            yield process
        finally:
            await process.stop()
