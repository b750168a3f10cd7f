"""What benchmarks ask a running process and its database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from smsgate.bench.main import until
from smsgate.daemon.gateway import Gateway
from smsgate.store.bench_books import waiting
from smsgate.store.pool import Database
from smsgate.store.roles import ADMIN


async def ask(database: Database, sql: str, *values: object) -> Any:
    connection = await database.connect(ADMIN)
    try:
        return await connection.fetchval(sql, *values)
    finally:
        await connection.close()


async def reached(condition: Callable[[], bool], limit_s: float) -> None:
    async def met() -> bool:
        return condition()

    assert await until(met, limit_s), "it got stuck"


async def nothing_waits(database: Database, gateway: Gateway) -> bool:
    """Return whether every text of the gateway has left, and what came of it is committed."""
    if gateway.pump.held_messages or gateway.pump.uncommitted:
        return False
    return not await waiting(database)
