"""A small SMSC that does exactly what a test scripts, on a real socket, and what the tests of links share."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from smsgate.clock import SystemClock
from smsgate.flows.records import CarrierReceipts, MobileOriginated
from smsgate.links.carrier import CarrierAccount
from smsgate.links.profile import CarrierProfile, read_profile
from smsgate.protocol.commands import RESPONSE_BIT, CommandId, Status
from smsgate.protocol.frames import Frame, FrameDecoder
from smsgate.protocol.pdus import Pdu, decode_pdu, encode_pdu
from smsgate.protocol.tlvs import Tlvs

BINDS = {CommandId.BIND_TRANSCEIVER: "trx", CommandId.BIND_TRANSMITTER: "tx", CommandId.BIND_RECEIVER: "rx"}
WAIT_MAX_S = 5.0


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Poll `condition` until it holds."""
    deadline = time.monotonic() + WAIT_MAX_S
    while not condition():
        assert time.monotonic() < deadline, what or "the condition did not come true in time"
        await asyncio.sleep(0.002)


class Peer(asyncio.Protocol):
    """One connection of an ESME to the fake."""

    def __init__(self, smsc: FakeSmsc) -> None:
        self.smsc = smsc
        self.kind = ""
        self.gone = False
        self.in_flight = 0
        self.in_flight_max = 0
        self.held: list[int] = []  # sequence numbers of submits without an answer
        self.frames: list[Frame] = []
        self._decoder = FrameDecoder()
        self._next_number = 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.smsc.peers.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True

    def data_received(self, data: bytes) -> None:
        for frame in self._decoder.feed(data):
            self.frames.append(frame)
            self.smsc.heard.append((self, frame.command_id))
            if not self.smsc.silent:
                self._take(frame)

    def _take(self, frame: Frame) -> None:
        smsc = self.smsc
        if frame.command_id in BINDS:
            self.kind = BINDS[frame.command_id]
            smsc.binds.append((time.monotonic(), self.kind, decode_pdu(frame)))
            status = smsc.bind_statuses.pop(0) if smsc.bind_statuses else Status.OK
            if status == Status.OK and len([peer for peer in smsc.live if peer.kind]) > smsc.sessions_max:
                if smsc.full_status is None:
                    self.transport.abort()
                    return
                status = smsc.full_status
            smsc.refused_binds += status != Status.OK
            self.answer(frame, status, b"fake\0" if status == 0 else b"")
        elif frame.command_id == CommandId.SUBMIT_SM:
            self.in_flight += 1
            self.in_flight_max = max(self.in_flight_max, self.in_flight)
            smsc.submits.append((time.monotonic(), decode_pdu(frame)))
            if smsc.hold:
                self.held.append(frame.sequence_number)
            elif smsc.answer_delay_s:
                asyncio.get_running_loop().call_later(
                    smsc.answer_delay_s, self.answer_submit, frame.sequence_number
                )
            else:
                self.answer_submit(frame.sequence_number)
        elif frame.command_id in {CommandId.ENQUIRE_LINK, CommandId.UNBIND}:
            self.answer(frame, Status.OK, b"")
        elif frame.command_id in smsc.answers:
            answer = smsc.answers[frame.command_id](frame)
            if answer is not None:
                self.write(answer)

    def answer(self, frame: Frame, status: int, body: bytes) -> None:
        self.write(Frame(frame.command_id | RESPONSE_BIT, frame.sequence_number, status, body))

    def answer_submit(self, sequence_number: int) -> None:
        status = self.smsc.submit_status(len(self.smsc.submits))
        self.in_flight -= 1
        body = b"id-%d\0" % self.smsc.next_id() if status == 0 else b""
        self.write(Frame(CommandId.SUBMIT_SM_RESP, sequence_number, status, body))

    def answer_held(self, count: int | None = None) -> None:
        numbers = self.held[:count]
        del self.held[: len(numbers)]
        for number in numbers:
            self.answer_submit(number)

    def deliver(
        self, text: bytes, tlvs: Tlvs = (), command_id: int = CommandId.DELIVER_SM, **fields: Any
    ) -> int:
        """Send a deliver_sm or data_sm and return its sequence number."""
        number = self._next_number
        self._next_number += 1
        values: dict[str, Any] = {
            "source_addr_ton": 1,
            "source_addr_npi": 1,
            "source_addr": b"33612345678",
            "destination_addr": b"38123",
            **fields,
        }
        if command_id == CommandId.DELIVER_SM:
            values["short_message"] = text
        self.transport.write(encode_pdu(Pdu(command_id, 0, number, values, tlvs)))
        return number

    def receipt(self, message_id: bytes, state: bytes = b"DELIVRD") -> int:
        text = (
            b"id:" + message_id + b" sub:001 dlvrd:001 submit date:2611230900 done date:2611230901 stat:"
            + state + b" err:000 text:"
        )  # fmt: skip
        return self.deliver(text, esm_class=0x04)

    def unbind(self) -> None:
        self.write(Frame(CommandId.UNBIND, 900))

    def write_enquire_link(self) -> None:
        self.write(Frame(CommandId.ENQUIRE_LINK, 901))

    def write(self, frame: Frame) -> None:
        if not self.transport.is_closing():
            self.transport.write(frame.encode())

    def answers(self) -> list[tuple[int, int, int]]:
        """Return (command_id, sequence_number, status) of the answers to what was delivered."""
        wanted = {CommandId.DELIVER_SM_RESP, CommandId.DATA_SM_RESP}
        return [(f.command_id, f.sequence_number, f.status) for f in self.frames if f.command_id in wanted]

    def heard(self, command_id: int) -> bool:
        return any(frame.command_id == command_id for frame in self.frames)


class FakeSmsc:
    def __init__(self) -> None:
        self.port = 0
        self.peers: list[Peer] = []
        self.binds: list[tuple[float, str, Pdu]] = []
        self.submits: list[tuple[float, Pdu]] = []
        self.heard: list[tuple[Peer, int]] = []  # from whom, command_id: in the order of their coming
        self.bind_statuses: list[int] = []  # for the next binds; then 0
        self.hold = False  # keep submits unanswered until `answer_held`
        self.silent = False  # read everything, say nothing
        self.answer_delay_s = 0.0
        self.submit_status: Callable[[int], int] = lambda _count: 0
        self.sessions_max = 1_000
        self.full_status: int | None = Status.ALYBND  # to a bind beyond those; None: it is hung up on
        self.refused_binds = 0
        # To rarer requests, by command_id; None: none.
        self.answers: dict[int, Callable[[Frame], Frame | None]] = {}
        self.server: asyncio.Server | None = None
        self._ids = 0

    def stop_listening(self) -> None:
        assert self.server is not None
        self.server.close()

    def next_id(self) -> int:
        self._ids += 1
        return self._ids

    @property
    def live(self) -> list[Peer]:
        return [peer for peer in self.peers if not peer.gone]

    def of_kind(self, kind: str) -> Peer:
        return next(peer for peer in self.live if peer.kind == kind)


@asynccontextmanager
async def fake_smsc(tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[FakeSmsc]:
    smsc = FakeSmsc()
    server = await asyncio.get_running_loop().create_server(lambda: Peer(smsc), "127.0.0.1", port, ssl=tls)
    smsc.server = server
    smsc.port = server.sockets[0].getsockname()[1]
    try:
        yield smsc
    finally:
        server.close()
        for peer in smsc.live:
            peer.transport.abort()
        await server.wait_closed()
        await until(lambda: not smsc.live)


@dataclass
class Recorder:
    """CarrierEvents that keep everything; `fill` is what a sender does when there is room."""

    slots: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    smsc_ids: list[bytes] = field(default_factory=list)
    doubtful: list[int] = field(default_factory=list)
    receipt_columns: list[CarrierReceipts] = field(default_factory=list)
    mos: list[MobileOriginated] = field(default_factory=list)
    reached: list[int] = field(default_factory=list)
    fill: Callable[[], None] = lambda: None

    def answered(self, slots: Sequence[int], statuses: Sequence[int], smsc_ids: Sequence[bytes]) -> None:
        assert len(slots) == len(statuses) == len(smsc_ids)
        self.slots += slots
        self.statuses += statuses
        self.smsc_ids += smsc_ids

    def in_doubt(self, carrier_id: int, slots: Sequence[int]) -> None:
        self.doubtful += slots

    def receipts(self, receipts: CarrierReceipts) -> None:
        self.receipt_columns.append(receipts)

    def delivered(self, mo: MobileOriginated) -> None:
        self.mos.append(mo)

    def reachable(self, carrier_id: int, msisdn: int) -> None:
        self.reached.append(msisdn)

    def room_changed(self, carrier_id: int) -> None:
        self.fill()


def a_profile(port: int, **settings: Any) -> CarrierProfile:
    """Plain text to the fake, fast time-outs, no rate that is felt."""
    fast = (0.02, 0.05)
    values: dict[str, Any] = {
        "name": "fake",
        "hosts": [f"127.0.0.1:{port}"],
        "system_id": "smsgate",
        "password": "secret",
        "tls": "none",
        "insecure_plaintext": True,
        "rate_per_s": 10_000,
        "response_timeout_s": 2.0,
        "bind_timeout_s": 1.0,
        "rebind": {
            "lost_s": fast,
            "refused_tcp_s": fast,
            "already_bound_s": fast,
            "credentials_s": fast,
        },
        **settings,
    }
    return read_profile(values)


@asynccontextmanager
async def an_account(
    profile: CarrierProfile, *, bound: int = 1, events: Recorder | None = None
) -> AsyncIterator[tuple[CarrierAccount, Recorder]]:
    """Start an account and wait until `bound` of its binds are bound."""
    account = CarrierAccount(profile, 7, clock=SystemClock(), random=lambda: 0.0)
    events = events or Recorder()
    account.start(events)
    try:
        await until(lambda: states(account).count("bound") == bound, "the account did not bind")
        yield account, events
    finally:
        await account.stop(0.0)


def states(account: CarrierAccount) -> list[str]:
    return [bind.state for bind in account.binds()]


def some_bodies(account: CarrierAccount, count: int) -> list[bytes]:
    return account.bodies("38123", [33_600_000_000 + i for i in range(count)], [b"Bonjour"] * count, 0)


def writes_of(account: CarrierAccount, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return the list of what the one connection of `account` writes from now on; all of it still leaves."""
    (connection,) = account._connections.values()
    transport = connection._transport
    assert transport is not None
    writes: list[bytes] = []

    def write(data: bytes | bytearray | memoryview) -> None:
        writes.append(bytes(data))
        type(transport).write(transport, data)

    monkeypatch.setattr(transport, "write", write)
    return writes
