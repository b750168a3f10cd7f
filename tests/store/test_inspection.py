"""What `smsgate check` sees of a database."""

from __future__ import annotations

from datetime import UTC, datetime

from smsgate.store import roles
from smsgate.store.inspection import _wrong, inspect
from smsgate.store.pool import Database


async def test_a_database_is_seen_as_it_is(database: Database) -> None:
    facts = await inspect(database)
    assert facts.version.startswith("18")
    assert facts.durable is False  # the cluster of the tests is not
    assert facts.standby is False
    assert facts.octets > 0
    assert abs((facts.now - datetime.now(UTC)).total_seconds()) < 60
    assert facts.wrong_roles == ()


async def test_a_session_of_another_role_is_found_out(database: Database) -> None:
    async with database.control() as connection:
        assert await _wrong(connection, roles.API) == ["a session that should be sg_api is sg_owner"]
        assert await _wrong(connection, roles.OWNER) == []
