"""A ground that all quirks of one worker share: one database, set up once."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import asyncpg
import pytest

from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.roles import ADMIN
from tests.conftest import TEMPLATE, in_own_loop
from tests.quirks.ground import QuirkGround, make_ground


@pytest.fixture(scope="session")
def quirk_ground(
    postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[QuirkGround]:
    name = f"quirks_{uuid.uuid4().hex}"
    in_own_loop(_execute(postgres_server, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY"))
    try:
        dsn = postgres_server.dsn(ADMIN, name)
        yield in_own_loop(make_ground(dsn, tmp_path_factory.mktemp("quirks")))
    finally:
        in_own_loop(_execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(server: EmbeddedPostgres, statement: str) -> None:
    connection = await asyncpg.connect(**server.connect_args(ADMIN, "postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
