from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

import pytest

from smsgate.security.public_ids import Kind
from smsgate.store.messages import state_of
from tests.api.commerce_setup import SENDER, TEXT, Shop


@pytest.mark.parametrize(
    ("status", "receipts", "state"),
    [
        (None, [], "queued"),
        (0, [], "accepted"),
        (0, [1], "accepted"),
        (0, [7], "accepted"),
        (0, [2], "delivered"),
        (0, [1, 2], "delivered"),
        (0, [2, 5], "delivered"),  # the first final receipt counts
        (0, [5, 2], "failed"),
        (0, [3], "failed"),
        (0, [8], "failed"),
        (88, [], "refused"),
        (-1, [], "unknown"),
        (-1, [2], "delivered"),  # no answer came, but the phone got it
        (-2, [], "not_sent"),
    ],
)
async def test_the_state_of_a_message_is_what_was_inserted_about_it(
    shop: Shop, status: int | None, receipts: list[int], state: str
) -> None:
    [buyer] = await shop.subscribers(1)
    message_id = await shop.sent_message(await shop.campaign(), buyer, status=status)
    for n, receipt in enumerate(receipts):
        await shop.execute(
            "INSERT INTO receipt (merchant_id, message_id, segment, state, received_at) "
            "VALUES ($1, $2, 1, $3, $4)",
            shop.merchant_id, message_id, receipt, shop.clock.now() + timedelta(seconds=n),
        )  # fmt: skip
    read = await shop.caller.get(f"/v1/messages/{shop.public(Kind.MESSAGE, message_id)}")
    assert read.status == 200, read
    assert read.body["state"] == state
    assert (read.body["text"], read.body["sender"], read.body["kind"]) == (TEXT, SENDER, "offer")
    charged = status == 0
    assert (read.body["price"], read.body["currency"]) == (("0.045", "EUR") if charged else ("0.00", None))
    assert read.body["reason"] == (
        "ESME_RTHROTTLED (0x58): Throttling error (ESME has exceeded allowed message limits)"
        if status == 88
        else None
    )


@pytest.mark.parametrize(
    ("statuses", "finals", "delivered", "state"),
    [
        ([0, 0], 0, 0, "accepted"),
        ([0, 0], 1, 1, "accepted"),
        ([0, 0], 2, 2, "delivered"),
        ([0, 0], 2, 1, "failed"),
        ([0, -1], 0, 0, "unknown"),
        ([0, 88], 0, 0, "refused"),
        ([-2, -2], 0, 0, "not_sent"),
        ([0, -2], 1, 1, "failed"),
        ([0, 88, -2], 1, 1, "refused"),
    ],
)
def test_a_message_of_two_segments_is_delivered_when_both_are(
    statuses: list[int], finals: int, delivered: int, state: str
) -> None:
    found = state_of(
        known=len(statuses),
        parts=2,
        status_min=min(statuses),
        status_max=max(statuses),
        finals=finals,
        delivered=delivered,
    )
    assert found == state


async def test_a_text_with_places_is_shown_as_the_person_got_it(shop: Shop) -> None:
    [buyer] = await shop.subscribers(1)
    campaign = await shop.campaign(text=TEXT.replace("Infos bxm.fr/m1", "{name} {town}"))
    message_id = await shop.sent_message(campaign, buyer)
    other_id = shop.next_id()
    await shop.execute(
        "INSERT INTO message (merchant_id, message_id, campaign_id, subscriber_id, msisdn, kind, sender, "
        "fields) SELECT merchant_id, $2, campaign_id, subscriber_id, msisdn, kind, sender, "
        "ARRAY['Zoé', 'Lyon'] FROM message WHERE message_id = $1",
        message_id, other_id,
    )  # fmt: skip
    read = await shop.caller.get(f"/v1/messages/{shop.public(Kind.MESSAGE, other_id)}")
    assert "Zoé Lyon STOP 36111" in read.body["text"]


async def test_messages_are_listed_by_campaign_subscriber_and_time(shop: Shop) -> None:
    first, second = await shop.subscribers(2)
    campaign, other = await shop.campaign(), await shop.campaign()
    a = await shop.sent_message(campaign, first)
    b = await shop.sent_message(campaign, second, status=None)
    c = await shop.sent_message(other, first)
    for made, base, count in ((campaign, a, b - a + 1), (other, c, 1)):
        await shop.execute(
            "INSERT INTO campaign_chunk (merchant_id, campaign_id, no, msisdn_lo, msisdn_hi, size, "
            "message_id_base, message_count) VALUES ($1, $2, 0, $3, $4, 2, $5, $6)",
            shop.merchant_id, shop.id_of(Kind.CAMPAIGN, made["id"]), first, second, base,
            min(count, 2**31 - 1),
        )  # fmt: skip

    async def listed(query: str) -> list[int]:
        answer = await shop.caller.get(f"/v1/messages?{query}")
        assert answer.status == 200, answer
        return [shop.id_of(Kind.MESSAGE, row["id"]) for row in answer.body["data"]]

    assert await listed("limit=10") == [c, b, a]
    assert await listed(f"campaign={campaign['id']}") == [b, a]
    assert await listed(f"subscriber={shop.public(Kind.SUBSCRIBER, first)}") == [c, a]
    page = await listed(f"limit=1&campaign={campaign['id']}&starting_after={shop.public(Kind.MESSAGE, b)}")
    assert page == [a]
    back = await listed(f"limit=2&ending_before={shop.public(Kind.MESSAGE, a)}")
    assert back == [c, b]
    later = quote((shop.clock.now() + timedelta(hours=1)).isoformat())
    assert await listed(f"made_from={later}") == []
    assert await listed(f"made_to={later}") == [c, b, a]
    assert await listed("made_from=2199-01-01T00:00:00Z") == []
    assert await listed("made_to=2000-01-01T00:00:00Z") == []


async def test_a_campaigns_messages_are_listed_by_what_became_of_them(shop: Shop) -> None:
    buyers = await shop.subscribers(7)
    campaign = await shop.campaign()
    sent = [
        await shop.sent_message(campaign, buyer, status=status)
        for buyer, status in zip(buyers, (0, -1, -2, 88, -1, -1, None), strict=True)
    ]
    await shop.execute(
        "INSERT INTO receipt (merchant_id, message_id, segment, state, received_at) "
        "VALUES ($1, $2, 1, 2, $3)",
        shop.merchant_id, sent[5], shop.clock.now(),
    )  # fmt: skip
    # A chunk each: a chunk's ids are counted by an int, which ends after half a second of them.
    await shop.execute(
        "INSERT INTO campaign_chunk (merchant_id, campaign_id, no, msisdn_lo, msisdn_hi, size, "
        "message_id_base, message_count) SELECT $1, $2, no, msisdn, msisdn, 1, message_id, 1 "
        "FROM unnest($3::bigint[], $4::bigint[]) WITH ORDINALITY AS t (msisdn, message_id, no)",
        shop.merchant_id, shop.id_of(Kind.CAMPAIGN, campaign["id"]), buyers, sent,
    )  # fmt: skip

    async def listed(query: str) -> list[int]:
        answer = await shop.caller.get(f"/v1/messages?campaign={campaign['id']}&{query}")
        assert answer.status == 200, answer
        for row in answer.body["data"]:
            assert row["state"] in query
            assert (row["sent_at"] is None) == (row["state"] == "not_sent")
        return [shop.id_of(Kind.MESSAGE, row["id"]) for row in answer.body["data"]]

    assert await listed("state=unknown") == [sent[4], sent[1]]
    assert await listed("state=not_sent") == [sent[2]]
    assert await listed("state=refused") == [sent[3]]
    newer = shop.public(Kind.MESSAGE, sent[4])
    assert await listed("state=unknown&limit=1") == [sent[4]]
    assert await listed(f"state=unknown&limit=1&starting_after={newer}") == [sent[1]]
    alone = await shop.caller.get("/v1/messages?state=unknown")
    assert (alone.status, alone.body["errors"][0]["pointer"]) == (422, "/campaign")


async def test_replies_are_listed_as_they_were_read(shop: Shop) -> None:
    [buyer] = await shop.subscribers(1)
    campaign = await shop.campaign()
    inbound_id = shop.next_id()
    await shop.execute(
        "INSERT INTO inbound_message (merchant_id, inbound_id, carrier_id, msisdn, destination, text, raw, "
        "data_coding, subscriber_id, campaign_id, label, quantity, outcome, reason, rules_version, "
        "received_at) VALUES ($1, $2, 1, 33612000001, $3, 'OK 2', 'OK 2', 0, $4, $5, 'quantity', 2, "
        "'ordered', 'a yes-word and a number', '1', $6)",
        shop.merchant_id, inbound_id, SENDER, buyer, shop.id_of(Kind.CAMPAIGN, campaign["id"]),
        shop.clock.now(),
    )  # fmt: skip
    listed = await shop.caller.get(f"/v1/inbound_messages?campaign={campaign['id']}&label=quantity")
    [row] = listed.body["data"]
    assert (row["text"], row["label"], row["quantity"], row["recipient"]) == ("OK 2", "quantity", 2, SENDER)
    assert (await shop.caller.get(f"/v1/inbound_messages/{row['id']}")).body == row
    assert (await shop.caller.get("/v1/inbound_messages?label=stop")).body["data"] == []
    stranger = await shop.api.merchant()
    assert (await stranger.get(f"/v1/inbound_messages/{row['id']}")).status == 404


async def test_another_merchants_messages_are_not_there(shop: Shop) -> None:
    [buyer] = await shop.subscribers(1)
    campaign = await shop.campaign()
    message = shop.public(Kind.MESSAGE, await shop.sent_message(campaign, buyer))
    stranger = await shop.api.merchant()
    assert (await stranger.get(f"/v1/messages/{message}")).status == 404
    assert (await stranger.get("/v1/messages")).body["data"] == []
    assert (await stranger.get(f"/v1/messages?campaign={campaign['id']}")).body["data"] == []
