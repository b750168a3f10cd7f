"""One process with the gateway role on a state directory, for the machine's own database has one master."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smsgate.errors import ConfigError


@contextmanager
def one_gateway(state_dir: Path) -> Iterator[None]:
    """
    Keep a second gateway out of a machine's own database: each would use the carriers' whole rate.

    Raises:
        ConfigError: another process has the role here.
    """
    with (state_dir / "gateway.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(
                f"another process runs the gateway role on {state_dir}",
                where="node.roles",
                mend="stop it first, or give this one other roles: --roles api,webhooks",
            ) from None
        yield
