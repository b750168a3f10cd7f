"""The gateway role: carriers, the pump, the flush, the intake, and the loops that move them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import structlog

from smsgate.billing.networks import NetworkTable
from smsgate.campaigns.consent_commands import SmsRules
from smsgate.clock import Clock
from smsgate.errors import StoreUnavailable
from smsgate.flows.budgets import Budgets
from smsgate.flows.claiming import Claiming
from smsgate.flows.composing import Composer
from smsgate.flows.consent_ageing import ConsentAgeing
from smsgate.flows.flushing import Flushing
from smsgate.flows.gates import ALWAYS_OPEN, Gates
from smsgate.flows.guarding import Guarding
from smsgate.flows.inbound import Intake
from smsgate.flows.inbound_case import DeskTools
from smsgate.flows.loops import Loop
from smsgate.flows.opt_outs import OptOuts
from smsgate.flows.outcomes import Outcomes
from smsgate.flows.pacing import Pacing
from smsgate.flows.ports import Carrier, Wakeups
from smsgate.flows.pricing import Pricing
from smsgate.flows.records import CarrierReceipts, MobileOriginated
from smsgate.flows.rerouting import Rerouting
from smsgate.flows.routes import Routes
from smsgate.flows.sending import Pump
from smsgate.flows.sending_limits import SendingLimits
from smsgate.flows.stops import RecentStops
from smsgate.ids import IdMaker
from smsgate.links.carrier import CarrierAccount
from smsgate.links.profile import CarrierProfile
from smsgate.links.simulated import SimulatedCarrier
from smsgate.links.switchboard import Changes, Switchboard
from smsgate.protocol.commands import Status
from smsgate.protocol.message_ids import ReceiptIds
from smsgate.routing.table import NO_ROUTES, RouteTable
from smsgate.security.public_ids import Kind, PublicIds
from smsgate.security.suppression import SuppressionHashes
from smsgate.store.backlogs import StoredBacklogs
from smsgate.store.budgets import PgLeases
from smsgate.store.consent_ageing import PgConsentAgeing
from smsgate.store.inbound import StoredInbound
from smsgate.store.order_stamps import OrderStamps
from smsgate.store.pool import Database
from smsgate.store.sending import StoredSending

log = structlog.get_logger(__name__)

CONSENTS_INTERVAL_S = 60.0  # a pause is over within a minute of its time
RECOVERY_INTERVAL_S = 2.0  # dead owners are noticed within their lease's end and this
UNMATCHED_INTERVAL_S = 1.0
UNMATCHED_MAX = 5_000  # receipts matched by one hash join
OPT_OUTS_INTERVAL_S = 1.0  # of carriers' lists; the carrier refuses by itself what leaves meanwhile
BACKLOGS_INTERVAL_S = 15.0  # as often as metrics are usually scraped
FAILOVER_INTERVAL_S = 0.25  # carriers that are away longer than `failover_s` are looked for
GUARD_INTERVAL_S = 1.0  # counters of campaigns that send are looked at
PACE_INTERVAL_S = 0.1  # a grant is taken so much late at most, and the next one so much earlier
LEASES_INTERVAL_S = 0.5  # money that a finished chunk leaves is there for the next within this
PARTS_INTERVAL_S = 2.0  # long MOs whose parts came apart are looked for
DRAIN_LOOK_S = 0.01
LEAVE_S = 10.0  # for one carrier that is changed or taken out: its own time-out of a response
INTERACTIVE_POLL_S = 0.25  # messages that another process wrote wait this long at most


class _Events:
    """What links tell, to whom it concerns."""

    def __init__(self, pump: Pump, intake: Intake) -> None:
        self._pump = pump
        self._intake = intake

    def answered(self, slots: Sequence[int], statuses: Sequence[int], smsc_ids: Sequence[bytes]) -> None:
        self._pump.answered(slots, statuses, smsc_ids)

    def in_doubt(self, carrier_id: int, slots: Sequence[int]) -> None:
        self._pump.in_doubt(carrier_id, slots)

    def receipts(self, receipts: CarrierReceipts) -> None:
        self._pump.receipts(receipts)

    def delivered(self, mo: MobileOriginated) -> None:
        self._intake.put(mo)

    def reachable(self, carrier_id: int, msisdn: int) -> None:
        self._pump.reachable(carrier_id, msisdn)

    def room_changed(self, carrier_id: int) -> None:
        self._pump.room_changed(carrier_id)


class _Both(Mapping[int, Carrier]):
    """The configured carriers, which come and go, and the one of simulated phones."""

    def __init__(self, configured: Mapping[int, Carrier], simulated: Carrier) -> None:
        self._configured = configured
        self._simulated = {simulated.carrier_id: simulated}

    def __getitem__(self, carrier_id: int) -> Carrier:
        found = self._configured.get(carrier_id)
        return self._simulated[carrier_id] if found is None else found

    def __iter__(self) -> Iterator[int]:
        yield from self._configured
        yield from self._simulated

    def __len__(self) -> int:
        return len(self._configured) + len(self._simulated)


class Gateway:
    """Start it with the database open and a lease held; `drain` leaves carriers and claims in order."""

    def __init__(
        self,
        database: Database,
        *,
        carriers: Sequence[tuple[int, CarrierProfile]],
        ids: IdMaker,
        public_ids: PublicIds,
        pricing: Pricing,
        networks: NetworkTable,
        stops: RecentStops,
        wakeups: Wakeups,
        clock: Clock,
        owner: int,
        limits: SendingLimits,
        simulated_id: int,
        table: RouteTable = NO_ROUTES,
        rules: SmsRules,
        gates: Gates = ALWAYS_OPEN,
        suppression: SuppressionHashes,
        stamps: OrderStamps,
    ) -> None:
        self.switchboard = Switchboard(carriers, clock=clock, random=random.SystemRandom().random)
        accounts, senders = self.switchboard.carriers, self.switchboard.carrier_of_sender
        self.simulated = SimulatedCarrier(simulated_id, owner=owner)
        takers = self._takers()
        self._store = StoredSending(database, ids, public_ids)
        self.outcomes, self.backlogs = Outcomes(ids.next), StoredBacklogs(database)
        self.routes = Routes(
            accounts, senders, table, pricing, networks, clock,
            grace_s=limits.failover_s, simulated=simulated_id,
        )  # fmt: skip
        self.composer = composer = Composer(pricing, takers, self.routes)
        self.pump = Pump(takers, self.outcomes, stops, clock, limits=limits)
        self.rerouting = Rerouting(self.pump, composer, self.routes, clock)
        self.budgets = Budgets(PgLeases(database, ids.next), self._store, self.pump, clock, owner=owner)
        self.claiming = Claiming(
            self._store, self.pump, composer, clock, carriers=accounts, carrier_of_sender=senders,
            routes=self.routes, gates=gates, budgets=self.budgets, owner=owner,
        )  # fmt: skip
        consents = PgConsentAgeing(database, ids, partial(public_ids.encode, Kind.SUBSCRIBER))
        self._opt_outs = OptOuts(consents, accounts, clock)
        self.flushing = Flushing(self._store, self.pump, self.outcomes, takers, clock, owner=owner)
        self.flushing.committed = self._opt_outs.see
        week_max, ucs2 = gates.caps.merchant_week_max, self.switchboard.writes_ucs2
        tools = DeskTools(ids, public_ids, self._may_use, rules, week_max, ucs2, self.switchboard.users)
        inbound = StoredInbound(database, ids.next, suppression, stamps)
        self.intake = self._make_intake(inbound, pricing, networks, tools, stops, wakeups, clock, owner)
        self._consents, self._clock = ConsentAgeing(consents, clock), clock
        self._ids_of_gone: dict[int, ReceiptIds] = {}
        self.receipts_resolved = 0  # in the database, since the start
        self.loops = self._make_loops(limits)
        self._loop_tasks: list[asyncio.Task[None]] = []
        self._flush_task: asyncio.Task[None] | None = None
        self._intake_task: asyncio.Task[None] | None = None

    def _takers(self) -> Mapping[int, Carrier]:
        """Return whoever takes messages, simulated phones' carrier included; it follows every change."""
        self.switchboard.names[self.simulated.carrier_id] = self.simulated.name
        return _Both(self.switchboard.carriers, self.simulated)

    def _make_intake(
        self,
        store: StoredInbound,
        pricing: Pricing,
        networks: NetworkTable,
        tools: DeskTools,
        stops: RecentStops,
        wakeups: Wakeups,
        clock: Clock,
        owner: int,
    ) -> Intake:
        return Intake(
            store,
            self.switchboard.carriers,
            pricing,
            networks,
            tools,
            stops,
            wakeups,
            clock,
            owner=owner,
            busy_status=self._busy_status,
            texts=self.claiming.texts,
        )

    def _make_loops(self, limits: SendingLimits) -> list[Loop]:
        pump, claiming, clock = self.pump, self.claiming, self._clock
        pacing = Pacing(self._store, pump, clock)
        guarding = Guarding(self._store, pump, clock, limits=limits.guard)
        return [
            Loop("claims", claiming.claim_once, clock, interval_s=limits.poll_s, wake=pump.wake_claims),
            Loop(
                "claims-ahead",
                claiming.claim_ahead,
                clock,
                interval_s=limits.poll_s,
                wake=claiming.wake_ahead,
            ),
            Loop(
                "interactive",
                claiming.interactive_once,
                clock,
                interval_s=INTERACTIVE_POLL_S,
                wake=pump.wake_interactive,
            ),
            Loop("pace", pacing.grant_once, clock, interval_s=PACE_INTERVAL_S),
            Loop(
                "budgets",
                self.budgets.lease_once,
                clock,
                interval_s=PACE_INTERVAL_S,
                wake=self.budgets.wake,
            ),
            Loop("leases", self.budgets.settle_once, clock, interval_s=LEASES_INTERVAL_S),
            Loop("guard", guarding.look, clock, interval_s=GUARD_INTERVAL_S),
            Loop("failover", self.rerouting.look, clock, interval_s=FAILOVER_INTERVAL_S),
            Loop("unmatched", self._resolve_unmatched, clock, interval_s=UNMATCHED_INTERVAL_S),
            Loop("backlogs", self._read_backlogs, clock, interval_s=BACKLOGS_INTERVAL_S),
            Loop("mo-parts", self.intake.settle_parts, clock, interval_s=PARTS_INTERVAL_S),
            Loop("opt-outs", self._opt_outs.step, clock, interval_s=OPT_OUTS_INTERVAL_S),
            Loop("consents", self._consents.step, clock, interval_s=CONSENTS_INTERVAL_S),
            Loop("recovery", self._recover, clock, interval_s=RECOVERY_INTERVAL_S),
        ]

    def halt(self, halted: bool) -> None:
        """Take nothing new while `halted`; what was written still gets its outcome."""
        self.pump.allowances.halted = self.intake.halted = halted
        self.pump.wake_claims.set()

    def _may_use(self, sender: str, slug: str) -> bool:
        return self.switchboard.may_send(slug, sender)

    def start(self) -> list[asyncio.Task[None]]:
        """Begin to bind and to work; a task that ends by itself is a reason to end the process."""
        self._flush_task = asyncio.create_task(self.flushing.run(), name="flush")
        self._intake_task = asyncio.create_task(self.intake.run(), name="intake")
        self._loop_tasks = [asyncio.create_task(loop.run(), name=loop.name) for loop in self.loops]
        events = _Events(self.pump, self.intake)
        self.simulated.start(events)
        self.switchboard.start(events)
        return [self._flush_task, self._intake_task, *self._loop_tasks]

    def _busy_status(self, carrier_id: int) -> int:
        carrier = self.switchboard.carriers.get(carrier_id)
        return Status.MSGQFUL if carrier is None else carrier.mo_busy_status

    async def reload(self, carriers: Sequence[tuple[int, CarrierProfile]], table: RouteTable) -> Changes:
        """
        Go on with these carriers and rules; whoever stays the same is not touched.

        Raises:
            ConfigError: a carrier cannot be made; nothing changed.
        """

        def swapped() -> None:
            self.routes.reload(table)
            self.pump.rates_changed()
            self.pump.wake_claims.set()
            self.rerouting.recut()

        changes = await self.switchboard.apply(carriers, swapped=swapped, leave=self.leave)
        self.rerouting.recut()  # for those that were bound anew meanwhile
        return changes

    async def leave(self, account: CarrierAccount) -> None:
        """Leave one carrier: answers awaited, what came so far committed and acknowledged, unbound."""
        account.stop_submitting()
        deadline = self._clock.monotonic() + LEAVE_S
        await self._holds(lambda: not account.in_flight(), deadline)
        flushes = self.flushing.flushes

        def acknowledged() -> bool:
            quiet = self.outcomes.empty() and not self.flushing.busy
            # The second flush from now began after everything that had come.
            return (quiet or self.flushing.flushes >= flushes + 2) and not self.intake.backlog()

        await self._holds(acknowledged, deadline)
        await account.stop(max(0.1, deadline - self._clock.monotonic()))

    def stop_sending(self) -> None:
        """Claim nothing and write nothing more; answers, receipts and MOs are still taken."""
        self.pump.drain()
        self.switchboard.stop_submitting()
        self.simulated.stop_submitting()
        for loop in self.loops:
            loop.stop()

    async def drain(self, timeout_s: float) -> None:
        """
        Leave in order: no new submits, open answers awaited, everything committed, binds unbound both ways.

        Chunks and messages that were claimed and not written are given back for the next start.
        """
        self.stop_sending()
        deadline = self._clock.monotonic() + timeout_s
        await end_tasks(self._loop_tasks, timeout_s)
        await self._holds(lambda: not self.switchboard.in_flight(), deadline)
        # Receipts and MOs that came so far are committed and answered while the binds still stand.
        await self._holds(self._settled, deadline)
        await self.switchboard.drain(max(0.1, deadline - self._clock.monotonic()))
        self.intake.close()
        self.flushing.close()
        settled = await end_tasks([self._flush_task] if self._flush_task else [], timeout_s)
        await end_tasks([self._intake_task] if self._intake_task else [], timeout_s)
        if settled:
            await self._give_back()
        else:
            # What was written may have outcomes that are not durable: given back, it would be sent again.
            # The end of the lease settles it: unknown where in doubt, the rest goes to the next owner.
            log.error("gateway_not_settled", uncommitted=self.pump.uncommitted)
        log.info("gateway_drained", in_flight=self.switchboard.in_flight())

    async def _give_back(self) -> None:
        """Leave to others what this process does not do any more."""
        try:
            await self._opt_outs.finish()  # of the answers that came last
            await self.claiming.release()
            while await self.budgets.settle_once():  # what was leased and not spent is there for others
                pass
        except StoreUnavailable as exc:  # the lease's end settles it, and why we end must not be hidden
            log.warning("claims_not_released", error=str(exc))

    async def _holds(self, condition: Callable[[], bool], deadline: float) -> None:
        """Wait until `condition` holds, up to a monotonic second."""
        for _ in range(max(1, int((deadline - self._clock.monotonic()) / DRAIN_LOOK_S))):
            if condition():
                return
            await asyncio.sleep(DRAIN_LOOK_S)

    def _settled(self) -> bool:
        """Return whether everything that came is committed."""
        waiting = not self.outcomes.empty() or self.intake.backlog()
        return not (waiting or self.flushing.busy or self.intake.busy)

    async def _resolve_unmatched(self) -> bool:
        now = self._clock.now()
        more = False
        here = {carrier.carrier_id: carrier.receipt_ids for carrier in self.switchboard}
        for carrier_id in sorted({*here, *await self._store.unmatched_carriers(now)}):
            # Of a carrier that was taken out: what its profile said of ids is learned from what waits.
            ids = here.get(carrier_id) or self._ids_of_gone.setdefault(carrier_id, ReceiptIds())
            known = ids.form
            found = await self._store.resolve_unmatched(carrier_id, ids, UNMATCHED_MAX, now)
            self.receipts_resolved += found.matched
            self._opt_outs.see_matched(found)
            more = more or found.looked_at == UNMATCHED_MAX
            if ids.form is not known:
                log.info("receipt_ids_learned", carrier_id=carrier_id, form=str(ids.form))
        return more

    async def _read_backlogs(self) -> bool:
        carriers = [(carrier.carrier_id, carrier.name) for carrier in self.switchboard]
        await self.backlogs.look(carriers)
        return False

    async def _recover(self) -> bool:
        recovery = await self._store.recover(segments_of=self.composer.segments_of, now=self._clock.now())
        if recovery.chunks_cancelled:
            log.info("cancelled_chunks_ended", chunks=recovery.chunks_cancelled)
        if recovery.chunks_resumed or recovery.interactive_unknown:
            log.warning(
                "recovered",
                chunks=recovery.chunks_resumed,
                unknown=recovery.messages_unknown,
                interactive_unknown=recovery.interactive_unknown,
            )
            self.pump.wake_claims.set()
        return False


async def end_tasks(tasks: Sequence[asyncio.Task[None]], timeout_s: float) -> bool:
    """Wait for tasks that were told to end, then cancel them; return whether all ended by themselves."""
    if not tasks:
        return True
    done, late = await asyncio.wait(tasks, timeout=timeout_s)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return not late and all(not task.cancelled() and task.exception() is None for task in done)
