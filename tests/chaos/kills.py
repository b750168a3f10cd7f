"""What is killed, when, and who: drawn from a seed, as far as real processes let themselves be repeated."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from tests.chaos.children import signal_quietly
from tests.chaos.town import Town

GAP_S: Final = (0.5, 6.5)  # between two kills: some fall into the recovery from the one before
TARGET_LIMIT_S: Final = 60.0  # a target that is being started again is waited for
# How often each is drawn. The last but one is a power cut, as far as one machine can show it; the last is an
# orderly stop under load.
WEIGHTS: Final = {
    "gateway": 6,
    "postmaster": 4,
    "backend": 5,
    "smsc": 4,
    "connection": 5,
    "api": 1,
    "gateway and postmaster": 2,
    "gateway by SIGTERM": 3,
}


@dataclass(frozen=True, slots=True)
class Kill:
    number: int
    kind: str
    after_s: float  # since the first one was planned
    what: str
    at: float  # seconds since 1970


class Killer:
    """Kills one thing after the other; `said` gets one line for each."""

    def __init__(self, town: Town, seed: int, say: Callable[[str], None]) -> None:
        self._town = town
        self._rng = random.Random(seed)  # chance, no secret
        self._say = say
        self.kills: list[Kill] = []
        self.stop_codes: list[int] = []  # of orderly stops

    async def run(self, count: int) -> None:
        """Kill `count` times."""
        began = time.monotonic()
        deeds: dict[str, Callable[[], Awaitable[str]]] = {
            "gateway": self._gateway,
            "postmaster": self._postmaster,
            "backend": self._backend,
            "smsc": self._smsc,
            "connection": self._connection,
            "api": self._api,
            "gateway and postmaster": self._both,
            "gateway by SIGTERM": self._term,
        }
        for number in range(1, count + 1):
            # Both are drawn before anything happens: the plan depends on the seed alone.
            await asyncio.sleep(self._rng.uniform(*GAP_S))
            kind = self._rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            at = time.time()
            what = await deeds[kind]()
            kill = Kill(number, kind, time.monotonic() - began, what, at)
            self.kills.append(kill)
            self._say(f"kill {number}/{count} at {kill.after_s:.1f} s: {kind}, {what}")

    async def _gateway(self) -> str:
        return await self._child(self._town.gateway.kill, self._town.gateway.name)

    async def _smsc(self) -> str:
        return await self._child(self._town.smsc.kill, self._town.smsc.name)

    async def _api(self) -> str:
        return await self._child(self._town.api.kill, self._town.api.name)

    async def _child(self, kill: Callable[[], bool], name: str) -> str:
        await self._until(kill)
        return f"{name} -9"

    async def _postmaster(self) -> str:
        def kill() -> bool:
            server = self._town.postmaster()
            return server is not None and signal_quietly(server.pid, signal.SIGKILL)

        await self._until(kill)
        return "postmaster -9"

    async def _backend(self) -> str:
        said = ""
        turn = self._rng.random()

        def kill() -> bool:
            nonlocal said
            backends = self._town.backends()
            if not backends:
                return False
            pid = sorted(backends)[int(turn * len(backends))]
            said = backends[pid]
            return signal_quietly(pid, signal.SIGKILL)

        await self._until(kill)
        return said

    async def _connection(self) -> str:
        turn = random.Random(self._rng.random())  # chance, no secret
        number = 0

        def cut() -> bool:
            nonlocal number
            number = self._town.line.cut(turn)
            return bool(number)

        await self._until(cut)
        return f"connection {number} reset"

    async def _both(self) -> str:
        server = self._town.postmaster()
        await self._until(self._town.gateway.kill)
        if server is not None:
            signal_quietly(server.pid, signal.SIGKILL)
        return "gateway -9, postmaster -9" if server is not None else "gateway -9"

    async def _term(self) -> str:
        ended = await self._town.gateway.terminate()
        self.stop_codes.append(ended.code)
        return f"exit code {ended.code}: {ended.last_words}"

    async def _until(self, deed: Callable[[], bool]) -> None:
        async with asyncio.timeout(TARGET_LIMIT_S):
            while not deed():
                await asyncio.sleep(0.05)
