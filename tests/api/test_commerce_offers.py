from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.api.commerce_setup import SENDER, TABLE_SENDER, TEXT, Shop


async def test_an_offer_is_stored_frozen_with_the_merchants_own_values(shop: Shop) -> None:
    made = await shop.offer(stock=10, external_id="madonna-1")
    assert made["id"].startswith("ofr_")
    assert made["text"] == TEXT
    assert made["price"] == "19.90"
    assert (made["shop_name"], made["language"], made["country"], made["currency"]) == (
        "Boxman",
        "fr",
        "FR",
        "EUR",
    )
    assert (made["version"], made["state"], made["stock_remaining"]) == (1, "live", 10)
    assert made["septets"] == 138
    read = await shop.caller.get(f"/v1/offers/{made['id']}")
    assert read.body == made
    found = await shop.caller.get("/v1/offers?external_id=madonna-1")
    assert found.body == {"data": [made], "has_more": False}


async def test_an_external_id_is_given_once(shop: Shop) -> None:
    await shop.offer(external_id="madonna-1")
    again = await shop.caller.post("/v1/offers", shop.an_offer(external_id="madonna-1"))
    assert (again.status, again.code) == (409, "external_id_taken")
    assert await shop.value("SELECT count(*) FROM offer_version") == 1


async def test_one_costly_character_is_named_with_what_to_write_instead(shop: Shop) -> None:
    answer = await shop.caller.post(
        "/v1/offers", shop.an_offer(text=TEXT.replace("Répondez", "Vous avez reçu"))
    )
    assert (answer.status, answer.code) == (422, "charset_ucs2")
    [error] = [error for error in answer.body["errors"] if error["code"] == "charset_ucs2"]
    assert error["what"] == "ç"
    assert "'c'" in error["detail"]
    assert error["pointer"] == "/text"


TYPOGRAPHIC = TEXT.replace("Répondez", "C’est reçu : répondez")


async def test_a_refusal_shows_what_could_be_replaced_and_nothing_is_stored(shop: Shop) -> None:
    answer = await shop.caller.post("/v1/offers", shop.an_offer(text=TYPOGRAPHIC))
    assert (answer.status, answer.code) == (422, "charset_ucs2")
    place = TYPOGRAPHIC.index("’")
    assert answer.body["replacements"] == [
        {"position": place, "before": "’", "after": "'"},
        {"position": TYPOGRAPHIC.index("ç"), "before": "ç", "after": "c"},
    ]
    assert answer.body["replaced_text"] == TYPOGRAPHIC.replace("’", "'").replace("ç", "c")
    assert await shop.value("SELECT count(*) FROM offer_version") == 0


async def test_replacements_are_made_at_the_merchants_wish_and_named(shop: Shop) -> None:
    made = await shop.offer(text=TYPOGRAPHIC, replace=True)
    assert made["text"] == TYPOGRAPHIC.replace("’", "'").replace("ç", "c")
    assert [(each["before"], each["after"]) for each in made["replacements"]] == [("’", "'"), ("ç", "c")]
    plain = await shop.offer(replace=True)
    assert (plain["text"], plain["replacements"]) == (TEXT, None)


async def test_a_check_shows_each_way_with_its_parts_and_its_price(shop: Shop) -> None:
    answer = await shop.caller.post("/v1/offers/check", shop.an_offer(text=TYPOGRAPHIC))
    assert answer.status == 200, answer
    assert answer.body["ok"] is False
    assert {finding["code"] for finding in answer.body["findings"]} == {"charset_ucs2"}
    ways = answer.body["alternatives"]
    assert [
        (
            way["encoding"],
            way["segments"],
            way["replaced"],
            way["permitted"],
            way["cost_min"],
            way["cost_max"],
        )
        for way in ways
    ] == [
        ("ucs2", 3, False, False, "0.135", "0.135"),
        ("gsm7", 1, True, True, "0.045", "0.045"),
    ]
    assert answer.body["currency"] == "EUR"
    assert await shop.value("SELECT count(*) FROM offer_version") == 0
    good = await shop.caller.post("/v1/offers/check", shop.an_offer())
    assert (good.body["ok"], good.body["replacements"], good.body["findings"]) == (True, [], [])


async def test_a_table_that_the_carrier_permits_needs_fewer_replacements(shop: Shop) -> None:
    asked = shop.an_offer(text=TYPOGRAPHIC, sender=TABLE_SENDER)
    answer = await shop.caller.post("/v1/offers/check", asked)
    assert [(each["before"], each["after"]) for each in answer.body["replacements"]] == [("’", "'")]
    assert [(way["tables"], way["replaced"]) for way in answer.body["alternatives"] if way["permitted"]] == [
        ("single:pt", True)
    ]
    french = TYPOGRAPHIC.replace("’", "'").replace("STOP 36111", "STOP 36444")
    made = await shop.offer(text=french, sender=TABLE_SENDER)
    assert made["text"] == french


@pytest.mark.parametrize(
    ("cut", "missing"),
    [
        ("STOP 36111", "stop"),
        ("19,90€", "price"),
        ("Rétractation 14 j.", "withdrawal"),
        ("Boxman:", "identity"),
        ("commande avec obligation de paiement", "ok_meaning"),
    ],
)
async def test_what_the_law_asks_and_the_text_lacks_is_named(shop: Shop, cut: str, missing: str) -> None:
    answer = await shop.caller.post("/v1/offers", shop.an_offer(text=TEXT.replace(cut, "")))
    assert (answer.status, answer.code) == (422, "mandatory_info_missing")
    assert [error["what"] for error in answer.body["errors"]] == [missing]


async def test_a_text_of_161_septets_is_too_long(shop: Shop) -> None:
    fits = TEXT + " " + "a" * (160 - 138 - 1)
    assert (await shop.offer(text=fits))["septets"] == 160
    answer = await shop.caller.post("/v1/offers", shop.an_offer(text=fits + "b"))
    assert (answer.status, answer.code) == (422, "text_too_long")


@pytest.mark.parametrize(
    ("sender", "code"),
    [
        ("36222", "sender_unknown"),  # another merchant's
        ("36999", "sender_unknown"),  # nobody's
        ("36333", "sender_not_reply_capable"),
        ("Boxman", "sender_unknown"),
    ],
)
async def test_a_sender_that_cannot_carry_the_offer_is_refused(shop: Shop, sender: str, code: str) -> None:
    answer = await shop.caller.post("/v1/offers", shop.an_offer(sender=sender))
    assert (answer.status, answer.code) == (422, code)
    assert answer.body["errors"][0]["pointer"] == "/sender"


async def test_a_number_whose_answers_go_to_an_application_sends_no_offer(shop: Shop) -> None:
    taken = "INSERT INTO esme_number (number, merchant_id, account_id) VALUES ($1, $2, 1)"
    await shop.execute(taken, "36555", shop.merchant_id)
    await shop.offer()
    await shop.execute(taken, SENDER, shop.merchant_id)
    answer = await shop.caller.post("/v1/offers", shop.an_offer())
    assert (answer.status, answer.code) == (422, "sender_not_reply_capable")


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"price": "19.901"}, "amount_invalid", "/price"),
        ({"price": "0"}, "invalid", "/price"),
        ({"price": 19.9}, "invalid", "/price"),
        ({"quantity_max": 0}, "invalid", "/quantity_max"),
        # 19 980 000,00 HUF stands in no text that says what was ordered, so no answer could be decided.
        ({"currency": "HUF", "price": "20000", "quantity_max": 999}, "invalid", "/quantity_max"),
        ({"currency": "XXX"}, "currency_unknown", None),
        ({"unheard_of": 1}, "invalid", "/unheard_of"),
        ({"item": ""}, "invalid", "/item"),
    ],
)
async def test_a_wrong_value_is_named(
    shop: Shop, fields: dict[str, Any], code: str, pointer: str | None
) -> None:
    answer = await shop.caller.post("/v1/offers", shop.an_offer(**fields))
    assert (answer.status, answer.code) == (422, code)
    if pointer is not None:
        assert answer.body["errors"][0]["pointer"] == pointer
    assert await shop.value("SELECT count(*) FROM offer") == 0


async def test_every_sender_of_an_offer_lets_its_own_tlvs_through(shop: Shop) -> None:
    """Another one's carrier would be sent the text without them, and refuse it."""
    own = {"tlvs": [{"tag": "0x1401", "value": "1107"}]}
    assert (await shop.caller.post("/v1/offers", shop.an_offer(**own))).status == 201
    asked = shop.an_offer(**own, sender_pool=[SENDER, TABLE_SENDER])
    answer = await shop.caller.post("/v1/offers", asked)
    assert (answer.status, answer.code) == (422, "tlv_not_allowed")
    assert answer.body["errors"][0]["pointer"] == "/sender_pool/1"


async def test_an_offer_lives_for_thirty_minutes_at_least(shop: Shop) -> None:
    now = shop.clock.now()
    soon = await shop.caller.post(
        "/v1/offers", shop.an_offer(expires_at=(now + timedelta(minutes=29)).isoformat())
    )
    assert (soon.status, soon.code) == (422, "expires_at_invalid")
    late = await shop.caller.post(
        "/v1/offers", shop.an_offer(expires_at=(now + timedelta(minutes=31)).isoformat())
    )
    assert late.status == 201


async def test_another_merchants_offer_is_not_there(shop: Shop) -> None:
    made = await shop.offer()
    stranger = await shop.api.merchant()
    for path in (f"/v1/offers/{made['id']}", f"/v1/offers/{made['id'][:-1]}x", "/v1/offers/ofr_"):
        assert (await stranger.get(path)).status == 404
    assert (await stranger.get("/v1/offers")).body["data"] == []
    campaign = await stranger.post("/v1/campaigns", {"offer": made["id"], "audience": {"all": True}})
    assert (campaign.status, campaign.code) == (404, "not_found")


async def test_pages_go_forth_and_back_without_gap_or_repetition(shop: Shop) -> None:
    ids = [(await shop.offer(external_id=f"o{n}"))["id"] for n in range(5)][::-1]
    first = await shop.caller.get("/v1/offers?limit=2")
    assert ([row["id"] for row in first.body["data"]], first.body["has_more"]) == (ids[:2], True)
    second = await shop.caller.get(f"/v1/offers?limit=2&starting_after={ids[1]}")
    assert ([row["id"] for row in second.body["data"]], second.body["has_more"]) == (ids[2:4], True)
    back = await shop.caller.get(f"/v1/offers?limit=2&ending_before={ids[2]}")
    assert ([row["id"] for row in back.body["data"]], back.body["has_more"]) == (ids[:2], False)
    assert first.body["data"][0]["sender"] == SENDER
