"""A ground for each story: a database of its own, and a directory with a master key."""

from __future__ import annotations

from pathlib import Path

import pytest
from acceptance.town import Ground

from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.roles import ADMIN


@pytest.fixture
def ground(postgres_server: EmbeddedPostgres, database_name: str, tmp_path: Path) -> Ground:
    return Ground(postgres_server.dsn(ADMIN, database_name), tmp_path)
