"""
Bad input: each kind gets its documented problem type, costs nothing, and breaks nothing.

Malformed JSON, unknown fields, wrong types, a number that is no phone number, a text that is too long or one
character too costly, an offer without what the law asks, forged and old and repeated triggers, a body of a
gigabyte, a broken row among a hundred thousand.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from smsgate.security.public_ids import Kind
from smsgate.security.webhook_signatures import new_secret
from tests.acceptance.town import (
    OFFER_TEXT,
    PROBLEM,
    Answer,
    Ground,
    Town,
    a_record,
    a_town,
    an_offer,
)

GIB = 1 << 30
CHUNK = b"x" * 65_536
ROWS = 100_000
BROKEN_ROW = 61_803


async def test_bodies_that_are_no_json_or_not_of_the_documented_shape(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        offer = an_offer(town.clock)
        cases: list[tuple[Any, int, str, str]] = [
            (b'{"text": "OK', 400, "json_invalid", ""),
            (b"", 400, "json_invalid", ""),
            (b'{"price": NaN}', 400, "json_invalid", ""),
            (b'{"text": "a", "text": "b"}', 400, "json_invalid", ""),
            (b"[" * 40 + b"]" * 40, 400, "json_invalid", ""),
            (b'{"text": "\xff"}', 400, "json_invalid", ""),
            ([], 422, "invalid", ""),
            ({}, 422, "invalid", "/text"),
            ({**offer, "colour": "red"}, 422, "invalid", "/colour"),
            ({**offer, "quantity_max": "5"}, 422, "invalid", "/quantity_max"),
            ({**offer, "quantity_max": True}, 422, "invalid", "/quantity_max"),
            ({**offer, "price": 19.9}, 422, "invalid", "/price"),
            ({**offer, "price": "19.901"}, 422, "amount_invalid", "/price"),
            ({**offer, "expires_at": "tomorrow"}, 422, "invalid", "/expires_at"),
            ({**offer, "expires_at": "2026-11-23T12:00:00"}, 422, "invalid", "/expires_at"),
            ({**offer, "expires_at": town.clock.now().isoformat()}, 422, "expires_at_invalid", "/expires_at"),
            ({**offer, "currency": "XXX"}, 422, "currency_unknown", "/currency"),
            ({**offer, "sender": "36999"}, 422, "sender_unknown", "/sender"),
        ]
        for body, status, code, pointer in cases:
            answer = await town.merchant.ask("POST", "/v1/offers", body)
            await refused(town, "/v1/offers", answer, status, code)
            if pointer:
                assert pointer in [error["pointer"] for error in answer.body["errors"]], (body, answer.body)
        wrong_type = await town.merchant.ask("POST", "/v1/offers", b"text=OK", Content_Type="text/plain")
        await refused(town, "/v1/offers", wrong_type, 415, "media_type_unsupported")
        packed = await town.merchant.ask("POST", "/v1/offers", b"\x1f\x8b", Content_Encoding="gzip")
        await refused(town, "/v1/offers", packed, 415, "encoding_unsupported")
        assert await town.merchant.all("/v1/offers") == []


async def test_numbers_that_are_no_phone_numbers(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        for text in (
            "12345",
            "+33",
            "+33123",
            "+999612345678",
            "call me",
            "+33 1 42 68 53 00",
            "+336123456789",
        ):
            answer = await town.merchant.ask("POST", "/v1/subscribers", {"msisdn": text})
            await refused(town, "/v1/subscribers", answer, 422, "msisdn_invalid")
            assert [error["pointer"] for error in answer.body["errors"]] == ["/msisdn"]
        good = await town.merchant.post("/v1/subscribers", {"msisdn": "06 12 34 56 79", "country": "FR"})
        assert good["msisdn"] == "+33612345679"


async def test_texts_that_cost_more_than_one_message_say_why(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        assert (await town.merchant.post("/v1/offers", an_offer(town.clock)))["septets"] == 160

        long = await offered(town, f"{OFFER_TEXT}!")
        await refused(town, "/v1/offers", long, 422, "text_too_long")
        assert "161 septets" in long.body["detail"]

        # Two septets each: the text still has fewer than 160 characters, and does not fit.
        wide = await offered(town, OFFER_TEXT.replace("bxm.fr/m1", "[xm.fr]m1"))
        await refused(town, "/v1/offers", wide, 422, "text_too_long")

        for text, characters in (
            (OFFER_TEXT.replace("dernier", "dernière").replace("là", "lâ"), ["â"]),
            (OFFER_TEXT.replace("Boxman: le", "Boxman’s le").replace("là", "là…"), ["’", "…"]),
            (OFFER_TEXT.replace("Madonna", "Madonna 🎵"), ["🎵"]),
        ):
            costly = await offered(town, text)
            await refused(town, "/v1/offers", costly, 422, "charset_ucs2")
            found = [error for error in costly.body["errors"] if error["code"] == "charset_ucs2"]
            assert [error["what"] for error in found] == characters
            assert all(error["pointer"] == "/text" for error in found)
        assert "write" in (await offered(town, OFFER_TEXT.replace("là", "lâ"))).body["errors"][0]["detail"]


async def test_an_offer_without_what_the_law_asks_names_all_that_is_missing(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        bare = await offered(town, "CD: 19,90")
        await refused(town, "/v1/offers", bare, 422, "mandatory_info_missing")
        missing = {error["what"] for error in bare.body["errors"]}
        assert {"identity", "price", "ok_meaning", "withdrawal", "stop"} <= missing
        no_stop = await offered(town, OFFER_TEXT.replace(" STOP 36111", ""))
        assert [error["what"] for error in no_stop.body["errors"]] == ["stop"]
        other_price = await town.merchant.ask("POST", "/v1/offers", an_offer(town.clock, price="18.90"))
        assert [error["what"] for error in other_price.body["errors"]] == ["price"]


async def test_a_trigger_that_is_forged_old_or_unknown_starts_nothing(ground: Ground) -> None:
    async with a_town(ground, subscribers=2) as town:
        route = "/v1/triggers/{id}"
        unknown = town.trigger_path[:-4] + "AAAA"
        other_trigger = town.process.services.public_ids.encode(Kind.TRIGGER, 12_345)
        for answer in (
            await town.emit(a_record(), secret=new_secret()),
            await town.emit(a_record(), age_s=301),
            await town.emit(a_record(), age_s=-330),
            await town.anybody.ask("POST", town.trigger_path, a_record()),
            await town.emit(a_record(), path=f"/v1/triggers/{other_trigger}"),
        ):
            await refused(town, route, answer, 401, "signature_invalid")
        await refused(town, route, await town.emit(a_record(), path=unknown), 404, "not_found")
        assert (await town.emit(a_record(), age_s=270)).status == 202
        assert len(await town.merchant.all("/v1/campaigns")) == 1


async def test_a_trigger_whose_json_cannot_become_an_offer(ground: Ground) -> None:
    async with a_town(ground, subscribers=2) as town:
        record = {"title": "CD Madonna", "price": {"amount": "19.90", "currency": "EUR"}, "per_customer": 5}
        for document, status, code in (
            (b"{", 400, "json_invalid"),
            ({"for": "music"}, 422, "trigger_unmapped"),
            (a_record(record={**record, "price": {"amount": "19.90"}}), 422, "trigger_unmapped"),
            (a_record(record={**record, "price": {"amount": "18.90", "currency": "EUR"}}), 422,
             "mandatory_info_missing"),
            (a_record("jazz"), 422, "audience_empty"),
        ):  # fmt: skip
            answer = await town.emit(document)
            await refused(town, "/v1/triggers/{id}", answer, status, code)
        assert await town.merchant.all("/v1/campaigns") == []
        assert await town.merchant.all("/v1/offers") == []


async def test_a_trigger_that_comes_twice_has_one_answer_and_one_campaign(ground: Ground) -> None:
    async with a_town(ground, subscribers=2) as town:
        twins = await asyncio.gather(*[town.emit(a_record(), webhook_id="evt-1") for _ in range(5)])
        later = await town.emit(a_record(), webhook_id="evt-1")
        assert {answer.status for answer in (*twins, later)} == {202}
        assert len({answer.octets for answer in (*twins, later)}) == 1
        await town.finished(later.body["campaign"])
        assert len(await town.merchant.all("/v1/campaigns")) == 1
        assert town.simulator.smsc.log.submits == 2

        changed = await town.emit(a_record("jazz"), webhook_id="evt-1")
        await refused(town, "/v1/triggers/{id}", changed, 422, "idempotency_mismatch")


async def test_a_request_that_comes_twice_under_one_idempotency_key_is_done_once(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        offer = an_offer(town.clock)
        first = await town.merchant.ask("POST", "/v1/offers", offer, Idempotency_Key="one")
        again = await town.merchant.ask("POST", "/v1/offers", offer, Idempotency_Key="one")
        assert (first.status, first.octets) == (again.status, again.octets)
        assert again.headers["Idempotent-Replayed"] == "true"
        other = await town.merchant.ask("POST", "/v1/offers", {**offer, "stock": 3}, Idempotency_Key="one")
        await refused(town, "/v1/offers", other, 422, "idempotency_mismatch")
        assert len(await town.merchant.all("/v1/offers")) == 1


async def test_keys_scopes_merchants_and_routes_that_nobody_knows(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        mistyped = town.caller(town.merchant.key[:-1] + ("a" if town.merchant.key[-1] != "a" else "b"))
        reader, _ = await town.another_merchant("fnac", scopes=["read"])
        nobody = town.process.services.public_ids.encode(Kind.MERCHANT, 42)
        key = {"name": "shop", "scopes": ["read"]}
        for caller, method, path, body, status, code in (
            (town.anybody, "GET", "/v1/offers", None, 401, "key_missing"),
            (mistyped, "GET", "/v1/offers", None, 401, "key_invalid"),
            (town.caller("sgk_live_nonsense"), "GET", "/v1/offers", None, 401, "key_invalid"),
            (reader, "POST", "/v1/offers", an_offer(town.clock), 403, "scope_missing"),
            (town.operator, "GET", f"/v1/merchants/{nobody}", None, 404, "not_found"),
            (town.operator, "POST", f"/v1/merchants/{nobody}/api_keys", key, 404, "not_found"),
            (town.operator, "GET", f"/v1/merchants/{town.merchant_id}x", None, 404, "not_found"),
            (town.merchant, "GET", "/v1/nonsense", None, 404, "not_found"),
            (town.merchant, "PUT", "/v1/offers", {}, 405, "method_not_allowed"),
            (town.merchant, "GET", "/v1/offers?limit=0", None, 422, "invalid"),
            (town.merchant, "GET", "/v1/offers?colour=red", None, 422, "invalid"),
        ):
            answer = await caller.ask(method, path, body)
            assert (answer.status, answer.code) == (status, code), (path, answer.octets)


async def test_a_body_of_a_gigabyte_is_refused_early(ground: Ground) -> None:
    """By its length when it tells it, at the limit when not, without a key as well; memory stays flat."""
    async with a_town(ground, subscribers=1, http={"import_gib_max": 1}) as town:
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        key = {"Authorization": f"Bearer {town.merchant.key}"}
        signed = {"webhook-id": "a", "webhook-timestamp": "1", "webhook-signature": "v1,a"}
        json, csv = {"Content-Type": "application/json"}, {"Content-Type": "text/csv"}
        told = {"Content-Length": str(GIB)}
        endless = {"Transfer-Encoding": "chunked"}
        for path, headers in (
            ("/v1/offers", {**key, **json, **told}),
            ("/v1/offers", {**key, **json, **endless}),
            (town.trigger_path, {**signed, **json, **told}),
            (town.trigger_path, {**signed, **json, **endless}),
            ("/v1/imports", {**key, **csv, "Content-Length": str(GIB + 1)}),
        ):
            answer, sent = await flood(town, path, headers)
            assert answer.startswith(b"HTTP/1.1 413 "), answer[:200]
            assert PROBLEM.encode() in answer
            assert b'"code":"body_too_large"' in answer
            assert sent < 64 << 20, "a body must not be read to its end to be refused"
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 64 << 10
        assert (await town.anybody.ask("GET", "/readyz")).status == 200
        await town.finished(await town.new_record())
        assert town.offers_to(town.msisdns[0]) == 1


async def test_who_sends_on_after_the_refusal_is_cut_off_and_holds_up_nobody(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        headers = {"Content-Type": "application/json", "Content-Length": str(GIB)}
        flooding = asyncio.create_task(flood(town, town.trigger_path, headers, deaf=True))
        slowest_s = 0.0
        loop = asyncio.get_running_loop()
        while not flooding.done():
            started = loop.time()
            assert (await town.merchant.ask("GET", "/v1/offers")).status == 200
            slowest_s = max(slowest_s, loop.time() - started)
            await asyncio.sleep(0.05)
        _, sent = await flooding
        assert sent < GIB, "the connection must be closed before the gigabyte is through"
        assert slowest_s < 1.0


async def test_a_broken_row_among_a_hundred_thousand_is_listed_and_the_others_stay(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        agreed_at = (town.clock.now() - timedelta(days=3)).isoformat()

        async def rows() -> AsyncIterator[bytes]:
            yield b"msisdn;consent_at;consent_source;wording_version;tags\n"
            for start in range(0, ROWS, 1_000):
                lines = [
                    f"+{33_612_000_000 + n};{agreed_at};form;2026-11;crowd"
                    for n in range(start, start + 1_000)
                ]
                if start <= BROKEN_ROW - 1 < start + 1_000:
                    lines[BROKEN_ROW - 1 - start] = "+33 6 oops;yesterday;form"
                yield ("\n".join(lines) + "\n").encode()

        url = f"{town.base_url}/v1/imports"
        headers = {"Authorization": f"Bearer {town.merchant.key}", "Content-Type": "text/csv"}
        async with town.session.post(url, data=rows(), headers=headers) as response:
            assert response.status == 201
            job = await response.json()
        assert job["state"] == "finished"
        assert (job["rows_total"], job["rows_ok"], job["rows_failed"]) == (ROWS, ROWS - 1, 1)
        (error,) = (await town.merchant.get(f"/v1/imports/{job['id']}/errors"))["data"]
        assert (error["row"], error["code"]) == (BROKEN_ROW, "row_invalid")
        for n, known in ((0, 1), (BROKEN_ROW - 2, 1), (BROKEN_ROW - 1, 0), (BROKEN_ROW, 1), (ROWS - 1, 1)):
            found = await town.merchant.get(f"/v1/subscribers?msisdn=%2B{33_612_000_000 + n}")
            assert len(found["data"]) == known, n


async def test_bad_rows_of_every_kind_are_listed_with_their_codes(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        agreed_at = (town.clock.now() - timedelta(days=3)).isoformat()
        tomorrow = (town.clock.now() + timedelta(days=1)).isoformat()
        rows = [
            ("+33612345601", agreed_at, "form", "w1", ""),
            ("12", agreed_at, "form", "w1", "msisdn_invalid"),
            ("", agreed_at, "form", "w1", "row_invalid"),
            ("+33612345602", "", "form", "w1", "consent_missing"),
            ("+33612345603", agreed_at, "", "w1", "consent_missing"),
            ("+33612345604", agreed_at, "form", "", "consent_missing"),
            ("+33612345605", tomorrow, "form", "w1", "occurred_in_future"),
            ("+33612345606", "2026-05-01", "form", "w1", "row_invalid"),
            ("+33612345607", agreed_at, "x" * 5_000, "w1", "row_too_long"),
            ("+33612345608", agreed_at, "form", "w1", ""),
        ]
        body = "msisdn,consent_at,consent_source,wording_version\n"
        body += "\n".join(",".join(row[:4]) for row in rows)
        job = await town.merchant.post("/v1/imports", body.encode(), Content_Type="text/csv")
        assert (job["rows_ok"], job["rows_failed"]) == (2, 8)
        errors = (await town.merchant.get(f"/v1/imports/{job['id']}/errors"))["data"]
        expected = [(place, row[4]) for place, row in enumerate(rows, 1) if row[4]]
        assert [(error["row"], error["code"]) for error in errors] == expected
        headless = await town.merchant.ask("POST", "/v1/imports", b"a,b\n1,2\n", Content_Type="text/csv")
        await refused(town, "/v1/imports", headless, 422, "import_header_invalid")


async def offered(town: Town, text: str) -> Answer:
    return await town.merchant.ask("POST", "/v1/offers", an_offer(town.clock, text=text))


async def refused(town: Town, route: str, answer: Answer, status: int, code: str) -> None:
    """The answer is a problem of this code, and the OpenAPI document says that this route may answer it."""
    assert (answer.status, answer.code) == (status, code), answer.octets
    document = await town.anybody.get("/v1/openapi.json")
    documented = document["paths"][route]["post"]["responses"][str(status)]
    assert PROBLEM in documented["content"]
    assert code in str(documented), documented
    page = await town.anybody.ask("GET", answer.body["type"])
    assert page.status == 200
    assert f"code: {code}" in page.octets.decode()


async def flood(town: Town, path: str, headers: dict[str, str], *, deaf: bool = False) -> tuple[bytes, int]:
    """
    Send a body until the gateway answers; return the whole answer and how many octets of the body went out.

    A `deaf` client takes no notice of the answer and sends on until the connection breaks.
    """
    assert town.process.api is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", town.process.api.port)
    lines = [f"POST {path} HTTP/1.1", "Host: gateway", *(f"{name}: {text}" for name, text in headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    piece = b"%x\r\n%b\r\n" % (len(CHUNK), CHUNK) if "Transfer-Encoding" in headers else CHUNK
    answering = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
    sent = 0
    try:
        async with asyncio.timeout(30.0):
            while sent < GIB and (deaf or not answering.done()):
                writer.write(piece)
                sent += len(CHUNK)
                await writer.drain()
                await asyncio.sleep(0.002 if deaf else 0)
    except ConnectionError:
        return b"", sent
    else:
        async with asyncio.timeout(10.0):
            head = await answering
            writer.write_eof()
            return head + await reader.read(), sent  # to the end: the gateway has closed the connection
    finally:
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        writer.transport.abort()
