"""Files that are kept for a while: scratch is its maker's, whoever else sweeps the same directory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from structlog.testing import capture_logs

from smsgate.clock import SystemClock
from smsgate.flows.kept_files import SCRATCH, FileHousekeeping, KeptFiles
from smsgate.flows.loops import Loop

# Another process of ours that makes scratch in argv[1], says so, and waits for its death.
MAKER: Final = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from smsgate.clock import SystemClock
from smsgate.flows.kept_files import KeptFiles


async def main():
    async with KeptFiles(Path(sys.argv[1]), timedelta(1), 1, SystemClock()).scratch() as path:
        (path / "bill").write_text("half")
        print(path, flush=True)
        await asyncio.sleep(600)


asyncio.run(main())
"""


def files_in(directory: Path) -> KeptFiles:
    return KeptFiles(directory, timedelta(days=1), 1 << 20, SystemClock())


async def swept(files: KeptFiles) -> None:
    assert await files.keep_house() == 0


async def test_scratch_is_there_while_it_is_used_and_gone_afterwards(tmp_path: Path) -> None:
    mine, others = files_in(tmp_path), files_in(tmp_path)
    async with mine.scratch() as path:
        (path / "bill").write_text("half")
        await swept(others)
        assert (path / "bill").read_text() == "half"
    assert list(tmp_path.iterdir()) == []


async def test_scratch_of_another_process_is_let_alone_until_that_is_dead(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", MAKER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as maker:
        assert maker.stdout is not None
        path = Path((await asyncio.to_thread(maker.stdout.readline)).strip())
        assert path.name.startswith(SCRATCH)
        await swept(files_in(tmp_path))
        assert (path / "bill").read_text() == "half"
        maker.kill()
        maker.wait()
    await swept(files_in(tmp_path))
    assert not path.exists()


async def test_a_directory_that_cannot_be_swept_is_told_and_neither_ends_the_loop_nor_keeps_others(
    tmp_path: Path,
) -> None:
    """A file system that was mounted for reading only would end the process, and the next one as well."""
    (tmp_path / "file").write_text("no directory")
    (tmp_path / "packs").mkdir()
    old = tmp_path / "packs" / "old.zip"
    old.write_text("a month")
    os.utime(old, (0, 0))
    housekeeping = FileHousekeeping(
        {"usage_file": files_in(tmp_path / "file" / "usage"), "dispute_pack": files_in(tmp_path / "packs")}
    )
    loop = Loop("files", housekeeping.step, SystemClock(), interval_s=60.0)
    with capture_logs() as lines:
        running = asyncio.create_task(loop.run())
        async with asyncio.timeout(10.0):
            while housekeeping.removed["dispute_pack"] != 1 and not running.done():
                await asyncio.sleep(0.01)
        loop.stop()
        await running
    assert not old.exists()
    (told, done) = lines
    assert (told["event"], told["log_level"], told["rule"]) == ("files_not_removed", "warning", "usage_file")
    assert "Not a directory" in told["error"]
    assert (done["event"], done["dispute_pack"]) == ("files_removed", 1)


NOBODY: Final = 65_534


@contextlib.contextmanager
def as_nobody(directory: Path) -> Iterator[None]:
    """Go on as a user who may do anything in the directory, and nothing with what others keep there."""
    if os.geteuid():
        yield
        return
    os.chown(directory, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


async def test_what_somebody_else_keeps_there_stays_and_stops_no_sweep(reachable_dir: Path) -> None:
    """A volume brings its lost+found along, and scratch of another user cannot be opened."""
    directory = reachable_dir / "usage"
    foreign = [directory / "lost+found", directory / f"{SCRATCH}others", directory / "notes"]
    for each in foreign:
        (each / "within").mkdir(parents=True)
    if not os.geteuid():
        os.chown(foreign[2], NOBODY, NOBODY)
    foreign[1].chmod(0o000)
    old = directory / "old.csv"
    old.write_text("a month")
    os.utime(old, (0, 0))
    with as_nobody(directory):
        assert await files_in(directory).keep_house() == 1
    foreign[1].chmod(0o700)
    assert sorted(directory.iterdir()) == sorted(foreign)
    assert all((each / "within").is_dir() for each in foreign)
