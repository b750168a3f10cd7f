"""What is kept of people and orders, by the clock: rules of campaigns/law/retention.toml."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import asyncpg
import pytest

from smsgate.campaigns.caps import WEEK
from smsgate.campaigns.consent import PENDING_DAYS_MAX
from smsgate.campaigns.retention import By, check_choice, kept, rules
from smsgate.clock import ManualClock
from smsgate.errors import Invalid
from smsgate.flows import housekeeping as flow
from smsgate.flows.consent_ageing import AGES, Ageing
from smsgate.flows.events import RETENTION, first_id_of
from smsgate.flows.housekeeping import Housekeeping, Retention
from smsgate.links.pdu_ring import AGE_MAX_S
from smsgate.security.public_ids import PublicIds
from smsgate.security.suppression import SuppressionHashes
from smsgate.store import distribution
from smsgate.store.housekeeping import PgHousekeeping
from smsgate.store.pool import Database
from smsgate.store.suppression import stops_among

NOW = datetime(2040, 6, 1, 12, tzinfo=UTC)
HASHES = SuppressionHashes(bytes(32))
HOUR = timedelta(hours=1)
MERCHANT, SHOP, MSISDN = 5, 6, 33_639_980_001


async def keep_house(database: Database, now: datetime = NOW) -> Housekeeping:
    housekeeping = Housekeeping(
        PgHousekeeping(database, HASHES, PublicIds(bytes(32))), Retention(), ManualClock(now)
    )
    while await housekeeping.step():
        pass
    return housekeeping


class Books:
    """Rows as the gateway writes them, of two merchants."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next = count(1)

    async def begin(self) -> None:
        for merchant_id in (MERCHANT, SHOP):
            await self.put(
                "merchant", merchant_id=merchant_id, name="x", slug=f"m{merchant_id}", country="FR",
                language="fr", timezone="Europe/Paris", currency="EUR",
            )  # fmt: skip

    async def put(self, table: str, **row: object) -> None:
        names, places = ", ".join(row), ", ".join(f"${n}" for n in range(1, len(row) + 1))
        async with self._database.control() as connection:
            await connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", *row.values())

    async def rows(self, query: str, *args: object) -> Sequence[asyncpg.Record]:
        async with self._database.control() as connection:
            return await connection.fetch(query, *args)

    async def value(self, query: str, *args: object) -> Any:
        async with self._database.control() as connection:
            return await connection.fetchval(query, *args)

    async def reply(self, at: datetime, *, merchant_id: int = MERCHANT, **more: object) -> int:
        inbound_id = first_id_of(at) + next(self._next)
        row: dict[str, object] = {
            "merchant_id": merchant_id, "inbound_id": inbound_id, "carrier_id": 1, "msisdn": MSISDN,
            "destination": "36111", "text": "Anne", "raw": b"Anne", "tlvs": b"Anne", "data_coding": 0,
            "label": "unclear", "outcome": "asked", "reason": "'Anne'", "rules_version": "v",
            "received_at": at,
        }  # fmt: skip
        await self.put("inbound_message", **(row | more))
        return inbound_id

    async def person(
        self, subscriber_id: int, state: str, at: datetime, event: str, msisdn: int = MSISDN
    ) -> None:
        agreed_at = at - timedelta(days=30)
        await self.put(
            "subscriber", merchant_id=MERCHANT, subscriber_id=subscriber_id, msisdn=msisdn, language="fr",
            country="FR", offers_state=state, offers_state_at=at, created_at=agreed_at,
        )  # fmt: skip
        for n, (what, when) in enumerate((("opt_in", agreed_at), (event, at))):
            await self.put(
                "consent_event", merchant_id=MERCHANT, consent_id=subscriber_id * 10 + n,
                subscriber_id=subscriber_id, msisdn=msisdn, purpose="offers", event=what, state_after=state,
                source="form", evidence='{"ip": "192.0.2.1"}', occurred_at=when, recorded_at=when,
            )  # fmt: skip

    async def order(self, at: datetime, *, subscriber_id: int = 1, message_id: int = 1) -> int:
        order_id = first_id_of(at) + next(self._next)
        inbound_id = await self.reply(at, order_id=order_id)
        await self.put(
            "orders", merchant_id=MERCHANT, order_id=order_id, number=str(order_id), offer_id=1,
            offer_version=1, campaign_id=1, message_id=message_id, subscriber_id=subscriber_id,
            msisdn=MSISDN, inbound_id=inbound_id, sender="36111", quantity=1, unit_price_minor=1,
            total_minor=1, currency="EUR", state="fulfilled", created_at=at, changed_at=at,
        )  # fmt: skip
        await self.put(
            "order_event", merchant_id=MERCHANT, order_id=order_id, seq=1, event="customer_ok",
            state="placed", actor="customer", at=at,
        )  # fmt: skip
        return order_id


@pytest.fixture
async def books(database: Database) -> Books:
    made = Books(database)
    await made.begin()
    return made


def test_every_rule_says_what_why_and_by_whose_word() -> None:
    for rule in rules().values():
        assert rule.what, rule
        assert rule.why, rule
        assert rule.source, rule
        assert (rule.least is None) == (rule.most is None), rule
        if rule.least is not None and rule.most is not None and rule.days is not None:
            assert rule.least <= rule.days <= rule.most, rule
        assert rule.days is not None or rule.by is By.NOBODY, rule
        assert not rule.operator or rule.operator in Retention.__slots__, rule
        assert rule.beyond is None or rule.operator, rule


def test_every_table_of_a_rule_is_there() -> None:
    told = {table for rule in rules().values() for table in rule.tables}
    assert told <= set(distribution.load())


# Of no person and of no message: how the gateway and its merchants are set up, and sums.
SET_UP = {
    "api_key", "billing_commitment", "billing_period", "billing_profile", "billing_vat", "budget",
    "budget_lease", "budget_refund", "budget_spent", "budget_topup", "campaign", "campaign_counter",
    "carrier", "carrier_record", "charge_reversal", "data_key", "document_series", "esme_account",
    "esme_number", "flush_log", "import_job", "instance_secret", "join_keyword", "merchant", "node",
    "offer", "offer_version", "sender_merchant", "portability_version", "ported_number", "price_item",
    "price_list", "price_version", "reconciliation", "reconciliation_line", "retention_choice",
    "retention_mark", "retired_day", "retired_usage", "trigger_definition", "webhook_endpoint",
}  # fmt: skip


def test_every_table_that_is_not_a_setting_has_a_rule() -> None:
    told = {table for rule in rules().values() for table in rule.tables}
    assert set(distribution.load()) - SET_UP == told


def test_times_that_others_count_by_are_the_tables() -> None:
    assert kept("event") == kept("webhook_delivery") == RETENTION
    assert kept("marketing_contact") == WEEK
    assert kept("pdu_ring") == timedelta(seconds=AGE_MAX_S)
    assert kept("consent_question") == timedelta(days=PENDING_DAYS_MAX)
    for rule in ("person", "reply_number"):  # nobody expires by time before the years are over
        assert timedelta(0) <= kept(rule) - AGES[Ageing.IDLE] <= timedelta(days=2)
    assert kept("number_stop") > kept("person")


@pytest.mark.parametrize(
    ("rule", "days"), [("order", 30), ("person", 29), ("person", 1_098), ("nothing", 30)]
)
def test_what_a_merchant_may_not_choose_is_refused(rule: str, days: int) -> None:
    with pytest.raises(Invalid) as caught:
        check_choice(rule, days)
    assert caught.value.code == "retention_not_allowed"


async def test_texts_of_replies_go_after_their_time_and_their_charge_stays(
    books: Books, database: Database
) -> None:
    age = kept("reply_text")
    old = await books.reply(NOW - age - HOUR, sell_item_id=7, sell_micros=30_000, segments=1)
    young = await books.reply(NOW - age + HOUR)
    of_nobody = await books.reply(NOW - age - HOUR, merchant_id=0)
    consent = await books.reply(NOW - age - 2 * HOUR, subscriber_id=1)
    await books.person(1, "subscribed", NOW - age, "yes")
    await books.rows("UPDATE consent_event SET inbound_id = $1 WHERE event = 'yes'", consent)
    await books.order(NOW - age - 3 * HOUR)
    await books.put(
        "inbound_decision", merchant_id=MERCHANT, inbound_id=old, verdict="ignore", outcome="ignored",
        decided_by="Bea", key_id="k", reason="Anne is my aunt", decided_at=NOW,
    )  # fmt: skip
    for _ in range(2):
        await keep_house(database)
        rows = await books.rows("SELECT * FROM inbound_message WHERE text = ''")
        assert {row["inbound_id"] for row in rows} == {old, of_nobody}
        assert [(row["raw"], row["tlvs"], row["reason"], row["msisdn"]) for row in rows] == 2 * [
            (b"", None, "", MSISDN)
        ]
        assert (
            await books.value("SELECT sell_micros FROM inbound_message WHERE inbound_id = $1", old) == 30_000
        )
        assert await books.value("SELECT reason FROM inbound_decision") == ""
    await keep_house(database, NOW + 2 * HOUR)
    assert await books.value("SELECT text FROM inbound_message WHERE inbound_id = $1", young) == ""


async def test_a_merchant_keeps_texts_for_less_or_longer_than_others(
    books: Books, database: Database
) -> None:
    for merchant_id in (MERCHANT, SHOP, 0):
        for days in (31, 401, 501):
            await books.reply(NOW - timedelta(days=days), merchant_id=merchant_id)
    for merchant_id, days in ((MERCHANT, 30), (SHOP, 500)):
        await books.put(
            "retention_choice", merchant_id=merchant_id, rule="reply_text", days=days, chosen_at=NOW
        )
    await keep_house(database)
    rows = await books.rows(
        "SELECT merchant_id, count(*) FROM inbound_message WHERE text <> '' GROUP BY 1 ORDER BY 1"
    )
    assert [tuple(row) for row in rows] == [(0, 1), (SHOP, 2)]


async def test_numbers_of_replies_go_after_three_years(books: Books, database: Database) -> None:
    await books.reply(NOW - kept("reply_number") - HOUR)
    young = await books.reply(NOW - kept("reply_number") + HOUR)
    await keep_house(database)
    rows = await books.rows("SELECT inbound_id FROM inbound_message WHERE msisdn <> 0")
    assert [row["inbound_id"] for row in rows] == [young]


async def test_people_go_three_years_after_they_were_heard_of_last_and_the_end_of_their_consent_stays(
    books: Books, database: Database
) -> None:
    old, young = NOW - kept("person") - HOUR, NOW - kept("person") + HOUR
    people = {
        1: ("unsubscribed", old, "stop"),
        2: ("unsubscribed", young, "stop"),
        3: ("subscribed", old, "yes"),
    }
    people |= {4: ("unsubscribed", old, "stop"), 5: ("blocked", old, "complaint"), 6: ("none", old, "x")}
    people |= {7: ("unsubscribed", old, "stop"), 8: ("unsubscribed", old, "stop")}
    for n, (state, at, event) in people.items():
        await books.person(n, state, at, event, MSISDN + n)
    await books.reply(young, msisdn=MSISDN + 4)
    await books.order(young, subscriber_id=7)
    await books.put(
        "consent_state", merchant_id=MERCHANT, subscriber_id=8, purpose="polls", state="subscribed",
        state_at=old,
    )  # fmt: skip
    # Three years without a word ended 9's consent just now; 10's number is another person's since yesterday.
    await books.person(9, "expired", NOW - HOUR, "idle", MSISDN + 9)
    await books.person(10, "expired", NOW - 24 * HOUR, "reassigned", MSISDN + 10)
    await books.rows("UPDATE subscriber SET created_at = $1", old)
    await books.rows("UPDATE consent_event SET occurred_at = $1 WHERE event = 'opt_in'", old - HOUR)
    await keep_house(database)
    left = await books.rows("SELECT subscriber_id FROM subscriber ORDER BY 1")
    assert [row["subscriber_id"] for row in left] == [2, 3, 4, 6, 7, 8, 10]
    assert await books.value(
        "SELECT array_agg(DISTINCT subscriber_id) FROM consent_event WHERE msisdn = 0"
    ) == [1, 5, 9]
    assert await books.value("SELECT count(*) FROM consent_event WHERE evidence = '{}'") == 0
    gone = await books.rows("SELECT subscriber_id, hash FROM person_gone ORDER BY 1")
    assert [tuple(row) for row in gone] == [(n, HASHES.of(MERCHANT, MSISDN + n)) for n in (1, 5, 9)]
    async with database.transaction(MERCHANT) as connection:
        stops = await stops_among(connection, HASHES, MERCHANT, [MSISDN + 1, MSISDN + 5, MSISDN + 9])
    assert stops == {MSISDN + 1: old, MSISDN + 5: old, MSISDN + 9: NOW - HOUR}


async def test_people_whose_only_agreements_were_to_something_else_go_when_these_have_expired(
    books: Books, database: Database
) -> None:
    old, young = NOW - kept("person") - HOUR, NOW - kept("person") + HOUR
    people = {
        1: ("none", old, {"appointments": "expired"}),
        2: ("none", old, {"appointments": "expired", "polls": "subscribed"}),
        3: ("none", old, {"appointments": "none"}),  # a customer by contract, perhaps
        4: ("none", young, {"appointments": "expired"}),
        5: ("pending", old, {"appointments": "expired"}),
    }
    for n, (state, at, others) in people.items():
        await books.person(n, state, at, "opt_in", MSISDN + n)
        for purpose, other in others.items():
            await books.put(
                "consent_state", merchant_id=MERCHANT, subscriber_id=n, purpose=purpose, state=other,
                state_at=NOW - HOUR,
            )  # fmt: skip
    await books.rows("UPDATE subscriber SET created_at = $1", old)
    await keep_house(database)
    left = await books.rows("SELECT subscriber_id FROM subscriber ORDER BY 1")
    assert [row["subscriber_id"] for row in left] == [2, 3, 4, 5]


async def test_how_gone_people_agreed_is_kept_five_years_and_longer_beside_an_order(
    books: Books, database: Database
) -> None:
    age = kept("consent_evidence")
    for n, last in ((1, NOW - age - HOUR), (2, NOW - age + HOUR), (3, NOW - age - HOUR)):
        await books.person(n, "unsubscribed", last, "stop", MSISDN + n)
    inbound_id = await books.reply(NOW - age - HOUR, subscriber_id=1)
    await books.rows("UPDATE consent_event SET inbound_id = $1 WHERE subscriber_id = 1", inbound_id)
    await books.order(NOW - age - 2 * HOUR, subscriber_id=3)
    await keep_house(database)
    rows = await books.rows("SELECT DISTINCT subscriber_id FROM consent_event WHERE evidence = '{}'")
    assert [row["subscriber_id"] for row in rows] == [1]
    assert await books.value("SELECT count(*) FROM person_gone") == 2
    assert await books.value("SELECT text FROM inbound_message WHERE inbound_id = $1", inbound_id) == ""


async def test_orders_go_after_ten_years_with_all_that_is_about_them(
    books: Books, database: Database
) -> None:
    age = kept("order")
    old = await books.order(NOW - age - HOUR, message_id=1)
    young = await books.order(NOW - age + HOUR, message_id=2)
    await books.reply(NOW - age - HOUR / 2, order_id=old)
    for order_id in (old, young):
        await books.put(
            "order_stamp", merchant_id=MERCHANT, order_id=order_id, no=1, at=NOW, erases=False, facts="[]",
            previous=b"", sha256=b"", signature=b"", salt=b"",
        )  # fmt: skip
    await keep_house(database)
    for table in ("orders", "order_event", "order_stamp"):
        assert await books.value(f"SELECT array_agg(order_id) FROM {table}") == [young], table
    rows = await books.rows(
        "SELECT order_id FROM inbound_message WHERE text <> '' OR msisdn <> 0 OR raw <> ''"
    )
    assert [row["order_id"] for row in rows] == [young]


async def test_what_was_taken_along_of_orders_goes_a_year_after_them(
    books: Books, database: Database
) -> None:
    for n, at in enumerate((NOW - kept("order_record") - HOUR, NOW - kept("order_record") + HOUR)):
        id_ = first_id_of(at) + n
        await books.put(
            "kept_message", merchant_id=MERCHANT, message_id=id_, msisdn=1, kind="x", sender="x", order_id=1
        )
        await books.put(
            "kept_sent", merchant_id=MERCHANT, message_id=id_, segment=1, carrier_id=1, status=0, segments=1,
            sell_item_id=0, sell_micros=0, cost_item_id=0, cost_micros=0, sent_at=at,
        )  # fmt: skip
        await books.put(
            "kept_receipt", merchant_id=MERCHANT, message_id=id_, segment=1, state=2, received_at=at
        )
        await books.put(
            "kept_event",
            merchant_id=MERCHANT,
            event_id=id_,
            type="x",
            subject="ord_x",
            data="{}",
            created_at=at,
        )
    await keep_house(database)
    for table in ("kept_message", "kept_sent", "kept_receipt", "kept_event"):
        assert await books.value(f"SELECT count(*) FROM {table}") == 1, table


async def test_what_was_taken_along_of_consents_has_no_age_of_its_own(
    books: Books, database: Database
) -> None:
    """A person may stay for longer than any order."""
    at = NOW - 2 * kept("order_record")
    told = {"merchant_id": MERCHANT, "message_id": first_id_of(at), "msisdn": 1, "subscriber_id": 3}
    await books.put("kept_message", **told, kind="start_welcome", sender="x")
    await books.put(
        "kept_event", merchant_id=MERCHANT, event_id=first_id_of(at), type="consent.granted",
        subject="sub_x", data="{}", created_at=at,
    )  # fmt: skip
    await keep_house(database)
    assert await books.value("SELECT count(*) FROM kept_message") == 1
    assert await books.value("SELECT count(*) FROM kept_event") == 1


async def test_a_run_that_is_killed_between_two_steps_is_taken_up_by_the_next(
    books: Books, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step is one transaction: after any number of them the next run goes on where it was."""
    for n in range(7):
        await books.reply(NOW - kept("reply_text") - n * HOUR - HOUR)
    store = PgHousekeeping(database, HASHES, PublicIds(bytes(32)))
    for left in (4, 1, 0, 0):
        await store.delete_older("reply_text", NOW - kept("reply_text"), 3)
        assert await books.value("SELECT count(*) FROM inbound_message WHERE text <> ''") == left
    monkeypatch.setattr(flow, "ROWS_MAX", 3)
    housekeeping = await keep_house(database)
    assert housekeeping.deleted["reply_text"] == 0


@pytest.mark.parametrize("table", ["message", "sent", "receipt", "event"])
async def test_what_outlives_a_partition_has_the_same_columns(table: str, books: Books) -> None:
    columns = (
        "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    )
    found = await books.rows(columns, table)
    assert found == await books.rows(columns, f"kept_{table}")
