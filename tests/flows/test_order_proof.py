"""The proof file of an order, from what a real conversation left in the database."""

from __future__ import annotations

import time
from typing import Any

import orjson

from smsgate.clock import SystemClock
from smsgate.flows.order_proof import OrderProofs
from smsgate.flows.orders import Orders
from smsgate.ids import IdMaker
from smsgate.security.proof_chain import ProofKey, verify
from smsgate.security.public_ids import Kind, PublicIds
from smsgate.store.messages import PgMessages
from smsgate.store.offers import PgOffers
from smsgate.store.order_proof import PgOrderProofs
from smsgate.store.orders import PgOrders
from smsgate.store.pool import Database
from tests.flows.inbound_world import an_open_offer, say
from tests.flows.world import FIRST_MSISDN, MERCHANT, OFFER_TEXT, Nudges, World, eventually

PUBLIC, KEY = PublicIds(bytes(32)), ProofKey(bytes(32))


async def proof_of(world: World, order_id: int) -> list[Any]:
    proofs = OrderProofs(
        PgOrderProofs(world.database), PgOrders(world.database), PgOffers(world.database),
        PgMessages(world.database), PUBLIC, SystemClock(), KEY,
    )  # fmt: skip
    file = await proofs.file(MERCHANT, order_id)
    assert verify(file, KEY.public).wrong is None
    return [orjson.loads(line) for line in file.splitlines()]


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
        ids = IdMaker(40, lambda: int(time.time() * 1000))
        orders = Orders(PgOrders(database), ids, SystemClock(), PUBLIC, Nudges())
        await orders.confirm(MERCHANT, order_id, "B-889")
        entries = await proof_of(world, order_id)
        by_kind: dict[str, list[Any]] = {}
        for entry in entries:
            by_kind.setdefault(entry["kind"], []).append(entry["body"])
        (consent,), (offer,), (message,) = by_kind["consent"], by_kind["offer"], by_kind["offer_message"]
        assert (consent["wording_version"], consent["source"]) == ("boxman-2026-11", "form")
        assert orjson.loads(consent["evidence"]) == {"ip": "192.0.2.1"}
        assert (offer["text"], offer["price"], offer["version"]) == (OFFER_TEXT, "19.90", 1)
        assert (message["text"], message["state"]) == (OFFER_TEXT, "delivered")
        (reply,), (order,) = by_kind["reply"], by_kind["order"]
        assert (reply["text"], bytes.fromhex(reply["raw"])) == ("OK 2", b"OK 2")
        assert (reply["label"], reply["quantity"]) == ("quantity", 2)
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
        assert (event["type"], orjson.loads(event["data"])["order"]) == (
            "order.created",
            PUBLIC.encode(Kind.ORDER, order_id),
        )
        assert entries[-1]["kind"] == "seal"
        times = [entry["at"] for entry in entries]
        assert times == sorted(times)


async def test_a_row_that_is_changed_afterwards_is_another_file(database: Database) -> None:
    async with an_open_offer(database) as (world, _):
        await say(world, 1, "OK")
        order_id = await world.value("SELECT order_id FROM orders")
        await eventually(lambda: world.value("SELECT count(*) = 4 FROM receipt"))
        before = await proof_of(world, order_id)
        async with database.control() as connection:
            await connection.execute("UPDATE inbound_message SET text = 'OK 9'")
        after = await proof_of(world, order_id)
        changed = [a["no"] for a, b in zip(before, after, strict=True) if a["body"] != b["body"]]
        kinds = {before[no - 1]["kind"] for no in changed}
        assert kinds == {"reply", "seal"}
