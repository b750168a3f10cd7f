"""A benchmark that is ended takes its database down and its directory away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command_shell import LIMIT_S, until

ROOT = Path(__file__).parents[2]
START_LIMIT_S = 150.0  # of a new database, on a machine that does much else
# A shell that runs the tests in the background may have SIGINT ignored, for their children too.
HEARD = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
BENCH = ("smsgate", "bench", "--messages", "500000", "--rate", "100")


@pytest.fixture
def directory() -> Iterator[Path]:
    """Make a directory that PostgreSQL's own user can reach, when root runs this."""
    with tempfile.TemporaryDirectory(prefix="smsgate-ended-") as made:
        Path(made).chmod(0o711)
        yield Path(made)


@pytest.mark.timeout(2 * START_LIMIT_S)
@pytest.mark.parametrize(
    ("module", "number", "code", "made"),
    [
        (BENCH, signal.SIGTERM, 143, False),
        (BENCH, signal.SIGINT, 130, True),
        (("benchmarks.exporting", "--rows", "5000000"), signal.SIGTERM, 143, True),
    ],
)
def test_what_was_ended_leaves_neither_a_server_nor_a_directory(
    directory: Path, module: tuple[str, ...], number: signal.Signals, code: int, made: bool
) -> None:
    """`made`: the database is; else the signal comes while its files are written."""
    process = subprocess.Popen(
        [sys.executable, "-c", HEARD, *module],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(directory)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: process.poll() is not None or _server(directory, made=made), START_LIMIT_S)
        server = _server(directory, made=made)
        assert server, process.poll()
        process.send_signal(number)
        if number is signal.SIGTERM:
            process.send_signal(number)  # once more, as who is in a hurry does
        assert process.wait(LIMIT_S) == code
        assert list(directory.glob("smsgate-bench-*")) == []
        until(lambda: not _runs(server))  # it is gone from its files a moment before it is as a process
    finally:
        process.kill()
        process.wait()


def _server(directory: Path, *, made: bool) -> int:
    """Return the process id of the PostgreSQL below `directory`, or of what makes its files; 0: none."""
    for found in directory.glob("smsgate-bench-*/state/*/postmaster.pid"):
        try:
            lines = found.read_text().splitlines()
        except FileNotFoundError:  # the server stopped, or its directory got its final name
            continue
        if lines and (found.parent.name == "postgres") == made == ("ready   " in lines):
            return abs(int(lines[0]))
    return 0


def _runs(process_id: int) -> bool:
    """Return whether a process is there, and not a dead one that nobody has asked about."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
