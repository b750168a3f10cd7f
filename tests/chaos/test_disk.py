"""
A disk that is full, and one that is slow: back-pressure, a clear alarm, and recovery by itself.

The full disk is a small file system in memory of the test's own, which takes root to mount. The slow one is
PostgreSQL's own `commit_delay`: every commit takes 50 ms longer.
"""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from smsgate.daemon.disk import space_of
from tests.chaos.books import read_smsc, read_tables
from tests.chaos.proof import Check, prove
from tests.chaos.story import until_quiet
from tests.chaos.town import IN_DOUBT_MAX, Town, a_town
from tests.chaos.traffic import Traffic, settle_in
from tests.chaos.waiting import Waits, time_passes

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(420)]

DISK_MIB = 400
FLOOR_MIB = 48
SMALL_WAL = "max_wal_size = 64MB\nmin_wal_size = 32MB\nshared_buffers = 32MB\n"
SLOW_COMMITS = "commit_delay = 50000\ncommit_siblings = 0\n"
GROUPS = 10
RSS_MIB_MAX = 300
HELD_S = 8.0  # longer than the node's lease


@pytest.fixture
def small_disk() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="smsgate-disk-"))
    options = f"size={DISK_MIB}m,mode=711"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
        directory.rmdir()


async def test_a_full_disk_stops_what_is_new_and_all_goes_on_by_itself_when_there_is_room(
    small_disk: Path,
) -> None:
    changes = {"disk_floor_mib": FLOOR_MIB}
    async with (
        a_town(
            5, state_dir=small_disk / "var", local_conf=SMALL_WAL, changes=changes, one_process=True
        ) as town,
        time_passes(town) as waits,
    ):
        async with traffic_in(town) as traffic:
            await asyncio.sleep(4.0)
            for left_mib in (FLOOR_MIB // 2, 0):
                await full_for_a_while(town, small_disk / "ballast", left_mib)
        wrong = broken(await proved(town, traffic, waits))
        assert not wrong, wrong
        assert town.gateway.lives == 1, "nobody had to start it again"


async def full_for_a_while(town: Town, ballast: Path, left_mib: int) -> None:
    """Fill the disk until so much is left, look at what the gateway does, and make room again."""
    alarms = said(town, "disk_full"), said(town, "disk_has_room")
    fill(ballast, left_mib)
    await eventually(lambda: said(town, "disk_full") > alarms[0])
    assert await town.ask_status("/readyz") == 503
    assert await town.ask_status("/livez") == 200
    await asyncio.sleep(HELD_S)
    before = submits(town)
    assert (await metrics(town))["smsgate_disk_full"] == 1.0
    assert rss_mib(town.gateway.pid) < RSS_MIB_MAX
    await asyncio.sleep(2.0)
    assert submits(town) - before <= IN_DOUBT_MAX, "nothing new is claimed"
    ballast.unlink()
    await eventually(lambda: said(town, "disk_has_room") > alarms[1])
    await town.ready()
    await eventually(lambda: submits(town) > before + GROUPS)


async def test_commits_that_take_50_ms_slow_nothing_down_but_themselves() -> None:
    async with (
        a_town(6, local_conf=SLOW_COMMITS, one_process=True) as town,
        time_passes(town) as waits,
    ):
        async with traffic_in(town) as traffic:
            await asyncio.sleep(8.0)
            found = await metrics(town)
            assert rss_mib(town.gateway.pid) < RSS_MIB_MAX
        # A commit that joins another one's wait returns sooner; without the delay half take some 5 ms.
        assert found['smsgate_flush_seconds{quantile="0.99"}'] >= 0.05
        assert found['smsgate_flush_seconds{quantile="0.5"}'] >= 0.02
        assert found["smsgate_uncommitted"] <= IN_DOUBT_MAX
        wrong = broken(await proved(town, traffic, waits))
        assert not wrong, wrong
        assert town.gateway.lives == 1


@asynccontextmanager
async def traffic_in(town: Town) -> AsyncIterator[Traffic]:
    traffic, stop = await settle_in(town, GROUPS, 5), asyncio.Event()
    sending = asyncio.create_task(traffic.run(stop, 1.5))
    try:
        yield traffic
    finally:
        stop.set()
        await sending


async def proved(town: Town, traffic: Traffic, waits: Waits) -> list[Check]:
    await until_quiet(town)
    async with town.database() as connection:
        tables = await read_tables(connection)
    groups = {mark: traffic.groups[number] for mark, number in traffic.group_of.items()}
    return prove(
        read_smsc(town.journal),
        tables,
        town.shop,
        groups=groups,
        campaigns=len(traffic.campaigns),
        cap=IN_DOUBT_MAX,
        deaths=[],
        waits=waits,
    )


def broken(checks: list[Check]) -> list[Check]:
    return [check for check in checks if not check.ok]


def fill(path: Path, left_mib: int) -> None:
    """Write until so much is left; 0: until nothing more goes in."""
    piece = b"\1" * 65_536
    with path.open("wb", buffering=0) as file:
        try:
            while not left_mib or space_of(path.parent).free > left_mib << 20:
                file.write(piece)
        except OSError:
            return


def said(town: Town, event: str) -> int:
    """Return how often the gateway's log has this event."""
    return town.gateway.log_path.read_text().count(f'"event":"{event}"')


def submits(town: Town) -> int:
    return town.journal.read_bytes().count(b'"event":"submit"')


def rss_mib(pid: int) -> int:
    """Return the resident size (proc(5): statm counts pages)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4_096 >> 20


async def metrics(town: Town) -> dict[str, float]:
    """Return the metrics of the one process."""
    async with town.session.get(town.base_url + "/metrics") as response:
        lines = (await response.text()).splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if name[:1] != "#"
    }


async def eventually(condition: object, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)
