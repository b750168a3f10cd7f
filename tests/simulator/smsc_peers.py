"""ESMEs that share no code with the simulator: smpplib's client in a thread, and octets by hand."""

from __future__ import annotations

import asyncio
import select
import struct
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from queue import SimpleQueue
from typing import Any, NamedTuple, Self

import smpplib.client
import smpplib.exceptions

from smsgate.simulator.serve import Simulator, SimulatorSettings

DEADLINE_S = 10.0
OFFER = (
    "Boxman: CD Madonna 19,90€ port compris. Répondez OK = commande avec obligation de paiement. STOP 36111"
)
SENDER = "36111"


async def eventually(condition: Callable[[], object], what: str = "") -> None:
    """Wait until `condition` holds; fail after DEADLINE_S."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"never came: {what or condition}") from None


@asynccontextmanager
async def running(settings: SimulatorSettings | None = None) -> AsyncIterator[Simulator]:
    simulator = Simulator(settings or SimulatorSettings())
    await simulator.start()
    try:
        yield simulator
    finally:
        await simulator.stop(0.1)


class _Unanswered(Exception):
    """Raised in the client's own handler, so that it sends no deliver_sm_resp."""


class SmpplibEsme:
    """smpplib.client.Client, bound; its blocking calls are made by one thread of its own."""

    def __init__(
        self, port: int, mode: str, *, answers: bool = True, statuses: list[int] | None = None
    ) -> None:
        self.responses: list[Any] = []  # submit_sm_resp
        self.delivered: list[Any] = []  # deliver_sm
        self._answers = answers
        self._statuses = statuses or []  # of the first deliver_sm_resps; 0 after them
        self._mode = mode
        self._todo: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._closing = threading.Event()
        self._client = smpplib.client.Client("127.0.0.1", port, timeout=5, allow_unknown_opt_params=True)
        self._client.set_message_sent_handler(self._answered)
        self._client.set_message_received_handler(self._received)
        self._client.set_error_pdu_handler(lambda pdu: None)
        self._thread = threading.Thread(target=self._work, daemon=True)

    async def bind(self, system_id: str = "smsgate", password: str = "secret") -> Self:
        def go() -> None:
            self._client.connect()
            try:
                getattr(self._client, f"bind_{self._mode}")(system_id=system_id, password=password)
            except BaseException:
                self._client._socket.close()
                self._client._socket = None
                raise

        await asyncio.to_thread(go)
        self._thread.start()
        return self

    def submit(self, destination: str, text: bytes, source: str = SENDER, **fields: Any) -> None:
        self._todo.put(
            lambda: self._client.send_message(
                source_addr_ton=3,
                source_addr_npi=1,
                source_addr=source,
                dest_addr_ton=1,
                dest_addr_npi=1,
                destination_addr=destination,
                short_message=text,
                **{"registered_delivery": 1, **fields},
            )
        )

    async def unbind(self) -> None:
        await self._end()
        await asyncio.to_thread(self._client.unbind)
        self._client.disconnect()

    async def vanish(self) -> None:
        """Close the socket without a word."""
        await self._end()
        self._client._socket.close()
        self._client._socket = None

    async def _end(self) -> None:
        self._closing.set()
        await asyncio.to_thread(self._thread.join, 5)
        assert not self._thread.is_alive()

    def _answered(self, pdu: Any) -> None:
        self.responses.append(pdu)

    def _received(self, pdu: Any) -> int:
        self.delivered.append(pdu)
        if not self._answers:
            raise _Unanswered
        return self._statuses.pop(0) if self._statuses else 0

    def _work(self) -> None:
        while not self._closing.is_set():
            while not self._todo.empty():
                self._todo.get()()
            if select.select([self._client._socket], [], [], 0.01)[0]:
                try:
                    self._client.read_once(auto_send_enquire_link=False)
                except _Unanswered:
                    continue
                except smpplib.exceptions.ConnectionError:
                    return


@asynccontextmanager
async def bound(
    simulator: Simulator, mode: str = "transceiver", **options: Any
) -> AsyncIterator[SmpplibEsme]:
    esme = await SmpplibEsme(simulator.smpp_port, mode, **options).bind()
    try:
        yield esme
    finally:
        if esme._client._socket is not None:
            await esme.vanish()


class RawPdu(NamedTuple):
    command_id: int
    status: int
    number: int
    body: bytes


class RawEsme:
    """Octets by hand, for what no decent client sends."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int) -> RawEsme:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    @classmethod
    async def bind(cls, port: int, command_id: int = 9) -> RawEsme:
        esme = await cls.connect(port)
        esme.send(command_id, 1, bind_body())
        assert (await esme.read()).status == 0
        return esme

    def send(self, command_id: int, number: int, body: bytes = b"", status: int = 0) -> None:
        self.writer.write(raw(command_id, number, body, status))

    async def read(self) -> RawPdu:
        async with asyncio.timeout(DEADLINE_S):
            length, command_id, status, number = struct.unpack(">IIII", await self.reader.readexactly(16))
            return RawPdu(command_id, status, number, await self.reader.readexactly(length - 16))

    async def read_until_closed(self) -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            return await self.reader.read()

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


def raw(command_id: int, number: int, body: bytes = b"", status: int = 0) -> bytes:
    return struct.pack(">IIII", 16 + len(body), command_id, status, number) + body


def bind_body(system_id: bytes = b"smsgate", password: bytes = b"secret") -> bytes:
    return system_id + b"\0" + password + b"\0\0\x34\0\0\0"


def submit_body(
    destination: bytes, text: bytes, source: bytes = b"36111", *, coding: int = 0, esm_class: int = 0
) -> bytes:
    return b"".join(
        (
            b"\0\3\1" + source + b"\0\1\1" + destination + b"\0",
            bytes((esm_class, 0, 0)) + b"\0\0\1\0" + bytes((coding, 0, len(text))) + text,
        )
    )
