"""The daemon runs on uvloop, whose transports are no asyncio.Transport."""

from __future__ import annotations

import asyncio

import uvloop

from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database
from tests.api.api_server import a_context, running


def test_the_api_answers_on_uvloop_as_on_asyncio(
    postgres_server: EmbeddedPostgres, database_name: str
) -> None:
    async def story() -> tuple[int, int, int]:
        async with await Database.open(postgres_server, database=database_name, migrate=False) as database:
            async with running(a_context(database)) as api:
                ready = await api.anybody.get("/readyz")
                merchant = await api.merchant()
                refused = await merchant.post("/v1/subscribers", data=b"{", json=None)
                listed = await merchant.get("/v1/subscribers")
                return ready.status, refused.status, listed.status

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(story()) == (200, 415, 200)
