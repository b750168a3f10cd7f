"""The real command, run as a person runs it: a process of its own, in a directory of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cli.forked_command import run_forked

COMMAND = (sys.executable, "-m", "smsgate")
LIMIT_S = 60.0


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Shell:
    """A working directory with its own state; `extra` is what this shell exports."""

    cwd: Path
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def state_dir(self) -> Path:
        return self.cwd / "var"

    def environment(self, more: dict[str, str] | None = None) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SMSGATE_")}
        return {**kept, "COLUMNS": "100", **self.extra, **(more or {})}

    def run(self, *arguments: str, stdin: str | None = None, env: dict[str, str] | None = None) -> Outcome:
        return Outcome(*run_forked(arguments, self.cwd, self.environment(env), stdin or "", LIMIT_S))

    def ok(self, *arguments: str, stdin: str | None = None) -> Outcome:
        outcome = self.run(*arguments, stdin=stdin)
        assert outcome.code == 0, outcome
        return outcome

    def start(self, *arguments: str) -> Running:
        out, err = (tempfile.TemporaryFile("w+") for _ in range(2))  # noqa: SIM115  # closed by Running
        process = subprocess.Popen(
            [*COMMAND, *arguments], cwd=self.cwd, env=self.environment(), stdout=out, stderr=err, text=True
        )
        return Running(process, out, err)


@dataclass
class Running:
    process: subprocess.Popen[str]
    _out: Any
    _err: Any

    @property
    def out(self) -> str:
        return _content(self._out)

    @property
    def err(self) -> str:
        return _content(self._err)

    def await_line(self, text: str) -> None:
        until(lambda: text in self.out + self.err or self.process.poll() is not None)
        assert text in self.out + self.err, (self.process.poll(), self.out, self.err)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(LIMIT_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(LIMIT_S)
        self._out.close()
        self._err.close()


def _content(file: Any) -> str:
    return os.pread(file.fileno(), 1 << 20, 0).decode(errors="replace")


def until(condition: Callable[[], Any], limit_s: float = LIMIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody has now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports
