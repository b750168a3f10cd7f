"""One ESME's connection around one server session: octets, one timer, one write per turn of the loop."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from smsgate.protocol.server_states import Ended, EndReason, ServerState
from smsgate.turns import DeadlineTimer, FairReading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsgate.clock import Clock
    from smsgate.esmes.door import Visit
    from smsgate.protocol.pdus import Pdu
    from smsgate.protocol.server_session import ServerSession
    from smsgate.protocol.server_states import ServerEvent

# Octets that wait in the socket's buffer: beyond them nothing is delivered and nothing more is read, until
# the ESME reads us again.
WRITE_BUFFER_HIGH: Final = 256 << 10
SEND_BUFFER_OCTETS: Final = (
    128 << 10
)  # the kernel's, which grows to megabytes otherwise; a window needs 50 KB
# Octets of one who has not bound: a bind has 150, some send on without waiting for its answer. Beyond it the
# connection is cut: strangers get no share of the loop.
UNBOUND_OCTETS_MAX: Final = 16 << 10
RECEIVE_BUFFER_OCTETS: Final = (
    64 << 10
)  # the kernel's: no read is longer, and others have their turn after it
# An ESME that has read nothing for so long is cut off: what waited for it goes to another session.
STALLED_MAX_S: Final = 60.0
CLOSE_GRACE_S: Final = 1.0  # for the last octets (an unbind_resp) to leave before the socket is cut


class ConnectionOwner(Protocol):
    def connected(self, connection: EsmeConnection) -> bool:
        """Take a connection that can speak; False: nobody is taken any more, and it is cut."""
        ...

    def take(self, connection: EsmeConnection, events: list[ServerEvent]) -> None:
        """Take what a read or the timer brought; called from the loop, must not block."""
        ...

    def writable(self, connection: EsmeConnection) -> None:
        """The ESME reads again: there may be room."""
        ...

    def disconnected(self, connection: EsmeConnection) -> None: ...


class EsmeConnection(asyncio.Protocol):
    def __init__(self, session: ServerSession, owner: ConnectionOwner, clock: Clock) -> None:
        self.session = session
        self.peer = ""
        self.source = ""  # the peer's address, its port apart
        self.visit: Visit | None = None  # its place at the door, until it binds
        self._owner = owner
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reading: FairReading | None = None
        self._unbound_octets = 0
        self._flush_handle: asyncio.Handle | None = None
        self._timer = DeadlineTimer(clock.monotonic, self._ring)
        self._cut_timer: asyncio.TimerHandle | None = None
        self._congested = False
        self._closed: asyncio.Future[None] = self._loop.create_future()

    # What the desk asks

    def room(self) -> int:
        """Return how many deliver_sm may be written now."""
        return 0 if self._congested else max(0, self.session.room())

    def deliver(self, bodies: Sequence[bytes], slots: Sequence[int]) -> int:
        taken = self.session.deliver(bodies, slots, self._clock.monotonic())
        self._flush_soon()
        return taken

    def answer(self, request: Pdu, status: int, fields: dict[str, Any] | None = None) -> None:
        self.session.answer(request, status, fields)
        self._flush_soon()

    def answer_submits(
        self, numbers: Sequence[int], statuses: Sequence[int], message_ids: Sequence[bytes]
    ) -> None:
        self.session.answer_submits(numbers, statuses, message_ids)
        self._flush_soon()

    def admit(self, window_max: int) -> None:
        """Answer the bind with 0, unless the ESME is gone by now."""
        self.session.admit(self._clock.monotonic(), window_max=window_max)
        self._flush()

    def refuse(self, status: int) -> None:
        self._apply(self.session.refuse(status, self._clock.monotonic()))

    def unbind(self) -> None:
        """Leave in order; an `Ended` event comes within two response time-outs."""
        self._apply(self.session.unbind(self._clock.monotonic()))

    def abort(self) -> None:
        """Cut the socket; deliveries without an answer come back in an `Ended` event."""
        if self._transport is not None:
            self._transport.abort()

    def drop(self) -> None:
        """
        Cut the socket of a connection whose making was broken off.

        uvloop closes its transport without a word, so nobody else says that it is gone.
        """
        self.abort()
        self.connection_lost(None)

    def is_made(self) -> bool:
        """Return whether there ever was a transport: TLS, where it is asked for, is agreed on."""
        return self._transport is not None

    def waiting_octets(self) -> int:
        """Return how many octets wait for the ESME to read them."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    async def wait_closed(self) -> None:
        """Return once the socket is gone."""
        await asyncio.shield(self._closed)

    # What the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class
        address = transport.get_extra_info("peername")
        if isinstance(address, tuple) and len(address) >= 2:
            self.source, self.peer = str(address[0]), f"{address[0]}:{address[1]}"
        if not self._owner.connected(self):
            self._transport.abort()
            return
        self._reading = FairReading(self._transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_HIGH)
        connected = transport.get_extra_info("socket")
        if connected is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_OCTETS)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_OCTETS)
        self._timer.set(self.session.deadline())

    def data_received(self, data: bytes) -> None:
        if self.session.state in {ServerState.OPEN, ServerState.JUDGING}:
            self._unbound_octets += len(data)
            if self._unbound_octets > UNBOUND_OCTETS_MAX:
                self.abort()
                return
        if self._reading is not None:
            self._reading.took(len(data))
        self._apply(self.session.receive_data(data, self._clock.monotonic()))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self._closed.done():
            return
        self._apply(self.session.lost(self._clock.monotonic()))
        self._timer.stop()
        self._stop_cut_timer()
        self._owner.disconnected(self)
        self._closed.set_result(None)

    def pause_writing(self) -> None:
        self._congested = True
        if self._transport is not None and self._reading is not None and not self._transport.is_closing():
            self._reading.hold()
            self._stop_cut_timer()
            self._cut_timer = self._loop.call_later(STALLED_MAX_S, self._transport.abort)

    def resume_writing(self) -> None:
        self._congested = False
        self._stop_cut_timer()
        if self._reading is not None:
            self._reading.release()
        self._owner.writable(self)

    # Between session, socket and timer

    def _apply(self, events: list[ServerEvent]) -> None:
        if events:
            self._owner.take(self, events)
        self._flush()
        if events and isinstance(events[-1], Ended):
            self._close(events[-1].reason)

    def _flush_soon(self) -> None:
        if self._flush_handle is None:
            self._flush_handle = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        if self._flush_handle is not None:
            self._flush_handle.cancel()
            self._flush_handle = None
        data = self.session.data_to_send()
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
        self._timer.set(self.session.deadline())

    def _stop_cut_timer(self) -> None:
        if self._cut_timer is not None:
            self._cut_timer.cancel()
            self._cut_timer = None

    def _ring(self) -> None:
        self._apply(self.session.handle_deadline(self._clock.monotonic()))

    def _close(self, reason: EndReason) -> None:
        self._timer.stop()
        transport = self._transport
        if transport is None or reason is EndReason.LOST:
            return
        if reason in {EndReason.SILENT, EndReason.BIND_TIMEOUT}:
            transport.abort()  # nobody there to read a goodbye
            return
        transport.close()
        self._stop_cut_timer()
        self._cut_timer = self._loop.call_later(CLOSE_GRACE_S, transport.abort)
