"""Processes of a test: their lines read as they come, and none of them left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")

HERE = Path(__file__).parent
SMSGATE = str(Path(sys.executable).with_name("smsgate"))  # the console command, as people start it
DEADLINE_S = 60.0
LIMIT_S = 400.0  # of a test that starts a gateway: its commands alone take 20 s on a busy machine
POLL_S = 0.03  # an API key may ask 100 times a second
TAIL_LINES = 20  # of a child's output, in a failure


def node_command(script: str, *args: str) -> list[str]:
    node = shutil.which("node")
    assert node is not None, "Node.js is missing: run tests/interop/install"
    assert (HERE / "node_modules" / "smpp05").is_dir(), (
        "the npm packages are missing: run tests/interop/install"
    )
    return [node, str(HERE / script), *args]


def environment(**more: str) -> dict[str, str]:
    """Return our own environment without what would configure smsgate."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SMSGATE_")}
    return {**ours, **more}


def until(condition: Callable[[], T], what: str | Callable[[], str]) -> T:
    """Return the first true value of `condition`; fail after DEADLINE_S, saying `what`."""
    ends_at = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        if time.monotonic() >= ends_at:
            missing = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {DEADLINE_S:.0f} s: {missing}")
        time.sleep(POLL_S)
    return found


class Child:
    """
    A child process, killed with all its group when its `with` ends.

    Every line that it writes is in `lines`; those that are a JSON object with "event" are in `events` too.
    """

    def __init__(self, command: Sequence[str], *, cwd: Path | None = None, **env: str) -> None:
        self.lines: list[str] = []
        self.events: list[dict[str, Any]] = []
        self._command = command
        self._may_read = threading.Lock()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            cwd=cwd,
            env=environment(**env),
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        if exc is not None:
            told = [line for line in self.lines if "http_request" not in line]
            exc.add_note("\n".join([f"-- {' '.join(self._command)}", *told[-TAIL_LINES:]]))

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._may_read:
                self.lines.append(line.rstrip("\n"))
                if line.startswith("{"):
                    found = json.loads(line)
                    if "event" in found:
                        self.events.append(found)

    def tell(self, do: str, **facts: object) -> None:
        """Write one order to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **facts}) + "\n")
        self._process.stdin.flush()

    def seen(self, event: str, **facts: object) -> list[dict[str, Any]]:
        """Return its events of that kind, with these facts."""
        return [
            found
            for found in list(self.events)
            if found["event"] == event and all(found.get(key) == value for key, value in facts.items())
        ]

    def wait_for(self, event: str, count: int = 1, **facts: object) -> list[dict[str, Any]]:
        """Wait until it has told `count` such events; return them."""

        def enough() -> bool:
            all_read = self._ended()
            found = len(self.seen(event, **facts))
            assert found or not all_read, f"it ended without {event}"
            return found >= count

        until(enough, f"{count} x {event} {facts}")
        return self.seen(event, **facts)

    def wait_for_line(self, text: str) -> str:
        """Wait until it has written a line with `text` in it; return that line."""

        def line() -> str | None:
            all_read = self._ended()
            found = next((line for line in list(self.lines) if text in line), None)
            assert found or not all_read, f"it ended without saying {text!r}"
            return found

        return until(line, text) or ""

    def _ended(self) -> bool:
        """Return whether it has ended and all that it wrote is read."""
        return self._process.poll() is not None and not self._reader.is_alive()

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Let it do nothing: what is sent and told meanwhile comes to it all at once."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    @contextmanager
    def unread(self) -> Iterator[None]:
        """Read nothing of what it writes: a pipe holds some of it, and then it has to wait."""
        with self._may_read:
            yield

    def send_sigterm(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def exit_code(self) -> int:
        """Wait until it has ended, and until all that it wrote is read."""
        code = self._process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        return code

    def terminate(self) -> int:
        self.send_sigterm()
        return self.exit_code()
