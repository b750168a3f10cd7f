"""Audiences by profile and purchases: who bought is left out, or is whom the offer is for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from smsgate.flows.gates import ALWAYS_OPEN
from smsgate.ids import IdMaker
from smsgate.security.public_ids import Kind, PublicIds
from smsgate.store.sending import StoredSending
from tests.api.commerce_setup import SENDER, Shop


async def reach(shop: Shop, **audience: Any) -> int:
    """Return how many an audience would reach."""
    campaign = await shop.campaign(audience)
    preview = await shop.caller.post(f"/v1/campaigns/{campaign['id']}/preview")
    assert preview.status == 200, preview
    found: int = preview.body["recipients"]
    return found


async def test_who_bought_is_left_out_or_is_whom_the_offer_is_for(shop: Shop) -> None:
    people = await shop.subscribers(4)
    madonna = await shop.campaign({"all": True}, external_id="madonna")
    await shop.order(madonna, people[0])
    await shop.order(madonna, people[1])
    await shop.execute("UPDATE orders SET state = 'cancelled' WHERE subscriber_id = $1", people[1])
    assert await reach(shop, all=True) == 4
    assert await reach(shop, all=True, exclude_bought=[madonna["offer"]]) == 3
    assert await reach(shop, all=True, exclude_bought=["madonna"]) == 3
    assert await reach(shop, all=True, bought_any=["madonna"]) == 1
    unknown = {"offer": madonna["offer"], "audience": {"all": True, "bought_any": ["abba"]}}
    assert (await shop.caller.post("/v1/campaigns", unknown)).status == 404


async def test_fields_and_tags_narrow_together_and_are_shown(shop: Shop) -> None:
    people = await shop.subscribers(3)
    await shop.execute(
        'UPDATE subscriber SET fields = \'{"town": "Lyon", "size": "M"}\' WHERE subscriber_id <> $1',
        people[2],
    )
    await shop.execute("UPDATE subscriber SET tags = '{jazz}' WHERE subscriber_id <> $1", people[0])
    assert await reach(shop, all=True, fields={"town": "Lyon"}) == 2
    assert await reach(shop, tags=["jazz"], fields={"town": "Lyon", "size": "M"}) == 1
    assert await reach(shop, tags=["jazz"], fields={"town": "Paris"}) == 0
    campaign = await shop.campaign({"tags": ["jazz"], "fields": {"town": "Lyon"}})
    read = await shop.caller.get(f"/v1/campaigns/{campaign['id']}")
    assert read.body["audience"] == {
        "all": False, "tags": ["jazz"], "subscribers": None, "fields": {"town": "Lyon"}, "bought_any": [],
        "exclude_bought": [],
    }  # fmt: skip


async def test_who_buys_between_the_start_and_the_claim_is_left_out(shop: Shop) -> None:
    people = await shop.subscribers(3)
    madonna = await shop.campaign({"all": True}, external_id="madonna")
    campaign = await shop.campaign({"all": True, "exclude_bought": ["madonna"]})
    started = await shop.caller.post(f"/v1/campaigns/{campaign['id']}/start")
    assert started.body["recipients"] == 3, started
    await shop.execute("UPDATE subscriber SET created_at = created_at - interval '1 hour'")
    await shop.order(madonna, people[1])
    now = datetime.now(UTC)
    sending = StoredSending(
        shop.database, IdMaker(5, lambda: int(now.timestamp() * 1000)), PublicIds(bytes(32))
    )
    [claim] = await sending.claim_chunks(
        shop.merchant_id, [shop.id_of(Kind.CAMPAIGN, campaign["id"])], owner=5, allowance_step=10, now=now,
        gates=ALWAYS_OPEN, senders=[SENDER],
    )  # fmt: skip
    assert len(claim.msisdns) == 2
