"""
M18: an erasure leaves the person in no table, file and log but as a keyed hash.

Every table that may know a person is filled first, each of its columns of text with the person's number or
words; a table or column that is new has to be named here, as one that is filled or one that is nobody's.
"""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from smsgate.security.public_ids import Kind
from smsgate.store.pool import Database
from smsgate.store.roles import ADMIN
from smsgate.telemetry.logs import configure_logs
from tests.api.commerce_setup import SENDER, Shop
from tests.api.test_owed_erasures import finish_owed
from tests.api.test_privacy import MSISDN, a_history, a_person
from tests.store.test_retention import SET_UP

DIGITS = str(MSISDN)
WORDS = "Annemarie"  # in every text and every value of the person's profile
MARKS = (DIGITS, DIGITS.encode().hex(), WORDS, WORDS.encode().hex())

# Tables of no person: how the gateway is set up, sums and money, and keyed hashes.
OF_NOBODY = SET_UP | {
    "document", "document_advance", "document_file", "document_line", "ledger_entry", "ledger_seal", "payout",
    "payout_line",
    "budget_charge", "esme_day",  # sums
    "mo_seen", "number_stop", "order_stamp", "suppression", "person_gone",  # hashes
    "kept_receipt", "kept_sent", "receipt", "receipt_unmatched", "sent", "interactive_queue",  # ids
    "data_request", "trigger_event",  # ids of what was asked for, and of campaigns
}  # fmt: skip
# Kept for a time of their own, since it is not this merchant's alone (docs/compliance.md).
OF_OTHERS = {"mo_part"}
# Columns of the other tables that say nothing of a person: names of states, kinds, numbers of ours, versions.
OF_NOBODYS_COLUMNS = {
    "consent_event": {"purpose", "event", "state_after", "source", "wording_version"},
    "consent_question": {"sender", "purpose", "wording_version"},
    "consent_state": {"purpose", "state"},
    "campaign_chunk": {"state", "hold", "hold_rule"},
    "esme_delivery": {"error"},
    "event": {"type", "subject"},
    "idempotency_key": {"fingerprint"},
    "import_error": {"code"},
    "inbound_decision": {"verdict", "outcome", "decided_by", "key_id"},
    "inbound_message": {"destination", "label", "outcome", "rules_version"},
    "kept_event": {"type", "subject"},
    "kept_message": {"kind", "sender"},
    "message": {"kind", "sender"},
    "open_offer": {"sender"},
    "order_event": {"event", "state", "actor"},
    "orders": {"number", "sender", "currency", "state", "shop_ref", "due_event"},
    "sender_stop": {"sender"},
    "subscriber": {"language", "country", "offers_state", "region", "timezone", "place"},
    "suppression_lift": {"hash", "lifted_by"},
    "webhook_delivery": {"subject", "state"},
}


async def search(database: Database) -> dict[str, set[str]]:
    """Search every column of every row of every table for the person."""
    found: dict[str, set[str]] = {}
    connection = await database.connect(ADMIN)
    try:
        for table, column in await connection.fetch(COLUMNS, None):
            query = f"SELECT EXISTS (SELECT FROM {table} WHERE {column}::text ILIKE ANY ($1::text[]))"
            if await connection.fetchval(query, [f"%{mark}%" for mark in MARKS]):
                found.setdefault(table, set()).add(column)
    finally:
        await connection.close()
    return found


COLUMNS = """
SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND a.attnum > 0 AND NOT a.attisdropped AND c.relname <> 'schema_migration'
   AND ($1::text[] IS NULL OR format_type(a.atttypid, NULL) = ANY ($1) OR a.attname LIKE 'msisdn%')
"""


async def columns_that_may_tell(database: Database) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    async with database.control() as connection:
        for table, column in await connection.fetch(COLUMNS, ["text", "text[]", "jsonb", "bytea"]):
            found.setdefault(table, set()).add(column)
    return found


async def a_whole_life(shop: Shop, database: Database) -> dict[str, Any]:
    """Have every table know the person: by its number, or by its words."""
    person = await a_person(shop)
    await a_history(shop, person)
    merchant_id, now = shop.merchant_id, shop.clock.now()
    subscriber_id = shop.id_of(Kind.SUBSCRIBER, person["id"])
    order_id = await shop.value("SELECT order_id FROM orders")
    order, text = shop.public(Kind.ORDER, order_id), f"{WORDS} +{DIGITS}"
    said = json.dumps({"msisdn": f"+{DIGITS}", "text": text, "reason": f"{WORDS!r} may be a yes."})
    async with database.control() as connection:

        async def put(statement: str, *args: object) -> None:
            await connection.execute(statement, *args)

        await put(
            "UPDATE subscriber SET external_id = $1, tags = ARRAY[$1], "
            "fields = jsonb_build_object('n', $1::text)",
            text,
        )
        await put(
            "UPDATE inbound_message SET text = $1, raw = $2, tlvs = $2, reason = $1", text, text.encode()
        )
        await put(
            "UPDATE message SET fields = ARRAY[$1], push = $2, tlvs = $2, body = $1", text, text.encode()
        )
        await put("UPDATE consent_event SET evidence = jsonb_build_object('who', $1::text)", text)
        await put(
            "INSERT INTO inbound_decision SELECT $1, inbound_id, 'ignore', NULL, 'ignored', NULL, 'Bea', "
            "'k', $2, $3 FROM inbound_message WHERE merchant_id = $1", merchant_id, text, now,
        )  # fmt: skip
        await put(
            "INSERT INTO consent_state VALUES ($1, $2, 'polls', 'subscribed', $3)",
            merchant_id,
            subscriber_id,
            now,
        )
        await put(
            "INSERT INTO consent_question VALUES ($1, $2, $3, $4, 'polls', 'w1', $5)",
            MSISDN, SENDER, merchant_id, subscriber_id, now,
        )  # fmt: skip
        await put(
            "INSERT INTO order_event VALUES ($1, $2, 9, 'dispute', 'disputed', 'customer', $3, $4)",
            merchant_id, order_id, json.dumps({"reason": text, "link": f"https://bxm.fr/{WORDS}"}), now,
        )  # fmt: skip
        for n, subject in enumerate((order, "inb_x")):
            await put(
                "INSERT INTO event VALUES ($1, $2, 'inbound.received', $3, $4, $5)",
                merchant_id, shop.next_id() + n, subject, said, now,
            )  # fmt: skip
        await put(
            "INSERT INTO kept_event VALUES ($1, $2, 'order.disputed', $3, $4, $5)",
            merchant_id, shop.next_id(), order, said, now,
        )  # fmt: skip
        await put(
            "INSERT INTO kept_message (merchant_id, message_id, msisdn, kind, sender, fields, body, "
            "order_id, push, tlvs) VALUES ($1, $2, $3, 'x', $4, ARRAY[$5], $5, $6, $7, $7)",
            merchant_id, shop.next_id(), MSISDN, SENDER, text, order_id, text.encode(),
        )  # fmt: skip
        await put(
            "INSERT INTO idempotency_key VALUES ($1, $2, '', 200, $3), ($1, $4, '', 200, '')",
            merchant_id, f"text-{DIGITS}", text.encode(), f"order of {DIGITS}",
        )  # fmt: skip
        await put(
            "INSERT INTO webhook_delivery VALUES ($1, $2, 1, 'ord_x', 'failed', 1, $3, NULL, 500, $4)",
            merchant_id, shop.next_id(), now, f"cannot write to {DIGITS}",
        )  # fmt: skip
        await put(
            "INSERT INTO import_error VALUES ($1, $2, 1, 'suppressed', $3)",
            merchant_id,
            shop.next_id(),
            f"{DIGITS} is",
        )
        await put(
            "INSERT INTO esme_message VALUES ($1, (SELECT message_id FROM message WHERE campaign_id IS NULL "
            "LIMIT 1), 5, 1, 1, $2)",
            merchant_id, text.encode(),
        )  # fmt: skip
        await put(
            "INSERT INTO esme_delivery VALUES ($1, $2, 5, NULL, 0, '', $3, $4, $4, $4)",
            merchant_id, shop.next_id(), text.encode(), now + timedelta(days=1),
        )  # fmt: skip
        await put("INSERT INTO erasure_owed VALUES ($1, $2, $3, 1)", merchant_id, shop.next_id(), MSISDN)
        hash_ = shop.api.context.privacy._hashes.of(merchant_id, MSISDN)  # type: ignore[union-attr]
        await put("INSERT INTO suppression_lift VALUES ($1, $2, 'Bea', $3)", hash_, now, text)
    return person


async def test_every_table_and_column_that_may_know_a_person_is_filled_or_named(
    shop: Shop, database: Database
) -> None:
    await a_whole_life(shop, database)
    known = await search(database)
    may = await columns_that_may_tell(database)
    left_out = {
        table: sorted(columns - known.get(table, set()) - OF_NOBODYS_COLUMNS.get(table, set()))
        for table, columns in may.items()
        if table not in OF_NOBODY | OF_OTHERS
    }
    assert {table: columns for table, columns in left_out.items() if columns} == {}
    assert set(known) & (OF_NOBODY | OF_OTHERS) == set()


async def test_an_erasure_leaves_the_person_in_no_table_file_and_log(
    shop: Shop, database: Database, tmp_path: Path
) -> None:
    log = io.StringIO()
    configure_logs("debug", "json", log)
    structlog.configure(**{**structlog.get_config(), "cache_logger_on_first_use": False})
    person = await a_whole_life(shop, database)
    before = await search(database)
    assert len(before) >= 20
    made = await shop.caller.post("/v1/data_requests", {"kind": "erasure", "subscriber": person["id"]})
    structlog.reset_defaults()
    assert made.status == 201, made
    assert set(await search(database)) == {"erasure_owed"}  # by one that was cut off before
    await finish_owed(shop)
    assert await search(database) == {}
    assert not any(mark in log.getvalue() for mark in MARKS)
    checked = await shop.caller.get(f"/v1/suppressions?msisdn=%2B{DIGITS}")
    assert (checked.body["suppressed"], checked.body["reason"]) == (True, "erased")
