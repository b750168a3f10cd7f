"""What a consent that is written down later must be newer than, and what of it is no end."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from smsgate.campaigns.consent import IDLE_YEARS_MAX
from smsgate.errors import DomainError
from smsgate.flows.consent_ageing import YEAR
from smsgate.flows.transactional import check_may_tell
from smsgate.store.pool import Database
from smsgate.store.subscribers import PgSubscribers
from smsgate.store.transactional import PgTransactional
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
    ageing,
    put,
    value,
)

STATE = "SELECT offers_state FROM subscriber"
LONG_AGO = NOW - (IDLE_YEARS_MAX + 1) * YEAR


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
        before = await value(database, "SELECT count(*) FROM import_error")
        await put(database, a_row(at))
        code: str | None = await value(
            database, "SELECT code FROM import_error ORDER BY import_id OFFSET $1", before
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


async def a_silent_person(database: Database, state: str = "subscribed") -> None:
    """Agreed to offers and to polls four years ago, and said nothing since."""
    await a_merchant(database, state)
    async with database.bulk() as connection:
        await connection.execute("UPDATE subscriber SET created_at = $1, offers_state_at = $1", LONG_AGO)
        await connection.execute(
            "INSERT INTO consent_state "
            "VALUES ($1, $2, 'polls', $3, $4), ($1, $2, 'location', 'unsubscribed', $4)",
            MERCHANT, PERSON, state, LONG_AGO,
        )  # fmt: skip


async def states(database: Database) -> dict[str, Any]:
    async with database.bulk() as connection:
        rows = await connection.fetch("SELECT purpose, state FROM consent_state")
    return {"offers": await value(database, STATE)} | dict(map(tuple, rows))


@pytest.mark.parametrize("state", ["subscribed", "paused"])
async def test_three_years_without_a_word_end_every_agreement_and_no_objection(
    database: Database, state: str
) -> None:
    await a_silent_person(database, state)
    await ageing(database, NOW).step()
    assert await states(database) == {"offers": "expired", "polls": "expired", "location": "unsubscribed"}
    async with database.bulk() as connection:
        log = await connection.fetch("SELECT purpose, event, source FROM consent_event ORDER BY purpose")
        events = await connection.fetch("SELECT type, data ->> 'purpose' FROM event ORDER BY 2")
    assert [tuple(row) for row in log] == [("offers", "idle", "time"), ("polls", "idle", "time")]
    assert [tuple(row) for row in events] == [("consent.revoked", "offers"), ("consent.revoked", "polls")]


async def test_an_agreement_to_something_else_alone_ends_by_three_years_without_a_word(
    database: Database,
) -> None:
    await a_silent_person(database)
    async with database.bulk() as connection:
        await connection.execute("UPDATE subscriber SET offers_state = 'unsubscribed'")
    await ageing(database, NOW).step()
    assert await states(database) == {
        "offers": "unsubscribed",
        "polls": "expired",
        "location": "unsubscribed",
    }


@pytest.mark.parametrize("how", ["consent", "import"])
async def test_a_consent_that_is_renewed_by_who_has_one_keeps_every_agreement(
    database: Database, how: str
) -> None:
    """The state stays since when it was: the log alone knows of the renewal."""
    await a_silent_person(database)
    assert await brought(database, how, NOW - YEAR) is None
    assert await value(database, "SELECT offers_state_at FROM subscriber") == LONG_AGO
    await ageing(database, NOW).step()
    assert set((await states(database)).values()) == {"subscribed", "unsubscribed"}
    await ageing(database, NOW + IDLE_YEARS_MAX * YEAR).step()
    assert set((await states(database)).values()) == {"expired", "unsubscribed"}


@pytest.mark.parametrize("event", ["idle", "resume", "question_expired"])
async def test_what_time_alone_does_to_a_consent_is_no_contact(database: Database, event: str) -> None:
    await a_silent_person(database)
    await logged(database, event, "subscribed", NOW, "appointments")
    await ageing(database, NOW).step()
    assert set((await states(database)).values()) == {"expired", "unsubscribed"}


@pytest.mark.parametrize("how", ["consent", "import"])
async def test_a_consent_of_before_three_silent_years_revives_nothing_and_a_newer_one_begins(
    database: Database, how: str
) -> None:
    await a_silent_person(database)
    await ageing(database, NOW).step()
    assert await brought(database, how, LONG_AGO + timedelta(days=1)) == "stop_is_newer"
    assert await value(database, STATE) == "expired"
    assert await brought(database, how, NOW + timedelta(days=1)) is None
    assert await value(database, STATE) == "subscribed"


async def may_hear(database: Database, purpose: str) -> str | None:
    """Ask as POST /v1/messages does; return the code of the refusal."""
    recipient = await PgTransactional(database).recipient(MERCHANT, PERSON, None)
    try:
        check_may_tell(purpose, recipient.states)
    except DomainError as exc:
        return exc.code
    return None


async def test_who_agrees_anew_after_three_silent_years_hears_of_orders_although_polls_are_over(
    database: Database,
) -> None:
    await a_silent_person(database)
    await ageing(database, NOW).step()
    assert await may_hear(database, "transaction") == "suppressed"
    assert await brought(database, "consent", NOW + timedelta(days=1)) is None
    assert await states(database) == {"offers": "subscribed", "polls": "expired", "location": "unsubscribed"}
    assert await may_hear(database, "transaction") is None


async def test_an_order_of_who_never_agreed_to_offers_is_told_after_appointments_expired(
    database: Database,
) -> None:
    await a_silent_person(database, "none")
    async with database.bulk() as connection:
        await connection.execute("DELETE FROM consent_state")
        await connection.execute(
            "INSERT INTO consent_state VALUES ($1, $2, 'appointments', 'subscribed', $3)",
            MERCHANT, PERSON, LONG_AGO,
        )  # fmt: skip
    await ageing(database, NOW).step()
    assert await states(database) == {"offers": "none", "appointments": "expired"}
    assert await may_hear(database, "transaction") is None
    assert await may_hear(database, "appointments") == "consent_missing"
