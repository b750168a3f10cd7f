"""One lasting wish to be bound: connect, bind, and after every setback again, ever more slowly."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from smsgate.flows.records import BindStatus
from smsgate.links.backoff import BY_STATUS, Backoff, Setback
from smsgate.links.connection import Connection, leave
from smsgate.links.hosts import HostBook
from smsgate.links.life import Life, reason_of, session_settings
from smsgate.links.pdu_ring import PduRing
from smsgate.protocol.commands import Status, status_text
from smsgate.protocol.session import Session
from smsgate.protocol.session_states import BindRefused, Bound, Closed, CloseReason, PeerUnbound

if TYPE_CHECKING:
    from collections.abc import Callable

    from smsgate.clock import Clock
    from smsgate.links.profile import CarrierProfile
    from smsgate.links.profile_values import Host
    from smsgate.protocol.session_states import BindKind, Event

REPLACE_AT: Final = 0.8  # of max_messages_per_bind: the rest goes out while the next session binds
REPLACE_RETRY_S: Final = 2.0  # after a preferred host that did not take a planned rebind
FAILED_WAIT_S: Final = 5.0  # after a fault of our own, so that it does not fill the log
# A bind refused so says nothing of us: another host may take it.
_HOST_STATUSES: Final = frozenset({Status.SYSERR, Status.BINDFAIL})

log = structlog.get_logger(__name__)


class LinkOwner(Protocol):
    def take(self, kind: BindKind, connection: Connection, events: list[Event]) -> None: ...

    def leave(self, connection: Connection) -> None:
        """This session is about to unbind as planned: submit no more on it."""
        ...

    def writable(self, connection: Connection) -> None: ...


class Link:
    """One bind of a carrier account; `name` is its place: "trx-1", "tx-1", "rx-1"."""

    def __init__(
        self,
        name: str,
        kind: BindKind,
        profile: CarrierProfile,
        owner: LinkOwner,
        *,
        tls: ssl.SSLContext | None,
        clock: Clock,
        random: Callable[[], float],
        next_token: Callable[[], int],
        book: HostBook | None = None,
        place: int = 0,
    ) -> None:
        """`book` is shared by the links of one account; `place` spreads them over its hosts."""
        self.name = name
        self.kind = kind
        self.state = "closed"
        self.since = clock.now()
        self.last_error = ""
        self.binds_made = 0
        self.setbacks = 0
        self.planned_rebinds = 0
        self.ring = PduRing(profile.trace_octets_max) if profile.trace_octets_max else None
        self._profile = profile
        self._owner = owner
        self._tls = tls
        self._clock = clock
        self._random = random
        self._next_token = next_token
        self._book = book or HostBook(profile.hosts, profile.hosts_use, profile.rebind.refused_tcp_s)
        self._place = place
        self.host = str(self._book.order(place)[0])
        self._backoff = Backoff(profile.rebind, random)
        self._settings = session_settings(profile, kind)
        self._overlap = profile.rebind_overlap
        self._lives: dict[int, Life] = {}  # by the connection's token, until its socket is gone
        self._life: Life | None = None  # the one that serves
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        assert self._task is None
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"link {self.name}")

    async def stop(self, timeout_s: float) -> None:
        """
        Unbind in order and do not bind again: no new submits, open responses awaited, unbind, close.

        What is still open after `timeout_s` is cut and comes back as in doubt.
        """
        # First, so that no connection comes up (for a planned rebind, say) while the others leave: what the
        # task has made by now stands in `_lives`, and what it is about to make ends with it.
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        open_ = [life.connection for life in self._lives.values() if life.connection is not None]
        if open_:
            self._change("unbinding")
            await leave(open_, timeout_s)
        self._change("closed")

    def status(self) -> BindStatus:
        connection = None if self._life is None else self._life.connection
        return BindStatus(
            carrier=self._profile.name,
            bind=self.name,
            host=self.host,
            state=self.state,
            since=self.since,
            window_used=0 if connection is None else connection.session.in_flight(),
            window_max=self._profile.window_max,
            last_error=self.last_error,
        )

    # What the connections tell

    def take(self, connection: Connection, events: list[Event]) -> None:
        life = self._lives.get(connection.token)
        if life is None:  # given up while it was connecting
            return
        for event in events:
            if isinstance(event, Bound):
                self._note_bound(life, event)
            elif isinstance(event, BindRefused):
                life.status = event.status
                life.setback = BY_STATUS.get(event.status, Setback.LOST)
                self.last_error = f"bind refused: {status_text(event.status)}"
            elif isinstance(event, PeerUnbound):
                if life is self._life:
                    self._change("unbinding", by="carrier")
            elif isinstance(event, Closed):
                self._note_end(life, event)
        limit = self._profile.max_messages_per_bind
        if limit is not None and connection.submitted >= limit * (1.0 if life.alone else REPLACE_AT):
            life.worn.set()
        self._owner.take(self.kind, connection, events)

    def writable(self, connection: Connection) -> None:
        self._owner.writable(connection)

    def _note_bound(self, life: Life, event: Bound) -> None:
        life.bound_at = self._clock.monotonic()
        self._book.bound(life.host)
        self.binds_made += 1
        self.host = str(life.host)
        self._change("bound", smsc=event.system_id.decode("ascii", "replace"))
        life.decided.set()

    def _note_end(self, life: Life, event: Closed) -> None:
        life.reason = event.reason
        life.decided.set()
        if event.reason is not CloseReason.BIND_REFUSED:
            self.last_error = f"{event.reason.value} {event.detail}".strip()
        if life is self._life or self._life is None:
            self._change("closed", reason=self.last_error, in_doubt=len(event.slots))

    # The wish

    async def _run(self) -> None:
        while True:
            try:
                await self._live_once()
            except Exception as error:  # whatever it is, a wish to be bound does not end by it
                log.exception(
                    "link_failed", carrier=self._profile.name, bind=self.name, error=str(error)[:200]
                )
                await asyncio.sleep(FAILED_WAIT_S)

    async def _live_once(self) -> None:
        """Bind at the first host in service, hold it until its end, and wait as its end demands."""
        now = self._clock.monotonic()
        host = self._book.choose(self._place, now)
        if host is None:
            await asyncio.sleep(self._wait_for_a_host(now))
            return
        life = await self._open(host)
        if life.bound_at is not None:
            life = await self._hold(life)
        self._life = None
        if (delay_s := self._setback(life)) > 0:
            await asyncio.sleep(delay_s)

    async def _open(self, host: Host, *, planned: bool = False) -> Life:
        """Connect and bind at `host`; it did not work when the life has no `bound_at`."""
        life = Life(host)
        token = self._next_token()
        if not planned:
            self.host = str(host)
            self._change("connecting")
        try:
            async with asyncio.timeout(self._profile.connect_timeout_s):
                connection = await self._connect(host, token, life)
        except (OSError, TimeoutError) as error:
            self._lives.pop(token, None)
            life.setback = Setback.REFUSED_TCP
            self.last_error = reason_of(error)
            if isinstance(error, ssl.SSLCertVerificationError):
                self._alarm("certificate_refused", host)
            if not planned:
                self._change("closed", reason=self.last_error)
            return life
        life.connection = connection
        if not planned:
            self._life = life
            if self.state == "connecting":  # else the answer came with the connection
                self._change("binding")
        connection.closed.add_done_callback(lambda _: self._lives.pop(token, None))
        await life.decided.wait()
        if life.bound_at is None:
            await connection.wait_closed()
        return life

    async def _connect(self, host: Host, token: int, life: Life) -> Connection:
        def made() -> Connection:
            connection = Connection(
                Session(self._settings),
                self,
                self._clock,
                token,
                self._profile.mo_busy_status,
                self.ring,
                messages_max=self._profile.max_messages_per_bind,
            )
            self._lives[token] = life
            return connection

        _, connection = await asyncio.get_running_loop().create_connection(
            made,
            host.name,
            host.port,
            ssl=self._tls,
            server_hostname=None if self._tls is None else host.name,
        )
        return connection

    async def _hold(self, life: Life) -> Life:
        """Keep a bind until it ends, with a planned rebind in between where one is due; return the last."""
        retry_s = 0.0
        while True:
            self._life = life
            assert life.connection is not None
            ended = life.connection.closed
            await self._until(life, ended, retry_s)
            if ended.done():
                await life.connection.wait_closed()
                return life
            worn = life.worn.is_set()
            better = self._book.better(self._place, life.host, self._clock.monotonic())
            retry_s = 0.0
            if not (worn or better):
                continue
            successor = await self._replace(life, better or life.host)
            if successor is life:  # told to leave first: bind anew at once
                await life.connection.wait_closed()
                return life
            retry_s = REPLACE_RETRY_S if successor is None and not life.alone else 0.0
            life = successor or life

    async def _until(self, life: Life, ended: asyncio.Future[None], retry_s: float) -> None:
        """Wait until the bind ends, or a planned rebind is to be looked at."""
        if retry_s or self._profile.max_messages_per_bind is None:
            await asyncio.wait({ended}, timeout=retry_s or self._return_after_s(life))
            return
        worn = asyncio.ensure_future(life.worn.wait())
        try:
            both: set[asyncio.Future[Any]] = {ended, worn}
            await asyncio.wait(both, timeout=self._return_after_s(life), return_when=asyncio.FIRST_COMPLETED)
        finally:
            worn.cancel()

    def _return_after_s(self, life: Life) -> float | None:
        """Return in how many seconds to look for a host that is preferred; None: this one is."""
        if life.host == self._book.order(self._place)[0] or not self._profile.host_return_s:
            return None
        return self._backoff.jittered(self._profile.host_return_s)

    async def _replace(self, life: Life, host: Host) -> Life | None:
        """
        Move to a new session as planned: bound before the old one leaves, where the carrier allows both.

        Returns the new life; the old one, told to leave, when only one may stand; None: it goes on for now.
        """
        assert life.connection is not None
        if self._overlap and not (life.alone and host == life.host):
            successor = await self._open(host, planned=True)
            if successor.bound_at is not None:
                self.planned_rebinds += 1
                log.info("bind_replaced", carrier=self._profile.name, bind=self.name, host=str(host))
                self._leave(life.connection)
                return successor
            if successor.status == Status.ALYBND:
                self._overlap = False  # the carrier takes one session at a time
            elif self._goes_on(life, life.connection, host):
                return None
        self.planned_rebinds += 1
        life.reason = CloseReason.UNBOUND
        self._leave(life.connection)
        return life

    def _goes_on(self, life: Life, connection: Connection, host: Host) -> bool:
        """
        Take that no session came at `host` beside this one; return whether this one is held for now.

        What was refused may be a session too many, a password that was changed, or the listener alone: only a
        bind without this one tells, and its delays and alarms are those of any lost bind. So the session is
        used up, which costs nothing, without another try (a carrier may lock who shows a wrong password
        again and again), and left then: spent, it would be held for ever and send nothing.
        """
        log.warning(
            "bind_not_replaced",
            carrier=self._profile.name,
            bind=self.name,
            host=str(host),
            reason=self.last_error,
        )
        limit = self._profile.max_messages_per_bind
        spent = limit is not None and connection.submitted >= limit
        if host != life.host:
            self._book.failed(host, self._clock.monotonic())
        else:  # in service: this session stands there
            life.alone = True
            if not spent:
                life.worn.clear()  # until it is spent
        return not spent

    def _leave(self, connection: Connection) -> None:
        self._owner.leave(connection)
        connection.unbind()

    # Setbacks

    def _setback(self, life: Life) -> float:
        """Note why a life is over, and return how long to wait: nothing when another host may serve."""
        now = self._clock.monotonic()
        held_s = None if life.bound_at is None else now - life.bound_at
        if held_s is not None and life.reason is CloseReason.UNBOUND:
            return 0.0  # as planned
        self.setbacks += 1
        if held_s is not None:
            self._backoff.bound(held_s)
        short = held_s is not None and held_s < self._profile.rebind.stable_s
        if life.setback is Setback.REFUSED_TCP or self._is_the_hosts(life, short=short):
            if len(self._profile.hosts) > 1 or life.setback is Setback.REFUSED_TCP:
                self._book.failed(life.host, now)
            if held_s is None and self._book.others(life.host, now):
                return 0.0
        delay_s = self._backoff.delay_s(life.setback, now)
        if self._backoff.alarm_is_due(now):
            self._alarm(_ALARMS[life.setback], life.host)
        if life.setback is Setback.REFUSED_TCP:
            return 0.0 if self._book.choose(self._place, now) else self._wait_for_a_host(now)
        return delay_s

    @staticmethod
    def _is_the_hosts(life: Life, *, short: bool) -> bool:
        return short or life.reason is CloseReason.BIND_TIMEOUT or life.status in _HOST_STATUSES

    def _wait_for_a_host(self, now: float) -> float:
        """Return how long until a host is tried again; links of one account do not come at one instant."""
        until = max(0.0, self._book.back_at() - now)
        return until + (until - self._backoff.jittered(until))

    def _alarm(self, event: str, host: Host) -> None:
        """Write what no retry mends: a person has to look."""
        log.error(event, carrier=self._profile.name, bind=self.name, host=str(host), reason=self.last_error)

    def _change(self, state: str, **facts: object) -> None:
        if state == self.state:
            return
        self.state = state
        self.since = self._clock.now()
        write = log.debug if state in {"connecting", "binding"} else log.info
        write("bind_state", carrier=self._profile.name, bind=self.name, host=self.host, state=state, **facts)


_ALARMS: Final = {
    Setback.LOST: "bind_keeps_failing",
    Setback.REFUSED_TCP: "carrier_unreachable",
    Setback.ALREADY_BOUND: "bind_already_bound",
    Setback.CREDENTIALS: "bind_credentials_refused",
}
