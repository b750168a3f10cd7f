"""What a consent that is written down later must be newer than, and what of it is no end."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from smsgate.errors import DomainError
from smsgate.store.pool import Database
from smsgate.store.subscribers import PgSubscribers
from tests.store.test_consent_crossings import (
    HASHES,
    IDS,
    MERCHANT,
    MSISDN,
    NOW,
    PERSON,
    a_consent,
    a_merchant,
    a_row,
    put,
    value,
)

STATE = "SELECT offers_state FROM subscriber"


async def logged(database: Database, event: str, state: str, at: datetime, purpose: str = "offers") -> None:
    async with database.bulk() as connection:
        await connection.execute(
            "INSERT INTO consent_event (merchant_id, consent_id, subscriber_id, msisdn, purpose, event, "
            "state_after, source, occurred_at, recorded_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, 'sms', $8, $8)",
            MERCHANT, IDS.next(), PERSON, MSISDN, purpose, event, state, at,
        )  # fmt: skip


async def brought(database: Database, how: str, at: datetime) -> str | None:
    """Bring a consent of that instant; return the code of its refusal."""
    if how == "import":
        await put(database, a_row(at))
        code: str | None = await value(
            database, "SELECT code FROM import_error ORDER BY import_id DESC LIMIT 1"
        )
        return code
    try:
        await PgSubscribers(database, HASHES).consent(MERCHANT, a_consent("offers", at), NOW)
    except DomainError as exc:
        return exc.code
    return None


@pytest.mark.parametrize("how", ["consent", "import"])
async def test_a_consent_that_is_older_than_a_no_to_the_question_is_refused(
    database: Database, how: str
) -> None:
    await a_merchant(database)
    await logged(database, "no", "none", NOW)
    assert await brought(database, how, NOW) == "stop_is_newer"
    assert await value(database, STATE) == "none"


@pytest.mark.parametrize("how", ["consent", "import"])
@pytest.mark.parametrize(("purpose", "days"), [("offers", 1), ("polls", -1)])
async def test_a_consent_that_is_newer_than_a_no_or_about_something_else_begins(
    database: Database, how: str, purpose: str, days: int
) -> None:
    await a_merchant(database)
    await logged(database, "no", "none", NOW, purpose)
    assert await brought(database, how, NOW + timedelta(days=days)) is None
    assert await value(database, STATE) == "subscribed"
