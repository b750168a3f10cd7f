"""The proof file of an order, from what a real conversation left in the database."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from smsgate.clock import ManualClock, SystemClock
from smsgate.flows.housekeeping import Housekeeping, Retention
from smsgate.flows.order_entries import instant
from smsgate.flows.order_proof import OrderProofs
from smsgate.flows.orders import Orders
from smsgate.ids import IdMaker
from smsgate.security.proof_chain import Entry, ProofKey
from smsgate.security.proof_stamps import verify
from smsgate.security.public_ids import Kind, PublicIds
from smsgate.security.suppression import SuppressionHashes
from smsgate.store.housekeeping import PgHousekeeping
from smsgate.store.order_proof import PgOrderProofs
from smsgate.store.order_stamps import OldOrders
from smsgate.store.orders import PgOrders
from smsgate.store.pool import Database
from smsgate.store.privacy import PgPrivacy
from tests.flows.inbound_world import an_open_offer, say
from tests.flows.world import FIRST_MSISDN, MERCHANT, OFFER_TEXT, SENDER, STAMPS, Nudges, World, eventually
from tests.unit.security.stamping import made

PUBLIC, KEY = PublicIds(bytes(32)), ProofKey(bytes(32))


async def file_of(world: World, order_id: int) -> bytes:
    store = PgOrderProofs(world.database, STAMPS, SystemClock())
    return await OrderProofs(store, PUBLIC, SystemClock(), KEY).file(MERCHANT, order_id)


async def proof_of(world: World, order_id: int) -> list[Any]:
    """Return the entries of an order's file, which holds."""
    file = await file_of(world, order_id)
    verdict, held = verify(file, KEY.public)
    assert (verdict.wrong, verdict.reason) == (None, "")
    assert held.stamped
    return [orjson.loads(line) for line in file.splitlines()]


def orders_of(database: Database) -> Orders:
    ids = IdMaker(40, lambda: int(time.time() * 1000))
    return Orders(PgOrders(database, STAMPS), ids, SystemClock(), PUBLIC, Nudges())


async def test_the_proof_of_an_order_holds_all_that_led_to_it_and_came_of_it(database: Database) -> None:
    async with an_open_offer(database, stock=10) as (world, _):
        await world.execute(
            "INSERT INTO consent_event (merchant_id, consent_id, subscriber_id, msisdn, purpose, event, "
            "state_after, wording_version, source, evidence, occurred_at) VALUES ($1, 5, 10001, $2, "
            "'offers', 'import_row', 'subscribed', 'boxman-2026-11', 'form', "
            "jsonb_build_object('ip', '192.0.2.1'), now())",
            MERCHANT,
            FIRST_MSISDN + 1,
        )
        (receipt,) = await say(world, 1, "OK 2")
        order_id = await world.value("SELECT order_id FROM orders")
        await eventually(lambda: world.value("SELECT count(*) = 4 FROM receipt"))
        await orders_of(database).confirm(MERCHANT, order_id, "B-889")
        entries = await proof_of(world, order_id)
        by_kind: dict[str, list[Any]] = {}
        for entry in entries:
            by_kind.setdefault(entry["kind"], []).append(entry["body"])
        (consent,), (offer,), (message,) = by_kind["consent"], by_kind["offer"], by_kind["offer_message"]
        assert (consent["wording_version"], consent["source"]) == ("boxman-2026-11", "form")
        assert consent["evidence"] == {"ip": "192.0.2.1"}
        assert (offer["text"], offer["price"], offer["version"]) == (OFFER_TEXT, "19.90", 1)
        assert by_kind["offer_terms"] == [
            {
                "offer": offer["offer"], "version": 1, "cancel_window_s": 3_600, "shop_answer_s": 86_400,
                "confirm_by_sms": False,
            }
        ]  # fmt: skip
        assert (message["text"], message["sender"]) == (OFFER_TEXT, SENDER)
        (reply,), (order,) = by_kind["reply"], by_kind["order"]
        assert (reply["text"], bytes.fromhex(reply["raw"])) == ("OK 2", b"OK 2")
        assert (reply["label"], reply["quantity"]) == ("quantity", 2)
        header = ("esm_class", "source_ton", "source_npi", "destination_ton", "destination_npi", "tlvs")
        assert [reply[name] for name in header] == [0, 1, 1, 3, 0, ""]  # from a number to a short code
        assert reply["reason"]
        assert reply["rules_version"]
        assert (order["total"], order["order_ref"], order["state"]) == ("39.80", "B-889", "confirmed")
        assert [step["event"] for step in by_kind["order_step"]] == ["customer_ok", "shop_confirm"]
        assert [text["body"] for text in by_kind["text"]] == [receipt]
        assert {sent["message"] for sent in by_kind["submitted"]} == {
            message["message"], by_kind["text"][0]["message"],
        }  # fmt: skip
        assert [each["state"] for each in by_kind["receipt"]] == ["delivrd", "delivrd"]
        (event,) = by_kind["event"]
        assert (event["type"], event["data"]["order"]) == (
            "order.created",
            PUBLIC.encode(Kind.ORDER, order_id),
        )
        assert [stamp["erases"] for stamp in by_kind["stamp"]] == [False, False]
        assert entries[-1]["kind"] == "seal"
        times = [entry["at"] for entry in entries]
        assert times == sorted(times)


INBOUND = "WHERE inbound_id = (SELECT inbound_id FROM orders WHERE order_id = $1)"
OFFERED = "WHERE message_id = (SELECT message_id FROM orders WHERE order_id = $1)"
PERSON = "WHERE subscriber_id = (SELECT subscriber_id FROM orders WHERE order_id = $1)"
# What somebody does to the database of order $1, and the kind of entry that is named for it.
CHANGES = {
    "UPDATE inbound_message SET text = 'OK 9' " + INBOUND: "reply",
    "UPDATE inbound_message SET received_at = received_at - interval '1 hour' " + INBOUND: "reply",
    "UPDATE inbound_message SET source_ton = 5 " + INBOUND: "reply",
    "UPDATE inbound_message SET tlvs = NULL " + INBOUND: "reply",
    "UPDATE consent_event SET evidence = '{}' " + PERSON: "consent",
    "DELETE FROM consent_event " + PERSON: "stamp",
    "UPDATE message SET msisdn = 33699999999 " + OFFERED: "offer_message",
    "UPDATE message SET body = 'Rien.' WHERE order_id = $1": "text",
    "UPDATE sent SET sent_at = sent_at - interval '1 day' " + OFFERED: "submitted",
    "DELETE FROM receipt " + OFFERED: "stamp",
    "UPDATE receipt SET error = '001' " + OFFERED: "receipt",
    "UPDATE orders SET total_minor = 1 WHERE order_id = $1": "order",
    "UPDATE orders SET state = 'cancelled' WHERE order_id = $1": "order",
    "UPDATE order_event SET actor = 'customer' WHERE order_id = $1 AND seq = 2": "order_step",
    "DELETE FROM order_event WHERE order_id = $1 AND seq = 2": "stamp",
    "INSERT INTO order_event VALUES (7, $1, 3, 'shop_fulfil', 'x', 'shop', '{}', now())": "order_step",
    "UPDATE event SET data = '{}' WHERE type = 'order.created' AND data ->> 'number' = "
    "(SELECT number FROM orders WHERE order_id = $1)": "event",
    "UPDATE order_stamp SET facts = replace(facts, 'reply', 'replx') WHERE order_id = $1 AND no = 1": "stamp",
    "UPDATE order_stamp SET signature = sha256 || sha256 WHERE order_id = $1 AND no = 2": "stamp",
    "UPDATE order_stamp SET salt = '' WHERE order_id = $1 AND no = 1": "stamp",
    "DELETE FROM order_stamp WHERE order_id = $1 AND no = 1": "stamp",
    "DELETE FROM order_stamp WHERE order_id = $1 AND no = 2": "order",
    # last: these are everybody's
    "UPDATE offer_version SET cancel_window_s = 60 WHERE offer_id = "
    "(SELECT offer_id FROM orders WHERE order_id = $1)": "offer_terms",
    "UPDATE offer_version SET unit_price_minor = 1 WHERE offer_id = "
    "(SELECT offer_id FROM orders WHERE order_id = $1)": "offer",
}


async def test_whatever_row_is_changed_afterwards_verify_names_it(database: Database) -> None:
    async with an_open_offer(database, subscribers=len(CHANGES)) as (world, _):
        await world.execute(
            "INSERT INTO consent_event (merchant_id, consent_id, subscriber_id, msisdn, purpose, event, "
            "state_after, source, evidence, occurred_at) SELECT merchant_id, subscriber_id, subscriber_id, "
            "msisdn, 'offers', 'import_row', 'subscribed', 'form', jsonb_build_object('ip', '192.0.2.1'), "
            "now() FROM subscriber"
        )
        mos = [world.answer(person, "OK") for person in range(len(CHANGES))]
        await eventually(lambda: all(mo.taken for mo in mos))
        receipts = 2 * len(CHANGES)
        await eventually(lambda: world.value("SELECT count(*) = $1 FROM receipt", receipts))
        rows = await world.rows("SELECT order_id FROM orders ORDER BY order_id")
        for row in rows:
            await orders_of(database).confirm(MERCHANT, row["order_id"], "B-889")
        await proof_of(world, rows[0]["order_id"])
        for row, (change, kind) in zip(rows, CHANGES.items(), strict=True):
            await world.execute(change, row["order_id"])
            file = await file_of(world, row["order_id"])
            verdict, _ = verify(file, KEY.public)
            assert verdict.wrong is not None, change
            assert orjson.loads(file.splitlines()[verdict.wrong - 1])["kind"] == kind, (change, verdict)


SAID = (
    ["OK"], ["ok 2"], ["OUI \N{THUMBS UP SIGN}"], ["d\N{RIGHT SINGLE QUOTATION MARK}accord"], ["2"],
    ['"Oui" \\ merci'], ["OK", "NON"], ["OK", "merci"], ["OK", "OK"], ["PAUSE", "OK"], ["OK" + " svp" * 60],
)  # fmt: skip


async def test_a_group_stamps_of_its_orders_what_the_database_shows_of_them(database: Database) -> None:
    """New orders are stamped from what is written, and others from what is read: nobody tells them apart."""
    async with an_open_offer(database, subscribers=len(SAID), stock=100) as (world, _):
        mos = [world.answer(person, text) for person, texts in enumerate(SAID) for text in texts]
        await eventually(lambda: all(mo.taken for mo in mos))
        rows = await world.rows("SELECT order_id, state FROM orders")
        for row in rows:
            await proof_of(world, row["order_id"])
        assert len(rows) >= 8
        assert {"placed", "cancelled"} <= {row["state"] for row in rows}


# What a stamp holds of an offer's version for ever: a name more or less, and no proof from before holds.
OFFER_NAMES = {
    "offer", "version", "text", "shop", "item", "price", "currency", "quantity_max", "ask_above_minor",
    "withdrawal", "language", "country", "sender", "expires_at",
}  # fmt: skip


async def test_an_order_from_before_terms_were_proved_holds_and_its_next_stamp_takes_them_up(
    database: Database,
) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 0, "OK")
        order_id = await world.value("SELECT order_id FROM orders")
        (stamp,) = await world.rows("SELECT * FROM order_stamp")
        proved = await proof_of(world, order_id)
        (offer,) = [entry["body"] for entry in proved if entry["kind"] == "offer"]
        assert set(offer) == OFFER_NAMES
        known = {kind for kind, _, _ in orjson.loads(stamp["facts"])}
        before = [
            Entry(entry["kind"], entry["at"], entry["body"], entry["id"])
            for entry in proved
            if entry["kind"] in known - {"offer_terms"}
        ]
        old = made(KEY, PUBLIC.encode(Kind.ORDER, order_id), None, instant(stamp["at"]), before)
        facts = orjson.dumps([list(fact) for fact in old.facts]).decode()
        octets = [bytes.fromhex(each) for each in (old.sha256, old.signature, old.salt)]
        await world.execute(
            "UPDATE order_stamp SET facts = $1, sha256 = $2, signature = $3, salt = $4", facts, *octets
        )
        unstamped = {entry["kind"] for entry in await proof_of(world, order_id)}
        assert "offer_terms" in unstamped
        await orders_of(database).confirm(MERCHANT, order_id, "B-889")
        stamps = [entry["body"] for entry in await proof_of(world, order_id) if entry["kind"] == "stamp"]
        kinds = [{kind for kind, _, _ in each["facts"]} for each in stamps]
        assert ["offer_terms" in each for each in kinds] == [False, True]
        assert ["offer" in each for each in kinds] == [True, False]


async def retire_partitions(database: Database) -> None:
    later = datetime.now(UTC) + timedelta(days=402)
    keeper = PgHousekeeping(database, SuppressionHashes(bytes(32)), PublicIds(bytes(32)))
    await Housekeeping(keeper, Retention(), ManualClock(later)).step()


async def test_what_the_messages_of_an_order_cost_is_told_when_their_partitions_are_gone(
    database: Database,
) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "OK")
        order_id = await world.value("SELECT order_id FROM orders")
        await eventually(lambda: world.value("SELECT count(*) = 4 FROM receipt"))
        before = await orders_of(database).details(MERCHANT, order_id)
        assert (len(before.offer_costs), before.system_messages) == (1, 1)
        assert before.offer_costs[0].sell_micros > 0 < before.system_micros
    await retire_partitions(database)
    async with database.control() as connection:
        assert await connection.fetchval("SELECT count(*) FROM sent") == 0
    assert await orders_of(database).details(MERCHANT, order_id) == before


async def test_an_order_is_proved_when_its_partitions_are_gone(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "OK")
        order_id = await world.value("SELECT order_id FROM orders")
        await eventually(lambda: world.value("SELECT count(*) = 4 FROM receipt"))
        await orders_of(database).confirm(MERCHANT, order_id, "B-889")
        before = await proof_of(world, order_id)
    await retire_partitions(database)
    async with database.control() as connection:
        for table in ("message", "sent", "receipt", "event"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0, table
        assert await connection.fetchval("SELECT count(*) FROM kept_message") == 2
    after = await proof_of(world, order_id)
    strip = [(entry["kind"], entry["body"]) for entry in before if entry["kind"] not in {"delivery", "seal"}]
    assert [
        (entry["kind"], entry["body"]) for entry in after if entry["kind"] not in {"delivery", "seal"}
    ] == strip


async def test_orders_from_before_there_were_stamps_are_stamped_as_they_are(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        for person in (0, 1, 2):
            await say(world, person, "OK")
        await world.execute("DELETE FROM order_stamp")
        await world.execute("UPDATE orders SET unstamped = true")
        first, second, third = [
            row["order_id"] for row in await world.rows("SELECT order_id FROM orders ORDER BY order_id")
        ]
        await proof_of(world, first)  # whoever asks first
        await orders_of(database).confirm(MERCHANT, second)  # or whatever happens next
        assert not await OldOrders(database, STAMPS, SystemClock()).step()  # or the loop
        assert await world.value("SELECT count(*) = 0 FROM orders WHERE unstamped")
        for order_id in (first, second, third):
            entries = await proof_of(world, order_id)
            (stamp,) = [entry["body"] for entry in entries if entry["kind"] == "stamp"]
            kinds = {kind for kind, _, _ in stamp["facts"]}
            assert kinds >= {"offer", "offer_message", "reply", "order", "order_step", "text", "event"}
            assert kinds >= {"submitted", "receipt"}


async def test_an_erasure_takes_the_salts_and_stamps_what_it_left(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "OK")
        order_id = await world.value("SELECT order_id FROM orders")
        ids = IdMaker(41, lambda: int(time.time() * 1000))
        privacy = PgPrivacy(database, SuppressionHashes(bytes(32)), ids, STAMPS)
        await privacy.erase(MERCHANT, 10_001, ids.next(), datetime.now(UTC))
        entries = await proof_of(world, order_id)
        stamps = [entry["body"] for entry in entries if entry["kind"] == "stamp"]
        assert [(stamp["erases"], bool(stamp["salt"])) for stamp in stamps] == [(False, False), (True, True)]
        assert f"{FIRST_MSISDN + 1}" not in str(entries)
        await world.execute("UPDATE order_event SET at = at - interval '1 hour' WHERE event = 'erased'")
        verdict, _ = verify(await file_of(world, order_id), KEY.public)
        assert verdict.wrong is not None
