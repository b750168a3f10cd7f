"""One ESME connection of the simulated SMSC: octets in, one write per read out. Source: SMPP 3.4 §2, §4."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import structlog

from smsgate.errors import BodyError, FramingError
from smsgate.protocol.commands import RESPONSE_BIT, CommandId, Status, command_name, status_name
from smsgate.protocol.frames import HEADER, HEADER_SIZE, Frame, FrameDecoder
from smsgate.protocol.pdus import Pdu, decode_pdu, encode_pdu
from smsgate.protocol.tlvs import Tag
from smsgate.simulator.mobile_originated import MoPart
from smsgate.simulator.submits import Submits

if TYPE_CHECKING:
    from smsgate.simulator.account import Account, Deliver
    from smsgate.simulator.smsc import Smsc

BIND_TIMEOUT_S: Final = 10.0  # a connection that has not bound by then is cut off
RETRY_DELAY_S: Final = 1.0  # a deliver_sm that was answered "later" goes out again after it
SEQUENCE_MAX: Final = 0x7FFF_FFFF
SYSTEM_ID: Final = b"smsgate-smsc"
INTERFACE_VERSION: Final = b"\x34"
READING: Final = {CommandId.BIND_RECEIVER, CommandId.BIND_TRANSCEIVER}
SENDING: Final = {CommandId.BIND_TRANSMITTER, CommandId.BIND_TRANSCEIVER}
BINDS: Final = READING | SENDING
LATER: Final = {Status.X_T_APPN, Status.MSGQFUL, Status.THROTTLED, Status.SYSERR}

_log = structlog.get_logger(__name__)


class SmscConnection(asyncio.Protocol):
    """`number` names it for ever; all that is still to come was written after STOP number `fence`."""

    _later: Collection[int] = LATER  # answers to a deliver_sm after which it comes again
    _version: bytes | None = INTERFACE_VERSION  # as the bind's answer says it

    def __init__(self, smsc: Smsc, number: int) -> None:
        self.number = number
        self.account: Account | None = None
        self.reads = False
        self.sends = False
        self.fence = smsc.judge.epoch
        self._smsc = smsc
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._decoder = FrameDecoder()
        self._submits = Submits()
        self._in_flight: dict[int, Deliver] = {}
        self._sequence = 0
        self._made_at = self._heard_at = self._progress_at = self._loop.time()
        self._asked_at = 0.0
        self._fence_asked: tuple[int, int] | None = None  # sequence_number of the enquire_link, its epoch
        self._fence_wanted = 0
        self._writable = True
        self._unbinding = False
        self._closing = False

    # -- asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class
        self._smsc.connected(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._closing = True
        entries, self._in_flight = list(self._in_flight.values()), {}
        if self.account is not None:
            self.account.connections.remove(self)
            _log.info("smsc_bind_ended", system_id=self.account.system_id, unanswered=len(entries))
            if self._smsc.journal is not None:
                self._smsc.journal.unbound(self.number, self.account.system_id)
            self.account.put_back(entries)
        self._smsc.disconnected(self)

    def pause_writing(self) -> None:
        """Read no more from an ESME that does not read us: its window closes before our memory fills."""
        self._writable = False
        if self._transport is not None and not self._closing:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._writable = True
        if self._transport is not None and not self._closing:
            self._transport.resume_reading()
        if self.account is not None:
            self.account.pump()

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        answered = False
        try:
            for frame in self._decoder.feed(data):
                if frame.command_id == CommandId.SUBMIT_SM and self.sends:
                    self._submits.read(frame)
                elif frame.command_id == CommandId.DELIVER_SM_RESP:
                    answered = True
                    self._deliver_answered(frame)
                else:
                    self._settle()
                    self._take(frame)
                if self._closing:
                    return
        except FramingError:
            self._break_off()
            return
        self._settle()
        if answered and self.account is not None:
            self._progress_at = self._heard_at
            self.account.pump()

    # -- out

    def write(self, octets: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(octets)

    def room(self) -> int:
        """Return how many deliver_sm may be written now."""
        if not self._writable or self._unbinding or self._closing:
            return 0
        return self._smsc.settings.deliver_window - len(self._in_flight)

    def deliver(self, batch: Sequence[Deliver]) -> None:
        """Write deliver_sm in one go; each is kept until its answer."""
        if not self._in_flight:
            self._progress_at = self._loop.time()
        parts: list[bytes] = []
        in_flight, number = self._in_flight, self._sequence
        for entry in batch:
            number = number % SEQUENCE_MAX + 1
            in_flight[number] = entry
            body = entry.body if isinstance(entry, MoPart) else entry
            parts += (HEADER.pack(HEADER_SIZE + len(body), CommandId.DELIVER_SM, 0, number), body)
        self._sequence = number
        self._smsc.log.receipts_written += sum(isinstance(entry, bytes) for entry in batch)
        self.write(b"".join(parts))

    def ask_to_bind(self, system_id: str, password: str) -> None:
        """Send an outbind: it has no answer but a bind."""
        fields = {"system_id": system_id.encode(), "password": password.encode()}
        self._sequence = self._sequence % SEQUENCE_MAX + 1
        self.write(encode_pdu(Pdu(CommandId.OUTBIND, 0, self._sequence, fields)))

    def fence_at(self, epoch: int) -> None:
        """Find out when everything that was written before this moment has come."""
        self._fence_wanted = max(self._fence_wanted, epoch)
        if self._fence_asked is None and self.account is not None:
            self._fence_asked = (self._request(CommandId.ENQUIRE_LINK), self._fence_wanted)

    def unbind(self) -> None:
        """Ask the ESME to go; answers still count until unbind_resp."""
        if self.account is None:
            self.close()
        elif not self._unbinding:
            self._unbinding = True
            self._request(CommandId.UNBIND)

    def close(self) -> None:
        """Close once everything that was written has left."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Cut the connection off, as a broken line does."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    def check(self, now: float) -> None:
        """Cut off who never binds, never answers or is silent; ask who has been silent for long."""
        settings = self._smsc.settings
        if self.account is None:
            if now - self._made_at > BIND_TIMEOUT_S:
                self.abort()
            return
        deaf = bool(self._in_flight) and now - self._progress_at > settings.deliver_timeout_s
        interval_s = settings.enquire_link_s
        if deaf or (interval_s and now - self._heard_at > 2 * interval_s):
            self.abort()
        elif interval_s and now - max(self._heard_at, self._asked_at) > interval_s:
            self._asked_at = now
            self._request(CommandId.ENQUIRE_LINK)

    # -- in

    def _request(self, command_id: int, body: bytes = b"") -> int:
        self._sequence = self._sequence % SEQUENCE_MAX + 1
        self.write(Frame(command_id, self._sequence, 0, body).encode())
        return self._sequence

    def _break_off(self) -> None:
        """Say that nothing more can be found in this stream, and close it."""
        self._settle()
        self.write(Frame(CommandId.GENERIC_NACK, 0, Status.INVCMDLEN).encode())
        self.close()

    def _settle(self) -> None:
        """Hand the submit_sm read so far to the SMSC, before anything that came after them counts."""
        if len(self._submits):
            submits, self._submits = self._submits, Submits()
            self._smsc.take(self, submits)

    def _deliver_answered(self, frame: Frame) -> None:
        entry = self._in_flight.pop(frame.sequence_number, None)
        if entry is None or self.account is None:
            return
        log, later = self._smsc.log, bool(frame.status) and frame.status in self._later
        if self._smsc.journal is not None:
            self._settle()  # what came before this answer stands before it
            body = entry.body if isinstance(entry, MoPart) else entry
            self._smsc.journal.answered(self.number, frame.status, body, final=not later)
        if later:
            self._smsc.timetable.after(RETRY_DELAY_S, partial(self.account.put_back, [entry]))
            return
        if frame.status:
            log.deliver_refused[frame.status] += 1
        if isinstance(entry, MoPart):
            self._settle()
            log.mos_acknowledged += not frame.status
            entry.mo.statuses.append(frame.status)
            if entry.mo.taken:
                self._smsc.mo_taken(entry.mo, self)
        else:
            log.receipts_acknowledged += not frame.status

    def _take(self, frame: Frame) -> None:
        """Take whatever is neither submit_sm in a sending bind nor deliver_sm_resp."""
        number = frame.sequence_number
        match frame.command_id:
            case CommandId.ENQUIRE_LINK:
                self.write(Frame(CommandId.ENQUIRE_LINK_RESP, number).encode())
            case CommandId.ENQUIRE_LINK_RESP:
                self._fence_reached(number)
            case CommandId.UNBIND:
                self._unbinding = True
                octets = Frame(CommandId.UNBIND_RESP, number).encode()
                self._smsc.after_answers(partial(self._say_and_close, octets))
            case CommandId.UNBIND_RESP if self._unbinding:
                self._smsc.after_answers(self.close)
            case command_id if command_id in BINDS:
                self._bind(frame)
            case CommandId.SUBMIT_SM:
                self.write(Frame(CommandId.SUBMIT_SM_RESP, number, Status.INVBNDSTS).encode())
            case command_id if command_id & RESPONSE_BIT:
                pass  # an answer to something we never asked, an unknown one too, or generic_nack
            case _:
                self.write(Frame(CommandId.GENERIC_NACK, number, Status.INVCMDID).encode())

    def _say_and_close(self, octets: bytes) -> None:
        self.write(octets)
        self.close()

    def _fence_reached(self, number: int) -> None:
        if self._fence_asked is not None and self._fence_asked[0] == number:
            self.fence = max(self.fence, self._fence_asked[1])
            self._fence_asked = None
            if self._fence_wanted > self.fence:
                self.fence_at(self._fence_wanted)

    def _bind(self, frame: Frame) -> None:
        account: Account | None = None
        if self.account is not None:
            status: int = Status.ALYBND
        else:
            try:
                fields = decode_pdu(frame).fields
            except BodyError as exc:
                status = exc.status
            else:
                account, status = self._smsc.admit(fields["system_id"], fields["password"])
        fields = {} if status else {"system_id": SYSTEM_ID}
        tlvs = () if status or self._version is None else ((Tag.SC_INTERFACE_VERSION, self._version),)
        answer = Pdu(frame.command_id | RESPONSE_BIT, status, frame.sequence_number, fields, tlvs)
        self.write(encode_pdu(answer))
        command = command_name(frame.command_id)
        if status or account is None:
            self._smsc.log.binds_refused += 1
            _log.info("smsc_bind_refused", command=command, status=status_name(status))
            if self.account is None:
                self.close()
            return
        self._smsc.log.binds += 1
        _log.info("smsc_bound", system_id=account.system_id, command=command)
        self.account = account
        if self._smsc.journal is not None:
            self._smsc.journal.bound(self.number, account.system_id)
        self.reads = frame.command_id in READING
        self.sends = frame.command_id in SENDING
        account.connections.append(self)
        account.pump()
