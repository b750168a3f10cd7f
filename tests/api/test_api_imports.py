"""Imports over HTTP: good rows stay, bad rows are told, nobody is woken who said STOP."""

from __future__ import annotations

import asyncio
import io
import json
import tracemalloc
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smsgate.api.import_rows import BATCH_ROWS
from smsgate.store.pool import Database
from tests.api.api_server import Answer, Api, Caller, a_context, running

NDJSON = {"Content-Type": "application/x-ndjson"}
CSV = {"Content-Type": "text/csv"}
HEADER = "msisdn,consent_at,consent_source,wording_version,external_id,language,tags,field.first_name"


def a_row(number: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "msisdn": f"+3363998{number:04}",
        "consent_at": "2026-05-01T12:00:00Z",
        "consent_source": "form",
        "wording_version": "2026-01",
        **fields,
    }


def ndjson(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def a_line(number: int = 0, name: str = "Zoé") -> str:
    return f"+3363998{number:04},2026-05-01T12:00:00+02:00,form,2026-01,c-{number},en,vip|new,{name}"


async def imported(merchant: Caller, data: Any, headers: dict[str, str], query: str = "") -> Answer:
    answer = await merchant.post(f"/v1/imports{query}", data=data, headers=headers)
    assert answer.status == 201, answer
    assert answer.body["state"] == "finished"
    return answer


def counts(answer: Answer) -> tuple[int, int, int]:
    return answer.body["rows_total"], answer.body["rows_ok"], answer.body["rows_failed"]


async def errors(merchant: Caller, answer: Answer) -> list[tuple[int, str]]:
    listed = await merchant.get(f"/v1/imports/{answer.body['id']}/errors")
    return [(one["row"], one["code"]) for one in listed.body["data"]]


async def test_ndjson_rows_become_subscribers_with_their_consents(api: Api) -> None:
    merchant = await api.merchant()
    rows = [a_row(n, tags=["vip"], fields={"first_name": "Zoé"}) for n in range(3)]
    answer = await imported(merchant, ndjson(*rows), NDJSON)
    assert counts(answer) == (3, 3, 0)
    found = (await merchant.get("/v1/subscribers")).body["data"]
    assert {one["msisdn"] for one in found} == {row["msisdn"] for row in rows}
    assert {one["offers_state"] for one in found} == {"subscribed"}
    assert found[0]["fields"] == {"first_name": "Zoé"}
    assert found[0]["country"] == "FR"
    consents = (await merchant.get(f"/v1/consents?subscriber={found[0]['id']}")).body["data"]
    assert [(one["event"], one["wording_version"]) for one in consents] == [("import", "2026-01")]
    assert consents[0]["evidence"]["import"] == answer.body["id"]
    assert consents[0]["who"] == consents[0]["evidence"]["key"] != ""
    assert (await merchant.get(f"/v1/imports/{answer.body['id']}")).body == answer.body
    assert (await merchant.get("/v1/imports")).body["data"] == [answer.body]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
async def test_csv_is_read_with_either_line_end_and_with_a_byte_order_mark(
    api: Api, start: str, line_end: str
) -> None:
    merchant = await api.merchant()
    text = start + line_end.join([HEADER, a_line(1, '"Zoé, dite ""Zo"""'), "", a_line(2)])
    assert counts(await imported(merchant, text.encode(), CSV)) == (2, 2, 0)
    found = await merchant.get("/v1/subscribers?msisdn=33639980001")
    assert found.body["data"][0]["fields"] == {"first_name": 'Zoé, dite "Zo"'}
    assert found.body["data"][0]["tags"] == ["vip", "new"]


async def test_a_broken_row_leaves_its_neighbours_alone(api: Api) -> None:
    merchant = await api.merchant()
    lines = [
        HEADER.encode(),
        a_line(1).encode(),
        b'+33639980002,2026-05-01T12:00:00Z,"form,2026-01,c,en,vip,Zo',  # a quote that never ends
        a_line(3).encode(),
        b"+33639980004,2026-05-01T12:00:00Z,form",
        b"not-a-number,2026-05-01T12:00:00Z,form,2026-01,c,en,vip,Zo",
        b"+33639980006,2026-05-01T12:00:00Z,form,2026-01,c,en,vip,\xff\xfe",
        b"+33639980007,2026-05-01T12:00:00Z,form,2026-01,c,en,vip,a\x00b",
        a_line(8, "x" * 5_000).encode(),
        b"+33639980009,,form,2026-01,c,en,vip,Zo",
        b"+33639980010,2199-05-01T12:00:00Z,form,2026-01,c,en,vip,Zo",
        b"+33639980011,2026-05-01T12:00:00,form,2026-01,c,en,vip,Zo",
        a_line(12).encode(),
    ]
    answer = await imported(merchant, b"\n".join(lines), CSV)
    assert counts(answer) == (12, 3, 9)
    assert await errors(merchant, answer) == [
        (2, "row_invalid"),
        (4, "row_invalid"),
        (5, "msisdn_invalid"),
        (6, "row_invalid"),
        (7, "row_invalid"),
        (8, "row_too_long"),
        (9, "consent_missing"),
        (10, "occurred_in_future"),
        (11, "row_invalid"),
    ]
    found = (await merchant.get("/v1/subscribers")).body["data"]
    assert {one["msisdn"] for one in found} == {"+33639980001", "+33639980003", "+33639980012"}


async def test_odd_ndjson_rows_are_errors_of_their_own(api: Api) -> None:
    merchant = await api.merchant()
    odd = [
        b"{", b"[]", b"1", b'"x"', b"null", b"NaN", b"\xff", b'{"msisdn": 1}', b'{"msisdn": null}',
        b"[" * 3_000,
        json.dumps(a_row(1, tags="vip")).encode(), json.dumps(a_row(1, tags=[1])).encode(),
        json.dumps(a_row(1, fields={"A": "x"})).encode(), json.dumps(a_row(1, fields={"a": 1})).encode(),
        json.dumps(a_row(1, fields=[1])).encode(), json.dumps(a_row(1, state="subscribed")).encode(),
        json.dumps(a_row(1, language="english")).encode(),
        json.dumps(a_row(1, consent_source="a\nb")).encode(),
        json.dumps(a_row(1, external_id="\x00")).encode(), json.dumps({"a\x00b": 1}).encode(),
        b'{"msisdn": "\\ud800"}', json.dumps(a_row(1, consent_at=5)).encode(),
    ]  # fmt: skip
    answer = await imported(merchant, b"\n".join([*odd, ndjson(a_row(2)).strip()]), NDJSON)
    assert counts(answer) == (len(odd) + 1, 1, len(odd))


async def test_an_import_never_revives_a_later_stop(api: Api) -> None:
    merchant = await api.merchant()
    await imported(merchant, ndjson(a_row(1), a_row(2)), NDJSON)
    subscriber = (await merchant.get("/v1/subscribers?msisdn=33639980001")).body["data"][0]["id"]
    stopped_at = datetime.now(UTC) - timedelta(minutes=1)
    revoked = await merchant.post(
        "/v1/consents",
        {
            "subscriber": subscriber,
            "event": "revoked",
            "source": "call",
            "occurred_at": stopped_at.isoformat(),
        },
    )
    assert revoked.status == 201
    again = await imported(merchant, ndjson(a_row(1, tags=["back"]), a_row(2, tags=["back"])), NDJSON)
    assert counts(again) == (2, 1, 1)
    assert await errors(merchant, again) == [(1, "stop_is_newer")]
    kept = (await merchant.get(f"/v1/subscribers/{subscriber}")).body
    assert (kept["offers_state"], kept["tags"]) == ("unsubscribed", [])
    later = await imported(merchant, ndjson(a_row(1, consent_at=datetime.now(UTC).isoformat())), NDJSON)
    assert counts(later) == (1, 1, 0)


async def test_validating_alone_writes_nothing_and_tells_the_same(api: Api) -> None:
    merchant = await api.merchant()
    body = ndjson(a_row(1), {"msisdn": "x"}, a_row(2))
    checked = await imported(merchant, body, NDJSON, "?validate_only=true")
    assert counts(checked) == (3, 2, 1)
    assert checked.body["validate_only"] is True
    assert (await merchant.get("/v1/subscribers")).body["data"] == []
    assert counts(await imported(merchant, body, NDJSON)) == (3, 2, 1)


@pytest.mark.parametrize("headers", [NDJSON, CSV])
async def test_a_file_that_is_sent_again_keeps_the_language_and_the_tags_that_it_names_none_of(
    api: Api, headers: dict[str, str]
) -> None:
    merchant = await api.merchant()
    names = ("msisdn", "consent_at", "consent_source", "wording_version")
    plain = [a_row(n) for n in (1, 2)]
    lines = [",".join((*names, "language", "tags")), *(",".join((*row.values(), "", "")) for row in plain)]
    body = ndjson(*plain) if headers is NDJSON else "\n".join(lines).encode()
    await imported(merchant, body, headers)
    found = (await merchant.get("/v1/subscribers?msisdn=33639980001")).body["data"][0]
    assert (found["language"], found["tags"]) == ("fr", [])
    path = f"/v1/subscribers/{found['id']}"
    await merchant.call("PATCH", path, {"language": "en", "tags": ["vip", "jazz"]})
    assert counts(await imported(merchant, body, headers)) == (2, 2, 0)
    kept = (await merchant.get(path)).body
    assert (kept["language"], kept["tags"]) == ("en", ["vip", "jazz"])
    other = (await merchant.get("/v1/subscribers?msisdn=33639980002")).body["data"][0]
    assert (other["language"], other["tags"]) == ("fr", [])


async def test_an_import_changes_the_language_and_the_tags_that_a_row_names(api: Api) -> None:
    merchant = await api.merchant()
    await imported(merchant, ndjson(a_row(1, language="en", tags=["vip"]), a_row(1)), NDJSON)
    found = (await merchant.get("/v1/subscribers")).body["data"][0]
    assert (found["language"], found["tags"]) == ("en", ["vip"])  # of an earlier row of the same number
    await imported(merchant, ndjson(a_row(1, language="de")), NDJSON)
    await imported(merchant, ndjson(a_row(1, tags=[])), NDJSON)
    found = (await merchant.get("/v1/subscribers")).body["data"][0]
    assert (found["language"], found["tags"]) == ("de", [])
    refused = a_row(1, language="it", tags=["no"], consent_at="2001-01-01T00:00:00Z")
    await merchant.post("/v1/consents", {"subscriber": found["id"], "event": "revoked", "source": "call",
                                         "occurred_at": "2002-01-01T00:00:00Z"})  # fmt: skip
    answer = await imported(merchant, ndjson(refused, a_row(1)), NDJSON)
    assert await errors(merchant, answer) == [(1, "stop_is_newer")]
    found = (await merchant.get("/v1/subscribers")).body["data"][0]
    assert (found["language"], found["tags"]) == ("de", [])


async def test_of_rows_with_one_number_the_last_counts_and_all_consents_are_kept(api: Api) -> None:
    merchant = await api.merchant()
    answer = await imported(merchant, ndjson(a_row(1, language="fr"), a_row(1, language="en")), NDJSON)
    assert counts(answer) == (2, 2, 0)
    found = (await merchant.get("/v1/subscribers")).body["data"]
    assert [one["language"] for one in found] == ["en"]
    assert len((await merchant.get("/v1/consents")).body["data"]) == 2


async def test_of_one_number_in_two_batches_the_later_row_counts_whichever_could_be_first(
    api: Api, database: Database
) -> None:
    """Two batches are under way at a time; the first of these waits for a row that somebody holds."""
    merchant = await api.merchant()
    await imported(merchant, ndjson(a_row(0), a_row(1)), NDJSON)
    rows = [a_row(n, language="fr") for n in range(BATCH_ROWS)] + [a_row(1, language="en")]
    async with database.bulk() as connection, connection.transaction():
        await connection.execute("SELECT FROM subscriber WHERE msisdn = 33639980000 FOR UPDATE")
        importing = asyncio.create_task(imported(merchant, io.BytesIO(ndjson(*rows)), NDJSON))
        await asyncio.wait([importing], timeout=0.5)  # time in which the second batch would overtake
    assert counts(await importing) == (len(rows), len(rows), 0)
    found = (await merchant.get("/v1/subscribers?msisdn=33639980001")).body["data"]
    assert [one["language"] for one in found] == ["en"]


async def test_many_batches_and_pages_of_errors(api: Api) -> None:
    merchant = await api.merchant()
    rows = [a_row(n) if n % 10 else {"msisdn": "x"} for n in range(2_500)]
    answer = await imported(merchant, ndjson(*rows), NDJSON)
    assert counts(answer) == (2_500, 2_250, 250)
    seen, path = [], f"/v1/imports/{answer.body['id']}/errors?limit=100"
    while path:
        page = await merchant.get(path)
        seen += [one["row"] for one in page.body["data"]]
        link = page.headers.get("Link", "")
        path = link[1 : link.index(">")] if link else ""
    assert seen == list(range(1, 2_500, 10))


async def test_bad_rows_beyond_the_limit_are_counted_and_not_listed_whoever_refused_them(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smsgate.store.imports.ERRORS_LISTED_MAX", 10)
    monkeypatch.setattr("smsgate.api.routes_imports.BATCH_ROWS", 6)
    merchant = await api.merchant()
    await imported(merchant, ndjson(a_row(1)), NDJSON)
    subscriber = (await merchant.get("/v1/subscribers")).body["data"][0]["id"]
    now = datetime.now(UTC).isoformat()
    stop = {"subscriber": subscriber, "event": "revoked", "source": "call", "occurred_at": now}
    assert (await merchant.post("/v1/consents", stop)).status == 201
    answer = await imported(merchant, ndjson(a_row(2), *[a_row(1)] * 20), NDJSON)
    assert counts(answer) == (21, 1, 20)
    assert await errors(merchant, answer) == [(row, "stop_is_newer") for row in range(2, 12)]
    unread = await imported(merchant, ndjson(*[{"msisdn": "x"}] * 7, *[a_row(1)] * 20), NDJSON)
    assert counts(unread) == (27, 0, 27)
    assert len(await errors(merchant, unread)) == 10


async def test_an_import_takes_as_many_rows_as_the_limit_says_and_none_beyond(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smsgate.api.import_rows.ROWS_MAX", 10)
    merchant = await api.merchant()
    rows = [a_row(number) for number in range(11)]
    assert counts(await imported(merchant, ndjson(*rows[:10]), NDJSON)) == (10, 10, 0)
    other = await api.merchant()
    refused = await other.post("/v1/imports", data=ndjson(*rows), headers=NDJSON)
    assert (refused.status, refused.code) == (422, "import_too_long")
    (job,) = (await other.get("/v1/imports")).body["data"]
    assert (job["state"], job["rows_total"], job["rows_ok"]) == ("failed", 10, 10)


@pytest.mark.parametrize("header", ["msisdn,consent_at", "a,b,c", "", HEADER + ",msisdn", "\x00\xff"])
async def test_a_csv_without_its_header_is_refused_and_the_import_failed(api: Api, header: str) -> None:
    merchant = await api.merchant()
    answer = await merchant.post("/v1/imports", data=f"{header}\nx,y\n".encode("latin-1"), headers=CSV)
    assert (answer.status, answer.code) == (422, "import_header_invalid")
    [job] = (await merchant.get("/v1/imports")).body["data"]
    assert job["state"] == "failed"


async def test_an_upload_that_breaks_off_keeps_its_rows_and_is_failed(api: Api) -> None:
    merchant = await api.merchant()
    reader, writer = await asyncio.open_connection("127.0.0.1", api.serving.port)
    body = ndjson(*(a_row(n) for n in range(BATCH_ROWS + 200)))
    writer.write(
        b"POST /v1/imports HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
        b"Authorization: Bearer "
        + str(merchant.key).encode()
        + f"\r\nContent-Length: {len(body) + 100}\r\n\r\n".encode()
        + body
    )
    await writer.drain()

    async def job() -> dict[str, Any]:
        jobs = (await merchant.get("/v1/imports")).body["data"]
        return dict(jobs[0]) if jobs else {"rows_total": 0, "state": ""}

    async with asyncio.timeout(10):
        while (await job())["rows_total"] < BATCH_ROWS:
            await asyncio.sleep(0.02)
        writer.close()
        while (await job())["state"] != "failed":
            await asyncio.sleep(0.02)
    del reader
    assert (await job())["problem"]
    assert len((await merchant.get("/v1/subscribers?limit=100")).body["data"]) == 100


async def test_an_import_whose_process_died_is_failed_two_minutes_later(api: Api, database: Database) -> None:
    merchant = await api.merchant()
    done = await imported(merchant, ndjson(a_row(1)), NDJSON)

    async def now_silent_for(seconds: int) -> list[tuple[str, str]]:
        """Leave the import as a process leaves it that is killed after its first rows."""
        async with database.bulk() as connection:
            await connection.execute(
                "UPDATE import_job SET state = 'running', finished_at = NULL, "
                "alive_at = now() - make_interval(secs => $1)",
                seconds,
            )
        one = (await merchant.get(f"/v1/imports/{done.body['id']}")).body
        (listed,) = (await merchant.get("/v1/imports")).body["data"]
        return [(each["state"], each["problem"]) for each in (one, listed)]

    assert await now_silent_for(115) == [("running", "")] * 2
    assert await now_silent_for(121) == [("failed", "The import broke off.")] * 2


async def test_an_import_over_a_slow_line_runs(
    api: Api, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smsgate.api.alive.INTERVAL_S", 0.02)
    rest = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield ndjson(a_row(1))
        await rest.wait()
        yield ndjson(a_row(2))

    merchant = await api.merchant()
    importing = asyncio.create_task(imported(merchant, slow(), NDJSON))
    async with asyncio.timeout(30), database.control() as connection:
        while not await connection.fetchval("SELECT count(*) FROM import_job"):
            await asyncio.sleep(0.01)
        await connection.execute("UPDATE import_job SET alive_at = now() - interval '7 h'")
        while await connection.fetchval("SELECT alive_at < now() - interval '1 h' FROM import_job"):
            await asyncio.sleep(0.01)
    (job,) = (await merchant.get("/v1/imports")).body["data"]
    assert job["state"] == "running"
    rest.set()
    assert counts(await importing) == (2, 2, 0)


async def test_a_repeated_import_under_one_key_is_answered_from_memory_and_another_body_refused(
    api: Api,
) -> None:
    merchant = await api.merchant()
    headers = {**NDJSON, "Idempotency-Key": "import-1"}
    first = await imported(merchant, ndjson(a_row(1)), headers)
    again = await imported(merchant, ndjson(a_row(1)), headers)
    assert again.body == first.body
    other = await merchant.post("/v1/imports", data=ndjson(a_row(2)), headers=headers)
    assert (other.status, other.code) == (422, "idempotency_mismatch")
    assert len((await merchant.get("/v1/imports")).body["data"]) == 1


async def test_a_body_over_the_limit_is_refused_before_it_is_read(database: Database) -> None:
    async with running(a_context(database, import_octets_max=10_000)) as api:
        merchant = await api.merchant()
        answer = await merchant.post("/v1/imports", data=b"x" * 10_001, headers=NDJSON)
        assert (answer.status, answer.code) == (413, "body_too_large")


async def test_one_line_without_end_is_one_bad_row_and_takes_no_memory(api: Api) -> None:
    merchant = await api.merchant()

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(512):  # 32 MiB
            yield b"x" * 65_536
        yield b"\n" + ndjson(a_row(1))

    tracemalloc.start()
    try:
        answer = await imported(merchant, endless(), NDJSON)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert counts(answer) == (2, 1, 1)
    assert await errors(merchant, answer) == [(1, "row_too_long")]
    assert peak < 8 << 20
