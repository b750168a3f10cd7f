"""One ESME connection of a faulty SMSC: what comes is taken PDU by PDU, what leaves is bent."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Final

from smsgate.errors import BodyError, FramingError
from smsgate.protocol.commands import RESPONSE_BIT, CommandId, Status
from smsgate.protocol.frames import Frame, FrameDecoder
from smsgate.protocol.pdus import decode_pdu
from smsgate.simulator.connection import BINDS, LATER, SmscConnection
from smsgate.simulator.faulty_octets import Bender, as_data_sm, frames_of
from smsgate.simulator.faulty_texts import as_network

if TYPE_CHECKING:
    from smsgate.simulator.faulty_smsc import FaultySmsc

ENQUIRE_TICK_S: Final = 0.01  # enquire_links of a flood leave in portions of so long
OWN_REQUESTS_MAX: Final = 10_000  # of one connection, whose answers are watched


class FaultyConnection(SmscConnection):
    """`submits` counts the submit_sm of this connection; `answered` those that have their answer."""

    def __init__(self, smsc: FaultySmsc, number: int) -> None:
        super().__init__(smsc, number)
        self._faulty = smsc
        self._faults = faults = smsc.faults
        self._later = faults.mo_retry_statuses or LATER
        self._version = bytes((faults.sc_interface_version,)) if faults.sc_interface_version else None
        self.frame: Frame | None = None  # that is being taken
        self.submits = 0
        self.answered = 0
        self._bender = Bender(faults)
        self._splitter = FrameDecoder()
        self._extra = cycle(faults.extra_pdus)
        self._silent = False
        self._slow: deque[int] = deque()  # octets that wait for a write of their own
        self._slow_turn: asyncio.Handle | None = None
        self._close_after_slow = False
        self._bind_waits: Frame | None = None  # for the answer to an enquire_link
        self._asked: dict[int, float] = {}  # enquire_links, and when they left
        self._unanswerable: set[int] = set()  # own requests that must get no answer
        self._asked_early = False
        self._flood_share = 0.0

    # -- asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        octets = self._faulty.next_first_octets()
        if octets and self._transport is not None:
            self._faulty.note("first_octets")
            self._silent = True
            self._transport.write(octets)

    def connection_lost(self, exc: Exception | None) -> None:
        self._silent = True
        self._slow.clear()
        if self.account is not None and self._faults.already_bound_s and not self._unbinding:
            self._faulty.keep_bound(self._faults.already_bound_s)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._silent:
            return
        try:
            for frame in self._splitter.feed(data):
                self._hear(frame)
                if self._silent or self._closing:
                    return
        except FramingError:
            self._break_off()

    def _hear(self, frame: Frame) -> None:
        if frame.command_id & RESPONSE_BIT:
            number = self._bender.own_number(frame.sequence_number)
            command_id = frame.command_id
            if number in self._unanswerable:
                self._faulty.note_client("answered_what_has_no_answer")
            if command_id == CommandId.GENERIC_NACK:
                self._faulty.note_client("generic_nacks")
            if command_id == CommandId.DATA_SM_RESP:
                command_id = CommandId.DELIVER_SM_RESP
            frame = Frame(command_id, number, frame.status, frame.body)
        elif frame.command_id == CommandId.SUBMIT_SM and self.sends:
            self.submits += 1
        self.frame = frame
        if frame.command_id == CommandId.SUBMIT_SM and self._faults.rules:
            frame = as_network(frame, self._faults)
        super().data_received(frame.encode())

    # -- out

    def write(self, octets: bytes) -> None:
        if self._silent:
            return
        parts = []
        for frame in frames_of(octets):
            if frame.command_id == CommandId.DELIVER_SM and self._goes_as_data_sm(frame.sequence_number):
                frame = as_data_sm(frame)  # noqa: PLW2901
            extra = b""
            if frame.command_id == CommandId.SUBMIT_SM_RESP:
                extra = self._faulty.congestion_tlv()
            parts.append(self._bender.bend(frame, extra))
        self._emit(b"".join(parts))

    def answer_submit(self, octets: bytes) -> None:
        """Write one submit_sm_resp, what the switches put beside it, and the end when it is due."""
        self.answered += 1
        if self._closing or self._silent:
            return
        last = self.answered == self._faults.end_after_submits and self._faulty.ends_left
        if last and self._faults.end == "torn":
            self._end(torn=octets)
            return
        self.write(octets)
        if self._faults.extra_pdus:
            self._write_extra()
        if last:
            self._end()

    def check(self, now: float) -> None:
        if not self._silent:  # a half-open line is not watched by anybody
            super().check(now)

    def close(self) -> None:
        if self._slow:
            self._close_after_slow = True
        else:
            super().close()

    def deliver_here(self, bodies: Sequence[bytes]) -> bool:
        """Write receipts on this bind if it has room for them."""
        if not self.reads or self.room() < len(bodies):
            return False
        self.deliver(bodies)
        return True

    def _goes_as_data_sm(self, number: int) -> bool:
        is_receipt = isinstance(self._in_flight.get(number), bytes)
        return is_receipt and self._faults.receipt_place == "data_sm"

    def _emit(self, octets: bytes) -> None:
        size = self._faults.write_octets
        if not size:
            super().write(octets)
            return
        self._slow.extend(octets)
        if self._slow_turn is None:
            self._slow_turn = self._loop.call_soon(self._emit_slowly)

    def _emit_slowly(self) -> None:
        self._slow_turn = None
        take = min(self._faults.write_octets, len(self._slow))
        super().write(bytes([self._slow.popleft() for _ in range(take)]))
        if self._slow:
            self._slow_turn = self._loop.call_soon(self._emit_slowly)
        elif self._close_after_slow:
            super().close()

    # -- binds

    def _bind(self, frame: Frame) -> None:
        if self.account is None:
            refusal = self._faulty.refuses_bind(_version_of(frame))
            if self._asked_early and self._faults.enquires_before_bound:
                refusal = Status.BINDFAIL
            if refusal:
                self._refuse_bind(frame, refusal)
                return
            if self._faults.enquires_before_bound and self._bind_waits is None:
                self._bind_waits = frame
                self._request(CommandId.ENQUIRE_LINK)
                return
        super()._bind(frame)
        if self.account is not None:
            self._bound()

    def _refuse_bind(self, frame: Frame, status: int) -> None:
        self._faulty.note("binds_refused")
        self._faulty.log.binds_refused += 1
        self.write(Frame(frame.command_id | RESPONSE_BIT, frame.sequence_number, status).encode())
        self.close()

    def _bound(self) -> None:
        faults, timetable = self._faults, self._faulty.timetable
        if faults.enquires_per_s:
            timetable.after(ENQUIRE_TICK_S, self._flood)
        if faults.end and faults.end_after_s:
            timetable.after(faults.end_after_s, self._end_by_time)
        for _ in faults.extra_pdus:
            self._write_extra()

    def _take(self, frame: Frame) -> None:
        if frame.command_id == CommandId.ENQUIRE_LINK and self.account is None:
            self._faulty.note_client("asked_before_bound")
            self._asked_early = True
        elif frame.command_id == CommandId.ENQUIRE_LINK_RESP:
            asked_at = self._asked.pop(frame.sequence_number, None)
            if asked_at is not None:
                self._faulty.note_enquiry(self._loop.time() - asked_at)
            if self._bind_waits is not None:
                waiting, self._bind_waits = self._bind_waits, None
                self._faulty.note_client("answered_before_bound")
                super()._bind(waiting)
                if self.account is not None:
                    self._bound()
                return
        elif frame.command_id in BINDS and self._bind_waits is not None:
            self._faulty.note_client("bound_twice")
            return
        super()._take(frame)

    # -- what the SMSC does by itself

    def _flood(self) -> None:
        if self._closing or self._silent or self._unbinding:
            return
        self._flood_share += self._faults.enquires_per_s * ENQUIRE_TICK_S
        count = int(self._flood_share)
        self._flood_share -= count
        now = self._loop.time()
        for _ in range(count):
            number = self._request(CommandId.ENQUIRE_LINK)
            self._faulty.note("enquire_links")
            if len(self._asked) < OWN_REQUESTS_MAX:
                self._asked[number] = now
        self._faulty.timetable.after(ENQUIRE_TICK_S, self._flood)

    def _write_extra(self) -> None:
        command_id, body = next(self._extra)
        self._faulty.note("extra_pdus")
        if command_id & RESPONSE_BIT:
            self.write(Frame(command_id, 0x7000_0000 + self.answered, 0, body).encode())
            return
        number = self._request(command_id, body)
        if command_id == CommandId.ALERT_NOTIFICATION and len(self._unanswerable) < OWN_REQUESTS_MAX:
            self._unanswerable.add(number)

    def _end_by_time(self) -> None:
        if not (self._closing or self._silent or self._unbinding) and self._faulty.ends_left:
            self._end()

    def _end(self, torn: bytes = b"") -> None:
        """End this session as the switch says; `torn` is a PDU of which only half leaves."""
        self._faulty.ended(self._faults.end)
        if torn:
            (frame,) = frames_of(torn)
            whole = self._bender.bend(frame)
            self._emit(whole[: len(whole) // 2])
        if self._faults.end_octets:
            self._emit(self._faults.end_octets)
        match self._faults.end:
            case "unbind":
                self.unbind()
            case "silence":
                self._silent = True
            case "torn":
                self._silent = True
                self.close()
            case _:
                self._silent = True  # what comes until the cut of the next turn would be answered, or not
                self._faulty.timetable.after(0.0, partial(SmscConnection.abort, self))

    def refuses_submit(self) -> int:
        """Return the command_status that this bind's state alone gives the submit_sm being taken."""
        limit = self._faults.submits_per_bind_max
        return Status.INVBNDSTS if limit and self.submits > limit else 0


def _version_of(frame: Frame) -> int:
    try:
        return int(decode_pdu(frame).fields["interface_version"])
    except BodyError:
        return 0
