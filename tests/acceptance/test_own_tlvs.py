"""Optional parameters that a merchant gives its texts, from the API to the carrier's socket."""

from __future__ import annotations

from typing import Any

import orjson

from smsgate.protocol.commands import Status
from smsgate.protocol.pdus import Pdu
from smsgate.security.webhook_signatures import signed_headers
from tests.acceptance.esmes import EsmeTown, a_submit, an_esme_town, statuses
from tests.acceptance.town import SENDER, Ground, an_offer, eventually

TEMPLATE = {"tag": "0x1401", "value": "1107234560000054321"}
ANOTHER = {"tag": "0x1401", "hex": "ff00"}


def a_mapping() -> dict[str, str]:
    return {"item": "$.title", "price": "$.price", "currency": "EUR", "audience": "music"}


async def sent(company: EsmeTown, before: int, count: int) -> list[Pdu]:
    await eventually(lambda: len(company.written()) == before + count)
    return company.written()[before:]


async def test_a_texts_own_tlvs_reach_the_carrier_that_lets_them_through_on_each_of_its_parts(
    ground: Ground,
) -> None:
    async with an_esme_town(ground, subscribers=3, carrier={"message_tlvs": (0x1401,)}) as company:
        town = company.town
        first, second, third = town.msisdns
        offer = await town.merchant.post("/v1/offers", an_offer(town.clock, tlvs=[TEMPLATE]))
        assert offer["tlvs"] == [{"tag": "0x1401", "hex": TEMPLATE["value"].encode().hex()}]
        campaign = await town.merchant.post(
            "/v1/campaigns", {"offer": offer["id"], "audience": {"tags": ["music"]}}
        )
        await town.merchant.post(f"/v1/campaigns/{campaign['id']}/start")
        offers = await sent(company, 0, 3)
        assert [pdu.tlvs for pdu in offers] == [((0x1401, TEMPLATE["value"].encode()),)] * 3

        long = "Boxman: votre colis est au point relais. " * 5
        asks: list[dict[str, Any]] = [
            {"to": f"+{first}", "text": "Boxman: bonjour", "tlvs": [ANOTHER]},
            {"to": f"+{second}", "text": long, "tlvs": [TEMPLATE]},
            {"to": f"+{third}", "text": "Boxman: bonsoir"},
        ]
        for ask in asks:
            await town.merchant.post("/v1/messages", {"sender": SENDER, **ask})
        texts = await sent(company, 3, 4)
        to = {str(number).encode(): tlvs for number, tlvs in ((first, b"\xff\x00"), (third, None))}
        to[str(second).encode()] = TEMPLATE["value"].encode()
        for pdu in texts:
            value = to[pdu.fields["destination_addr"]]
            assert pdu.tlvs == (() if value is None else ((0x1401, value),))


async def test_a_triggers_tlvs_stand_in_each_of_its_offers(ground: Ground) -> None:
    async with an_esme_town(ground, carrier={"message_tlvs": (0x1401,)}) as company:
        merchant = company.town.merchant
        offer = an_offer(company.town.clock)
        asked = {
            "name": "new product",
            "sender": SENDER,
            "mapping": a_mapping(),
            "text": offer["text"],
        }
        trigger = await merchant.post("/v1/triggers", {**asked, "tlvs": [ANOTHER]})
        assert trigger["tlvs"] == [{"tag": "0x1401", "hex": "ff00"}]
        path = f"/v1/triggers/{trigger['id']}"
        changed = (await merchant.ask("PATCH", path, {"tlvs": [TEMPLATE]})).body
        assert (await merchant.ask("PATCH", path, {"name": "release"})).body["tlvs"] == changed["tlvs"]
        octets = orjson.dumps({"title": offer["item"], "price": "19,90"})
        at = int(company.town.clock.now().timestamp())
        headers = signed_headers([trigger["secret"]], "msg_1", at, octets)
        answer = await merchant.ask("POST", path, octets, **headers)
        assert answer.status == 202, answer
        (pdu,) = await sent(company, 0, 1)
        assert pdu.tlvs == ((0x1401, TEMPLATE["value"].encode()),)


async def test_a_companys_application_gives_each_submit_its_own_template(ground: Ground) -> None:
    async with an_esme_town(ground, carrier={"message_tlvs": (0x1401,)}) as company:
        esme = await company.raw()
        template, unknown = (0x1401, b"1107234560000054321"), (0x1402, b"nobody asked")
        assert await statuses(esme, a_submit(1, (template, unknown))) == [Status.OK]
        (pdu,) = await sent(company, 0, 1)
        assert pdu.tlvs == (template,)


async def test_a_tag_that_the_carrier_does_not_let_through_is_refused_with_its_name(ground: Ground) -> None:
    async with an_esme_town(ground) as company:
        town = company.town
        text = {"to": f"+{town.msisdns[0]}", "text": "Boxman: bonjour", "sender": SENDER}
        refused = await town.merchant.ask("POST", "/v1/messages", {**text, "tlvs": [TEMPLATE]})
        assert (refused.status, refused.code) == (422, "tlv_not_allowed")
        refused = await town.merchant.ask("POST", "/v1/offers", an_offer(town.clock, tlvs=[TEMPLATE]))
        assert (refused.status, refused.code) == (422, "tlv_not_allowed")
        assert "0x1401" in refused.body["errors"][0]["detail"]
        trigger = {"name": "new", "sender": SENDER, "mapping": a_mapping(), "text": "{shop}"}
        refused = await town.merchant.ask("POST", "/v1/triggers", {**trigger, "tlvs": [TEMPLATE]})
        assert (refused.status, refused.code) == (422, "tlv_not_allowed")
        for tlvs, pointer in (
            ([TEMPLATE, ANOTHER], "/tlvs/1"),
            ([{"tag": "0x1401"}], "/tlvs/0"),
            ([{**TEMPLATE, "hex": "00"}], "/tlvs/0"),
            ([{"tag": "0x0000", "hex": "00"}], "/tlvs/0"),
            ([{"tag": "1401", "value": ""}], "/tlvs/0/tag"),
        ):
            answer = await town.merchant.ask("POST", "/v1/messages", {**text, "tlvs": tlvs})
            assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, pointer)
        assert company.written() == []
