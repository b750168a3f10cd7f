"""A disk that fills up and gets room again, as numbers: no disk, no clock."""

from __future__ import annotations

from structlog.testing import capture_logs

from smsgate.flows.disk import AGAIN_FACTOR, LOW_FACTOR, DiskGuard, DiskSpace

MIB = 1 << 20
FLOOR = 100 * MIB
TOTAL = 10_000 * MIB


async def looks(*free_mib: int) -> tuple[list[bool], list[str]]:
    """Look once at each of these; return what was told, and the alarms."""
    told: list[bool] = []
    left = iter(free_mib)
    guard = DiskGuard(lambda: DiskSpace(next(left) * MIB, TOTAL), FLOOR, told.append)
    with capture_logs() as logs:
        for _ in free_mib:
            await guard.step()
    return told, [entry["event"] for entry in logs]


async def test_an_alarm_comes_before_the_floor_and_once() -> None:
    low = 100 * LOW_FACTOR
    assert await looks(low, low - 1, low - 2, low, low - 1) == ([], ["disk_low", "disk_low"])


async def test_below_the_floor_it_is_full_until_there_is_clearly_room() -> None:
    again = int(100 * AGAIN_FACTOR)
    told, alarms = await looks(100, 99, 50, 100, again - 1, again, 99)
    assert told == [True, False, True]
    assert alarms == ["disk_low", "disk_full", "disk_has_room", "disk_full"]


async def test_a_disk_that_cannot_be_asked_changes_nothing() -> None:
    told: list[bool] = []

    def gone() -> DiskSpace:
        raise OSError(5, "Input/output error")

    guard = DiskGuard(gone, FLOOR, told.append)
    with capture_logs() as logs:
        await guard.step()
    assert (told, guard.full, [entry["event"] for entry in logs]) == ([], False, ["disk_not_read"])
