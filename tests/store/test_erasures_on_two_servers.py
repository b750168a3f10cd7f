"""An erasure waits for who writes where messages are written, also where another server is for control."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from smsgate.flows.ports_privacy import OwedErasure
from smsgate.store.dsn import Dsns
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.erasures import finish, owed_erasures
from smsgate.store.pool import Database
from smsgate.store.roles import ADMIN
from tests.flows.world import eventually
from tests.store.embedded_clusters import a_server


async def test_with_two_servers_an_erasure_waits_for_the_transactions_of_the_one_that_messages_are_in(
    postgres_server: EmbeddedPostgres, database_name: str, reachable_dir: Path
) -> None:
    """Each counts its transactions by itself: whichever is ahead, a number says nothing of the other's."""
    owed = OwedErasure(5, 1, 33_639_980_001, 1)
    async with a_server(reachable_dir) as control:
        source = Dsns(control=control.dsn(ADMIN), data=postgres_server.dsn(ADMIN, database_name))
        async with await Database.open(source) as database:
            async with database.control() as connection:
                await connection.execute("INSERT INTO erasure_owed VALUES (5, 1, $1, 1)", owed.msisdn)

            async def finished() -> bool:
                return await finish(database, owed, datetime.now(UTC), patience_s=0)

            async with database.bulk_transaction() as writing:
                await writing.execute("INSERT INTO answer_count VALUES ($1, now(), 1)", owed.msisdn)
                assert await finished() is False
                assert await owed_erasures(database, 10) == [owed]
            await eventually(finished)
            assert await owed_erasures(database, 10) == []
