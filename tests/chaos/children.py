"""Processes that are killed and started again, as a supervisor of the operating system does it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

COMMAND: Final = (sys.executable, "-m", "smsgate")
STOP_LIMIT_S: Final = 40.0  # an orderly stop is cut by smsgate itself after 29 s
RESTART_S: Final = 0.3  # as systemd's RestartSec; less would spin where a start fails
LOG_TAIL_OCTETS: Final = 4_000


@dataclass(slots=True)
class Ended:
    """How one life of a process ended; `asked` names the signal of ours that ended it."""

    code: int
    at: float  # seconds since 1970
    asked: str
    last_words: str


@dataclass
class Child:
    """One command of smsgate that always runs, until `close`."""

    name: str
    arguments: Sequence[str]
    cwd: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    lives: int = 0
    ended: list[Ended] = field(default_factory=list)
    _process: asyncio.subprocess.Process | None = None
    _asked: str = ""
    _closing: bool = False
    _task: asyncio.Task[None] | None = None

    @property
    def log_path(self) -> Path:
        return self.cwd / f"{self.name}.log"

    @property
    def pid(self) -> int:
        """Return the process's number; 0 while none runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process is not None else 0

    @property
    def unasked(self) -> list[Ended]:
        return [end for end in self.ended if not end.asked]

    def start(self) -> None:
        self._task = asyncio.create_task(self._tend(), name=self.name)

    def kill(self) -> bool:
        return self._send(signal.SIGKILL)

    async def terminate(self) -> Ended:
        """Ask it to stop in order, wait for that, and return how it went; it is started again."""
        lives = len(self.ended)
        while not self._send(signal.SIGTERM):
            await asyncio.sleep(0.05)
        async with asyncio.timeout(STOP_LIMIT_S):
            while len(self.ended) == lives:
                await asyncio.sleep(0.02)
        return self.ended[lives]

    async def close(self) -> None:
        """Stop it in order, for good."""
        self._closing = True
        self._send(signal.SIGTERM)
        if self._task is not None:
            try:
                await asyncio.wait_for(asyncio.shield(self._task), STOP_LIMIT_S)
            except TimeoutError:
                self.kill()
                await self._task

    def _send(self, number: signal.Signals) -> bool:
        if not self.pid:
            return False
        self._asked = number.name
        os.kill(self.pid, number)
        return True

    async def _tend(self) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SMSGATE_")}
        while not self._closing:
            self._asked = ""
            with self.log_path.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *COMMAND,
                    *self.arguments,
                    cwd=self.cwd,
                    env={**kept, **self.environment},
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            self.lives += 1
            code = await self._process.wait()
            self.ended.append(Ended(code, time.time(), self._asked, self._last_words()))
            if not self._closing:
                await asyncio.sleep(RESTART_S)

    def _last_words(self) -> str:
        """Return what it said last on standard error, which is no line of the log."""
        with self.log_path.open("rb") as log:
            log.seek(max(0, self.log_path.stat().st_size - LOG_TAIL_OCTETS))
            lines = log.read().decode(errors="replace").splitlines()
        return next((line for line in reversed(lines) if line and not line.startswith("{")), "")


def codes(ended: Sequence[Ended]) -> dict[str, int]:
    """Return how often each exit code came."""
    return dict(Counter(str(end.code) for end in ended))


def signal_quietly(pid: int, number: signal.Signals) -> bool:
    """Signal a process that may be gone meanwhile; return whether it was there."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False
