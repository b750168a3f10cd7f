"""What a start says of a file that it may not write, and of an address that it cannot have."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from smsgate.cli.run import refused_by_system
from smsgate.config import Settings

NOBODY = 65_534


@pytest.mark.skipif(os.geteuid() != 0, reason="nobody but root can become somebody else")
def test_a_lock_that_may_not_be_written_is_no_matter_of_ports(tmp_path: Path) -> None:
    lock = tmp_path / "gateway.lock"
    lock.touch(0o600)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(PermissionError) as caught:
            lock.open("w")
    finally:
        os.seteuid(0)
    refused = refused_by_system(caught.value, Settings())
    assert str(refused) == f"The system refused: Permission denied ({lock})."


def test_an_address_that_is_taken_is_named_with_its_keys() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use") as caught:
        socket.create_server(taken.getsockname())
    assert "127.0.0.1:8080 cannot be had: set another http.host or http.port." in str(
        refused_by_system(caught.value, Settings())
    )
