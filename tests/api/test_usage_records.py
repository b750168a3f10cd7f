"""Usage records by HTTP: a download that breaks goes on where it was, and its SHA-256 is told before."""

from __future__ import annotations

import asyncio
import base64
import csv
import hashlib
import io
import itertools
import os
import tracemalloc
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from smsgate.api.file_parts import READ_OCTETS, Part, part_of
from smsgate.api.problems import Refusal
from smsgate.campaigns.retention import kept
from smsgate.flows.kept_files import FileHousekeeping
from smsgate.flows.usage_files import FRESH, UsageFiles
from smsgate.security.public_ids import Kind
from smsgate.store.pool import Database
from tests.api.api_server import Api, Caller
from tests.api.test_explanations import with_reports
from tests.api.test_invoices import a_merchant as an_invoiced_merchant
from tests.api.test_invoices import close, with_invoicing
from tests.store.books import IN_OCTOBER, Books, some_books

PATH = "/v1/usage_records/2026-10"
hours = (IN_OCTOBER + timedelta(minutes=minute) for minute in itertools.count())
ROWS = 9_000  # some 2 MB: many reads, and more than the sockets hold


@pytest.fixture
async def books(api: Api, database: Database, tmp_path: Path) -> AsyncIterator[Books]:
    made = await some_books(database)
    with_reports(api, database, made, tmp_path / "files")
    yield made
    await files(api).close()


def files(api: Api) -> UsageFiles:
    assert api.context.reports is not None
    return api.context.reports.usage_files


async def a_merchant(api: Api, books: Books, rows: int = 7) -> Caller:
    caller = await api.merchant()
    await use(api, books, caller, rows)
    return caller


async def use(api: Api, books: Books, caller: Caller, rows: int) -> None:
    merchant_id = api.context.public_ids.decode(Kind.MERCHANT, caller.merchant_id)
    at = next(hours)
    await books.write_messages(merchant_id, await books.take(merchant_id, rows, accepted_at=at))


async def part(caller: Caller, asked: str | None = None, **more: str) -> tuple[int, bytes, Mapping[str, str]]:
    headers = {"Authorization": f"Bearer {caller.key}", **({"Range": asked} if asked else {}), **more}
    async with caller.session.get(f"{caller.base}{PATH}.csv", headers=headers) as response:
        return response.status, await response.read(), response.headers


async def test_a_download_that_breaks_goes_on_where_it_was(api: Api, books: Books) -> None:
    caller = await a_merchant(api, books, ROWS)
    told = (await caller.get(PATH)).body
    assert (told["rows"], told["ledger_agrees"]) == (ROWS, True)
    got = b""
    breaks = 0
    async with aiohttp.ClientSession(read_bufsize=4_096) as session:
        while len(got) < told["octets"]:
            headers = {"Authorization": f"Bearer {caller.key}"}
            if got:
                headers |= {"Range": f"bytes={len(got)}-", "If-Range": f'"{told["sha256"]}"'}
            async with session.get(f"{caller.base}{PATH}.csv", headers=headers) as response:
                assert response.status == (206 if got else 200)
                assert int(response.headers["Content-Length"]) == told["octets"] - len(got)
                got += await response.content.readexactly(min(400_000, told["octets"] - len(got)))
                assert response.connection is not None or len(got) == told["octets"]
                response.close()  # the line goes, in the middle of it
                breaks += 1
        await use(api, books, caller, 3)  # meanwhile the month grows, and the file is what it was
    assert breaks > 3
    assert hashlib.sha256(got).hexdigest() == told["sha256"]
    assert len(list(csv.DictReader(io.StringIO(got.decode(), newline="")))) == ROWS


async def test_the_file_tells_its_length_its_hash_and_that_it_can_be_cut(api: Api, books: Books) -> None:
    caller = await a_merchant(api, books)
    status, octets, headers = await part(caller)
    sha256 = hashlib.sha256(octets).digest()
    assert (status, headers["Accept-Ranges"], headers["ETag"]) == (200, "bytes", f'"{sha256.hex()}"')
    assert headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(sha256).decode()}:"
    assert (int(headers["Content-Length"]), headers["Server"]) == (len(octets), "smsgate")
    assert headers["Content-Disposition"] == 'attachment; filename="usage-2026-10-EUR.csv"'
    assert headers["Content-Type"].startswith("text/csv")
    assert headers["X-Request-Id"].startswith("req_")
    told = (await caller.get(PATH)).body
    assert (told["sha256"], told["octets"], told["rows"]) == (sha256.hex(), len(octets), 7)
    assert told["sums"] == [{"direction": "mt", "messages": 7, "segments": 7, "amount": "0.315"}]


async def test_parts_are_parts_and_what_lies_behind_the_end_is_refused(api: Api, books: Books) -> None:
    caller = await a_merchant(api, books)
    _, octets, headers = await part(caller)
    size = len(octets)
    for asked, expected in (
        ("bytes=0-0", octets[:1]), ("bytes=10-19", octets[10:20]), (f"bytes={size - 1}-", octets[-1:]),
        ("bytes=-5", octets[-5:]), (f"bytes=3-{size + 99}", octets[3:]), (f"bytes=-{size + 9}", octets),
    ):  # fmt: skip
        status, found, told = await part(caller, asked)
        first = size - len(expected) if asked.startswith("bytes=-") else int(asked[6:].split("-")[0])
        assert (status, found) == (206, expected)
        assert told["Content-Range"] == f"bytes {first}-{first + len(expected) - 1}/{size}"
    for asked in ("bytes=0-1,4-5", "lines=1-2", "bytes=9-3", "bytes=-", "bytes=x-"):
        assert (await part(caller, asked))[:2] == (200, octets)
    for asked in (f"bytes={size}-", "bytes=999999999999-", "bytes=-0"):
        status, body, told = await part(caller, asked)
        assert (status, told["Content-Range"]) == (416, f"bytes */{size}")
        assert b'"range_invalid"' in body
    assert (await part(caller, "bytes=0-9", **{"If-Range": headers["ETag"]}))[:2] == (206, octets[:10])
    for other in ('"another"', "Thu, 05 Nov 2026 00:00:00 GMT", f"W/{headers['ETag']}"):
        assert (await part(caller, "bytes=0-9", **{"If-Range": other}))[:2] == (200, octets)


async def test_who_begins_anew_gets_the_month_as_it_is_and_who_goes_on_the_file_that_was(
    api: Api, books: Books
) -> None:
    caller = await a_merchant(api, books)
    _, first, headers = await part(caller)
    await use(api, books, caller, 3)
    assert (await part(caller))[1] == first  # a moment later it is the same file
    books.clock.advance(FRESH.total_seconds())
    assert (await part(caller, "bytes=0-9", **{"If-Range": headers["ETag"]}))[0] == 206
    _, second, changed = await part(caller)
    assert (second.count(b"\r\n"), changed["ETag"] == headers["ETag"]) == (11, False)
    assert (await part(caller, "bytes=0-9", **{"If-Range": headers["ETag"]}))[:2] == (200, second)
    books.clock.advance(kept("usage_file").total_seconds())
    assert (await part(caller, "bytes=0-9"))[1] == second[:10]  # made anew, of the same rows


async def test_files_are_kept_over_a_restart_and_only_one_for_each_month(
    api: Api, database: Database, books: Books, tmp_path: Path
) -> None:
    caller = await a_merchant(api, books)
    _, octets, headers = await part(caller)
    with_reports(api, database, books, tmp_path / "files")  # another process takes over
    assert (await part(caller, "bytes=5-"))[1] == octets[5:]
    await use(api, books, caller, 1)
    books.clock.advance(FRESH.total_seconds())
    _, _, later = await part(caller)
    assert later["ETag"] != headers["ETag"]
    kept = sorted(path.suffix for path in (tmp_path / "files").iterdir())
    assert kept == [".csv", ".json"]


async def test_another_merchant_gets_its_own_month_and_another_scope_none(api: Api, books: Books) -> None:
    caller, other = await a_merchant(api, books), await a_merchant(api, books, 2)
    assert (await part(caller))[1].count(b"\r\n") == 8
    assert (await part(other))[1].count(b"\r\n") == 3
    reader = await api.merchant(scopes=["read"])
    assert (await reader.get(f"{PATH}.csv")).code == "scope_missing"
    assert (await api.operator.get(f"{PATH}.csv")).code == "merchant_only"
    assert (await caller.get("/v1/usage_records/2026-13.csv")).code == "month_invalid"
    assert (await caller.get(f"{PATH}.csv?currency=EUX")).code == "currency_unknown"


async def test_many_who_ask_at_once_get_one_file(api: Api, books: Books, tmp_path: Path) -> None:
    caller = await a_merchant(api, books, 500)
    found = await asyncio.gather(*(part(caller) for _ in range(8)))
    assert {octets for _, octets, _ in found} == {found[0][1]}
    assert {status for status, _, _ in found} == {200}
    assert len(list((tmp_path / "files").glob("*.csv"))) == 1


async def test_a_month_that_takes_long_says_so_and_is_there_later(
    api: Api, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = await a_merchant(api, books, 100)
    monkeypatch.setattr("smsgate.api.routes_usage_records.WAIT_S", 0.0)
    status, body, headers = await part(caller)
    assert (status, b'"export_not_ready"' in body, "Retry-After" in headers) == (503, True, True)
    monkeypatch.undo()
    assert (await part(caller))[0] == 200


async def test_memory_of_a_download_does_not_grow_with_the_file(
    api: Api, books: Books, tmp_path: Path
) -> None:
    caller = await a_merchant(api, books)
    await part(caller)
    (kept,) = (tmp_path / "files").glob("*.csv")
    size = 64 << 20
    with kept.open("r+b") as file:  # as if the month had half a million messages
        file.truncate(size)
    (told,) = (tmp_path / "files").glob("*.json")
    told.write_bytes(told.read_bytes().replace(b'"octets":', b'"octets":%d,"before":' % size))
    headers = {"Authorization": f"Bearer {caller.key}", "Range": "bytes=0-"}
    tracemalloc.start()
    try:
        async with caller.session.get(f"{caller.base}{PATH}.csv", headers=headers) as response:
            assert response.status == 206
            count = 0
            async for octets in response.content.iter_chunked(1 << 16):
                count += len(octets)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (count, most < 24 * READ_OCTETS) == (size, True)


@pytest.mark.parametrize("size", [1, 2, 1_000])
def test_every_range_that_can_be_met_is_within_the_file(size: int) -> None:
    for first in ("", "0", "1", str(size - 1), str(size), "9" * 18):
        for last in ("", "0", "1", str(size), "9" * 18):
            headers = {"Range": f"bytes={first}-{last}"}
            if (first and int(first) >= size and not (last and int(last) < int(first))) or (first, last) == (
                "",
                "0",
            ):
                with pytest.raises(Refusal, match=f"has {size} octets"):
                    part_of(headers, size, '"x"')
            else:
                found = part_of(headers, size, '"x"')
                assert 0 <= found.first <= found.last < size
    assert part_of({}, size, '"x"') == Part(0, size - 1, whole=True)


async def test_a_document_has_records_that_add_up_to_its_net_and_nobody_else_has_them(
    api: Api, database: Database
) -> None:
    books = await some_books(database)
    with_invoicing(api, database, books)
    with_reports(api, database, books)
    caller, _ = await an_invoiced_merchant(api, books)
    (invoice,) = (await close(api, caller)).body["data"]
    path = f"?document={invoice['id']}"
    told = (await caller.get(f"/v1/usage_records{path}")).body
    assert (told["document"], told["total"], told["net"], told["equal"]) == (
        "F-2026-000001",
        "0.32",
        "0.32",
        True,
    )
    assert told["sums"] == [
        {"kind": "rounding", "rows": 1, "messages": 0, "segments": 0, "amount": "0.005"},
        {"kind": "usage", "rows": 1, "messages": 7, "segments": 7, "amount": "0.315"},
    ]
    file = await caller.get(f"/v1/usage_records.csv{path}")
    assert file.headers["Content-Disposition"] == 'attachment; filename="F-2026-000001.csv"'
    text = file.body if isinstance(file.body, str) else file.body.decode()
    assert hashlib.sha256(text.encode()).hexdigest() == told["sha256"]
    other, _ = await an_invoiced_merchant(api, books)
    for form in ("", ".csv"):
        assert (await other.get(f"/v1/usage_records{form}{path}")).status == 404
        assert (await caller.get(f"/v1/usage_records{form}")).status == 422


async def test_a_file_that_nobody_fetches_any_more_is_removed_after_its_time(api: Api, books: Books) -> None:
    caller = await a_merchant(api, books)
    await part(caller)
    usage_files = files(api).files
    directory = usage_files.directory
    assert await usage_files.keep_house() == 0
    assert list(directory.iterdir())
    old = books.clock.now().timestamp() - kept("usage_file").total_seconds() - 1
    for path in directory.iterdir():
        os.utime(path, (old, old))
    housekeeping = FileHousekeeping({"usage_file": usage_files})
    await housekeeping.step()
    assert list(directory.iterdir()) == []
    assert housekeeping.removed["usage_file"] == 2


async def test_an_erasure_by_another_process_lets_no_file_from_before_be_handed_out(
    api: Api, database: Database, books: Books, tmp_path: Path
) -> None:
    """It told the number for up to a day, also to who goes on with a download."""
    caller, other = await a_merchant(api, books), await a_merchant(api, books)
    _, _, headers = await part(caller)
    await part(other)
    directory = files(api).files.directory
    before = {path.name for path in directory.iterdir()}
    with_reports(api, database, books, tmp_path / "elsewhere")
    person = (await caller.post("/v1/subscribers", {"msisdn": "+33639980001"})).body["id"]
    erased = await caller.post("/v1/data_requests", {"kind": "erasure", "subscriber": person})
    assert erased.status == 201, erased
    with_reports(api, database, books, directory)
    await use(api, books, caller, 3)  # so that the file is another one, as it is without the number
    _, octets, later = await part(caller, "bytes=0-", **{"If-Range": headers["ETag"]})
    assert (octets.count(b"\r\n"), later["ETag"] == headers["ETag"]) == (11, False)
    after = {path.name for path in directory.iterdir()}
    assert len(after) == len(before) == 4
    assert len(after & before) == 3  # both of the other merchant's, and the name of this one's manifest


async def test_an_erasure_takes_the_files_along_that_tell_the_number(api: Api, books: Books) -> None:
    caller, other = await a_merchant(api, books), await a_merchant(api, books)
    directory = files(api).files.directory

    def whose() -> set[str]:
        return {path.name.split("-")[0] for path in directory.iterdir()}

    await part(other)
    others = whose()
    await part(caller)
    (mine,) = whose() - others
    person = (await caller.post("/v1/subscribers", {"msisdn": "+33639980001"})).body["id"]
    erased = await caller.post("/v1/data_requests", {"kind": "erasure", "subscriber": person})
    assert erased.status == 201, erased
    assert whose() == others
    making = asyncio.create_task(part(caller))
    while not files(api)._making:
        await asyncio.sleep(0)
    assert await files(api).forget(int(mine)) == 0
    await making
    assert whose() == others
