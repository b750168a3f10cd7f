"""What benchmarks end with: a loop as `smsgate run` has it, log lines that nobody reads, figures as JSON."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from smsgate.cli.exits import Exit
from smsgate.cli.sessions import silence_logs, until_ended
from smsgate.daemon.collector import calm_collector
from smsgate.telemetry.logs import configure_logs

T = TypeVar("T")


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run a benchmark; Ctrl-C and SIGTERM end it in order, with its database and its directory."""
    try:
        return until_ended(work, uvloop.new_event_loop)
    except KeyboardInterrupt:
        raise SystemExit(Exit.INTERRUPTED) from None
    except asyncio.CancelledError:
        raise SystemExit(Exit.TERMINATED) from None


def in_a_directory(work: Callable[[Path], Coroutine[Any, Any, dict[str, Any]]]) -> dict[str, Any]:
    """Run a benchmark in a directory that is removed after it."""
    directory = Path(tempfile.mkdtemp(prefix="smsgate-bench-"))
    directory.chmod(0o711)  # ours; PostgreSQL's own user, when root runs this, has to get in
    try:
        return run_to_end(work(directory))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def show(work: Coroutine[Any, Any, dict[str, Any]]) -> None:
    """Run a benchmark without log lines, and print what it found."""
    silence_logs()
    print(json.dumps(run_to_end(work), indent=2))


def show_as_daemon(work: Coroutine[Any, Any, dict[str, Any]]) -> None:
    """Run a benchmark as a daemon, and print what it found."""
    print(json.dumps(run_as_daemon(work), indent=2))


def run_as_daemon(work: Coroutine[Any, Any, T]) -> T:
    """Run with the collector and the log lines of a daemon, which cost what they cost there."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        configure_logs(form="json", stream=nowhere)
        calm_collector()
        return run_to_end(work)
