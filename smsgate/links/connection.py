"""One TCP or TLS connection around one session: octets, one timer, one write per turn of the loop."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Final, Protocol, cast

from smsgate.errors import WindowFull
from smsgate.protocol.commands import CommandId
from smsgate.protocol.session_states import Closed, CloseReason, Delivered, Receipts
from smsgate.turns import DeadlineTimer, FairReading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsgate.clock import Clock
    from smsgate.links.pdu_ring import PduRing
    from smsgate.protocol.pcap import Endpoint
    from smsgate.protocol.pdus import Pdu
    from smsgate.protocol.session import Session
    from smsgate.protocol.session_states import Event

# Octets that wait in the socket's buffer: beyond the first no submits are given, beyond the second the peer,
# who does not read what we answer, is not read either.
WRITE_BUFFER_HIGH: Final = 1 << 20
WRITE_BUFFER_MAX: Final = 4 << 20
# deliver_sm of one session that wait for a commit: a carrier's own window is 10 to 100, a flood has none.
# What comes on top is told "busy" at once and comes again.
UNACKNOWLEDGED_MAX: Final = 10_000
NOWHERE: Final = ("", 0)  # the address of a socket that has none
CLOSE_GRACE_S: Final = 1.0  # for the last octets (an unbind_resp) to leave before the socket is cut


class ConnectionOwner(Protocol):
    def take(self, connection: Connection, events: list[Event]) -> None:
        """Take what a read or the timer brought; called from the loop, must not block."""
        ...

    def writable(self, connection: Connection) -> None:
        """The peer reads again: there may be room."""
        ...


class Connection(asyncio.Protocol):
    """
    The shell of one session, from connect to close; never used again.

    `token` is unique in this process: what waits for a commit names its connection by it.
    """

    def __init__(
        self,
        session: Session,
        owner: ConnectionOwner,
        clock: Clock,
        token: int,
        busy_status: int,
        ring: PduRing | None = None,
        *,
        messages_max: int | None = None,
        asked_to_bind: bool = False,
    ) -> None:
        """
        `messages_max`: how many submits this session may carry in all.

        `asked_to_bind`: the peer connected to us; nothing is sent before `bind`.
        """
        self.session = session
        self.asked = asyncio.Event()  # for the owner: the peer has asked, or is gone
        self._asked_to_bind = asked_to_bind
        self.token = token
        self.submitted = 0
        self._messages_max = messages_max
        self.busy_answers = 0  # deliver_sm refused because too many waited
        self._owner = owner
        self._clock = clock
        self._busy_status = busy_status
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reading: FairReading | None = None
        self._flush_handle: asyncio.Handle | None = None
        self._timer = DeadlineTimer(clock.monotonic, self._ring)
        self._cut_timer: asyncio.TimerHandle | None = None
        self._congested = False
        self._unacknowledged = 0
        # By number: data_sm are answered by data_sm_resp, and each of those that share one is.
        self._data_sms: defaultdict[int, list[Pdu]] = defaultdict(list)
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._trace = ring
        self._ends: tuple[Endpoint, Endpoint] = (NOWHERE, NOWHERE)  # local, peer

    # What the link asks

    def room(self) -> int:
        """Return how many submits may be written now."""
        if self._congested:
            return 0
        room = max(0, self.session.room())
        return room if self._messages_max is None else min(room, self._messages_max - self.submitted)

    def submit(self, bodies: Sequence[bytes], slots: Sequence[int]) -> int:
        room = self.room()
        if room < len(bodies):
            bodies, slots = bodies[:room], slots[:room]
        taken = self.session.submit_slice(bodies, slots, self._clock.monotonic())
        self.submitted += taken
        self._flush_soon()
        return taken

    def request(self, pdu: Pdu) -> int:
        """
        Send a rarer request; its answer is an event with the number that is returned.

        Raises:
            NotBound, WindowFull: see `Session.request`; nothing was sent.
            BodyError: the PDU cannot be encoded.
        """
        if self._congested:
            raise WindowFull("the carrier does not read")
        number = self.session.request(pdu, self._clock.monotonic())
        self._flush_soon()
        return number

    def acknowledge(self, sequence_numbers: Sequence[int], status: int) -> None:
        """Answer deliver_sm and data_sm; the answers of one turn of the loop leave in one write."""
        self._unacknowledged -= len(sequence_numbers)
        if self._data_sms:
            sequence_numbers = [each for each in sequence_numbers if not self._responded(each, status)]
        if sequence_numbers:
            self.session.acknowledge(sequence_numbers, status)
        self._flush_soon()

    def _responded(self, number: int, status: int) -> bool:
        """Answer a data_sm of that number; False: none waits."""
        waiting = self._data_sms.get(number)
        if not waiting:
            return False
        self.session.respond(waiting.pop(0), status)
        if not waiting:
            del self._data_sms[number]
        return True

    def bind(self) -> None:
        """Say who we are. Raises ProtocolError: it was said already."""
        self.session.start(self._clock.monotonic())
        self._flush()

    def unbind(self) -> None:
        """Leave in order; a `Closed` event ends it within two response time-outs."""
        self._apply(self.session.unbind(self._clock.monotonic()))

    def abort(self) -> None:
        """Cut the socket; what is in flight comes back in a `Closed` event."""
        if self._transport is not None:
            self._transport.abort()

    async def wait_closed(self) -> None:
        """Return once the socket is gone."""
        await asyncio.shield(self.closed)

    # What the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(
            "asyncio.Transport", transport
        )  # uvloop's is none by class, only by its methods
        self._reading = FairReading(self._transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_HIGH)
        self._ends = (_end(transport, "sockname"), _end(transport, "peername"))
        if not self._asked_to_bind:
            self.bind()

    def data_received(self, data: bytes) -> None:
        if self._reading is not None:
            self._reading.took(len(data))
        if self._trace is None:
            self._apply(self.session.receive_data(data, self._clock.monotonic()))
            return
        whole = self.session.rest + data if self.session.rest else data
        events = self.session.receive_data(data, self._clock.monotonic())
        if rest := len(self.session.rest):
            whole = whole[:-rest]
        if whole:
            self._trace.add(self._clock.now().timestamp(), self.token, whole, self._ends, outgoing=False)
        self._apply(events)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._apply(self.session.lost(self._clock.monotonic()))
        self._timer.stop()
        if self._cut_timer is not None:
            self._cut_timer.cancel()
        if not self.closed.done():
            self.closed.set_result(None)

    def pause_writing(self) -> None:
        self._congested = True

    def resume_writing(self) -> None:
        self._congested = False
        if self._reading is not None:
            self._reading.release()
        self._owner.writable(self)

    # Between session, socket and timer

    def _apply(self, events: list[Event]) -> None:
        kept = self._refuse_deliveries(events) if self._overflows(events) else events
        self._flush()  # first: an unbind_resp must leave before Closed closes the socket
        if not kept:
            return
        self._owner.take(self, kept)
        last = kept[-1]
        if isinstance(last, Closed):
            self._close(last.reason)

    def _overflows(self, events: list[Event]) -> bool:
        """Count what these events add to the deliveries that wait; True when it is too much."""
        fresh = 0
        for event in events:
            if isinstance(event, Receipts):
                fresh += len(event.sequence_numbers)
            elif isinstance(event, Delivered):
                fresh += 1
                if event.pdu.command_id == CommandId.DATA_SM:
                    self._data_sms[event.pdu.sequence_number].append(event.pdu)
        self._unacknowledged += fresh
        return fresh > 0 and self._unacknowledged > UNACKNOWLEDGED_MAX

    def _refuse_deliveries(self, events: list[Event]) -> list[Event]:
        """Answer "busy" to the deliveries of this read, and hand up the rest."""
        kept: list[Event] = []
        for event in events:
            if isinstance(event, Receipts):
                refused: Sequence[int] = event.sequence_numbers
            elif isinstance(event, Delivered):
                refused = (event.pdu.sequence_number,)
            else:
                kept.append(event)
                continue
            self.busy_answers += len(refused)
            self.acknowledge(refused, self._busy_status)
        return kept

    def _flush_soon(self) -> None:
        if self._flush_handle is None:
            self._flush_handle = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        if self._flush_handle is not None:
            self._flush_handle.cancel()
            self._flush_handle = None
        data = self.session.data_to_send()
        transport = self._transport
        if data and transport is not None and not transport.is_closing():
            transport.write(data)
            if self._trace is not None:
                self._trace.add(self._clock.now().timestamp(), self.token, data, self._ends, outgoing=True)
            if self._congested and transport.get_write_buffer_size() > WRITE_BUFFER_MAX and self._reading:
                self._reading.hold()
        self._timer.set(self.session.deadline())

    def _ring(self) -> None:
        self._apply(self.session.handle_deadline(self._clock.monotonic()))

    def _close(self, reason: CloseReason) -> None:
        self._timer.stop()
        transport = self._transport
        if transport is None or reason is CloseReason.LOST:
            return
        if reason in {CloseReason.SILENT, CloseReason.BROKEN}:
            transport.abort()  # nobody there to read a goodbye
        else:
            transport.close()
            self._cut_timer = self._loop.call_later(CLOSE_GRACE_S, transport.abort)


async def leave(connections: Sequence[Connection], timeout_s: float) -> None:
    """Unbind in order; what is still open after `timeout_s` is cut and comes back as in doubt."""
    if not connections:
        return
    for connection in connections:
        connection.unbind()
    gone = asyncio.gather(*(connection.wait_closed() for connection in connections))
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.shield(gone)
    except TimeoutError:
        for connection in connections:
            connection.abort()
        await gone


def _end(transport: asyncio.BaseTransport, which: str) -> Endpoint:
    name = transport.get_extra_info(which)
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) else NOWHERE
