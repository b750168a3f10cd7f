"""A consent that is recorded while a STOP, or a block of the number, is being committed: either order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smsgate.clock import ManualClock
from smsgate.errors import DomainError
from smsgate.flows.consent_ageing import ConsentAgeing
from smsgate.flows.inbound_records import InboundRow, InboundWrites, ReplyCharge
from smsgate.flows.ports_api import ConsentDraft, SubscriberDraft
from smsgate.flows.ports_imports import ImportRows, RowErrors
from smsgate.flows.records import MobileOriginated
from smsgate.ids import IdMaker
from smsgate.security.suppression import SuppressionHashes
from smsgate.store.consent_ageing import PgConsentAgeing
from smsgate.store.imports import PgImports
from smsgate.store.inbound import StoredInbound
from smsgate.store.notices import CHANNEL
from smsgate.store.pool import Database
from smsgate.store.privacy import PgPrivacy
from smsgate.store.roles import OWNER
from smsgate.store.subscribers import PgSubscribers
from smsgate.store.suppression import block, note_stops, stops_among, suppressed_to_add
from tests.flows.world import STAMPS

MERCHANT = 7
PERSON = 10_000
MSISDN = 33_639_980_001
STRANGER = 33_639_980_002  # whom nobody has yet
NOW = datetime.now(UTC)
HASHES = SuppressionHashes(bytes(32))
# Of this test alone: others have databases of their own in the same server.
WAITING = (
    "SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid) "
    "WHERE NOT granted AND datname = current_database()"
)
IDS = IdMaker(1, lambda: int(datetime.now(UTC).timestamp() * 1000))


async def a_merchant(database: Database, state: str = "none") -> None:
    async with database.bulk() as connection:
        await connection.execute(
            "INSERT INTO merchant (merchant_id, name, slug, country, language, timezone, currency) "
            "VALUES ($1, 'Boxman', 'boxman', 'FR', 'fr', 'Europe/Paris', 'EUR')",
            MERCHANT,
        )
        await connection.execute(
            "INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country, offers_state) "
            "VALUES ($1, $2, $3, 'fr', 'FR', $4)",
            MERCHANT, PERSON, MSISDN, state,
        )  # fmt: skip


async def value(database: Database, sql: str, *values: object) -> Any:
    async with database.bulk() as connection:
        return await connection.fetchval(sql, *values)


@asynccontextmanager
async def a_stop_that_is_not_committed(database: Database, purpose: str) -> AsyncIterator[None]:
    """Do what the inbound flow does for a STOP: lock the person, log it, set the state."""
    async with database.bulk_transaction() as connection:
        await connection.execute("SELECT FROM subscriber WHERE subscriber_id = $1 FOR UPDATE", PERSON)
        await connection.execute(
            "INSERT INTO consent_event (merchant_id, consent_id, subscriber_id, msisdn, purpose, event, "
            "state_after, source, occurred_at) "
            "VALUES ($1, $2, $3, $4, $5, 'stop', 'unsubscribed', 'sms', $6)",
            MERCHANT, IDS.next(), PERSON, MSISDN, purpose, NOW,
        )  # fmt: skip
        if purpose == "offers":
            await connection.execute("UPDATE subscriber SET offers_state = 'unsubscribed'")
        yield


async def waits(
    database: Database, work: Coroutine[Any, Any, object], *, waiting: int = 1
) -> asyncio.Task[object]:
    """Start something and return once it waits for another transaction's lock."""
    task = asyncio.ensure_future(work)
    for _ in range(500):
        await asyncio.sleep(0.01)
        if task.done():
            break
        if await value(database, WAITING) >= waiting:
            return task
    raise AssertionError(f"it waits for nothing: {task!r}")


def a_consent(purpose: str, at: datetime) -> ConsentDraft:
    return ConsentDraft(
        IDS.next(), PERSON, purpose, granted=True, wording_version="w1", source="web", evidence={},
        occurred_at=at, event_id=IDS.next(), event_subject="sub_x", event_data={}, question=None,
    )  # fmt: skip


def a_row(at: datetime, msisdn: int = MSISDN) -> ImportRows:
    return ImportRows(
        [1], [msisdn], [None], ["fr"], ["FR"], [""], [""], [""], ["{}"], ["{}"], ["w1"], ["form"], [at]
    )


async def put(database: Database, rows: ImportRows) -> None:
    import_id = IDS.next()
    imports = PgImports(database, HASHES)
    await imports.start(MERCHANT, import_id, "subscribers", validate_only=False, now=NOW)
    await imports.put(
        MERCHANT, import_id, rows, RowErrors(), reference="imp_x", who="key_x", id_base=IDS.block(2),
        validate_only=False, now=NOW,
    )  # fmt: skip


async def test_a_consent_is_not_recorded_beside_a_stop_of_who_was_a_stranger_before(
    database: Database,
) -> None:
    """A group of texts had read before the person was added; it ends who wants offers by then."""
    await a_merchant(database)
    people = PgSubscribers(database, HASHES)
    older = a_consent("offers", NOW - timedelta(days=1))
    async with database.bulk_transaction() as connection:
        await note_stops(connection, HASHES, IDS.next, {(0, MSISDN): NOW})
        task = await waits(database, people.consent(MERCHANT, older, NOW))
    with pytest.raises(DomainError) as refused:
        await task
    assert refused.value.code == "stop_is_newer"
    assert await value(database, "SELECT offers_state FROM subscriber") == "none"


@pytest.mark.parametrize("purpose", ["offers", "polls"])
async def test_a_consent_that_waits_for_a_stops_commit_sees_it(database: Database, purpose: str) -> None:
    await a_merchant(database)
    people = PgSubscribers(database, HASHES)
    async with a_stop_that_is_not_committed(database, purpose):
        older = a_consent(purpose, NOW - timedelta(days=1))
        task = await waits(database, people.consent(MERCHANT, older, NOW))
    with pytest.raises(DomainError) as refused:
        await task
    assert refused.value.code == "stop_is_newer"


async def test_an_import_that_waits_for_a_stops_commit_sees_it(database: Database) -> None:
    await a_merchant(database)
    async with a_stop_that_is_not_committed(database, "offers"):
        task = await waits(database, put(database, a_row(NOW - timedelta(days=1))))
    await task
    assert await value(database, "SELECT code FROM import_error") == "stop_is_newer"
    assert await value(database, "SELECT offers_state FROM subscriber") == "unsubscribed"


@pytest.mark.parametrize(
    ("state", "left"), [("unsubscribed", 0), ("expired", 0), ("none", 0), ("subscribed", 1)]
)
@pytest.mark.parametrize("how", ["consent", "import"])
async def test_a_consent_that_begins_again_ends_the_offer_that_a_claim_left(
    database: Database, how: str, state: str, left: int
) -> None:
    """The claim had read the consent before it ended, and was committed after that."""
    await a_merchant(database, state)
    async with database.bulk() as connection:
        await connection.execute(
            "INSERT INTO open_offer (msisdn, sender, merchant_id, campaign_id, message_id, offer_id, "
            "offer_version, subscriber_id, opened_at, expires_at) "
            "VALUES ($2, '36180', $1, 1, 1, 1, 1, $3, now(), now() + interval '1 day')",
            MERCHANT, MSISDN, PERSON,
        )  # fmt: skip
    if how == "consent":
        await PgSubscribers(database, HASHES).consent(MERCHANT, a_consent("offers", NOW), NOW)
    else:
        await put(database, a_row(NOW))
    assert await value(database, "SELECT offers_state FROM subscriber") == "subscribed"
    assert await value(database, "SELECT count(*) FROM open_offer") == left


async def add(database: Database) -> None:
    draft = SubscriberDraft(IDS.next(), STRANGER, None, "fr", "FR", (), {})
    await PgSubscribers(database, HASHES).add(MERCHANT, draft, NOW)


async def bring_in(database: Database) -> None:
    await put(database, a_row(NOW, STRANGER))
    if code := await value(database, "SELECT code FROM import_error"):
        raise DomainError("refused", code=code)


async def block_by_operator(database: Database) -> None:
    await PgPrivacy(database, HASHES, IDS, STAMPS).suppress(STRANGER, "complaint", NOW)


async def block_by_phone(database: Database) -> None:
    await said(database, InboundWrites(blocked={STRANGER: "wrong_person"}))


async def stop_by_phone(database: Database) -> None:
    await said(database, InboundWrites(number_stops={(0, STRANGER): NOW}))


async def said(database: Database, writes: InboundWrites) -> None:
    """Write what a text of a number that nobody knows came to."""
    async with StoredInbound(database, IDS.next, HASHES, STAMPS).group() as group:
        mo = MobileOriginated(1, STRANGER, str(STRANGER), "36111", "wrong number", b"wrong number", 0, NOW)
        writes.rows.append(
            InboundRow(0, IDS.next(), mo, None, None, None, None, "stop", None, "nobody", "x", "y")
        )
        writes.charges.append(ReplyCharge(1, 0, 0))
        await group.write(writes)


Work = Callable[[Database], Coroutine[Any, Any, None]]


@pytest.mark.parametrize(
    ("block", "state"),
    [(block_by_operator, "blocked"), (block_by_phone, "blocked"), (stop_by_phone, "unsubscribed")],
)
async def test_a_person_who_is_added_while_the_number_is_blocked_is_blocked_too(
    database: Database, block: Work, state: str
) -> None:
    await a_merchant(database)
    async with database.transaction(MERCHANT) as connection:
        assert not await suppressed_to_add(connection, HASHES, MERCHANT, [STRANGER])
        await connection.execute(
            "INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country, offers_state) "
            "VALUES ($1, 10001, $2, 'fr', 'FR', 'subscribed')",
            MERCHANT, STRANGER,
        )  # fmt: skip
        task = await waits(database, block(database))
    await task
    sql = "SELECT offers_state FROM subscriber WHERE subscriber_id = 10001"
    assert await value(database, sql) == state


@pytest.mark.parametrize("work", [add, bring_in])
async def test_a_number_that_is_being_blocked_lets_nobody_add_the_person(
    database: Database, work: Work
) -> None:
    await a_merchant(database)
    async with database.bulk_transaction() as connection:
        assert not await block(connection, HASHES, IDS.next, {STRANGER: "death"}, "sms", NOW)
        task = await waits(database, work(database))
    with pytest.raises(DomainError) as refused:
        await task
    assert refused.value.code == "suppressed"


@pytest.mark.parametrize(("days", "code"), [(-1, "stop_is_newer"), (1, None)])
async def test_a_row_that_waits_for_a_strangers_stop_is_taken_only_if_it_is_newer(
    database: Database, days: int, code: str | None
) -> None:
    await a_merchant(database)
    async with database.bulk_transaction() as connection:
        await note_stops(connection, HASHES, IDS.next, {(0, STRANGER): NOW, (0, STRANGER + 1): NOW})
        task = await waits(database, put(database, a_row(NOW + timedelta(days=days), STRANGER)))
    await task
    assert await value(database, "SELECT code FROM import_error") == code


async def test_of_two_stops_of_a_stranger_the_later_one_counts(database: Database) -> None:
    for at in (NOW, NOW - timedelta(days=1)):
        async with database.bulk_transaction() as connection:
            await note_stops(connection, HASHES, IDS.next, {(0, STRANGER): at})
            assert await stops_among(connection, HASHES, 7, [STRANGER, STRANGER + 1]) == {STRANGER: NOW}


async def test_many_stops_of_strangers_are_looked_at_by_one_statement_and_end_each_person_once(
    database: Database,
) -> None:
    await a_merchant(database, "subscribed")  # somebody who came to be known meanwhile
    statements: list[Any] = []
    others = {(merchant_id, STRANGER + n): NOW for merchant_id in (0, MERCHANT) for n in range(50)}
    later = NOW + timedelta(seconds=1)
    async with database.bulk_transaction() as connection:
        connection.add_query_logger(statements.append)
        await note_stops(
            connection, HASHES, IDS.next, {(MERCHANT, MSISDN): later, (0, MSISDN): NOW, **others}
        )
        connection.remove_query_logger(statements.append)
    assert len([each for each in statements if "FROM subscriber s" in each.query]) == 1
    async with database.control() as connection:
        log = await connection.fetch("SELECT subscriber_id, event, occurred_at FROM consent_event")
    assert [tuple(row) for row in log] == [(PERSON, "stop", NOW)]
    assert await value(database, "SELECT offers_state FROM subscriber") == "unsubscribed"


async def test_a_stop_of_one_merchants_person_is_nobody_elses(database: Database) -> None:
    await a_merchant(database, "subscribed")
    async with database.bulk_transaction() as connection:
        await note_stops(connection, HASHES, IDS.next, {(MERCHANT + 1, MSISDN): NOW})
    assert await value(database, "SELECT offers_state FROM subscriber") == "subscribed"


async def test_a_person_who_is_being_erased_is_not_added_again(database: Database) -> None:
    await a_merchant(database)
    await add(database)
    person = await value(database, "SELECT subscriber_id FROM subscriber WHERE msisdn = $1", STRANGER)
    async with database.control() as connection, connection.transaction():
        await connection.execute("LOCK TABLE data_request IN SHARE MODE")  # what an erasure comes to last
        erasing = await waits(
            database, PgPrivacy(database, HASHES, IDS, STAMPS).erase(MERCHANT, person, IDS.next(), NOW)
        )
        adding = await waits(database, add(database), waiting=2)
    await erasing
    with pytest.raises(DomainError) as refused:
        await adding
    assert refused.value.code == "suppressed"


def ageing(database: Database, now: datetime) -> ConsentAgeing:
    return ConsentAgeing(PgConsentAgeing(database, IDS, str), ManualClock(now))


@pytest.mark.parametrize("purpose", ["offers", "location"])
async def test_a_pause_that_is_prolonged_as_it_ends_goes_on(database: Database, purpose: str) -> None:
    await a_merchant(database, "paused" if purpose == "offers" else "subscribed")
    async with database.bulk() as connection:
        await connection.execute("UPDATE subscriber SET paused_until = $1", NOW)
        await connection.execute(
            "INSERT INTO consent_state VALUES ($1, $2, 'location', 'paused', $3, $3)", MERCHANT, PERSON, NOW
        )
    async with database.bulk_transaction() as connection:
        await connection.execute("SELECT FROM subscriber FOR UPDATE")
        task = await waits(database, ageing(database, NOW).step())
        for table in ("subscriber", "consent_state"):
            await connection.execute(f"UPDATE {table} SET paused_until = $1", NOW + timedelta(days=7))
    await task
    assert await value(database, "SELECT count(*) FROM consent_event") == 0
    assert await value(database, "SELECT state FROM consent_state") == "paused"
    await ageing(database, NOW + timedelta(days=7)).step()
    assert await value(database, "SELECT state FROM consent_state") == "subscribed"
    assert await value(database, "SELECT offers_state FROM subscriber") == "subscribed"


async def test_a_word_that_comes_as_three_years_end_keeps_the_consent(database: Database) -> None:
    await a_merchant(database, "subscribed")
    old = NOW - timedelta(days=4 * 365)
    async with database.bulk() as connection:
        await connection.execute("UPDATE subscriber SET created_at = $1, offers_state_at = $1", old)
    async with database.bulk_transaction() as connection:
        await connection.execute("SELECT FROM subscriber FOR UPDATE")
        task = await waits(database, ageing(database, NOW).step())
        await connection.execute(
            "INSERT INTO inbound_message (merchant_id, inbound_id, carrier_id, msisdn, destination, text, "
            "raw, data_coding, label, outcome, reason, rules_version, received_at) "
            "VALUES ($1, 1, 1, $2, '36111', 'merci', 'merci', 0, 'unclear', 'asked', 'x', 'y', $3)",
            MERCHANT, MSISDN, NOW,
        )  # fmt: skip
    await task
    assert await value(database, "SELECT offers_state FROM subscriber") == "subscribed"


@pytest.mark.parametrize(("state", "granted", "told"), [("unsubscribed", True, 0), ("subscribed", False, 1)])
async def test_a_consent_that_ends_is_told_to_who_has_offers_in_hand_and_one_that_begins_is_not(
    database: Database, state: str, granted: bool, told: int
) -> None:
    """A gateway that heard a grant as a STOP dropped what it had just claimed for the person."""
    await a_merchant(database, state)
    heard: list[object] = []
    connection = await database.connect(OWNER)
    try:
        await connection.add_listener(CHANNEL, lambda *notice: heard.append(notice[-1]))
        draft = replace(a_consent("offers", NOW), granted=granted)
        await PgSubscribers(database, HASHES).consent(MERCHANT, draft, NOW)
        await connection.execute("SELECT 1")  # what was notified before comes with this answer
    finally:
        await connection.close()
    assert heard == [f"stop {MERCHANT} {MSISDN}"] * told
