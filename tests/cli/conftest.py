from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from smsgate.store.embedded import EmbeddedPostgres
from tests.cli.command_shell import Running, Shell

SMALL = {"shared_buffers": "32MB"}
MEMORY_DISK = Path("/dev/shm")
MEMORY_DISK_FREE_MIN = 1 << 30  # octets


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    """Make a directory that PostgreSQL's own user can reach."""
    roomy = MEMORY_DISK.is_dir() and shutil.disk_usage(MEMORY_DISK).free >= MEMORY_DISK_FREE_MIN
    made = Path(tempfile.mkdtemp(prefix="smsgate-cli-", dir=MEMORY_DISK if roomy else None))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def shell(directory: Path) -> Iterator[Shell]:
    """Give a shell whose database runs all the time, as beside a daemon: commands find it and are quick."""
    found = Shell(directory)
    server = EmbeddedPostgres(found.state_dir, settings=SMALL)
    with ThreadPoolExecutor(1) as thread:  # the loops of the tests are not touched
        thread.submit(asyncio.run, server.start()).result()
        try:
            found.ok("migrate")
            yield found
        finally:
            thread.submit(asyncio.run, server.close()).result()


@pytest.fixture
def started(shell: Shell) -> Iterator[Callable[..., Running]]:
    """Start commands that run until they are told; whatever is left at the end is killed."""
    running: list[Running] = []

    def start(*arguments: str) -> Running:
        running.append(shell.start(*arguments))
        return running[-1]

    yield start
    for each in running:
        each.close()
