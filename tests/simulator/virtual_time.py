"""A loop whose clock jumps to the next timer and an ESME in memory: all that a faulty SMSC writes."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

from smsgate.clock import SystemClock
from smsgate.protocol.commands import CommandId
from smsgate.protocol.frames import FrameDecoder
from smsgate.protocol.pdus import encode_body
from smsgate.simulator.faulty_smsc import FaultySmsc
from smsgate.simulator.smsc_settings import SmscSettings
from tests.simulator.smsc_peers import bind_body, raw

ASKING = {CommandId.DELIVER_SM, CommandId.DATA_SM, CommandId.UNBIND, CommandId.ENQUIRE_LINK}
RESPONSE = 0x8000_0000
INSTANT = datetime(2026, 11, 26, 12, 34, 56, tzinfo=UTC)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Never waits: when nothing is ready, it is as late as the next timer."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__()

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        loop = cast("Any", self)
        while loop._scheduled and loop._scheduled[0]._cancelled:  # else the loop would wait for it in earnest
            heapq.heappop(loop._scheduled)._scheduled = False
            loop._timer_cancelled_count -= 1
        if not loop._ready and loop._scheduled:
            self.now = max(self.now, loop._scheduled[0]._when)
        cast("Any", super())._run_once()


class FrozenClock(SystemClock):
    def now(self) -> datetime:
        return INSTANT


class Line(asyncio.Transport):
    """The SMSC's end of a connection in memory; `heard` gets what the SMSC writes."""

    def __init__(self, heard: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self._heard = heard
        self._lost = lost
        self._closing = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))
        self._heard(bytes(data))

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self._lost)

    def abort(self) -> None:
        self.close()

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Script(NamedTuple):
    """What the ESME does besides answering."""

    messages: int = 30
    every_s: float = 0.05
    version: int = 0x34
    sender: bytes = b"36111"
    fields: dict[str, Any] = {}  # noqa: RUF012 # of each submit_sm


class ScriptedEsme:
    """Binds, submits, answers everything that asks; binds again 0.5 s after a loss."""

    def __init__(self, smsc: FaultySmsc, script: Script, binds: int) -> None:
        self.lines: list[Line] = []
        self._smsc = smsc
        self._loop = asyncio.get_running_loop()
        self._script = script
        self._left = script.messages
        self._submitted = 0
        for _ in range(binds):
            self._connect()

    def _connect(self) -> None:
        connection = self._smsc._connection(next(self._smsc._connection_numbers))
        decoder = FrameDecoder()

        def heard(data: bytes) -> None:
            self._loop.call_soon(self._read, decoder, data, connection)

        def lost() -> None:
            connection.connection_lost(None)
            self._loop.call_later(0.5, self._connect)

        line = Line(heard, lost)
        self.lines.append(line)
        connection.connection_made(line)
        bind = bind_body().replace(b"\x34", bytes((self._script.version,)))
        self._loop.call_soon(connection.data_received, raw(9, 1, bind))
        self._loop.call_later(self._script.every_s, self._submit, connection, line)

    def _submit(self, connection: Any, line: Line) -> None:
        if self._left and not line.is_closing():
            self._left -= 1
            self._submitted += 1
            fields = {
                "source_addr": self._script.sender,
                "destination_addr": b"336399%05d" % (self._submitted % 7),
                "registered_delivery": 1,
                "short_message": b"Message %d" % self._submitted,
                **self._script.fields,
            }
            body = encode_body(CommandId.SUBMIT_SM, fields)
            connection.data_received(raw(CommandId.SUBMIT_SM, 1 + self._submitted, body))
            self._loop.call_later(self._script.every_s, self._submit, connection, line)

    def _read(self, decoder: FrameDecoder, data: bytes, connection: Any) -> None:
        try:
            frames = list(decoder.feed(data))
        except Exception:  # noqa: BLE001 # it hears HTTP or worse: hang up
            connection.abort()
            return
        for frame in frames:
            if frame.command_id in ASKING:
                body = b"\0" if frame.command_id in {CommandId.DELIVER_SM, CommandId.DATA_SM} else b""
                connection.data_received(raw(frame.command_id | RESPONSE, frame.sequence_number, body))


def one_run(settings: SmscSettings, seed: int, script: Script = Script()) -> list[list[bytes]]:  # noqa: B008
    """Return what an SMSC with these faults writes to each connection of a scripted ESME in 6 s."""

    async def go() -> list[list[bytes]]:
        smsc = FaultySmsc(settings, random.Random(seed), clock=FrozenClock())
        await smsc.start()
        esme = ScriptedEsme(smsc, script, binds=2)
        await asyncio.sleep(6.0)
        writes = [line.writes for line in esme.lines]
        smsc.timetable.close()
        assert smsc._server is not None
        smsc._server.close()
        return writes

    loop = VirtualTimeLoop()
    try:
        return loop.run_until_complete(go())
    finally:
        loop.close()
