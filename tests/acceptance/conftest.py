"""A ground for each story: a database of its own, and a directory with a master key."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.roles import ADMIN
from tests.acceptance.town import Ground


@pytest.fixture
def ground(postgres_server: EmbeddedPostgres, database_name: str, tmp_path: Path) -> Ground:
    return Ground(postgres_server.dsn(ADMIN, database_name), tmp_path)


@pytest.fixture
def other_ground(postgres_server: EmbeddedPostgres, other_database_name: str, tmp_path: Path) -> Ground:
    """Make a ground for a second town, which knows nothing of the first."""
    state_dir = tmp_path / "other"
    state_dir.mkdir()
    return Ground(postgres_server.dsn(ADMIN, other_database_name), state_dir)


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """Make a directory whose path leaves room for a socket's name: a Unix socket's may have 107 octets."""
    directory = Path(tempfile.mkdtemp(prefix="sg-"))
    yield directory
    shutil.rmtree(directory)
