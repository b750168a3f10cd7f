"""What benchmarks end with: a loop as `smsgate run` has it, log lines that nobody reads, figures as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from smsgate.cli.sessions import silence_logs
from smsgate.daemon.collector import calm_collector
from smsgate.telemetry.logs import configure_logs

T = TypeVar("T")


def show(work: Coroutine[Any, Any, dict[str, Any]]) -> None:
    """Run a benchmark without log lines, and print what it found."""
    silence_logs()
    print(json.dumps(uvloop.run(work), indent=2))


def show_as_daemon(work: Coroutine[Any, Any, dict[str, Any]]) -> None:
    """Run a benchmark as a daemon, and print what it found."""
    print(json.dumps(run_as_daemon(work), indent=2))


def run_as_daemon(work: Coroutine[Any, Any, T]) -> T:
    """Run with the collector and the log lines of a daemon, which cost what they cost there."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        configure_logs(form="json", stream=nowhere)
        calm_collector()
        return uvloop.run(work)
