"""How old the oldest row of each retention rule is, on a real database: what `smsgate retention` tells."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Any, Final

import asyncpg
import pytest

from smsgate.campaigns.retention import By, rules
from smsgate.flows.events import first_id_of
from smsgate.store.pool import Database
from smsgate.store.retention import PgRetention

NOW: Final = datetime.now(UTC)
YESTERDAY: Final = NOW - timedelta(days=1)
LONG_AGO: Final = datetime(2025, 3, 1, tzinfo=UTC)  # of every other instant of a row: none of them counts

Values = dict[str, Any]


def _by_id(name: str, **more: Any) -> Callable[[datetime], Values]:
    return lambda at: {name: first_id_of(at), **more}


def _by_instant(name: str, **more: Any) -> Callable[[datetime], Values]:
    return lambda at: {name: at, **more}


def _reply(at: datetime) -> Values:
    return {"merchant_id": 0, "inbound_id": first_id_of(at), "received_at": at}


# Where rows of each rule stand, and what makes one as old as an instant.
ROWS: Final[dict[str, tuple[str, Callable[[datetime], Values]]]] = {
    "reply_text": ("inbound_message", _reply),
    "reply_number": ("inbound_message", _reply),
    "person": ("subscriber", _by_instant("offers_state_at", offers_state="unsubscribed")),
    "consent_evidence": ("person_gone", _by_instant("last_at")),
    "number_stop": ("number_stop", _by_instant("stopped_at")),
    "suppression": ("suppression", _by_instant("created_at", reason="complaint")),
    "sender_stop": ("sender_stop", _by_instant("stopped_at")),
    "data_request": ("data_request", _by_instant("created_at", kind="access")),
    "erasure_owed": ("erasure_owed", _by_id("request_id")),
    "message": ("message", _by_id("message_id")),
    "order": ("orders", _by_instant("created_at", state="placed")),
    "order_record": ("kept_message", _by_id("message_id", order_id=1)),
    "ledger": ("ledger_entry", _by_instant("at", account="revenue", direction="mt")),
    "campaign_chunk": ("campaign_chunk", _by_id("campaign_id", state="done")),
    "budget_charge": (
        "budget_charge", lambda at: {"message_ids": _range(first_id_of(at)), "lease_id": 1},
    ),
    "open_offer": ("open_offer", _by_instant("expires_at")),
    "marketing_contact": ("marketing_contact", _by_instant("last_at")),
    "answer_count": ("answer_count", _by_instant("day_at")),
    "consent_question": ("consent_question", _by_instant("asked_at", purpose="offers")),
    "interactive_queue": ("interactive_queue", _by_id("message_id")),
    "mo_seen": ("mo_seen", _by_instant("seen_at")),
    "mo_part": ("mo_part", _by_instant("received_at")),
    "receipt_unmatched": ("receipt_unmatched", _by_instant("received_at")),
    "esme_delivery": ("esme_delivery", _by_instant("expires_at")),
    "esme_day": ("esme_day", lambda at: {"day": at.date()}),
    "event": ("event", _by_id("event_id")),
    "webhook_delivery": ("webhook_delivery", _by_id("event_id", state="delivered")),
    "trigger_event": ("trigger_event", _by_instant("received_at")),
    "idempotency_key": ("idempotency_key", _by_instant("created_at")),
    "import_error": ("import_error", _by_id("import_id")),
}  # fmt: skip
# Older rows beside them that the rule is not about, or not yet.
BESIDE: Final[dict[str, tuple[str, Values]]] = {
    "person": ("subscriber", {"offers_state": "subscribed", "offers_state_at": LONG_AGO}),
    "campaign_chunk": ("campaign_chunk", {"campaign_id": first_id_of(LONG_AGO), "state": "ready"}),
    "budget_charge": ("budget_charge", {"message_ids": None, "lease_id": 0}),
    "open_offer": ("open_offer", {"expires_at": NOW + timedelta(days=1)}),
    "esme_delivery": ("esme_delivery", {"expires_at": NOW + timedelta(days=1)}),
}


def _range(message_id: int) -> list[asyncpg.Range[int]]:
    return [asyncpg.Range(message_id, message_id + 1)]


BESIDE["budget_charge"][1]["message_ids"] = _range(first_id_of(LONG_AGO))


class Filled:
    """Writes rows whose other columns are of no account."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next = count(1)

    async def put(self, table: str, values: Values) -> None:
        n = next(self._next)
        fillers: dict[str, object] = {
            "bigint": n, "integer": n, "smallint": n, "text": f"x{n}", "character": "x", "boolean": False,
            "bytea": hashlib.sha256(b"%d" % n).digest(), "timestamp with time zone": LONG_AGO,
            "date": date(2025, 3, 1), "ARRAY": [], "jsonb": "{}",
        }  # fmt: skip
        async with self._database.control() as connection:
            rows = await connection.fetch(
                "SELECT column_name AS name, data_type AS type FROM information_schema.columns "
                "WHERE table_schema = 'public' AND table_name = $1 AND is_nullable = 'NO' "
                "AND column_default IS NULL",
                table,
            )
            row = {each["name"]: fillers.get(each["type"]) for each in rows} | values
            places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
            await connection.execute(
                f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values()
            )


def test_every_rule_with_tables_is_tried_out_here() -> None:
    assert set(ROWS) == {rule.id for rule in rules().values() if rule.tables}


@pytest.mark.parametrize("rule_id", sorted(ROWS))
async def test_the_oldest_row_of_a_rule_is_told(rule_id: str, database: Database) -> None:
    rule, store, filled = rules()[rule_id], PgRetention(database), Filled(database)
    table, values = ROWS[rule_id]
    assert await store.oldest(rule) is None
    if rule_id in BESIDE:
        beside, row = BESIDE[rule_id]
        await filled.put(beside, row)
        assert await store.oldest(rule) is None
    for at in (NOW - timedelta(minutes=5), YESTERDAY, NOW - timedelta(minutes=9)):
        await filled.put(table, values(at))
    found: Any = await store.oldest(rule)
    if rule.by is By.DAYS or rule_id == "esme_day":
        assert found in {YESTERDAY.date(), datetime.combine(YESTERDAY.date(), time(), UTC)}
    else:
        assert abs(found - YESTERDAY) <= timedelta(milliseconds=1)


@pytest.mark.parametrize("rule_id", ["reply_text", "reply_number"])
async def test_what_a_rule_about_replies_has_come_to_counts_no_more_and_is_its_own(
    rule_id: str, database: Database
) -> None:
    filled, store = Filled(database), PgRetention(database)
    (other,) = {"reply_text", "reply_number"} - {rule_id}
    for at in (YESTERDAY, NOW):
        await filled.put("inbound_message", _reply(at))
    await filled.put("retention_mark", {"merchant_id": 0, "rule": rule_id, "done_id": first_id_of(NOW) - 1})
    assert await store.oldest(rules()[rule_id]) == NOW
    assert await store.oldest(rules()[other]) == YESTERDAY
