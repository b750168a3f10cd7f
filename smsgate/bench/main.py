"""One run: a throw-away database, a campaign, an SMSC, the gateway role in this process, and its figures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from pydantic import SecretStr

from smsgate.bench.meter import Meter, percentile, rss_max_mb, used_between
from smsgate.bench.parts import BenchFailed, OwnSmsc, Written, own_smsc, throw_away_database
from smsgate.bench.scene import (
    CAMPAIGN,
    COST_LIST,
    ONE,
    PASSWORD,
    SENDER,
    SYSTEM_ID,
    WARM_UP,
    Shape,
    begin,
    begin_warm_up,
    prepare,
)
from smsgate.bench.watch import Confirmations, Seconds, answer_now_and_then
from smsgate.config import DatabaseSettings, HttpSettings, NodeSettings, Settings, WebhookSettings
from smsgate.config.marketing import CapSettings, HoursSettings
from smsgate.config.settings import SendingSettings
from smsgate.daemon.gateway import Gateway
from smsgate.daemon.process import running
from smsgate.links.profile import CarrierProfile
from smsgate.links.profile_flow import BURST_MAX_S, BURST_S, RATE_LIMIT_PER_S
from smsgate.links.profile_senders import SenderNumber
from smsgate.links.profile_values import Host
from smsgate.store.bench_books import books, progress, waiting, wal_octets
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database
from smsgate.store.verify import PgVerify

BIND_LIMIT_S: Final = 15.0
STALL_LIMIT_S: Final = 60.0  # nothing was written, answered or received for so long: the run is given up
CONFIRMED_LIMIT_S: Final = 5.0  # for confirmations that are under way when the campaign is over
LOOK_S: Final = 0.02
SETTLE_S: Final = 30.0  # of a paced run, until the rate is held
# An SMSC leaves some 100 deliver_sm of a bind unanswered, and each waits for its commit: so many binds bring
# the receipts of 50,000 messages a second.
BINDS: Final = 24
WINDOW: Final = 250  # submit_sm of each bind
# Half a second at the rate that is aimed at: a message is in doubt from the commit of its allowance until the
# one of its outcome.
IN_DOUBT_MAX: Final = 20_000
OTHER_NUMBER: Final = "36112"  # of the account that only brings answers


# Four caps that let everybody get this message: each is looked at and counted.
CAPS: Final = CapSettings(
    person_per_day_max=3, person_per_week_max=10, merchant_per_day_max=2, merchant_per_week_max=5
)
_FOR_PEOPLE: Final = frozenset({"settled_per_second", "memory_mb", "complete", "hours_kept"})


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """
    `rate_per_s` None: as fast as it goes. `smsc` None: a simulator of its own.

    `answers`: phones answer while one campaign goes; of several it is not known whom they have reached.
    """

    messages: int
    rate_per_s: int | None = None
    smsc: Host | None = None
    system_id: str = SYSTEM_ID
    password: str = PASSWORD
    receipts: bool = True
    shape: Shape = ONE
    answers: bool = True


@dataclass(frozen=True, slots=True)
class Figures:
    """What `smsgate bench` says. CPU is per message; `wal_bytes` is the whole run's."""

    messages: int
    wall_s: float
    per_second: int
    gateway_cpu_us: float
    database_cpu_us: float
    wal_bytes: int
    rss_mb: int
    accepted: int
    receipts: int
    ledger_messages: int
    unknown: int
    flush_ms: dict[str, float | None]
    interactive_ms: dict[str, float | None]
    answers: int  # of phones whose confirmation these milliseconds are of
    orders: int  # that came of them
    settled_per_second: float | None  # of a run that is longer than SETTLE_S
    memory_mb: list[float]  # of each second
    complete: bool  # every message has its outcome and, where they are asked for, its receipt
    hours_kept: bool = False  # not on Sundays, when marketing may reach nobody

    def as_json(self) -> dict[str, Any]:
        keys = [name for name in self.__slots__ if name not in _FOR_PEOPLE]
        return {key: getattr(self, key) for key in keys}


def _burst_s(options: BenchOptions) -> float:
    """Return what of the rate is made up for: all that a slow commit kept back, where an average is told."""
    settled = options.rate_per_s is not None and options.messages > SETTLE_S * options.rate_per_s
    return BURST_MAX_S if settled else BURST_S


def bench_settings(server: EmbeddedPostgres, options: BenchOptions, own: Host, place: str) -> Settings:
    """
    Return one carrier, and where the SMSC is not ours a second one whose phones answer.

    `place`: where everybody is; "" keeps no hours.
    """
    measured = CarrierProfile(
        name="smsc",
        hosts=(options.smsc or own,),
        system_id=options.system_id if options.smsc else SYSTEM_ID,
        password=SecretStr(options.password if options.smsc else PASSWORD),
        tls="none",
        insecure_plaintext=True,
        binds=BINDS,
        rate_per_s=options.rate_per_s or RATE_LIMIT_PER_S,
        burst_s=_burst_s(options),
        window_max=WINDOW,
        response_timeout_s=30.0,
        registered_delivery=int(options.receipts),
        senders=(SenderNumber(number=SENDER, receives=True),),
        cost_list=COST_LIST,
    )
    phones = CarrierProfile(
        name="phones",
        hosts=(own,),
        system_id=SYSTEM_ID,
        password=SecretStr(PASSWORD),
        tls="none",
        insecure_plaintext=True,
        senders=(SenderNumber(number=OTHER_NUMBER, receives=True),),
    )
    return Settings(
        hours=HoursSettings(enforce=bool(place)),
        caps=CAPS,
        node=NodeSettings(state_dir=server.data_dir.parent, roles=("gateway",)),
        database=DatabaseSettings(),
        http=HttpSettings(port=0, health_port=0),
        webhooks=WebhookSettings(),
        sending=SendingSettings(in_doubt_max=IN_DOUBT_MAX),
        carriers=(measured, phones) if options.smsc else (measured,),
    )


async def run_bench(options: BenchOptions, written: Written | None = None) -> Figures:
    """
    Send `options.messages` offers and return the figures.

    `written`: was written for the same options. What it has from before is counted in `accepted` and
    `receipts`, and the books are not proved.

    Raises:
        BenchFailed: the SMSC lets nobody bind, or the simulator does not start.
        SmsgateError: a proof of the books does not hold on what the run leaves behind.
    """
    async with throw_away_database(written.state_dir if written else None) as server, own_smsc() as smsc:
        if written is not None:
            place = written.place
        else:
            async with await Database.open(server) as database:
                place = await prepare(database, options.messages, options.shape)
        settings = bench_settings(server, options, smsc.host, place)
        async with running(settings, say=lambda _: None) as process:
            assert process.gateway is not None
            await _bound(process.gateway, options)
            run = _Run(process.services.database, process.gateway, server, options)
            figures = await run.measure(smsc)
            if written is None:
                (await PgVerify(process.services.database).looked()).hold()
            return replace(figures, hours_kept=bool(place))


async def _bound(gateway: Gateway, options: BenchOptions) -> None:
    async def all_bound() -> bool:
        return all(bind.state == "bound" for carrier in gateway.switchboard for bind in carrier.binds())

    if not await until(all_bound, BIND_LIMIT_S):
        errors = {bind.last_error for carrier in gateway.switchboard for bind in carrier.binds()} - {""}
        host = options.smsc or "the simulator"
        why = "; ".join(sorted(errors)) or "no answer"
        raise BenchFailed(f"{host} does not let {BINDS} binds of {options.system_id} in: {why}")


class _Run:
    def __init__(
        self, database: Database, gateway: Gateway, server: EmbeddedPostgres, options: BenchOptions
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._options = options
        self._meter = Meter(server.data_dir, partial(wal_octets, database))
        self._moved: tuple[object, ...] = ()
        self._moved_at = 0.0
        self._before = 0  # last words of carriers on messages of the campaign before

    async def measure(self, smsc: OwnSmsc) -> Figures:
        gateway, messages = self._gateway, self._options.messages
        await self._warm_up()
        confirmations, seconds = Confirmations(gateway), Seconds(gateway)
        before = await self._meter.read()
        await begin(self._database, self._options.shape)
        gateway.pump.wake_claims.set()
        beside = [asyncio.create_task(seconds.run())]
        if self._options.answers:
            beside.append(asyncio.create_task(answer_now_and_then(gateway, smsc.phones, messages)))
        complete = await self._until_done()
        after = await self._meter.read()
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        seconds.note_flushes()
        await until(self._confirmed, CONFIRMED_LIMIT_S)
        used = used_between(before, after, messages)
        delays_ms = await confirmations.delays_ms(self._database)
        return Figures(
            messages=messages,
            wall_s=used.wall_s,
            per_second=used.per_second,
            gateway_cpu_us=used.gateway_cpu_us,
            database_cpu_us=used.database_cpu_us,
            wal_bytes=used.wal_octets,
            rss_mb=rss_max_mb(),
            flush_ms=_ranks(seconds.flushes_ms) | {"max": _rounded(max(seconds.flushes_ms, default=None))},
            interactive_ms=_ranks(delays_ms),
            answers=len(delays_ms),
            settled_per_second=seconds.rate_after(SETTLE_S),
            memory_mb=seconds.memory_mb,
            complete=complete,
            **await books(self._database, CAMPAIGN, self._options.shape.campaigns),
        )

    async def _warm_up(self) -> None:
        if self._options.shape.warm_up:
            await begin_warm_up(self._database)
            self._gateway.pump.wake_claims.set()
            if not await until(self._warm, STALL_LIMIT_S):
                raise BenchFailed("the campaign before the one that is measured does not come to an end")

    async def _warm(self) -> bool:
        return await self._came_to(WARM_UP, 1, self._options.shape.warm_up)

    async def _until_done(self) -> bool:
        """Wait for the last commit; False: it got stuck, and the figures say how far it came."""
        clock = asyncio.get_running_loop().time
        self._moved_at = clock()
        while not await self._done():
            carriers = [carrier.counts for carrier in self._gateway.switchboard]
            moved = tuple((counts.submitted, counts.answered, counts.receipts) for counts in carriers)
            if moved != self._moved:
                self._moved, self._moved_at = moved, clock()
            elif clock() - self._moved_at > STALL_LIMIT_S:
                return False
            await asyncio.sleep(LOOK_S)
        return True

    async def _done(self) -> bool:
        return await self._came_to(CAMPAIGN, self._options.shape.campaigns, self._options.messages)

    async def _came_to(self, first_campaign: int, campaigns: int, messages: int) -> bool:
        """Ask the database only when the process has nothing left to do: the question costs CPU, too."""
        pump, receipts = self._gateway.pump, self._options.receipts
        if pump.batches() or pump.uncommitted or not self._gateway.outcomes.empty():
            return False
        carriers = [carrier.counts for carrier in self._gateway.switchboard]
        last = sum(
            (each.receipts if receipts else each.accepted) + each.refused + each.in_doubt for each in carriers
        )
        if last - self._before < messages:
            return False
        found = await progress(self._database, first_campaign, campaigns)
        received = found.receipts + found.failures >= messages or not receipts
        if not (received and found.accepted + found.failures >= messages):
            return False
        self._before = last
        return True

    async def _confirmed(self) -> bool:
        return not await waiting(self._database)


async def until(condition: Callable[[], Awaitable[bool]], limit_s: float) -> bool:
    """Wait until `condition` holds; False: it did not within the limit."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + limit_s
    while not await condition():
        if clock() > deadline:
            return False
        await asyncio.sleep(LOOK_S)
    return True


def _ranks(values: list[float]) -> dict[str, float | None]:
    return {f"p{percent}": _rounded(percentile(values, percent)) for percent in (50, 99)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
