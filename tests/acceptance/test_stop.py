"""
STOP.

It holds before the next message is submitted, and is confirmed once. Later campaigns skip the person, an
import with an older consent cannot bring the person back, and START from the phone itself can.
"""

from __future__ import annotations

from datetime import timedelta

import orjson

from tests.acceptance.town import OFFER_TEXT, SENDER, Ground, a_record, a_row, a_town, eventually

NDJSON = "application/x-ndjson"


async def test_stop_is_confirmed_once_and_later_campaigns_skip_the_person(ground: Ground) -> None:
    async with a_town(ground, subscribers=3) as town:
        await town.finished(await town.new_record())
        leaver, *others = town.msisdns
        for msisdn in others:  # an offer that nobody answered stays open, and keeps the next one away
            await town.answer(msisdn, "non merci")
        await town.answer(leaver, "STOP")
        await eventually(lambda: len(town.texts(leaver)) == 2)
        confirmation = town.texts(leaver)[1]
        assert "Boxman" in confirmation
        assert confirmation != OFFER_TEXT

        await town.answer(leaver, "stop svp")

        async def all_taken() -> bool:
            return len(await town.merchant.all("/v1/inbound_messages")) == 4

        await eventually(all_taken)
        second = await town.finished(await town.new_record())
        assert second["progress"]["recipients"] == 2
        assert town.texts(leaver) == [OFFER_TEXT, confirmation]
        assert [town.offers_to(msisdn) for msisdn in others] == [2, 2]
        assert (await town.subscriber(leaver))["offers_state"] == "unsubscribed"
        assert town.simulator.smsc.judge.offers_after_stop == 0
        await eventually(lambda: town.shop.by_type["consent.revoked"] == 1)


async def test_stop_in_the_middle_of_a_campaign_holds_before_the_next_submit(ground: Ground) -> None:
    """
    Whoever says STOP while their offer still waits for its turn gets the confirmation and no offer.

    They are claimed already: the last look before the octets exist is what keeps the offer back.
    """
    async with a_town(ground, subscribers=300, carrier={"rate_per_s": 60}) as town:
        campaign = await town.new_record()
        await eventually(lambda: town.simulator.smsc.log.accepted >= 10)
        # So many STOPs would have the guard pause the campaign; this story is about those who said nothing.
        async with town.process.services.database.bulk() as connection:
            await connection.execute("UPDATE campaign SET guard_off = true")
        waiting = [msisdn for msisdn in town.msisdns if not town.texts(msisdn)][-40:]
        mos = [town.simulator.smsc.send_mo(msisdn, SENDER, "STOP") for msisdn in waiting]
        await eventually(lambda: all(mo.taken for mo in mos))
        done = await town.finished(campaign)
        assert town.simulator.smsc.judge.offers_after_stop == 0
        assert [town.offers_to(msisdn) for msisdn in waiting] == [0] * len(waiting)
        await eventually(lambda: all(len(town.texts(msisdn)) == 1 for msisdn in waiting))
        served = set(town.msisdns) - set(waiting)
        assert {town.offers_to(msisdn) for msisdn in served} == {1}
        progress = done["progress"]
        assert progress["accepted"] == len(served)
        assert progress["recipients"] == progress["accepted"] + progress["not_sent"]


async def test_an_import_with_an_older_consent_cannot_revive_a_stop(ground: Ground) -> None:
    async with a_town(ground, subscribers=2) as town:
        await town.finished(await town.new_record())
        leaver, other = town.msisdns
        await town.answer(leaver, "STOP")
        await eventually(lambda: len(town.texts(leaver)) == 2)

        last_month = town.clock.now() - timedelta(days=30)
        rows = [a_row(leaver, last_month), a_row(other, last_month)]
        body = b"\n".join(map(orjson.dumps, rows))
        job = await town.merchant.post("/v1/imports", body, Content_Type=NDJSON)
        assert (job["state"], job["rows_ok"], job["rows_failed"]) == ("finished", 1, 1)
        (error,) = (await town.merchant.get(f"/v1/imports/{job['id']}/errors"))["data"]
        assert (error["row"], error["code"]) == (1, "stop_is_newer")
        assert (await town.subscriber(leaver))["offers_state"] == "unsubscribed"

        consent = {
            "subscriber": (await town.subscriber(leaver))["id"],
            "event": "granted",
            "source": "form",
            "wording_version": "boxman-2026-11",
            "occurred_at": last_month.isoformat(),
        }
        answer = await town.merchant.ask("POST", "/v1/consents", consent)
        assert (answer.status, answer.code) == (409, "stop_is_newer")


async def test_a_stop_from_a_number_that_nobody_knows_is_remembered_against_older_consents(
    ground: Ground,
) -> None:
    stranger, other, last_month = 33639980077, 33639980078, timedelta(days=30)
    async with a_town(ground, subscribers=1) as town:
        await town.answer(stranger, "STOP", SENDER)

        async def taken() -> bool:
            async with town.process.services.database.bulk() as connection:
                return bool(await connection.fetchval("SELECT count(*) = 1 FROM number_stop"))

        await eventually(taken)
        rows = [a_row(stranger, town.clock.now() - last_month), a_row(other, town.clock.now() - last_month)]
        body = b"\n".join(map(orjson.dumps, rows))
        job = await town.merchant.post("/v1/imports", body, Content_Type=NDJSON)
        assert (job["rows_ok"], job["rows_failed"]) == (1, 1)
        (error,) = (await town.merchant.get(f"/v1/imports/{job['id']}/errors"))["data"]
        assert (error["row"], error["code"]) == (1, "stop_is_newer")

        person = await town.merchant.post("/v1/subscribers", {"msisdn": f"+{stranger}"})
        consent = {"subscriber": person["id"], "event": "granted", "purpose": "offers", "source": "form"}
        consent |= {"wording_version": "boxman-2026-11"}
        older = {**consent, "occurred_at": (town.clock.now() - last_month).isoformat()}
        refused = await town.merchant.ask("POST", "/v1/consents", older)
        assert (refused.status, refused.code) == (409, "stop_is_newer")
        town.clock.skip(60)
        newer = {**consent, "occurred_at": town.clock.now().isoformat()}
        assert (await town.merchant.ask("POST", "/v1/consents", newer)).status == 201
        assert (await town.subscriber(stranger))["offers_state"] == "subscribed"


async def test_start_from_the_phone_brings_the_person_back(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        person = town.msisdns[0]
        await town.finished(await town.new_record())
        await town.answer(person, "STOP")
        await eventually(lambda: len(town.texts(person)) == 2)
        nobody = await town.emit(a_record())
        assert (nobody.status, nobody.code) == (422, "audience_empty")

        await town.answer(person, "START")
        await eventually(lambda: len(town.texts(person)) == 3)  # a welcome
        assert (await town.subscriber(person))["offers_state"] == "subscribed"
        await town.finished(await town.new_record())
        assert town.offers_to(person) == 2
        consents = await town.merchant.all("/v1/consents")
        assert [(each["event"], each["state_after"]) for each in consents[:2]] == [
            ("start", "subscribed"),
            ("stop", "unsubscribed"),
        ]


async def test_a_revocation_by_the_api_holds_before_its_answer_leaves(ground: Ground) -> None:
    async with a_town(ground, subscribers=200, carrier={"rate_per_s": 60}) as town:
        campaign = await town.new_record()
        await eventually(lambda: town.simulator.smsc.log.accepted >= 5)
        leaver = next(msisdn for msisdn in reversed(town.msisdns) if not town.texts(msisdn))
        consent = {
            "subscriber": (await town.subscriber(leaver))["id"],
            "event": "revoked",
            "source": "telephone call",
            "occurred_at": town.clock.now().isoformat(),
        }
        await town.merchant.post("/v1/consents", consent)
        await town.finished(campaign)
        assert town.texts(leaver) == []
