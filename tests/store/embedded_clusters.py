"""Small clusters of a test's own, apart from the one that all tests share."""

from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg

from smsgate.store.embedded import EmbeddedPostgres, OnProgress

SMALL = {"shared_buffers": "16MB", "max_wal_size": "128MB", "min_wal_size": "80MB", "fsync": "off"}
DEADLINE_S = 30.0


def a_server(
    directory: Path, state: str = "state", *, on_progress: OnProgress = print, keep_running: bool = False
) -> EmbeddedPostgres:
    return EmbeddedPostgres(
        directory / state,
        settings=SMALL,
        system_dir=directory / "system",
        on_progress=on_progress,
        keep_running=keep_running,
    )


async def execute(server: EmbeddedPostgres, sql: str) -> object:
    connection = await asyncpg.connect(**server.connect_args("sg_admin"))
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def modes(*paths: Path) -> list[tuple[int, int]]:
    return [(stat.S_IMODE(path.stat().st_mode), path.stat().st_uid) for path in paths]
