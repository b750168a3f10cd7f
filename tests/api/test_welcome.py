"""The welcome that a merchant has a new consent answered with: once, and never to a STOP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from smsgate.campaigns.texts import LANGUAGES
from tests.api.api_server import Answer
from tests.api.commerce_setup import SENDER, Shop


async def a_person(shop: Shop, language: str = "fr") -> str:
    made = await shop.caller.post("/v1/subscribers", {"msisdn": "+33639980009", "language": language})
    return str(made.body["id"])


async def agrees(shop: Shop, person: str, **more: Any) -> Answer:
    body = {
        "subscriber": person, "event": "granted", "wording_version": "w1", "source": "form",
        "occurred_at": shop.clock.now().isoformat(), "welcome": {"sender": SENDER}, **more,
    }  # fmt: skip
    return await shop.caller.post("/v1/consents", body)


async def sent(shop: Shop) -> list[tuple[str, str]]:
    rows = await shop.fetch("SELECT m.kind, m.body FROM message m JOIN interactive_queue USING (message_id)")
    return [tuple(row) for row in rows]


async def test_a_new_consent_is_welcomed_once_with_how_often_and_how_to_end_it(
    shop: Shop,
) -> None:
    person = await a_person(shop)
    made = await agrees(shop, person)
    assert (made.status, made.body["state_after"]) == (201, "subscribed")
    ((kind, text),) = await sent(shop)
    assert kind == "start_welcome"
    assert "vous recevrez nos offres" in text
    assert "STOP = plus de messages" in text
    await agrees(shop, person)
    assert len(await sent(shop)) == 1


async def test_a_consent_brings_no_welcome_that_nobody_asked_for(shop: Shop) -> None:
    assert (await agrees(shop, await a_person(shop), welcome=None)).status == 201
    assert await sent(shop) == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_each_language_has_its_welcome(shop: Shop, language: str) -> None:
    await agrees(shop, await a_person(shop, language), purpose="polls")
    ((kind, text),) = await sent(shop)
    assert kind == "topic_welcome"
    assert "{" not in text


async def test_a_stop_gets_no_welcome(shop: Shop) -> None:
    """One that is newer than the consent refuses it; one to the number keeps the number silent."""
    person = await a_person(shop)
    await agrees(shop, person, event="revoked", welcome=None)
    refused = await agrees(shop, person, occurred_at=(shop.clock.now() - timedelta(hours=1)).isoformat())
    assert refused.code == "stop_is_newer"
    await shop.execute(
        "INSERT INTO sender_stop SELECT merchant_id, $1, msisdn, now() FROM subscriber", SENDER
    )
    later = (shop.clock.now() + timedelta(seconds=1)).isoformat()
    assert (await agrees(shop, person, occurred_at=later)).body["state_after"] == "subscribed"
    assert await sent(shop) == []


async def test_who_asked_for_fewer_messages_is_told_how_few_and_not_how_many(shop: Shop) -> None:
    person = await a_person(shop)
    await shop.execute("UPDATE subscriber SET less_at = now()")
    assert (await shop.caller.get(f"/v1/subscribers/{person}")).body["fewer"] is True
    await agrees(shop, person)
    ((kind, text),) = await sent(shop)
    assert kind == "less_confirmation"
    assert "tous les 14 jours" in text


@pytest.mark.parametrize("more", [{"event": "revoked"}, {"double_opt_in": {"sender": SENDER}}])
async def test_what_begins_nothing_at_once_has_no_welcome(shop: Shop, more: Any) -> None:
    refused = await agrees(shop, await a_person(shop), **more)
    assert refused.status == 422
    assert refused.body["errors"][0]["pointer"] == "/welcome"


async def test_a_welcome_comes_from_a_number_that_hears_a_stop(shop: Shop) -> None:
    refused = await agrees(shop, await a_person(shop), welcome={"sender": "Boxman"})
    assert refused.status == 422
    assert refused.body["errors"][0]["pointer"] == "/welcome/sender"
