"""
One connection of an ESME, seen from the SMSC, without I/O, clock or log. Source: SMPP 3.4 §2.

The owner passes in octets and instants (seconds of any clock that never goes back) and, after every call,
sends `data_to_send()` and sets its one timer to `deadline()`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smsgate.errors import BodyError, FramingError, NotBound, ProtocolError
from smsgate.protocol.columns import submit_responses
from smsgate.protocol.commands import RESPONSE_BIT, CommandId, Status
from smsgate.protocol.frames import HEADER, HEADER_SIZE, Frame, FrameDecoder
from smsgate.protocol.pdus import Pdu, decode_pdu, encode_pdu
from smsgate.protocol.server_states import (
    BIND_KINDS,
    INTERFACE_VERSION,
    REQUESTS,
    TLV_VERSION_MIN,
    TRANSITIONS,
    VERSION_50,
    WITH_PEER,
    Asked,
    BindAsked,
    Delivered,
    Ended,
    EndReason,
    PeerUnbound,
    ServerCounts,
    ServerEvent,
    ServerInput,
    ServerSettings,
    ServerState,
    Undelivered,
)
from smsgate.protocol.session_states import BindKind
from smsgate.protocol.tlvs import Tag, Tlvs
from smsgate.protocol.window import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

_VERSIONS = {TLV_VERSION_MIN: INTERFACE_VERSION, VERSION_50: VERSION_50}


class ServerSession:
    def __init__(self, settings: ServerSettings, now: float) -> None:
        self.settings = settings
        self.state = ServerState.OPEN
        self.counts = ServerCounts()
        self.kind = BindKind.TRANSMITTER  # once bound
        self.interface_version = 0  # as the bind said it
        self._bind: Pdu | None = None  # the request that JUDGING is about
        self._window = Window(settings.window_max, settings.response_timeout_s)
        self._decoder = FrameDecoder(settings.command_length_max)
        self._enquiry: tuple[int, float] | None = None  # sequence_number, sent at
        self._unbind_numbers: list[int] = []  # of the ESME's unbinds that wait for their answer
        self._phase_number = 0  # sequence_number of our unbind
        self._phase_deadline = now + settings.bind_timeout_s  # of all states but BOUND and CLOSED
        self._owed = 0  # requests that wait for our answer
        self._heard_at = now
        self._now = now
        self._out: list[bytes] = []

    # What we do

    def admit(self, now: float, *, window_max: int | None = None) -> None:
        """Answer the bind with 0. Raises ProtocolError: no bind waits for its answer."""
        bind = self._judged(ServerInput.ADMIT)
        self._now = now
        if window_max is not None:
            self._window = Window(window_max, self.settings.response_timeout_s)
        self.kind = BIND_KINDS[bind.command_id]
        self.interface_version = bind.fields["interface_version"]
        version = _VERSIONS.get(self.interface_version, INTERFACE_VERSION)
        tlvs: Tlvs = ((Tag.SC_INTERFACE_VERSION, bytes((version,))),) if self.takes_tlvs() else ()
        fields = {"system_id": self.settings.system_id}
        self._send(Pdu(bind.command_id | RESPONSE_BIT, Status.OK, bind.sequence_number, fields, tlvs))

    def refuse(self, status: int, now: float) -> list[ServerEvent]:
        """Answer the bind with `status`, then end. Raises ProtocolError: no bind waits for its answer."""
        assert status
        bind = self._judged(ServerInput.REFUSE)
        self._now = now
        self._send(Pdu(bind.command_id | RESPONSE_BIT, status, bind.sequence_number))
        return self._ended(EndReason.BIND_REFUSED)

    def is_closed(self) -> bool:
        return self.state is ServerState.CLOSED

    def takes_tlvs(self) -> bool:
        """Return whether this ESME may get optional parameters: SMPP 3.3 had none."""
        return self.interface_version >= TLV_VERSION_MIN

    def room(self) -> int:
        """Return how many deliver_sm may be sent now; 0 unless bound to receive."""
        if self.state is not ServerState.BOUND or self.kind is BindKind.TRANSMITTER:
            return 0
        return self._window.room()

    def in_flight(self) -> int:
        """Return how many deliver_sm wait for their answers."""
        return len(self._window)

    def owed(self) -> int:
        """Return how many requests wait for our answer."""
        return self._owed

    def deliver(self, bodies: Sequence[bytes], slots: Sequence[int], now: float) -> int:
        """
        Send the first `room()` of these whole deliver_sm bodies; return how many that are.

        Each slot comes back exactly once: in Delivered, Undelivered or Ended. Slots are the caller's.

        Raises:
            NotBound: the session is not bound, or as a transmitter.
        """
        assert len(bodies) == len(slots)
        if (self.state, ServerInput.DELIVER) not in TRANSITIONS or self.kind is BindKind.TRANSMITTER:
            raise NotBound(f"the session is {self.state.value}, {self.kind.value}")
        count = min(len(bodies), self.room())
        if count == 0:
            return 0
        for body, number in zip(bodies, self._window.add_slice(slots[:count], now), strict=False):
            self._out += (HEADER.pack(HEADER_SIZE + len(body), CommandId.DELIVER_SM, 0, number), body)
        return count

    def answer(
        self, request: Pdu, status: int, fields: dict[str, Any] | None = None, tlvs: Tlvs = ()
    ) -> None:
        """Answer one request of an `Asked`; nothing when the session is over by now."""
        if self.state in WITH_PEER:
            self._owed -= 1
            self._send(
                Pdu(request.command_id | RESPONSE_BIT, status, request.sequence_number, fields or {}, tlvs)
            )

    def answer_submits(
        self, numbers: Sequence[int], statuses: Sequence[int], message_ids: Sequence[bytes]
    ) -> None:
        """Answer submit_sm of an `Asked`, in one piece; nothing when the session is over by now."""
        if self.state in WITH_PEER and numbers:
            self._owed -= len(numbers)
            self._out.append(submit_responses(numbers, statuses, message_ids))

    def unbind(self, now: float) -> list[ServerEvent]:
        """Leave in order: answers that we owe go out and deliver_sm get theirs, then unbind."""
        if self.state in {ServerState.OPEN, ServerState.JUDGING}:
            self._move(ServerInput.UNBIND)
            return self._ended(EndReason.UNBOUND)
        if self.state is ServerState.BOUND:
            self._phase_deadline = now + self.settings.response_timeout_s
        self._now = now
        self._move(ServerInput.UNBIND)
        return self._drain(now)

    def lost(self, now: float) -> list[ServerEvent]:
        """Take that the connection ended; whatever waits is settled."""
        self._now = now
        if self.state is ServerState.CLOSED:
            return []
        reason = EndReason.LOST
        if self.state is ServerState.LEAVING:
            reason = EndReason.PEER_UNBOUND
        elif self.state is ServerState.UNBINDING:
            reason = EndReason.UNBOUND
        return self._close(ServerInput.LOST, reason)

    def data_to_send(self) -> bytes:
        """Return and forget the octets to write; also after Ended."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    # What the ESME does

    def receive_data(self, data: bytes, now: float) -> list[ServerEvent]:
        """
        Take octets from the ESME.

        Never raises for what the peer does: a broken peer is an `Ended` event.
        """
        if self.is_closed():
            return []
        self._now = self._heard_at = now
        events: list[ServerEvent] = []
        try:
            for frame in self._decoder.feed(data):
                self._take(frame, events, now)
                if self.is_closed():
                    return events
        except FramingError as error:
            self._send(Pdu(CommandId.GENERIC_NACK, Status.INVCMDLEN, 0))
            return events + self._close(ServerInput.BROKEN, EndReason.BROKEN, str(error))
        return events + self._drain(now)

    def _take(self, frame: Frame, events: list[ServerEvent], now: float) -> None:
        if frame.command_id & RESPONSE_BIT:
            self._take_response(frame, events)
        elif frame.command_id == CommandId.ENQUIRE_LINK:
            self._send(Pdu(CommandId.ENQUIRE_LINK_RESP, 0, frame.sequence_number))
        elif frame.command_id == CommandId.UNBIND:
            self._take_unbind(frame.sequence_number, events, now)
        elif frame.command_id in BIND_KINDS:
            self._take_bind(frame, events)
        elif frame.command_id in REQUESTS:
            self._take_request(frame, events)
        else:
            self.counts.unknown_requests += 1
            self._send(Pdu(CommandId.GENERIC_NACK, Status.INVCMDID, frame.sequence_number))

    def _take_bind(self, frame: Frame, events: list[ServerEvent]) -> None:
        if (self.state, ServerInput.RECV_BIND) not in TRANSITIONS:
            bound = self.state in WITH_PEER or self.state is ServerState.JUDGING
            self._refuse(frame, Status.ALYBND if bound else Status.INVBNDSTS)
            return
        pdu = self._read(frame)
        if pdu is None:
            return
        self._move(ServerInput.RECV_BIND)
        self._bind = pdu
        fields = pdu.fields
        events.append(
            BindAsked(
                BIND_KINDS[pdu.command_id],
                fields["system_id"],
                fields["password"],
                fields["system_type"],
                fields["interface_version"],
            )
        )

    def _take_request(self, frame: Frame, events: list[ServerEvent]) -> None:
        if self.state in {ServerState.DRAINING, ServerState.UNBINDING}:
            self._refuse(frame, Status.THROTTLED)  # come back: to us after the restart, or to another host
            return
        wrong = (self.state, ServerInput.RECV_REQUEST) not in TRANSITIONS or self.kind is BindKind.RECEIVER
        if wrong:
            self.counts.out_of_state += 1
            self._refuse(frame, Status.INVBNDSTS)
            return
        if self._owed >= self.settings.owed_max:
            self.counts.overruns += 1
            self._refuse(frame, Status.THROTTLED)
            return
        pdu = self._read(frame)
        if pdu is None:
            return
        self._owed += 1
        if events and isinstance(events[-1], Asked):
            events[-1].pdus.append(pdu)
        else:
            events.append(Asked([pdu]))

    def _take_unbind(self, number: int, events: list[ServerEvent], now: float) -> None:
        before = self.state
        self._move(ServerInput.RECV_UNBIND)
        if self.state is ServerState.LEAVING:
            self._unbind_numbers.append(number)
            if before is not ServerState.LEAVING:
                self._phase_deadline = now + self.settings.response_timeout_s
                events.append(PeerUnbound())
            return
        self._send(Pdu(CommandId.UNBIND_RESP, 0, number))
        if self.is_closed():
            events += self._ended(EndReason.PEER_UNBOUND)

    def _take_response(self, frame: Frame, events: list[ServerEvent]) -> None:
        number = frame.sequence_number
        if self._enquiry is not None and number == self._enquiry[0]:
            self._enquiry = None  # a generic_nack shows life as well
            return
        if frame.command_id in {CommandId.DELIVER_SM_RESP, CommandId.GENERIC_NACK}:
            slot = self._window.submits.pop(number, None)
            if slot is not None:
                status = frame.status
                if frame.command_id == CommandId.GENERIC_NACK:
                    status = frame.status or Status.UNKNOWNERR  # status 0 is a refusal too
                if not (events and isinstance(events[-1], Delivered)):
                    events.append(Delivered([], []))
                last = events[-1]
                assert isinstance(last, Delivered)
                last.slots.append(slot)
                last.statuses.append(status)
                return
        ours = self.state is ServerState.UNBINDING and number == self._phase_number
        if ours and frame.command_id in {CommandId.UNBIND_RESP, CommandId.GENERIC_NACK}:
            events += self._close(ServerInput.RECV_UNBIND_RESP, EndReason.UNBOUND)
            return
        self.counts.stray_responses += 1

    def _read(self, frame: Frame) -> Pdu | None:
        """Return the PDU; None when its body is broken, and then it has its answer."""
        try:
            return decode_pdu(frame)
        except BodyError as error:
            self.counts.broken_bodies += 1
            self._refuse(frame, error.status)
            return None

    # Time

    def deadline(self) -> float | None:
        """Return when `handle_deadline` must be called next, if ever."""
        if self.state is ServerState.CLOSED:
            return None
        if self.state in {ServerState.OPEN, ServerState.JUDGING, ServerState.UNBINDING}:
            return self._phase_deadline
        if self._is_drained():
            return self._now  # the last open answer has just left
        oldest = self._window.deadline()
        deadlines = [] if oldest is None else [oldest]
        if self.state is not ServerState.BOUND:
            deadlines.append(self._phase_deadline)
        if self._enquiry is not None:
            deadlines.append(self._enquiry[1] + self.settings.response_timeout_s)
        elif self.state is ServerState.BOUND:
            deadlines.append(self._heard_at + self.settings.enquire_interval_s)
        return min(deadlines)

    def handle_deadline(self, now: float) -> list[ServerEvent]:
        """Do what is due at `now`: expire, ask for life, give up. Calling it early does nothing."""
        self._now = now
        if self.state in {ServerState.OPEN, ServerState.JUDGING} and now >= self._phase_deadline:
            return self._close(ServerInput.TIMED_OUT, EndReason.BIND_TIMEOUT)
        if self.state is ServerState.UNBINDING and now >= self._phase_deadline:
            return self._close(ServerInput.TIMED_OUT, EndReason.UNBIND_TIMEOUT)
        if self.state not in WITH_PEER:
            return []
        slots, _ = self._window.expire(now)
        events: list[ServerEvent] = [Undelivered(slots)] if slots else []
        if self._enquiry is not None and now >= self._enquiry[1] + self.settings.response_timeout_s:
            if self._heard_at <= self._enquiry[1]:
                return events + self._close(ServerInput.TIMED_OUT, EndReason.SILENT)
            self._enquiry = None
        silent = now >= self._heard_at + self.settings.enquire_interval_s
        if self.state is ServerState.BOUND and self._enquiry is None and silent:
            self._enquiry = (self._window.next_number(), now)
            self._send(Pdu(CommandId.ENQUIRE_LINK, 0, self._enquiry[0]))
        return events + self._drain(now)

    # Ends

    def _is_drained(self) -> bool:
        return self.state in {ServerState.DRAINING, ServerState.LEAVING} and not (
            self._window or self._owed > 0
        )

    def _drain(self, now: float) -> list[ServerEvent]:
        """Go on with leaving when nothing is open any more, or when it took too long."""
        if self.state not in {ServerState.DRAINING, ServerState.LEAVING}:
            return []
        if not self._is_drained() and now < self._phase_deadline:
            return []
        if self.state is ServerState.LEAVING:
            for number in self._unbind_numbers:
                self._send(Pdu(CommandId.UNBIND_RESP, 0, number))
            return self._close(ServerInput.DRAINED, EndReason.PEER_UNBOUND)
        self._move(ServerInput.DRAINED)
        self._phase_deadline = now + self.settings.response_timeout_s
        self._phase_number = self._window.next_number()
        self._send(Pdu(CommandId.UNBIND, 0, self._phase_number))
        return []

    def _close(self, input_: ServerInput, reason: EndReason, detail: str = "") -> list[ServerEvent]:
        self._move(input_)
        return self._ended(reason, detail)

    def _ended(self, reason: EndReason, detail: str = "") -> list[ServerEvent]:
        """Settle whatever waits: a caller never hangs on a dead session."""
        slots, _ = self._window.clear()
        self._enquiry = None
        return [Ended(reason, slots, detail)]

    def _judged(self, input_: ServerInput) -> Pdu:
        self._move(input_)
        bind, self._bind = self._bind, None
        assert bind is not None
        return bind

    def _move(self, input_: ServerInput) -> None:
        try:
            self.state = TRANSITIONS[self.state, input_]
        except KeyError:
            raise ProtocolError(f"{input_.value} in state {self.state.value}") from None

    # Small things

    def _refuse(self, frame: Frame, status: int) -> None:
        self._send(Pdu(frame.command_id | RESPONSE_BIT, status, frame.sequence_number))

    def _send(self, pdu: Pdu) -> None:
        self._out.append(encode_pdu(pdu))
