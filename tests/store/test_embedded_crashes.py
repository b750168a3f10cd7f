"""The embedded server whose own processes die or hang: it is there again, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import asyncpg

from smsgate.store import embedded_server
from smsgate.store.embedded import EmbeddedPostgres
from tests.store.embedded_clusters import a_server, execute

HANGING_S = (
    embedded_server.STUCK_S + 20.0
)  # what the immediate stop itself takes, on a machine that does other things

KNOCK_S = 0.02


def processes(data_dir: Path) -> dict[str, int]:
    """Return the server's processes by what each calls itself, such as "checkpointer"."""
    pids = embedded_server.orphans(data_dir)
    titles = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0 ").decode() for pid in pids}
    return {title.removeprefix("postgres: "): pid for pid, title in titles.items()}


async def test_a_server_that_hangs_while_it_stops_is_stopped_hard_and_keeps_what_was_committed(
    reachable_dir: Path,
) -> None:
    server = a_server(reachable_dir)
    await server.start()
    await execute(server, "CREATE TABLE t AS SELECT 42 AS n")
    os.kill(processes(server.data_dir)["checkpointer"], signal.SIGSTOP)
    began = time.monotonic()
    assert await server.close() is True
    assert embedded_server.STUCK_S < time.monotonic() - began < HANGING_S
    assert embedded_server.find(server.data_dir) is None
    async with a_server(reachable_dir) as again:
        assert await execute(again, "SELECT n FROM t") == 42


async def test_clients_that_knock_at_a_hanging_server_are_no_sign_of_its_life(reachable_dir: Path) -> None:
    """The roles of other processes try to connect all the while, and each try costs the server some CPU."""
    server = a_server(reachable_dir)
    await server.start()
    os.kill(processes(server.data_dir)["checkpointer"], signal.SIGSTOP)
    args = server.connect_args("sg_admin")

    async def knock() -> None:
        while True:
            with contextlib.suppress(asyncpg.PostgresError, OSError):
                await (await asyncpg.connect(**args)).close()
            await asyncio.sleep(KNOCK_S)

    knocking = asyncio.create_task(knock())
    began = time.monotonic()
    try:
        assert await server.close() is True
    finally:
        knocking.cancel()
    assert time.monotonic() - began < HANGING_S


async def test_a_client_may_call_itself_whatever_it_likes_while_a_server_stops(reachable_dir: Path) -> None:
    """A process's title names user and database as the client's first packet has them: any octets."""
    program = reachable_dir / "postgres"
    shutil.copy(shutil.which("sleep") or "", program)
    with subprocess.Popen(
        [b"postgres: \xff\xfe sms", b"60"], executable=program, cwd=reachable_dir
    ) as client:
        try:
            assert embedded_server.orphans(reachable_dir) == [client.pid]
            assert b"\xff\xfe" in Path(f"/proc/{client.pid}/cmdline").read_bytes()
            assert embedded_server._work_done(reachable_dir) == []
        finally:
            client.kill()


async def test_a_stop_right_after_the_death_of_a_backend_comes_to_an_end(reachable_dir: Path) -> None:
    """PostgreSQL 18 hangs when it is asked to stop while it recovers; found by `make chaos`."""
    # Durable: then the recovery begins with a look at every file, and lasts long enough to be met.
    server = EmbeddedPostgres(reachable_dir / "state", system_dir=reachable_dir / "system")
    await server.start()
    connection = await asyncpg.connect(**server.connect_args("sg_admin"))
    os.kill(await connection.fetchval("SELECT pg_backend_pid()"), signal.SIGKILL)
    connection.terminate()
    began = time.monotonic()
    assert await server.close() is True
    assert time.monotonic() - began < HANGING_S
    assert embedded_server.find(server.data_dir) is None


async def test_a_start_waits_for_a_server_that_recovers_from_the_death_of_a_backend(
    reachable_dir: Path,
) -> None:
    async with EmbeddedPostgres(reachable_dir / "state", system_dir=reachable_dir / "system") as server:
        connection = await asyncpg.connect(**server.connect_args("sg_admin"))
        os.kill(await connection.fetchval("SELECT pg_backend_pid()"), signal.SIGKILL)
        connection.terminate()
        async with a_server(reachable_dir) as second:
            assert not second.started
            assert await execute(second, "SELECT 1") == 1
