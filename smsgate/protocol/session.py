"""
One connection of an ESME to an SMSC, without I/O, clock or log. Source: SMPP 3.4 §2.

The owner passes in octets and instants (seconds of any clock that never goes back) and, after every call,
sends `data_to_send()` and sets its one timer to `deadline()`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smsgate.errors import BodyError, FramingError, NotBound, ProtocolError, WindowFull
from smsgate.protocol.columns import Columns, deliver_responses, submit_frames, walk
from smsgate.protocol.commands import RESPONSE_BIT, CommandId, Status
from smsgate.protocol.congestion import congestion_of
from smsgate.protocol.liveness import Liveness
from smsgate.protocol.pdus import LAYOUTS, Pdu, decode_pdu, encode_pdu
from smsgate.protocol.session_states import (
    DELIVERING,
    TRANSITIONS,
    Alert,
    BindKind,
    BindRefused,
    Bound,
    Closed,
    CloseReason,
    Counts,
    Delivered,
    Event,
    Expired,
    Input,
    Outbind,
    PeerUnbound,
    Responded,
    SessionSettings,
    State,
)
from smsgate.protocol.tlvs import Tag, Tlvs, tlv_number
from smsgate.protocol.window import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsgate.protocol.frames import Frame

_WITH_MESSAGE_ID: Final = frozenset({CommandId.DELIVER_SM, CommandId.DATA_SM})


class Session:
    def __init__(self, settings: SessionSettings, *, first_sequence_number: int = 1) -> None:
        self.settings = settings
        self.state = State.OPEN
        self.counts = Counts()
        self.response_s = 0.0  # how long the SMSC took to answer a submit lately, one of each read
        self._window = Window(settings.window_max, settings.response_timeout_s, first_sequence_number)
        self._liveness = Liveness(settings.enquire_interval_s, settings.response_timeout_s)
        self._phase_number = 0  # sequence_number of our bind or unbind
        self._phase_deadline = 0.0  # of BINDING, DRAINING, UNBINDING and LEAVING
        self._unanswered = 0  # deliver_sm and data_sm that still wait for our response
        self._now = 0.0
        self.rest = b""  # the octets of a frame that is not complete yet
        self._out: list[bytes] = []

    # What we do

    def start(self, now: float) -> None:
        """Send the bind. Raises ProtocolError: it was sent already."""
        self._move(Input.SEND_BIND)
        settings = self.settings
        self._now = now
        self._liveness.heard(now)
        self._phase_deadline = now + settings.bind_timeout_s
        self._phase_number = self._window.next_number()
        self._send(settings.bind_pdu(self._phase_number))

    def room(self) -> int:
        """Return how many submits may be sent now; 0 unless bound for sending."""
        if self.state is not State.BOUND or self.settings.kind is BindKind.RECEIVER:
            return 0
        return self._window.room()

    def is_closed(self) -> bool:
        return self.state is State.CLOSED

    def in_flight(self) -> int:
        """Return how many submits and requests wait for their answers."""
        return len(self._window)

    def submit_slice(self, bodies: Sequence[bytes], slots: Sequence[int], now: float) -> int:
        """
        Send the first `room()` of these whole submit_sm bodies; return how many that are.

        Each slot comes back exactly once: in SubmitAnswers, Expired or Closed. Slots are the caller's.

        Raises:
            NotBound: the session is not bound, or as a receiver.
        """
        assert len(bodies) == len(slots)
        self._check_may_send()
        count = min(len(bodies), self.room())
        if count == 0:
            return 0
        numbers = self._window.add_slice(slots[:count], now)
        self._out.append(submit_frames(bodies[:count], numbers))
        return count

    def request(self, pdu: Pdu, now: float) -> int:
        """
        Send a rarer request (its own sequence number is replaced) and return its sequence number.

        It takes a place of the window, and comes back in Responded, Expired or Closed.

        Raises:
            NotBound: the session is not bound, or as a receiver.
            WindowFull: `window_max` requests already wait.
            BodyError: the PDU cannot be encoded; nothing is sent.
        """
        assert not pdu.command_id & RESPONSE_BIT
        self._check_may_send()
        if self.room() <= 0:
            raise WindowFull(f"{self.settings.window_max} requests wait already")
        encode_pdu(pdu)  # refuse before a number is spent
        number = self._window.next_number()
        self._send(pdu._replace(sequence_number=number))
        self._window.add_request(number, now)
        return number

    def acknowledge(self, sequence_numbers: Sequence[int], status: int = Status.OK) -> None:
        """Send a deliver_sm_resp for each, in one piece; nothing when the session is over by now."""
        if self.state in DELIVERING:
            self._out.append(deliver_responses(sequence_numbers, status))
            self._unanswered -= len(sequence_numbers)

    def respond(self, request: Pdu, status: int = Status.OK, tlvs: Tlvs = ()) -> None:
        """Answer one deliver_sm or data_sm; nothing when the session is over by now."""
        assert request.command_id in _WITH_MESSAGE_ID
        if self.state in DELIVERING:
            self._answer(request.command_id, request.sequence_number, status, tlvs)
            self._unanswered -= 1

    def unbind(self, now: float) -> list[Event]:
        """Leave in order: no new submits, open answers awaited up to the response time-out, then unbind."""
        if self.state in {State.OPEN, State.BINDING}:
            return self._close(Input.UNBIND, CloseReason.UNBOUND)
        if self.state is State.BOUND:
            self._phase_deadline = now + self.settings.response_timeout_s
        self._now = now
        self._move(Input.UNBIND)
        return self._drain(now)

    def lost(self, now: float) -> list[Event]:
        """Take that the connection ended; whatever waits is settled."""
        self._now = now
        if self.state is State.CLOSED:
            return []
        left = self.state in {State.LEAVING, State.UNBINDING}
        reason = CloseReason.LOST
        if left and not self._window:  # many SMSCs just hang up after an unbind
            reason = CloseReason.PEER_UNBOUND if self.state is State.LEAVING else CloseReason.UNBOUND
        return self._close(Input.LOST, reason)

    def data_to_send(self) -> bytes:
        """Return and forget the octets to write; also after Closed."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    # What the peer does

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """
        Take octets from the peer. Columns come before the rare PDUs of the same read.

        Never raises for what the peer does: a broken peer is a `Closed` event.
        """
        if self.is_closed():
            return []
        self._now = now
        self._liveness.heard(now)
        data = self.rest + data if self.rest else data
        position = 0
        columns = Columns()
        rare: list[Event] = []
        events: list[Event] = []
        while True:
            position, item = walk(
                data,
                position,
                self._window.submits,
                columns,
                receipts=self.state in DELIVERING,
                command_length_max=self.settings.command_length_max,
            )
            if item is None:
                break
            state = self.state
            new = (
                self._close(Input.BROKEN, CloseReason.BROKEN, str(item))
                if isinstance(item, FramingError)
                else self._take(item, columns, now)
            )
            if self.state is state:
                rare += new
                continue
            events += self._flush(columns) + rare + new  # before and after stay apart
            columns, rare = Columns(), []
            if self.is_closed():
                return events
        self.rest = data[position:]
        events += self._flush(columns) + rare
        return events + self._drain(now)

    def _flush(self, columns: Columns) -> list[Event]:
        self._unanswered += len(columns.sequence_numbers)
        if columns.slots:
            self.response_s = self._window.answered_after(self._now, self.response_s)
        return columns.events()

    def _take(self, frame: Frame, columns: Columns, now: float) -> list[Event]:
        """Take one PDU that is not for the bulk path."""
        if frame.command_id & RESPONSE_BIT:
            return self._take_response(frame, columns)
        command_id, number = frame.command_id, frame.sequence_number
        if command_id == CommandId.ENQUIRE_LINK:
            self._answer(command_id, number)
            return []
        if command_id == CommandId.UNBIND:
            return self._take_unbind(number, now)
        if command_id in _WITH_MESSAGE_ID:
            if (self.state, Input.RECV_DELIVER) not in TRANSITIONS:
                self._answer(command_id, number, Status.INVBNDSTS)
                return []
            pdu = self._read(frame)
            if pdu is None:
                return []
            self._unanswered += 1
            return [Delivered(pdu)]
        if command_id == CommandId.ALERT_NOTIFICATION:
            pdu = self._read(frame)
            known = (self.state, Input.RECV_DELIVER) in TRANSITIONS  # it has no answer that could refuse it
            return [Alert(pdu)] if pdu is not None and known else []
        if command_id == CommandId.OUTBIND and (self.state, Input.RECV_OUTBIND) in TRANSITIONS:
            pdu = self._read(frame)
            return [Outbind(pdu)] if pdu is not None and self.state is State.OPEN else []
        self.counts.unknown_requests += 1
        status = Status.INVBNDSTS if command_id == CommandId.OUTBIND else Status.INVCMDID
        self._send(Pdu(CommandId.GENERIC_NACK, status, number))
        return []

    def _take_unbind(self, number: int, now: float) -> list[Event]:
        self._answer(CommandId.UNBIND, number)
        if self.state in {State.OPEN, State.BINDING}:
            return [PeerUnbound(), *self._close(Input.RECV_UNBIND, CloseReason.PEER_UNBOUND)]
        before = self.state
        self._move(Input.RECV_UNBIND)
        if self.state is before:
            return []
        self._phase_deadline = now + self.settings.response_timeout_s
        return [PeerUnbound()]

    def _take_response(self, frame: Frame, columns: Columns) -> list[Event]:
        number = frame.sequence_number
        if self._liveness.answered(number):  # a generic_nack shows life as well
            return congestion_of(frame)
        if number in self._window.requests:
            return self._take_answer(frame)
        if self.state is State.BINDING and number == self._phase_number:
            return self._take_bind_response(frame)
        if (
            self.state is State.UNBINDING
            and number == self._phase_number
            and frame.command_id in {CommandId.UNBIND_RESP, CommandId.GENERIC_NACK}
        ):
            return self._close(Input.RECV_UNBIND_RESP, CloseReason.UNBOUND)
        refused = frame.command_id == CommandId.GENERIC_NACK
        if refused and (slot := self._window.submits.pop(number, None)) is not None:
            columns.slots.append(slot)
            columns.statuses.append(frame.status or Status.UNKNOWNERR)  # status 0 is a refusal too
            columns.message_ids.append(b"")
            return []
        if frame.command_id == CommandId.SUBMIT_SM_RESP:
            self._window.heard(self._now)
        self.counts.stray_responses += 1
        return []

    def _take_answer(self, frame: Frame) -> list[Event]:
        if frame.command_id not in LAYOUTS:
            self.counts.stray_responses += 1
            return []
        pdu = self._read(frame) or Pdu(frame.command_id, frame.status, frame.sequence_number)
        del self._window.requests[frame.sequence_number]
        return [Responded(pdu), *congestion_of(frame)]

    def _take_bind_response(self, frame: Frame) -> list[Event]:
        if frame.status != Status.OK or frame.command_id == CommandId.GENERIC_NACK:
            status = frame.status or Status.BINDFAIL
            return [BindRefused(status), *self._close(Input.RECV_BIND_REFUSED, CloseReason.BIND_REFUSED)]
        if frame.command_id != self.settings.bind_command() | RESPONSE_BIT:
            self.counts.stray_responses += 1
            return []
        pdu = self._read(frame) or Pdu(frame.command_id, frame.status, frame.sequence_number)
        self._move(Input.RECV_BIND_OK)
        system_id = pdu.fields.get("system_id", b"")
        return [Bound(system_id, tlv_number(pdu.tlvs, Tag.SC_INTERFACE_VERSION))]

    def _read(self, frame: Frame) -> Pdu | None:
        """Return the PDU; None when its body is broken, and then a request has its answer."""
        try:
            pdu = decode_pdu(frame)
        except BodyError as error:
            self.counts.broken_bodies += 1
            if frame.command_id in _WITH_MESSAGE_ID:
                self._answer(frame.command_id, frame.sequence_number, error.status)
            return None
        self.counts.dropped_octets += pdu.dropped
        return pdu

    # Time

    def deadline(self) -> float | None:
        """Return when `handle_deadline` must be called next, if ever."""
        if self.state in {State.OPEN, State.CLOSED}:
            return None
        if self.state in {State.BINDING, State.UNBINDING}:
            return self._phase_deadline
        if self._is_drained():
            return self._now  # the last open answer has just left
        oldest = self._window.deadline()
        deadlines = [] if oldest is None else [oldest]
        if self.state is not State.BOUND:
            deadlines.append(self._phase_deadline)
        life = self._liveness.deadline(asks=self.state is State.BOUND)
        return min(deadlines if life is None else [*deadlines, life])

    def handle_deadline(self, now: float) -> list[Event]:
        """Do what is due at `now`: expire, ask for life, give up. Calling it early does nothing."""
        self._now = now
        if self.state is State.BINDING and now >= self._phase_deadline:
            return self._close(Input.TIMED_OUT, CloseReason.BIND_TIMEOUT)
        if self.state is State.UNBINDING and now >= self._phase_deadline:
            return self._close(Input.TIMED_OUT, CloseReason.UNBIND_TIMEOUT)
        if self.state not in DELIVERING:
            return []
        slots, requests = self._window.expire(now)
        events: list[Event] = [Expired(slots, requests)] if slots or requests else []
        mute = "submits have no answer" if self.state is State.BOUND and self._window.is_mute() else ""
        if mute or self._liveness.is_silent(now):
            return events + self._close(Input.TIMED_OUT, CloseReason.SILENT, mute)
        self.counts.enquiries_missed = self._liveness.missed
        if self.state is State.BOUND and self._liveness.must_ask(now):
            number = self._window.next_number()
            self._liveness.asked(number, now)
            self._send(Pdu(CommandId.ENQUIRE_LINK, 0, number))
        return events + self._drain(now)

    # Ends

    def _is_drained(self) -> bool:
        return self.state in {State.DRAINING, State.LEAVING} and not (self._window or self._unanswered > 0)

    def _drain(self, now: float) -> list[Event]:
        """Go on with leaving when nothing is open any more, or when it took too long."""
        if self.state not in {State.DRAINING, State.LEAVING}:
            return []
        if not self._is_drained() and now < self._phase_deadline:
            return []
        if self.state is State.LEAVING:
            return self._close(Input.DRAINED, CloseReason.PEER_UNBOUND)
        self._move(Input.DRAINED)
        self._phase_deadline = now + self.settings.response_timeout_s
        self._phase_number = self._window.next_number()
        self._send(Pdu(CommandId.UNBIND, 0, self._phase_number))
        return []

    def _close(self, input_: Input, reason: CloseReason, detail: str = "") -> list[Event]:
        """Settle whatever waits: a caller never hangs on a dead session."""
        self._move(input_)
        slots, requests = self._window.clear()
        self._liveness.forget()
        self.rest = b""
        return [Closed(reason, slots, requests, detail)]

    def _move(self, input_: Input) -> None:
        try:
            self.state = TRANSITIONS[self.state, input_]
        except KeyError:
            raise ProtocolError(f"{input_.value} in state {self.state.value}") from None

    def _check_may_send(self) -> None:
        if (self.state, Input.SUBMIT) not in TRANSITIONS:
            raise NotBound(f"the session is {self.state.value}")
        if self.settings.kind is BindKind.RECEIVER:
            raise NotBound("a receiver does not submit")

    def _answer(self, command_id: int, number: int, status: int = Status.OK, tlvs: Tlvs = ()) -> None:
        fields = {"message_id": b""} if command_id in _WITH_MESSAGE_ID else {}
        self._send(Pdu(command_id | RESPONSE_BIT, status, number, fields, tlvs))

    def _send(self, pdu: Pdu) -> None:
        self._out.append(encode_pdu(pdu))
