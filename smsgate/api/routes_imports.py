"""Imports: a body of up to 4 GiB, streamed, in which every row stands or falls alone."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from pydantic import Field

from smsgate.api.alive import signs_of_life
from smsgate.api.import_rows import BATCH_ROWS, PIECE_ROWS, ROWS_MAX, LineCutter, RowReader
from smsgate.api.models import AnswerModel, Instant, Page, PageQuery, QueryModel
from smsgate.api.problems import ProblemType
from smsgate.api.routing import Answer, Body, Call, Route
from smsgate.errors import Invalid, SmsgateError
from smsgate.flows.ports_imports import BROKE_OFF, ImportRow, ImportRows, RowErrors
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"
PUTS_MAX: Final = 2  # batches written at a time: each core of the database's machine has one, and a pool many
DESCRIPTION: Final = (
    "One row a line, up to 4 KiB: msisdn, consent_at, consent_source and wording_version, and if you like "
    "external_id, language, country, region, timezone, tags and fields (CSV: tags with | between, columns "
    "field.<name>). A bad row is reported and the others are imported; a row that is older than the person's "
    "STOP is refused. A file that broke off may be sent again."
)

PROBLEMS: Final = (
    ProblemType("import_header_invalid", 422, "The CSV's first line is wrong", "`detail` names the columns."),
    ProblemType("import_too_long", 422, "Too many rows", "Cut the file; rows before the limit are imported."),
)


class ImportQuery(QueryModel):
    kind: Literal["subscribers"] = "subscribers"
    validate_only: bool = Field(default=False, description="Check every row and write none.")


class Import(AnswerModel):
    id: str
    kind: str
    state: str = Field(
        description="running, finished, or failed: the file or the gateway broke off, rows before it are in."
    )
    validate_only: bool
    rows_total: int
    rows_ok: int
    rows_failed: int
    problem: str
    created_at: Instant
    finished_at: Instant | None


class ImportError_(AnswerModel):  # noqa: N801  # ImportError is Python's
    row: int = Field(description="1 is the first row after a CSV's header; empty lines do not count.")
    code: str
    detail: str


class ImportErrors(AnswerModel):
    data: list[ImportError_]
    has_more: bool


class ImportErrorsQuery(QueryModel):
    limit: int = Field(default=100, ge=1, le=100)
    starting_after: int = Field(default=0, ge=0, le=ROWS_MAX, description="Row number.")


@dataclass(frozen=True, slots=True)
class _Put:
    """A batch on its way into the database."""

    numbers: frozenset[int]
    task: asyncio.Task[None]


@dataclass(slots=True)
class _Run:
    """One import at work."""

    call: Call
    import_id: int
    reader: RowReader
    validate_only: bool
    now: datetime
    puts: deque[_Put] = field(default_factory=deque)  # oldest first, at most PUTS_MAX

    async def take(self, lines: list[bytes | None]) -> None:
        """Read rows while the database still writes those before: of one number, one batch at a time."""
        rows, errors = ImportRows(), RowErrors()
        # A piece a turn, in the loop itself: a thread that reads keeps the interpreter for 5 ms at each step
        # of the transaction before, which then only ends after it.
        for start in range(0, len(lines), PIECE_ROWS):
            self.reader.read(lines[start : start + PIECE_ROWS], rows, errors)
            await asyncio.sleep(0)
        numbers = frozenset(rows.msisdns)
        while len(self.puts) == PUTS_MAX or any(not numbers.isdisjoint(put.numbers) for put in self.puts):
            await self._oldest()
        if rows or errors:
            self.puts.append(_Put(numbers, asyncio.create_task(self._put(rows, errors))))
        if self.reader.has_more_rows:
            raise Invalid(f"An import may have {ROWS_MAX} rows.", code="import_too_long")

    async def _put(self, rows: ImportRows, errors: RowErrors) -> None:
        context = self.call.context
        await context.imports.put(
            self.call.merchant_id,
            self.import_id,
            rows,
            errors,
            reference=self.call.public(Kind.IMPORT, self.import_id),
            who=self.call.key.public_id,
            id_base=context.ids.block(2 * BATCH_ROWS),
            validate_only=self.validate_only,
            now=context.clock.now(),
        )

    async def _oldest(self) -> None:
        await self.puts[0].task  # a wait that is cancelled leaves it where `written` finds it
        self.puts.popleft()

    async def written(self) -> None:
        """Wait until all that was taken is committed; raises what became of the first that was not."""
        ended = await asyncio.gather(*(put.task for put in self.puts), return_exceptions=True)
        self.puts.clear()
        for outcome in ended:
            if outcome is not None:
                raise outcome


async def create_import(call: Call) -> Answer:
    query = call.query_as(ImportQuery)
    context = call.context
    now = context.clock.now()
    import_id = context.ids.next()
    reader = RowReader(is_csv=call.request.content_type == CSV, now=now, phones=call.key.phones)
    run = _Run(call, import_id, reader, query.validate_only, now)
    await context.imports.start(
        call.merchant_id, import_id, query.kind, validate_only=query.validate_only, now=now
    )
    problem = BROKE_OFF
    try:
        try:
            async with signs_of_life(lambda: context.imports.renew(call.merchant_id, import_id)):
                await _stream(call, run)
        finally:
            await run.written()  # rows before the break are in
        problem = ""
    except SmsgateError as exc:
        problem = str(exc)[:500]
        raise
    finally:
        row = await context.imports.finish(
            call.merchant_id, import_id, problem=problem, now=context.clock.now()
        )
    return _import(call, row)


async def _stream(call: Call, run: _Run) -> None:
    assert call.stream is not None
    cutter = LineCutter()
    lines: list[bytes | None] = []
    async for octets in call.stream:
        lines.extend(cutter.feed(octets))
        while len(lines) >= BATCH_ROWS:
            await run.take(lines[:BATCH_ROWS])
            del lines[:BATCH_ROWS]
    lines.extend(cutter.end())
    for start in range(0, len(lines), BATCH_ROWS):
        await run.take(lines[start : start + BATCH_ROWS])


async def get_import(call: Call) -> Answer:
    return _import(call, await call.context.imports.get(call.merchant_id, call.path_id(Kind.IMPORT)))


async def list_imports(call: Call) -> Answer:
    page = await call.context.imports.list(call.merchant_id, call.page_ask(Kind.IMPORT))
    return call.page_answer(Page[Import], [_import(call, row) for row in page.rows], page.has_more)


async def list_import_errors(call: Call) -> Answer:
    query = call.query_as(ImportErrorsQuery)
    rows, has_more = await call.context.imports.errors(
        call.merchant_id, call.path_id(Kind.IMPORT), after_row=query.starting_after, limit=query.limit
    )
    data = [ImportError_(row=row.row_no, code=row.code, detail=row.detail) for row in rows]
    if has_more:
        url = call.request.rel_url.update_query(starting_after=str(data[-1].row))
        call.headers["Link"] = f'<{url}>; rel="next"'
    return ImportErrors(data=data, has_more=has_more)


def _import(call: Call, row: ImportRow) -> Import:
    return Import(
        id=call.public(Kind.IMPORT, row.import_id),
        kind=row.kind,
        state=row.state,
        validate_only=row.validate_only,
        rows_total=row.rows_total,
        rows_ok=row.rows_ok,
        rows_failed=row.rows_failed,
        problem=row.problem,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


ROUTES: Final = (
    Route("POST", "/v1/imports", create_import, "Import subscribers with their consents", Scope.SUBSCRIBERS,
          query=ImportQuery, response=Import, status=201, body=Body.STREAM, media_types=(NDJSON, CSV),
          errors=("import_header_invalid", "import_too_long"),
          description=DESCRIPTION),
    Route("GET", "/v1/imports", list_imports, "List imports", Scope.READ, query=PageQuery,
          response=Page[Import]),
    Route("GET", "/v1/imports/{id}", get_import, "Read an import", Scope.READ, response=Import),
    Route("GET", "/v1/imports/{id}/errors", list_import_errors, "List an import's bad rows", Scope.READ,
          query=ImportErrorsQuery, response=ImportErrors),
)  # fmt: skip
