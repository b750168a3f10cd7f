"""The embedded PostgreSQL: who gets in, what survives, what waits. Each test has a cluster of its own."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from smsgate.errors import StoreNotReady
from smsgate.store import embedded, embedded_server
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.embedded_memory import memory_octets, shared_buffers
from smsgate.store.embedded_paths import (
    SOCKET_PATH_MAX,
    OsUser,
    make_private_dir,
    plan,
)
from tests.store.embedded_clusters import a_server, execute, until


async def test_data_survive_a_restart_and_the_last_one_stops_the_server(reachable_dir: Path) -> None:
    async with a_server(reachable_dir) as server:
        await execute(server, "CREATE TABLE t AS SELECT 42 AS n")
        assert await execute(server, "SHOW data_checksums") == "on"
        assert await execute(server, "SELECT datcollate || pg_encoding_to_char(encoding) FROM pg_database "
                                     "WHERE datname = current_database()") == "CUTF8"  # fmt: skip
    assert embedded_server.find(server.data_dir) is None
    async with a_server(reachable_dir) as server:
        assert server.started
        assert await execute(server, "SELECT n FROM t") == 42


async def test_nothing_listens_on_tcp_and_the_settings_are_durable(reachable_dir: Path) -> None:
    async with EmbeddedPostgres(reachable_dir / "state", system_dir=reachable_dir / "system") as server:
        for name, value in {
            "listen_addresses": "",
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "autovacuum": "on",
            "max_wal_size": "4GB",
            "logging_collector": "on",
            "log_error_verbosity": "terse",
        }.items():
            assert await execute(server, f"SHOW {name}") == value
        held = await execute(server, "SELECT pg_size_bytes(current_setting('shared_buffers')) / 1048576")
        assert f"{held}MB" == shared_buffers(memory_octets())
        assert await execute(server, "SELECT count(*) FROM pg_hba_file_rules WHERE type <> 'local' OR "
                                     "auth_method <> 'peer' OR error IS NOT NULL") == 0  # fmt: skip
        assert (
            await execute(server, "SELECT count(*) FROM pg_ident_file_mappings WHERE error IS NOT NULL") == 0
        )
        assert list((server.data_dir / "log").glob("postgresql-*.log"))


async def test_a_killed_server_recovers_and_says_how_far_it_is(
    reachable_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "REPORT_INTERVAL_S", 0.0)
    async with a_server(reachable_dir) as server:
        await execute(server, "CREATE TABLE t AS SELECT generate_series(1, 200000) AS n")
        postmaster = embedded_server.find(server.data_dir)
        assert postmaster is not None
        os.kill(postmaster.pid, signal.SIGKILL)
        said: list[str] = []
        async with a_server(reachable_dir, on_progress=said.append) as again:
            assert again.started
            assert await execute(again, "SELECT count(*) FROM t") == 200_000
        assert any("so far" in sentence for sentence in said)
        assert any("The database is starting: " in sentence for sentence in said)


async def test_a_guarded_server_that_is_killed_runs_again_with_its_data(reachable_dir: Path) -> None:
    said: list[str] = []
    async with a_server(reachable_dir, on_progress=said.append) as server, server.guarded():
        await execute(server, "CREATE TABLE t AS SELECT 42 AS n")
        before = embedded_server.find(server.data_dir)
        assert before is not None
        os.kill(before.pid, signal.SIGKILL)
        await until(lambda: "The database server runs again" in said)
        assert await execute(server, "SELECT n FROM t") == 42
    assert embedded_server.find(server.data_dir) is None, "the last one to leave still stops it"


async def test_a_guard_makes_no_empty_database_where_the_data_are_gone(reachable_dir: Path) -> None:
    said: list[str] = []
    async with a_server(reachable_dir, on_progress=said.append) as server, server.guarded():
        before = embedded_server.find(server.data_dir)
        assert before is not None
        server.data_dir.rename(server.data_dir.with_name("moved"))
        os.kill(before.pid, signal.SIGKILL)
        await until(lambda: any("is gone" in sentence for sentence in said))
        assert not server.data_dir.exists()


async def test_a_server_that_outlived_its_gateway_is_found_and_used(reachable_dir: Path) -> None:
    """kill -9 of the gateway leaves PostgreSQL running."""
    script = (
        "import asyncio, os, sys; from pathlib import Path; from smsgate.store.embedded import "
        "EmbeddedPostgres\n"
        "asyncio.run(EmbeddedPostgres(Path(sys.argv[1]), settings={'shared_buffers': '16MB', 'fsync': 'off'},"
        " system_dir=Path(sys.argv[2])).start()); os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", script, str(reachable_dir / "state"), str(reachable_dir / "system")]
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == -signal.SIGKILL
    left = embedded_server.find(reachable_dir / "state" / "postgres")
    assert left is not None
    async with a_server(reachable_dir) as server:
        assert not server.started
        assert embedded_server.find(server.data_dir) == left
        assert await execute(server, "SELECT 1") == 1
    assert embedded_server.find(server.data_dir) is None


async def test_two_starters_at_once_get_one_server_and_the_last_one_stops_it(reachable_dir: Path) -> None:
    first, second = a_server(reachable_dir), a_server(reachable_dir)
    await asyncio.gather(first.start(), second.start())
    assert sorted([first.started, second.started]) == [False, True]
    assert first.connect_args("sg_api") == second.connect_args("sg_api")
    assert await first.close() is False
    assert await execute(second, "SELECT 1") == 1
    assert await second.close() is True
    assert await second.close() is False


async def test_keep_running_leaves_the_server_for_the_next(reachable_dir: Path) -> None:
    async with a_server(reachable_dir, keep_running=True) as server:
        pass
    assert embedded_server.find(server.data_dir) is not None
    async with a_server(reachable_dir) as server:
        assert not server.started


@pytest.mark.parametrize("left", ["a stranger's", "1", "999999999", "not a number", ""])
async def test_a_pid_file_that_a_crash_of_the_machine_left_stops_nobody(
    reachable_dir: Path, left: str
) -> None:
    async with a_server(reachable_dir) as server:
        pass
    run_dir = Path(server.connect_args("sg_admin")["host"])
    # The number went to another process of PostgreSQL's own user: by itself PostgreSQL would refuse to start.
    stranger = subprocess.Popen(["sleep", "60"], user=server.data_dir.stat().st_uid, cwd="/")
    try:
        pid = str(stranger.pid) if left == "a stranger's" else left
        lines = [pid, str(server.data_dir), "1700000000", "5432", str(run_dir), "", "  12345678   0", "ready"]
        (server.data_dir / "postmaster.pid").write_text("\n".join(lines))
        (run_dir / ".s.PGSQL.5432.lock").write_text("\n".join(lines))
        async with a_server(reachable_dir) as again:
            assert again.started
            assert await execute(again, "SELECT 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_data_of_another_major_version_are_refused_with_a_sentence(reachable_dir: Path) -> None:
    data = reachable_dir / "state" / "postgres"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n")
    with pytest.raises(StoreNotReady, match=r"PostgreSQL 16.*PostgreSQL 18"):
        await a_server(reachable_dir).start()


async def test_a_server_that_cannot_start_gives_its_own_reason_and_frees_the_locks(
    reachable_dir: Path,
) -> None:
    async with a_server(reachable_dir) as server:
        pass
    (server.data_dir / "local.conf").write_text("shared_buffers = '4 elephants'\n")
    with pytest.raises(StoreNotReady, match=r"elephants|configuration file"):
        await a_server(reachable_dir).start()
    (server.data_dir / "local.conf").unlink()
    async with a_server(reachable_dir) as again:
        assert again.started


async def test_an_interrupted_initdb_is_thrown_away(reachable_dir: Path) -> None:
    fresh = reachable_dir / "state" / "postgres.new"
    fresh.mkdir(parents=True)
    (reachable_dir / "state").chmod(0o711)
    (fresh / "half").touch()
    async with a_server(reachable_dir) as server:
        assert not fresh.exists()
        assert await execute(server, "SELECT 1") == 1


async def test_a_cancelled_start_leaves_no_server(reachable_dir: Path) -> None:
    async with a_server(reachable_dir) as server:
        pass
    starting = a_server(reachable_dir)
    task = asyncio.create_task(starting.start())
    await until(lambda: starting.started or task.done())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert embedded_server.find(server.data_dir) is None


async def test_a_path_too_long_for_a_socket_gets_a_directory_of_our_own_under_the_temp_folder(
    reachable_dir: Path,
) -> None:
    long = "x" * (SOCKET_PATH_MAX - len(str(reachable_dir)) - 10)
    async with a_server(reachable_dir, long) as server:
        run_dir = Path(server.connect_args("sg_admin")["host"])
        assert run_dir.parent == Path(tempfile.gettempdir()).resolve()
        assert stat.S_IMODE(run_dir.stat().st_mode) == 0o700
        assert run_dir.stat().st_uid == server.data_dir.stat().st_uid
        assert await execute(server, "SELECT 1") == 1
    run_dir.rmdir()


def test_no_place_short_enough_is_a_sentence(reachable_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = reachable_dir / ("x" * 100)
    deep.mkdir(mode=0o711)
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with pytest.raises(StoreNotReady, match="longer than a socket's path may be"):
        plan(deep, reachable_dir / "system")


@pytest.mark.parametrize("trap", ["open", "link", "file"])
def test_a_socket_directory_that_somebody_else_prepared_is_refused(reachable_dir: Path, trap: str) -> None:
    me = pwd.getpwuid(os.geteuid())
    path = reachable_dir / "run"
    if trap == "open":
        path.mkdir()
        path.chmod(0o777)
    elif trap == "link":
        (reachable_dir / "elsewhere").mkdir(mode=0o700)
        path.symlink_to(reachable_dir / "elsewhere")
    else:
        path.touch()
    before = path.lstat().st_mode
    with pytest.raises(StoreNotReady, match="remove it"):
        make_private_dir(path, OsUser(me.pw_name, me.pw_uid, me.pw_gid))
    assert path.lstat().st_mode == before
