"""
The steps of one embedded PostgreSQL server: make the data directory, start, look, stop. Blocking: call in a
thread.

Whoever owns the data directory writes in it: when smsgate runs as root every file there is written through
that user, so that a link planted there by a broken server cannot aim root's pen at another file.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smsgate.errors import StoreNotReady
from smsgate.store.embedded_memory import memory_octets, shared_buffers
from smsgate.store.embedded_paths import PG_MAJOR, SOCKET_NAME, Layout, make_private_dir, read_text, run_as
from smsgate.store.roles import ADMIN, ROLES

START_LOG: Final = "start.log"  # what the server says until its own log is open
PORT: Final = 5432  # names the socket file; nothing listens on TCP
IDENT_MAP: Final = "smsgate"
INITDB_TIMEOUT_S: Final = 300.0
# A fast stop writes a checkpoint; a slow disk may need minutes for max_wal_size.
STOP_TIMEOUT_S: Final = 300.0
# A stopping server that neither recovered nor wrote its last checkpoint for so long hangs. PostgreSQL 18
# does when it is asked to stop while it recovers from the death of a backend.
STUCK_S: Final = 5.0
STOP_LOOK_S: Final = 0.05
WORKERS_OF_A_STOP: Final = ("postgres: startup", "postgres: checkpointer")  # titles, as ps shows them
LOG_TAIL_OCTETS: Final = 20_000

SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    # Durable: an answer to a carrier or a shop leaves after its commit, so a commit must survive the machine.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_wal_size": "4GB",
    "min_wal_size": "256MB",
    "wal_compression": "off",
    "checkpoint_timeout": "15min",
    # What sessions write for want of room among the buffers goes to the disk soon. Else the kernel keeps it
    # for half a minute, and commits wait when it writes all of it: some 500 MB at 38,580 messages a second.
    "backend_flush_after": "2MB",
    "autovacuum": "on",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgresql-%a.log",  # one file a weekday, overwritten a week later
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
    "log_file_mode": "0600",
    "log_startup_progress_interval": "2s",  # recovery says how far it is, and so can we
    "log_line_prefix": "%m [%p] %q%u@%d %a ",
    # A statement's parameters are texts and numbers of persons: they stay out of the log.
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What postmaster.pid says about a live server; `status` is starting, ready or stopping."""

    pid: int
    socket_dir: Path
    status: str


def initialise(layout: Layout, *, durable: bool) -> None:
    """
    Make the data directory; whole or not at all: an interrupted attempt is thrown away by the next.

    Raises:
        StoreNotReady: initdb failed, or something else is at the place.
    """
    fresh = layout.data_dir.with_name(layout.data_dir.name + ".new")
    if fresh.is_dir():
        shutil.rmtree(fresh)
    make_private_dir(fresh, layout.user)
    command = [str(layout.bin_dir / "initdb"), "-D", str(fresh), "-U", ADMIN, "--encoding=UTF8", "--locale=C"]
    command += ["--data-checksums", "--auth-local=peer", "--auth-host=reject", "--no-instructions"]
    run_as(layout.user, command if durable else [*command, "--no-sync"], timeout_s=INITDB_TIMEOUT_S)
    fresh.rename(layout.data_dir)


def check_major(layout: Layout) -> None:
    found = read_text(layout.data_dir / "PG_VERSION").strip()
    if found != str(PG_MAJOR):
        raise StoreNotReady(
            f"The database in {layout.data_dir} was made by PostgreSQL {found or 'of unknown version'}, and "
            "this smsgate "
            f"brings PostgreSQL {PG_MAJOR}: upgrade it with pg_upgrade, or start the smsgate that made it."
        )


def configure(layout: Layout, overrides: Mapping[str, str]) -> None:
    """Write the server's three files; an operator's own settings go to local.conf and win."""
    settings = {**SETTINGS, "shared_buffers": shared_buffers(memory_octets()), **overrides}
    directory = str(layout.run_dir).replace('"', '""')
    settings["unix_socket_directories"] = f'"{directory}"'
    lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in settings.items()]
    head = "# Written by smsgate at every start. Your own settings: local.conf, beside this file."
    _write(layout, "postgresql.conf", "\n".join([head, *lines, "include_if_exists = 'local.conf'", ""]))
    if not (layout.data_dir / "local.conf").exists():
        _write(layout, "local.conf", "# Your own PostgreSQL settings; they win over smsgate's.\n")
    _write(layout, "pg_hba.conf", f"local all all peer map={IDENT_MAP}\n")
    # Root can become anyone, so naming it opens nothing. `nobody` is shared with strangers: it is named only
    # when it starts smsgate itself, not when root lends it the data.
    lent = layout.user.name == "nobody" and os.geteuid() == 0
    users = dict.fromkeys(["root"] if lent else ["root", layout.user.name])
    pairs = [f'{IDENT_MAP} "{user}" {role}' for user in users for role in (ADMIN, *ROLES)]
    _write(layout, "pg_ident.conf", "\n".join([*pairs, ""]))


def _write(layout: Layout, name: str, text: str) -> None:
    path = str(layout.data_dir / name)
    run_as(layout.user, ["/bin/sh", "-c", 'cat > "$1.tmp" && mv -f "$1.tmp" "$1"', "sh", path], text_in=text)


def launch(layout: Layout) -> None:
    """Start the server and return at once; `find` sees it come up, `refusal` that it never will."""
    (layout.data_dir / START_LOG).unlink(missing_ok=True)
    command = [str(layout.bin_dir / "pg_ctl"), "start", "--no-wait", "--silent", "-D", str(layout.data_dir)]
    run_as(layout.user, [*command, "-l", str(layout.data_dir / START_LOG)])


def stop(layout: Layout) -> None:
    """
    Stop the server fast: clients are cut off, everything committed is on disk, no recovery later.

    Raises:
        StoreNotReady: it has not ended in STOP_TIMEOUT_S.
    """
    _ask_to_stop(layout, "fast")
    await_end(layout)


def await_end(layout: Layout) -> None:
    """
    Wait until a server that was asked to stop is gone; one that hangs is stopped hard, and recovers later.

    Raises:
        StoreNotReady: it has not ended in STOP_TIMEOUT_S.
    """
    began_at = moved_at = time.monotonic()
    mark: object = None
    while find(layout.data_dir) is not None:
        now = time.monotonic()
        if (fresh := _work_done(layout.data_dir)) != mark:
            mark, moved_at = fresh, now
        if now - moved_at > STUCK_S:
            _ask_to_stop(layout, "immediate")
            moved_at = now
        if now - began_at > STOP_TIMEOUT_S:
            raise StoreNotReady(f"The PostgreSQL of {layout.data_dir} has been stopping for too long.")
        time.sleep(STOP_LOOK_S)


def _ask_to_stop(layout: Layout, mode: str) -> None:
    command = [str(layout.bin_dir / "pg_ctl"), "stop", "-m", mode, "--silent", "--no-wait"]
    try:
        run_as(layout.user, [*command, "-D", str(layout.data_dir)])
    except StoreNotReady:
        if find(layout.data_dir) is not None:  # else it ended by itself meanwhile
            raise


def _work_done(data_dir: Path) -> object:
    """
    Return a value that changes as long as a stopping server does anything: the CPU time of whoever recovers
    and whoever writes the last checkpoint.

    Not of the others: the server itself, its logger and a process of each knocking client use the CPU for as
    long as clients try to connect.
    """
    if not Path("/proc/self/stat").exists():
        return time.monotonic()  # nobody can tell
    times: list[tuple[int, str, str]] = []
    for pid in orphans(data_dir):
        try:
            title = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")  # names whom a client says it is
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if not title.startswith(WORKERS_OF_A_STOP):
            continue
        if fields[0] == "D":
            return time.monotonic()  # waits for the disk
        times.append((pid, fields[11], fields[12]))  # utime, stime: proc(5)
    return times


def find(data_dir: Path) -> Postmaster | None:
    """
    Return the live server of this data directory; None when there is none, whatever postmaster.pid
    says.
    """
    lines = read_text(data_dir / "postmaster.pid").splitlines()
    try:
        pid = int(lines[0])
    except (IndexError, ValueError):
        return None
    if pid <= 1 or not _is_server_of(pid, data_dir):
        return None
    socket_dir = Path(lines[4]) if len(lines) > 4 else Path()
    return Postmaster(pid, socket_dir, lines[7].strip() if len(lines) > 7 else "starting")


def _is_server_of(pid: int, data_dir: Path) -> bool:
    """
    Tell our server from a stranger who got its number after a crash: a server's working directory is its
    data.
    """
    if not Path("/proc/self/cwd").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    try:
        return Path(f"/proc/{pid}/exe").readlink().name.startswith("postgres") and Path(
            f"/proc/{pid}/cwd"
        ).samefile(data_dir)
    except OSError:
        _reap(pid)
        return False


def _reap(pid: int) -> None:
    """
    Take a dead child's status: as process 1 of a container we inherit the server, and a zombie looks
    alive.
    """
    try:
        os.waitpid(pid, os.WNOHANG)
    except (ChildProcessError, OverflowError):
        return


def orphans(data_dir: Path) -> list[int]:
    """Return the processes that a killed server left at work in its data directory."""
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if _is_server_of(pid, data_dir)]


def forget_dead_server(layout: Layout) -> None:
    """
    Remove the lock files of a dead server; call it only when `find` and `orphans` see nobody.

    PostgreSQL refuses to start when the number in one of them belongs to any process that it may signal, be
    it a stranger after a crash of the machine or a zombie that nobody has buried yet. Both mean nothing.
    """
    for path in (layout.data_dir / "postmaster.pid", layout.run_dir / f"{SOCKET_NAME}.lock"):
        path.unlink(missing_ok=True)


def progress_mark(data_dir: Path) -> tuple[object, ...]:
    """Return a value that changes as long as a starting server gets on."""
    marks: list[object] = []
    for path in [
        data_dir / "global" / "pg_control",
        data_dir / START_LOG,
        *sorted((data_dir / "log").glob("*.log")),
    ]:
        try:
            status = path.lstat()
        except OSError:
            continue
        marks.append((path.name, status.st_size, status.st_mtime_ns))
    return tuple(marks)


def last_words(data_dir: Path, since: float = 0.0) -> str:
    """
    Return the last line of the server's log without its prefix; empty when it said nothing after
    `since`.
    """
    newest, newest_at = "", since
    for path in [data_dir / START_LOG, *(data_dir / "log").glob("*.log")]:
        try:
            at = path.lstat().st_mtime
        except OSError:
            continue
        lines = read_text(path)[-LOG_TAIL_OCTETS:].strip().splitlines()
        if lines and at >= newest_at:
            newest, newest_at = lines[-1], at
    return newest.split("] ", 1)[-1].strip()


def refusal(data_dir: Path) -> bool:
    """Return whether the server gave up before its log was open."""
    return "FATAL: " in read_text(data_dir / START_LOG)


def failure_words(data_dir: Path, since: float) -> str:
    """Return the FATAL or PANIC line of a start that failed, else the last line."""
    for path in [*(data_dir / "log").glob("*.log"), data_dir / START_LOG]:
        try:
            if path.lstat().st_mtime < since:
                continue
        except OSError:
            continue
        for line in reversed(read_text(path)[-LOG_TAIL_OCTETS:].splitlines()):
            if "FATAL: " in line or "PANIC: " in line:
                return line.split("] ", 1)[-1].strip()
    return last_words(data_dir, since)


def wall_time() -> float:
    """Return the clock that files' times are made of, a second back: their grain may be coarse."""
    return time.time() - 1.0
