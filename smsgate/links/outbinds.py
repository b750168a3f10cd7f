"""
Where a carrier's SMSC asks us to bind as a receiver, because it has something for us (outbind).

Who may ask is known by its address before anything is read, and by the name and password of its outbind
before we say our own. Source: SMPP 3.4 §2.2.1, §4.1.7.
"""

from __future__ import annotations

import asyncio
import socket
from datetime import datetime
from typing import TYPE_CHECKING, Final

import structlog

from smsgate.flows.records import BindStatus
from smsgate.links.connection import Connection, leave
from smsgate.links.life import session_settings
from smsgate.links.pdu_ring import PduRing
from smsgate.links.tls import outbind_tls_context
from smsgate.protocol.session import Session
from smsgate.protocol.session_states import BindKind, Bound, Closed, Outbind, PeerUnbound, State
from smsgate.security.compare import same

if TYPE_CHECKING:
    from collections.abc import Callable

    from smsgate.clock import Clock
    from smsgate.links.link import LinkOwner
    from smsgate.links.profile import CarrierProfile
    from smsgate.protocol.pdus import Pdu
    from smsgate.protocol.session_states import Event

SESSIONS_MAX: Final = 4  # at once, those that have not asked yet too: an SMSC opens one or two
BACKLOG: Final = 16  # connections that wait to be accepted
LISTEN_AGAIN_S: Final = 5.0  # after a port that could not be had, or descriptors that are used up
REFUSALS_INTERVAL_S: Final = 60.0  # who knocks and knocks writes one line in this time

log = structlog.get_logger(__name__)


class _Visit:
    def __init__(self, place: int, source: str, at: datetime) -> None:
        self.name = f"outbind-{place}"
        self.source = source
        self.since = at
        self.state = "connecting"
        self.connection: Connection | None = None
        self.arriving: asyncio.Task[None] | None = None


class Outbinds:
    """The port of one carrier account, and the receivers that were asked for there."""

    def __init__(
        self, profile: CarrierProfile, owner: LinkOwner, *, clock: Clock, next_token: Callable[[], int]
    ) -> None:
        """Raises ConfigError: a TLS file that cannot be read."""
        assert profile.outbind_port is not None
        self.port: int | None = None  # while it is listened on
        self.ring = PduRing(profile.trace_octets_max) if profile.trace_octets_max else None
        self.refused = 0
        self._profile = profile
        self._owner = owner
        self._tls = outbind_tls_context(profile)
        self._clock = clock
        self._next_token = next_token
        self._settings = session_settings(profile, BindKind.RECEIVER)
        self._visits: dict[int, _Visit] = {}  # by the connection's token
        self._told_at: float | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        assert self._task is None
        self._task = asyncio.get_running_loop().create_task(self._run(), name="outbinds")

    async def stop(self, timeout_s: float) -> None:
        """Take no new connection; unbind in order those that are bound, and cut the others."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        visits = list(self._visits.values())
        for arriving in [visit.arriving for visit in visits if visit.arriving is not None]:
            arriving.cancel()
            await asyncio.gather(arriving, return_exceptions=True)
        await leave([visit.connection for visit in visits if visit.connection is not None], timeout_s)

    def statuses(self) -> list[BindStatus]:
        return [
            BindStatus(
                carrier=self._profile.name,
                bind=visit.name,
                host=visit.source,
                state=visit.state,
                since=visit.since,
                window_used=0,
                window_max=self._profile.window_max,
                last_error="",
            )
            for visit in self._visits.values()
            if visit.state != "connecting"
        ]

    # The port

    async def _run(self) -> None:
        host, port = str(self._profile.outbind_host), self._profile.outbind_port or 0
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        while True:
            try:
                with socket.create_server((host, port), family=family, backlog=BACKLOG) as listening:
                    listening.setblocking(False)
                    self.port = listening.getsockname()[1]
                    log.info("outbind_listening", carrier=self._profile.name, host=host, port=self.port)
                    await self._accept(listening)
            except OSError as error:
                log.error("outbind_not_listening", carrier=self._profile.name, port=port, error=str(error))
            finally:
                self.port = None
            await asyncio.sleep(LISTEN_AGAIN_S)

    async def _accept(self, listening: socket.socket) -> None:
        """Raises OSError: out of descriptors."""
        loop = asyncio.get_running_loop()
        while True:
            accepted, address = await loop.sock_accept(listening)
            self._welcome(accepted, str(address[0]))
            await asyncio.sleep(0)  # `sock_accept` gives nobody a turn while connections wait

    def _welcome(self, accepted: socket.socket, source: str) -> None:
        reason = None if self._profile.may_outbind(source) else "address"
        if reason is None and len(self._visits) >= SESSIONS_MAX:
            reason = "too_many"
        if reason is not None:
            accepted.close()
            self._refuse(source, reason)
            return
        taken = {visit.name for visit in self._visits.values()}
        place = next(n for n in range(1, SESSIONS_MAX + 1) if f"outbind-{n}" not in taken)
        token, visit = self._next_token(), _Visit(place, source, self._clock.now())
        self._visits[token] = visit
        visit.arriving = asyncio.get_running_loop().create_task(self._arrive(accepted, token, visit))

    async def _arrive(self, accepted: socket.socket, token: int, visit: _Visit) -> None:
        """Shake hands and wait for the outbind, both within the time of a bind."""
        connection = Connection(
            Session(self._settings),
            self,
            self._clock,
            token,
            self._profile.mo_busy_status,
            self.ring,
            asked_to_bind=True,
        )
        try:
            async with asyncio.timeout(self._profile.bind_timeout_s):
                await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: connection, accepted, ssl=self._tls
                )
                visit.connection = connection
                connection.closed.add_done_callback(lambda _: self._visits.pop(token, None))
                await connection.asked.wait()
        except (OSError, TimeoutError):
            if visit.connection is not None:
                connection.abort()
            self._refuse(visit.source, "no_outbind")
        finally:
            visit.arriving = None
            if visit.connection is None:  # TLS refused, not spoken, or not in time
                accepted.close()
                self._visits.pop(token, None)

    # What the connections tell

    def take(self, connection: Connection, events: list[Event]) -> None:
        visit = self._visits.get(connection.token)
        for event in events if visit is not None else ():
            assert visit is not None
            match event:
                case Outbind(pdu):
                    self._answer(connection, visit, pdu)
                case Bound():
                    self._change(visit, "bound")
                case PeerUnbound():
                    self._change(visit, "unbinding")
                case Closed():
                    connection.asked.set()
                    if visit.state != "connecting":
                        self._change(visit, "closed")
                case _:
                    pass
        self._owner.take(BindKind.RECEIVER, connection, events)

    def writable(self, connection: Connection) -> None:
        self._owner.writable(connection)

    def _answer(self, connection: Connection, visit: _Visit, pdu: Pdu) -> None:
        # It may say so twice in one read, or end the session behind it.
        if visit.state != "connecting" or connection.session.state is not State.OPEN:
            return
        connection.asked.set()
        if self._is_the_carrier(pdu):
            self._change(visit, "binding")
            connection.bind()
        else:
            connection.abort()
            self._refuse(visit.source, "credentials")

    def _is_the_carrier(self, pdu: Pdu) -> bool:
        profile = self._profile
        assert profile.outbind_password is not None
        name = same(pdu.fields["system_id"], profile.outbind_system_id.encode("ascii"))
        password = profile.outbind_password.get_secret_value().encode("utf-8")
        return same(pdu.fields["password"], password) and name

    def _refuse(self, source: str, reason: str) -> None:
        self.refused += 1
        now = self._clock.monotonic()
        if self._told_at is None or now - self._told_at >= REFUSALS_INTERVAL_S:
            self._told_at = now
            log.warning(
                "outbind_refused",
                carrier=self._profile.name,
                source=source,
                reason=reason,
                refused=self.refused,
            )

    def _change(self, visit: _Visit, state: str) -> None:
        visit.state, visit.since = state, self._clock.now()
        log.info("bind_state", carrier=self._profile.name, bind=visit.name, host=visit.source, state=state)
