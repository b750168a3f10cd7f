"""What holds marketing back, as a merchant reads it: rules, one message's reason, places, number pools."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest

from smsgate.campaigns.caps import CapLimits
from smsgate.campaigns.hours import hours_rules
from smsgate.flows.gates import Gates
from smsgate.flows.records import Hold
from smsgate.flows.why import NOT_SENT, why_held, why_not_sent
from smsgate.security.public_ids import Kind
from tests.api.commerce_setup import SENDER, Shop


async def a_waiting_message(shop: Shop, hold: Hold, *, members: bool = False) -> tuple[int, str]:
    """Write a message that a claim let wait."""
    [buyer] = await shop.subscribers(1)
    campaign = await shop.campaign()
    message_id = await shop.sent_message(campaign, buyer, status=None)
    await shop.execute(
        "INSERT INTO campaign_chunk (merchant_id, campaign_id, no, msisdn_lo, msisdn_hi, size, "
        "message_id_base, message_count, not_before, hold, hold_rule, members) "
        "VALUES ($1, $2, 9, 0, 0, 1, $3, 5, $4, $5, $6, $7)",
        shop.merchant_id, shop.id_of(Kind.CAMPAIGN, campaign["id"]), message_id - 2, hold.until, hold.reason,
        hold.rule, [message_id] if members else None,
    )  # fmt: skip
    return message_id, shop.public(Kind.MESSAGE, message_id)


@pytest.mark.parametrize("members", [False, True])
async def test_a_message_that_waits_says_by_which_rule_and_until_when(shop: Shop, members: bool) -> None:
    until = shop.clock.now() + timedelta(hours=9)
    _, public = await a_waiting_message(shop, Hold("quiet_hours", "fr-af2m-2026", until), members=members)
    read = await shop.caller.get(f"/v1/messages/{public}")
    assert (read.body["state"], read.body["reason"]) == ("held", "quiet_hours")
    why = read.body["why"]
    assert (why["rule"], why["certain"]) == ("fr-af2m-2026", True)
    assert "8:00 to 21:30" in why["says"]
    assert "AF2M" in why["source"]
    assert why["url"].startswith("https://")
    assert why["until"][:16] == until.isoformat()[:16]
    listed = await shop.caller.get("/v1/messages")
    assert [each["state"] for each in listed.body["data"]] == ["held"]


async def test_another_message_between_the_members_does_not_wait(shop: Shop) -> None:
    message_id, _ = await a_waiting_message(
        shop, Hold("open_offer", "open-offer", shop.clock.now()), members=True
    )
    await shop.execute("UPDATE campaign_chunk SET members = ARRAY[$1::bigint]", message_id + 1)
    read = await shop.caller.get(f"/v1/messages/{shop.public(Kind.MESSAGE, message_id)}")
    assert (read.body["state"], read.body["why"]) == ("queued", None)


async def test_a_message_that_was_not_sent_says_why_in_a_sentence(shop: Shop) -> None:
    [buyer] = await shop.subscribers(1)
    message_id = await shop.sent_message(await shop.campaign(), buyer, status=-2)
    await shop.execute("UPDATE sent SET reason = 'quiet_hours'")
    read = await shop.caller.get(f"/v1/messages/{shop.public(Kind.MESSAGE, message_id)}")
    assert (read.body["state"], read.body["why"]["until"]) == ("not_sent", None)
    assert read.body["why"]["says"] == NOT_SENT["quiet_hours"]


def test_every_rule_and_every_cap_explains_itself() -> None:
    limits = CapLimits(1, 2, 3, 4)
    until = None
    for rule in [*[each.id for each in hours_rules()], *[cap.rule for cap in limits.caps()], "open-offer"]:
        reason = "open_offer" if rule == "open-offer" else "cap" if rule.startswith("cap-") else "quiet_hours"
        why = why_held(Hold(reason, rule, until), limits)  # type: ignore[arg-type]
        assert (why.rule, why.reason) == (rule, reason)
        assert why.says.endswith(".")
        assert why.source
    assert all(why_not_sent(reason).says.endswith(".") for reason in (*NOT_SENT, "charset_ucs2"))


async def test_policies_list_every_rule_with_its_source_and_the_caps(shop: Shop) -> None:
    shop.api.context.gates = Gates(waived=frozenset({"fr-af2m-2024"}), caps=CapLimits(person_per_day_max=2))
    read = await shop.caller.get("/v1/policies")
    assert read.status == 200, read
    assert [rule["rule"] for rule in read.body["hours"]] == [rule.id for rule in hours_rules()]
    assert all(rule["source"] for rule in read.body["hours"])
    by_rule: dict[str, Any] = {rule["rule"]: rule for rule in read.body["hours"]}
    assert by_rule["us-tx"]["sunday"] == "12:00-21:00"
    assert (by_rule["fr-af2m-2024"]["sunday"], by_rule["us-tcpa"]["holiday"]) == ("", None)
    assert (by_rule["fr-af2m-2024"]["waived"], by_rule["fr-af2m-2026"]["waived"]) == (True, False)
    assert read.body["caps"]["person_per_day_max"] == 2
    assert (read.body["hours_enforced"], read.body["now"]) == (True, None)


async def test_policies_of_a_place_say_what_holds_there_now(shop: Shop) -> None:
    shop.api.context.gates = Gates()
    read = await shop.caller.get("/v1/policies?country=US&region=TX")
    assert {rule["rule"] for rule in read.body["hours"]} == {"us-tcpa", "us-tx"}
    assert read.body["now"]["until"]
    assert (read.body["now"]["rule"] is None) is read.body["now"]["allowed"]
    refused = await shop.caller.get("/v1/policies?country=US&region=XX")
    assert (refused.status, refused.code) == (422, "place_invalid")


async def test_policies_of_a_place_know_a_time_zone_with_a_plus(shop: Shop) -> None:
    shop.api.context.gates = Gates()
    read = await shop.caller.get("/v1/policies?country=US&timezone=Etc/GMT%2B5")
    assert read.status == 200, read
    assert read.body["now"]["until"]


async def test_a_subscribers_place_is_kept_for_the_hours(shop: Shop) -> None:
    made = await shop.caller.post(
        "/v1/subscribers", {"msisdn": "+12125550123", "region": "TX", "timezone": "America/Chicago"}
    )
    assert made.status == 201, made
    assert (made.body["region"], made.body["timezone"]) == ("TX", "America/Chicago")
    place = "SELECT place FROM subscriber WHERE msisdn = 12125550123"
    assert await shop.value(place) == "US-TX@America/Chicago"
    path = f"/v1/subscribers/{made.body['id']}"
    await shop.caller.call("PATCH", path, {"timezone": ""})
    assert await shop.value(place) == "US-TX"
    await shop.caller.call("PATCH", path, {"tags": ["a"]})
    assert await shop.value(place) == "US-TX"
    refused = await shop.caller.call("PATCH", path, {"region": "XX"})
    assert (refused.status, refused.code) == (422, "place_invalid")


async def test_an_offer_names_a_pool_of_numbers_and_each_must_be_able_to_receive(shop: Shop) -> None:
    made = await shop.caller.post("/v1/offers", shop.an_offer(sender_pool=[SENDER, "36444"]))
    assert made.status == 201, made
    assert made.body["sender_pool"] == [SENDER, "36444"]
    refused = await shop.caller.post("/v1/offers", shop.an_offer(sender_pool=["36444", "Boxman"]))
    assert refused.status == 422
    assert refused.body["errors"][0]["pointer"] == "/sender_pool/1"


async def test_a_double_opt_in_asks_once_and_waits_for_the_phone(shop: Shop) -> None:
    made = await shop.caller.post("/v1/subscribers", {"msisdn": "+33639980009"})
    asked = {
        "subscriber": made.body["id"], "event": "granted", "purpose": "polls", "wording_version": "w1",
        "source": "form", "occurred_at": shop.clock.now().isoformat(), "double_opt_in": {"sender": SENDER},
    }  # fmt: skip
    first = await shop.caller.post("/v1/consents", asked)
    assert (first.status, first.body["state_after"]) == (201, "pending")
    text = await shop.value("SELECT body FROM message WHERE kind = 'optin_topic_question'")
    assert "OUI" in text
    again = await shop.caller.post("/v1/consents", asked)
    assert (again.status, again.body["state_after"]) == (201, "pending")
    assert await shop.value("SELECT count(*) FROM interactive_queue") == 1
    other = await shop.caller.post("/v1/consents", {**asked, "purpose": "location"})
    assert (other.status, other.code) == (409, "question_open")
    nobody = await shop.caller.post(
        "/v1/consents", {**asked, "purpose": "offers", "double_opt_in": {"sender": "1"}}
    )
    assert (nobody.status, nobody.code) == (422, "sender_unknown")
    read = await shop.caller.get(f"/v1/subscribers/{made.body['id']}")
    assert read.body["consents"] == {
        "offers": "none", "location": "none", "polls": "pending", "appointments": "none"
    }  # fmt: skip


async def test_a_question_about_what_was_revoked_waits_no_more(shop: Shop) -> None:
    """It took the number from other questions for seven days."""
    made = await shop.caller.post("/v1/subscribers", {"msisdn": "+33639980010"})
    asked = {
        "subscriber": made.body["id"], "event": "granted", "purpose": "polls", "wording_version": "w1",
        "source": "form", "occurred_at": shop.clock.now().isoformat(), "double_opt_in": {"sender": SENDER},
    }  # fmt: skip
    assert (await shop.caller.post("/v1/consents", asked)).body["state_after"] == "pending"
    revoked = {name: asked[name] for name in asked if name != "double_opt_in"} | {"event": "revoked"}
    assert (await shop.caller.post("/v1/consents", revoked)).body["state_after"] == "unsubscribed"
    assert await shop.value("SELECT count(*) FROM consent_question") == 0
    other = await shop.caller.post("/v1/consents", asked | {"purpose": "location", "wording_version": "w2"})
    assert (other.status, other.body["state_after"]) == (201, "pending")


async def test_an_import_of_the_consent_ends_the_question_about_it_alone(shop: Shop) -> None:
    """Whoever waits for an answer about something else goes on to."""
    asked = {
        "event": "granted", "wording_version": "w1", "source": "form",
        "occurred_at": shop.clock.now().isoformat(), "double_opt_in": {"sender": SENDER},
    }  # fmt: skip
    numbers = {"offers": "+33639980010", "polls": "+33639980011"}
    for purpose, number in numbers.items():
        made = await shop.caller.post("/v1/subscribers", {"msisdn": number})
        consent = await shop.caller.post(
            "/v1/consents", asked | {"subscriber": made.body["id"], "purpose": purpose}
        )
        assert consent.body["state_after"] == "pending"
    rows = [
        {
            "msisdn": number,
            "consent_at": asked["occurred_at"],
            "consent_source": "web",
            "wording_version": "w2",
        }
        for number in numbers.values()
    ]
    for query, waiting in (("?validate_only=true", ["offers", "polls"]), ("", ["polls"])):
        brought = await shop.caller.post(
            f"/v1/imports{query}", data=b"\n".join(map(orjson.dumps, rows)),
            headers={"Content-Type": "application/x-ndjson"},
        )  # fmt: skip
        assert (brought.status, brought.body["rows_ok"]) == (201, 2)
        found = await shop.value("SELECT array_agg(purpose ORDER BY purpose) FROM consent_question")
        assert found == waiting
