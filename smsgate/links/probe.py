"""One bind for asking, beside the gateway: answers are awaited one by one, and nobody's traffic is taken."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, Self

from smsgate.errors import LinkError, NotBound
from smsgate.links.link import Link
from smsgate.links.tls import tls_context
from smsgate.protocol.pdus import Pdu
from smsgate.protocol.session_states import (
    BindRefused,
    Bound,
    Closed,
    Delivered,
    Expired,
    Receipts,
    Responded,
)

if TYPE_CHECKING:
    from smsgate.clock import Clock
    from smsgate.links.connection import Connection
    from smsgate.links.profile import CarrierProfile
    from smsgate.links.profile_values import Host
    from smsgate.protocol.session_states import BindKind, Event

POLL_S: Final = 0.02
UNBIND_S: Final = 5.0
BIND_GRACE_S: Final = 1.0  # beyond connecting and binding, each with its own time-out


@dataclass(frozen=True, slots=True)
class Answered:
    """`pdu` None: no answer came in time; `took_s` is from the request to its answer."""

    pdu: Pdu | None
    took_s: float


class Listener(Protocol):
    """What a probe does with deliveries: True takes one (answered 0), False leaves it to the carrier."""

    def receipts(self, receipts: Receipts) -> list[bool]: ...

    def delivered(self, pdu: Pdu) -> bool: ...


class NobodysMail:
    """Takes nothing: what the carrier delivers meanwhile is answered "later", so that nothing is lost."""

    def receipts(self, receipts: Receipts) -> list[bool]:
        return [False] * len(receipts.sequence_numbers)

    def delivered(self, pdu: Pdu) -> bool:  # noqa: ARG002
        return False


class ProbeBind:
    """
    One link to one host, tried once; use it as a context.

    After entering, `bound` or `refused` is set, or neither: then `reason` says why there is no connection.

    Raises (on entering):
        ConfigError: a TLS file that cannot be read.
    """

    def __init__(
        self,
        profile: CarrierProfile,
        host: Host,
        kind: BindKind,
        clock: Clock,
        listener: Listener | None = None,
    ) -> None:
        self.bound: Bound | None = None
        self.refused: BindRefused | None = None
        self.took_s = 0.0
        self._clock = clock
        self._listener = listener or NobodysMail()
        self._busy_status = profile.mo_busy_status
        self._limit_s = profile.connect_timeout_s + profile.bind_timeout_s + BIND_GRACE_S
        self._connection: Connection | None = None
        self._waiting: dict[int, asyncio.Future[Pdu | None]] = {}
        self._link = Link(
            "probe",
            kind,
            profile.model_copy(update={"hosts": (host,)}),
            self,
            tls=tls_context(profile),
            clock=clock,
            random=lambda: 0.0,
            next_token=itertools.count(1).__next__,
        )

    async def __aenter__(self) -> Self:
        started = self._clock.monotonic()
        self._link.start()
        while self.bound is None and not self._link.setbacks:
            if self._clock.monotonic() >= started + self._limit_s:
                break
            await asyncio.sleep(POLL_S)
        self.took_s = self._clock.monotonic() - started
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._link.stop(UNBIND_S)

    @property
    def reason(self) -> str:
        """Return why there is no bind, in words; empty when nothing was said."""
        return self._link.last_error

    async def ask(self, request: Pdu) -> Answered:
        """
        Send a request and wait for its answer, at most the profile's response time-out.

        Raises:
            LinkError: the bind is gone.
            BodyError: the PDU cannot be encoded.
        """
        connection = self._connection
        if connection is None:
            raise LinkError(f"the bind is gone: {self.reason}")
        started = self._clock.monotonic()
        try:
            number = connection.request(request)
        except NotBound as exc:
            raise LinkError(f"the bind is gone: {self.reason or exc}") from exc
        self._waiting[number] = asyncio.get_running_loop().create_future()
        pdu = await self._waiting[number]
        return Answered(pdu, self._clock.monotonic() - started)

    # What the link tells

    def take(self, _kind: BindKind, connection: Connection, events: list[Event]) -> None:
        for event in events:
            match event:
                case Bound():
                    self.bound, self._connection = event, connection
                case BindRefused():
                    self.refused = event
                case Responded(pdu):
                    self._settle(pdu.sequence_number, pdu)
                case Expired(requests=requests):
                    for number in requests:
                        self._settle(number, None)
                case Closed(requests=requests):
                    self._connection = None
                    for number in requests:
                        self._settle(number, None)
                case Receipts():
                    self._take_receipts(connection, event)
                case Delivered(pdu):
                    status = 0 if self._listener.delivered(pdu) else self._busy_status
                    connection.acknowledge([pdu.sequence_number], status)
                case _:
                    pass  # alerts and the SMSC's own unbind change nothing for a probe

    def leave(self, _connection: Connection) -> None:
        return

    def writable(self, _connection: Connection) -> None:
        return

    def _take_receipts(self, connection: Connection, receipts: Receipts) -> None:
        taken = self._listener.receipts(receipts)
        for number, ours in zip(receipts.sequence_numbers, taken, strict=True):
            connection.acknowledge([number], 0 if ours else self._busy_status)

    def _settle(self, number: int, pdu: Pdu | None) -> None:
        future = self._waiting.pop(number, None)
        if future is not None and not future.done():
            future.set_result(pdu)
