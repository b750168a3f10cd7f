"""Keywords that strangers opt in by: made, listed and taken away over the API."""

from __future__ import annotations

import pytest

from tests.api.commerce_setup import SENDER, Shop


def asked(**changes: object) -> dict[str, object]:
    return {"sender": SENDER, "word": "Jazz", "wording_version": "poster-3", **changes}


async def test_a_keyword_is_made_listed_and_taken_away(shop: Shop) -> None:
    made = await shop.caller.post("/v1/keywords", asked())
    assert made.status == 201, made
    assert (made.body["word"], made.body["double_opt_in"]) == ("jazz", True)
    again = await shop.caller.post("/v1/keywords", asked(word="JÄZZ"))
    assert (again.status, again.code) == (409, "keyword_taken")
    assert (await shop.caller.get("/v1/keywords")).body["data"] == [made.body]
    gone = await shop.caller.call("DELETE", f"/v1/keywords/{made.body['id']}")
    assert gone.status == 204
    assert (await shop.caller.get("/v1/keywords")).body["data"] == []
    assert (await shop.caller.call("DELETE", f"/v1/keywords/{made.body['id']}")).status == 404
    assert (await shop.caller.post("/v1/keywords", asked())).status == 201


@pytest.mark.parametrize(
    "word",
    [
        "OK", "oui", "STOP", "pause", "aide", "moins", "annuler", "JOIN", "two words", "CD 2", "!!", "12",
        "SI", "sim", "nie", "NAO",
    ],
)  # fmt: skip
async def test_a_word_that_means_something_already_is_no_keyword(shop: Shop, word: str) -> None:
    refused = await shop.caller.post("/v1/keywords", asked(word=word))
    assert (refused.status, refused.code) == (422, "keyword_reserved"), refused
    assert refused.body["errors"][0]["pointer"] == "/word"


@pytest.mark.parametrize(
    ("sender", "code"), [("36222", "sender_unknown"), ("36333", "sender_not_reply_capable")]
)
async def test_a_keyword_needs_a_number_of_the_merchants_that_can_receive(
    shop: Shop, sender: str, code: str
) -> None:
    refused = await shop.caller.post("/v1/keywords", asked(sender=sender))
    assert (refused.status, refused.code) == (422, code)
