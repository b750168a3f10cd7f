"""Where the master key comes from: 32 random octets, raw or as base64 text, in a file of its owner alone."""

from __future__ import annotations

import base64
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from smsgate.errors import ConfigError
from smsgate.security.sealing import KEY_LENGTH, MasterKey

FILE_MODE: Final = 0o400
_FILE_MAX: Final = 1024  # octets read: 44 of base64 and white space, never a whole disk
_DISTINCT_MIN: Final = 12  # different octets among 32: random ones show fewer once in 10**13 times
_MEND: Final = "write 32 random octets as base64: `openssl rand -base64 32`"


def parse_master_key(material: bytes | str, where: str = "SMSGATE_MASTER_KEY") -> MasterKey:
    """
    Read a master key from 32 raw octets, or from their base64 text (either alphabet, padding optional).

    Raises:
        ConfigError: neither, or visibly not random; the sentence does not repeat the material.
    """
    octets = material.encode("utf-8", "replace") if isinstance(material, str) else material
    if isinstance(material, str) or len(octets) != KEY_LENGTH:
        text = octets.strip().translate(bytes.maketrans(b"-_", b"+/"))
        try:
            octets = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
        except ValueError:
            raise ConfigError("master key is neither 32 octets nor base64", where, _MEND) from None
    if len(octets) != KEY_LENGTH:
        raise ConfigError(f"master key has {len(octets)} octets, not {KEY_LENGTH}", where, _MEND)
    if len(set(octets)) < _DISTINCT_MIN:
        raise ConfigError("master key is not random", where, _MEND)
    return MasterKey(octets)


def new_master_key_text() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_LENGTH)).decode("ascii")


def is_missing(path: Path) -> bool:
    """Say whether no such file is there; of one that cannot be looked for, `load_master_key` says why."""
    try:
        return not path.exists()
    except OSError:
        return False


def load_master_key(path: Path, create: bool = False) -> MasterKey:
    """
    Read the key file, which must belong to this user (or root) and be readable by nobody else.

    With `create` a missing file is made, mode 0400, whole or not at all; of two processes at once one makes
    it and both read that one. The directory must exist: this function changes no directory.

    Raises:
        ConfigError: missing, open to others, owned by somebody else, or not a key; says what to do.
    """
    if create:
        _create(path)
    where = str(path)
    try:
        # O_NONBLOCK: a pipe under this name must not hold the start for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as exc:
        mend = "create it, or name another by the setting for the master key"
        raise ConfigError(f"master key file cannot be read: {exc.strerror}", where, mend) from exc
    try:
        _check_owner_only(os.fstat(descriptor), where)
        return parse_master_key(os.read(descriptor, _FILE_MAX), where)
    finally:
        os.close(descriptor)


def _check_owner_only(status: os.stat_result, where: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError("master key file is not a regular file", where, _MEND)
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = stat.S_IMODE(status.st_mode)
        raise ConfigError(
            f"master key file is open to other users (mode {mode:04o})", where, f"chmod 0400 {where}"
        )
    if status.st_uid not in {os.geteuid(), 0}:
        raise ConfigError(
            f"master key file belongs to user {status.st_uid}", where, f"chown {os.geteuid()} {where}"
        )


def _create(path: Path) -> None:
    """Write under another name, then link: that fails when the file exists, and never shows half of it."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        if path.exists():
            return
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(new_master_key_text() + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
        except FileExistsError:
            return  # another process was first; its key counts
        finally:
            draft.unlink()
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)  # secrets sealed under a key that a power cut took away would be lost
        finally:
            os.close(directory)
    except OSError as exc:
        raise ConfigError(
            f"master key file cannot be made: {exc.strerror}", str(path), "make its directory writable"
        ) from exc
