"""Words for a supervisor that listens on NOTIFY_SOCKET, as systemd does (sd_notify(3))."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Final

STARTING_MORE: Final = "EXTEND_TIMEOUT_USEC=60000000"  # a long crash recovery is no reason to be killed


def notify(*lines: str) -> None:
    """Send the assignments; without a listener, or when it is gone, nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):  # Linux's abstract names
        address = f"\0{address[1:]}"
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier:
        notifier.sendto("\n".join(lines).encode(), address)
