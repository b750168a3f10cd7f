"""One lasting wish to be bound: connect, bind, and after every setback again, ever more slowly."""

from __future__ import annotations

import asyncio
import ssl
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from smsgate.errors import ConfigError
from smsgate.flows.records import BindStatus
from smsgate.links.connection import Connection
from smsgate.links.pdu_ring import PduRing
from smsgate.protocol.commands import Status, status_text
from smsgate.protocol.session import Session
from smsgate.protocol.session_states import (
    BindKind,
    BindRefused,
    Bound,
    Closed,
    CloseReason,
    PeerUnbound,
    SessionSettings,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from smsgate.clock import Clock
    from smsgate.links.profile import CarrierProfile
    from smsgate.links.profile_values import Host
    from smsgate.protocol.session_states import Event

JITTER_SHARE: Final = 0.5  # of a delay: binds that were lost together do not come back together
DOUBLINGS_MAX: Final = 16  # a power of two that is beyond every last delay

log = structlog.get_logger(__name__)


class Setback(Enum):
    """Why we are not bound; the value is the key of its delays in `RebindDelays`."""

    LOST = "lost_s"
    REFUSED_TCP = "refused_tcp_s"
    ALREADY_BOUND = "already_bound_s"
    CREDENTIALS = "credentials_s"


_BY_STATUS: Final = {
    Status.ALYBND: Setback.ALREADY_BOUND,
    Status.INVPASWD: Setback.CREDENTIALS,
    Status.INVSYSID: Setback.CREDENTIALS,
}


class LinkOwner(Protocol):
    def take(self, link: Link, connection: Connection, events: list[Event]) -> None: ...

    def writable(self, connection: Connection) -> None: ...


def tls_context(profile: CarrierProfile) -> ssl.SSLContext | None:
    """
    Return how to check the carrier's host, or None for plain text that the profile allows.

    Raises:
        ConfigError: a certificate file that cannot be read.
    """
    if profile.tls == "none":
        return None
    key = "ca_file"
    try:
        context = ssl.create_default_context(cafile=profile.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if profile.cert_file is not None:
            key = "cert_file"
            context.load_cert_chain(profile.cert_file, profile.key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"carrier {profile.name}: {key} cannot be used: {error}",
            where=f"carriers.{profile.name}.{key}",
            mend="name a readable PEM file",
        ) from error
    return context


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
    ) -> None:
        self.name = name
        self.kind = kind
        self.state = "closed"
        self.since = clock.now()
        self.last_error = ""
        self.host = str(profile.hosts[0])
        self.binds_made = 0
        self.setbacks = 0
        self.ring = PduRing(profile.trace_octets_max) if profile.trace_octets_max else None
        self._profile = profile
        self._owner = owner
        self._tls = tls
        self._clock = clock
        self._random = random
        self._next_token = next_token
        self._settings = _settings(profile, kind)
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._host_index = 0
        self._hosts_tried = 0  # since the last delay
        self._repeated: tuple[Setback | None, int] = (None, 0)  # kind, and how often it came again
        self._bound_at: float | None = None
        self._setback = Setback.LOST

    def start(self) -> None:
        assert self._task is None
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"link {self.name}")

    async def stop(self, timeout_s: float) -> None:
        """
        Unbind in order and do not bind again: no new submits, open responses awaited, unbind, close.

        What is still open after `timeout_s` is cut and comes back as in doubt.
        """
        self._stopping = True
        connection = self._connection
        if connection is not None:
            self._change("unbinding")
            connection.unbind()
            try:
                async with asyncio.timeout(timeout_s):
                    await connection.wait_closed()
            except TimeoutError:
                connection.abort()
                await connection.wait_closed()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._connection is not None:  # it came up while its task was being cancelled
            self._connection.abort()
            await self._connection.wait_closed()
            self._connection = None
        self._change("closed")

    def status(self) -> BindStatus:
        connection = self._connection
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

    # What the connection tells

    def take(self, connection: Connection, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Bound):
                self._bound_at = self._clock.monotonic()
                self.binds_made += 1
                self._change("bound", smsc=event.system_id.decode("ascii", "replace"))
            elif isinstance(event, BindRefused):
                self._setback = _BY_STATUS.get(event.status, Setback.LOST)
                self.last_error = f"bind refused: {status_text(event.status)}"
            elif isinstance(event, PeerUnbound):
                self._change("unbinding", by="carrier")
            elif isinstance(event, Closed):
                self._note_end(event)
        self._owner.take(self, connection, events)

    def writable(self, connection: Connection) -> None:
        self._owner.writable(connection)

    def _note_end(self, event: Closed) -> None:
        if event.reason is not CloseReason.BIND_REFUSED:
            self.last_error = f"{event.reason.value} {event.detail}".strip()
        if self._setback is Setback.CREDENTIALS:
            self._alarm("bind_credentials_refused")
        self._change("closed", reason=self.last_error, in_doubt=len(event.slots))

    # The wish

    async def _run(self) -> None:
        while not self._stopping:
            host = self._profile.hosts[self._host_index % len(self._profile.hosts)]
            self._setback, self._bound_at = Setback.LOST, None
            connection = await self._connect(host)
            if connection is not None:
                self._connection = connection
                await connection.wait_closed()
                self._connection = None
            if not self._stopping:
                await asyncio.sleep(self._delay_s())

    async def _connect(self, host: Host) -> Connection | None:
        self.host = str(host)
        self._change("connecting")
        loop = asyncio.get_running_loop()
        session = Session(self._settings)
        token = self._next_token()
        try:
            async with asyncio.timeout(self._profile.bind_timeout_s):
                _, connection = await loop.create_connection(
                    lambda: Connection(
                        session, self, self._clock, token, self._profile.mo_busy_status, self.ring
                    ),
                    host.name,
                    host.port,
                    ssl=self._tls,
                    server_hostname=None if self._tls is None else host.name,
                )
        except (OSError, TimeoutError) as error:
            self._setback = Setback.REFUSED_TCP
            self.last_error = _reason(error)
            if isinstance(error, ssl.SSLCertVerificationError):
                self._alarm("certificate_refused")
            self._change("closed", reason=self.last_error)
            return None
        if self.state == "connecting":  # else the answer came with the connection
            self._change("binding")
        return connection

    def _delay_s(self) -> float:
        """
        Return how long to wait now, and move on to the next host.

        The other hosts are tried at once when one cannot be reached; a lost or refused bind always waits, so
        that a carrier that comes back is not met by all at the same instant.
        """
        hosts = len(self._profile.hosts)
        self._host_index += 1
        self._hosts_tried += 1
        self.setbacks += 1
        if self._setback is Setback.REFUSED_TCP and self._hosts_tried < hosts:
            return 0.0
        self._hosts_tried = 0
        stable = self._bound_at is not None and (
            self._clock.monotonic() - self._bound_at >= self._profile.rebind.stable_s
        )
        kind, count = self._repeated
        count = 0 if stable or kind is not self._setback else min(count + 1, DOUBLINGS_MAX)
        self._repeated = (self._setback, count)
        first, last = getattr(self._profile.rebind, self._setback.value)
        whole: float = min(last, first * 2.0**count)
        return whole * (1.0 - JITTER_SHARE * self._random())

    def _alarm(self, event: str) -> None:
        """Write what no retry mends: a person has to look."""
        log.error(event, carrier=self._profile.name, bind=self.name, host=self.host, reason=self.last_error)

    def _change(self, state: str, **facts: object) -> None:
        if state == self.state:
            return
        self.state = state
        self.since = self._clock.now()
        write = log.debug if state in {"connecting", "binding"} else log.info
        write("bind_state", carrier=self._profile.name, bind=self.name, host=self.host, state=state, **facts)


def _settings(profile: CarrierProfile, kind: BindKind) -> SessionSettings:
    return SessionSettings(
        system_id=profile.system_id.encode("ascii"),
        password=profile.password.get_secret_value().encode("ascii"),
        kind=kind,
        system_type=profile.system_type.encode("ascii"),
        interface_version=profile.interface_version,
        window_max=profile.window_max,
        enquire_interval_s=profile.enquire_interval_s,
        response_timeout_s=profile.response_timeout_s,
        bind_timeout_s=profile.bind_timeout_s,
    )


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no connection in time"
    return f"no connection: {error.strerror or error}" if isinstance(error, OSError) else str(error)
