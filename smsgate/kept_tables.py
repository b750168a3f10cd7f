"""
The compiled tables of reply reading, kept on disk as Python keeps compiled modules.

Compiling them takes 3 s of CPU and 80 MB; reading what was kept takes 50 ms (decision 0057). A file counts
when this version of Python made it from these very words and modules, and when it is whole. Everything else
is passed over and written anew; where nothing can be written, each process compiles.
`python -m smsgate.kept_tables` fills the file at an installation.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import secrets
import sys
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path
from typing import Final

from smsgate import campaigns
from smsgate.campaigns import reply_words
from smsgate.campaigns.tables import reading_digest

LAYOUT: Final = b"smsgate reply tables 1\n"  # raised with any change of this module that old files do not fit
DIGEST_OCTETS: Final = 32
OCTETS_MAX: Final = 64 << 20  # the tables take 4 MiB; what is larger is none of ours
USERS_FILES_MAX: Final = 8  # versions of the tables in a user's cache directory: the oldest make room

Tables = dict[str, bytes]


def reply_tables_at_hand() -> bool:
    """Make the tables of all languages ready for reading; return whether they had been kept."""
    found = _read(beside_modules()) or _read(of_user(), own=True)
    tables = found or reply_words.compiled_tables()
    if found is None:
        _keep(tables)
    reply_words.have_at_hand(tables)
    return found is not None


def beside_modules() -> Path | None:
    """Return where Python keeps the compiled modules of `smsgate.campaigns`; None: it keeps none."""
    try:
        return Path(cache_from_source(campaigns.__file__, optimization="")).with_name(_name("reply_tables"))
    except NotImplementedError:
        return None


def of_user() -> Path | None:
    """Return the place in the user's cache directory: one file for each version of words and modules."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home
        return None
    return base / "smsgate" / _name(f"reply_tables.{reading_digest().hex()[:16]}")


def _name(stem: str) -> str:
    return f"{stem}.{sys.implementation.cache_tag}.marshal"


def _head() -> bytes:
    return LAYOUT + MAGIC_NUMBER + reading_digest()


def _read(path: Path | None, *, own: bool = False) -> Tables | None:
    """
    Return the tables that a file holds, if it is ours, of this version, and whole.

    `marshal` runs nothing, but does not bear hostile octets: beside the modules whoever could write a file
    could write the modules; elsewhere (`own`) it must belong to this process's user, and nobody else may
    write it.
    """
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            if facts.st_size > OCTETS_MAX or (own and not _of_this_user_alone(facts)):
                return None
            octets = file.read()
    except OSError:
        return None
    start = len(head := _head()) + DIGEST_OCTETS
    payload = octets[start:]
    if octets[:start] != head + hashlib.sha256(payload).digest():
        return None
    found: Tables = marshal.loads(payload)  # noqa: S302  # see above
    return found


def _of_this_user_alone(facts: os.stat_result) -> bool:
    return facts.st_uid == os.geteuid() and not facts.st_mode & 0o022


def _keep(tables: Tables) -> None:
    """Write tables to the first place that takes them."""
    payload = marshal.dumps(tables)
    octets = _head() + hashlib.sha256(payload).digest() + payload
    beside, of_users = beside_modules(), of_user()
    if beside is not None and not sys.dont_write_bytecode and _write(beside, octets):
        return
    if of_users is not None and _write(of_users, octets):
        _make_room(of_users.parent)


def _write(path: Path, octets: bytes) -> bool:
    """Write a file so that others see all of it or nothing; of two writers the last one's stays."""
    made = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:  # noqa: PTH123
            file.write(octets)
        made.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            made.unlink()
        return False
    return True


def _make_room(directory: Path) -> None:
    with contextlib.suppress(OSError):
        files = sorted(directory.glob("reply_tables.*"), key=lambda each: each.stat().st_mtime, reverse=True)
        for old in files[USERS_FILES_MAX:]:
            old.unlink()


if __name__ == "__main__":
    reply_tables_at_hand()
