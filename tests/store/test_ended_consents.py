"""What a consent that is written down later must be newer than, and what of it is no end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from smsgate.campaigns.consent import IDLE_YEARS_MAX
from smsgate.campaigns.retention import kept
from smsgate.clock import ManualClock
from smsgate.errors import DomainError
from smsgate.flows.consent_ageing import PEOPLE_MAX, YEAR, ConsentAgeing
from smsgate.flows.transactional import check_may_tell
from smsgate.security.public_ids import PublicIds
from smsgate.store.consent_ageing import PgConsentAgeing
from smsgate.store.housekeeping import PgHousekeeping
from smsgate.store.pool import Database
from smsgate.store.subscribers import PgSubscribers
from smsgate.store.suppression import note_stops, noted_among, stops_among
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


async def is_forgotten(database: Database) -> None:
    """Three silent years end what the person agreed to, and a day later the person goes."""
    await ageing(database, NOW).step()
    house = PgHousekeeping(database, HASHES, PublicIds(bytes(32)))
    assert await house.delete_older("person", NOW - kept("person"), 100) == 1


async def test_a_file_of_before_three_silent_years_does_not_bring_back_who_was_removed_since(
    database: Database,
) -> None:
    await a_silent_person(database)
    await put(database, a_row(LONG_AGO))  # as the shop does every night
    await is_forgotten(database)
    assert await brought(database, "import", LONG_AGO) == "stop_is_newer"
    assert await value(database, "SELECT count(*) FROM subscriber") == 0
    assert await brought(database, "import", NOW + timedelta(days=1)) is None
    assert await value(database, STATE) == "subscribed"


async def test_who_was_removed_with_appointments_alone_agrees_to_none_by_what_is_older(
    database: Database,
) -> None:
    await a_silent_person(database, "none")
    async with database.bulk() as connection:
        await connection.execute(
            "UPDATE consent_state SET purpose = 'appointments', state = 'subscribed' WHERE purpose = 'polls'"
        )
    await is_forgotten(database)
    async with database.bulk() as connection:
        await connection.execute(
            "INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country) "
            "VALUES ($1, $2, $3, 'fr', 'FR')",
            MERCHANT, PERSON + 1, MSISDN,
        )  # fmt: skip
    people = PgSubscribers(database, HASHES)
    old, new = (
        replace(a_consent("appointments", at), subscriber_id=PERSON + 1)
        for at in (LONG_AGO, NOW + timedelta(days=1))
    )
    with pytest.raises(DomainError) as refused:
        await people.consent(MERCHANT, old, NOW)
    assert refused.value.code == "stop_is_newer"
    await people.consent(MERCHANT, new, NOW)


async def test_what_three_silent_years_ended_is_no_objection_that_was_confirmed_already(
    database: Database,
) -> None:
    await a_silent_person(database)
    await is_forgotten(database)
    key = MERCHANT, MSISDN
    async with database.bulk_transaction() as connection:
        assert await noted_among(connection, HASHES, [key]) == set()
        assert await stops_among(connection, HASHES, MERCHANT, [MSISDN]) == {MSISDN: NOW}
        await note_stops(connection, HASHES, IDS.next, {key: NOW + timedelta(days=1)})
        assert await noted_among(connection, HASHES, [key]) == {key}


async def test_who_was_silent_for_three_years_is_looked_for_once_an_hour_and_on_while_there_are_more(
    database: Database,
) -> None:
    """The look reads everybody: each minute it would keep a core busy with what no minute matters to."""
    await a_silent_person(database)
    later = NOW + timedelta(minutes=1)
    async with database.bulk() as connection:
        await connection.execute("DELETE FROM consent_state")
        await connection.execute(
            "INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country, offers_state, "
            "offers_state_at, created_at) "
            "SELECT $1, $2::bigint + n, $3::bigint + n, 'fr', 'FR', 'subscribed', $4, $4 "
            "FROM generate_series(1, $5::int) n",
            MERCHANT, PERSON, MSISDN, LONG_AGO, PEOPLE_MAX,
        )  # fmt: skip
    clock = ManualClock(NOW)
    consents = ConsentAgeing(PgConsentAgeing(database, IDS, str), clock)
    subscribed = "SELECT count(*) FROM subscriber WHERE offers_state = 'subscribed'"
    assert await consents.step() is True
    assert await value(database, subscribed) == 1
    assert await consents.step() is False
    assert await value(database, subscribed) == 0
    async with database.bulk() as connection:
        await connection.execute(
            "UPDATE subscriber SET offers_state = 'subscribed' WHERE subscriber_id = $1", PERSON
        )
        await connection.execute(
            "UPDATE subscriber SET offers_state = 'paused', paused_until = $2 WHERE subscriber_id = $1",
            PERSON + 1, later,
        )  # fmt: skip
        await connection.execute("UPDATE subscriber SET offers_state_at = $1", LONG_AGO)
    clock.advance(59 * 60)
    await consents.step()
    assert await value(database, subscribed) == 2  # a pause ends within the minute
    clock.advance(60)
    await consents.step()
    assert await value(database, subscribed) == 1
