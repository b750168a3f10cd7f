"""Imports of subscribers: a batch of rows is one transaction of a few set-wise statements."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from smsgate.campaigns.consent import ConsentEvent, ConsentState, decide
from smsgate.errors import NotFound
from smsgate.flows.commerce_records import Page
from smsgate.flows.ports_imports import BROKE_OFF, ImportErrorRow, ImportRow, ImportRows, RowErrors
from smsgate.store.array_octets import ids_text, texts_text
from smsgate.store.catalogue import load
from smsgate.store.connection import retry_transaction
from smsgate.store.pages import page_rows
from smsgate.store.subscribers import REFUSALS, VOIDING_EVENTS
from smsgate.store.suppression import stops_among, suppressed_to_add

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import asyncpg

    from smsgate.flows.commerce_records import PageAsk
    from smsgate.security.suppression import SuppressionHashes
    from smsgate.store.connection import Connection
    from smsgate.store.pool import Database

T = TypeVar("T")

_SQL: Final = load("imports")
_INBOUND: Final = load("inbound")  # a question or an offer ends in one way, whoever ends it
_FIELDS: Final = tuple(field.name for field in fields(ImportRow))
PURPOSE: Final = "offers"
ERRORS_LISTED_MAX: Final = 100_000  # of one import; further bad rows are counted and not listed


class PgImports:
    """Implements `ports_imports.ImportStore`."""

    def __init__(self, database: Database, hashes: SuppressionHashes) -> None:
        self._database = database
        self._hashes = hashes

    async def start(
        self, merchant_id: int, import_id: int, kind: str, *, validate_only: bool, now: datetime
    ) -> None:
        async with self._database.transaction(merchant_id) as connection:
            await connection.execute(_SQL["start"], merchant_id, import_id, kind, validate_only, now)

    async def put(
        self,
        merchant_id: int,
        import_id: int,
        rows: ImportRows,
        errors: RowErrors,
        *,
        reference: str,
        who: str,
        id_base: int,
        validate_only: bool,
        now: datetime,
    ) -> None:
        async def work() -> None:
            async with self._database.transaction(merchant_id) as connection:
                judged = await _judge(connection, self._hashes, merchant_id, rows)
                chosen, refused = judged.chosen, judged.refused
                if chosen and not validate_only:
                    await _write(connection, merchant_id, rows, judged, (reference, who), id_base, now)
                if not validate_only:
                    await judged.ended.write(connection, merchant_id)
                failed = len(errors) + len(refused)
                failed_before = await connection.fetchval(
                    _SQL["count_rows"], merchant_id, import_id, len(chosen), failed
                )
                # While there is room all that fail are listed, so what failed before says how much is left.
                if failed and (room := ERRORS_LISTED_MAX - failed_before) > 0:
                    await connection.execute(
                        _SQL["put_errors"], merchant_id, import_id, errors.row_nos + refused.row_nos,
                        errors.codes + refused.codes, errors.details + refused.details, room,
                    )  # fmt: skip

        # Not idempotent: when the answer to a commit is lost, a second run would count the rows twice.
        await retry_transaction(work, idempotent=False)

    async def renew(self, merchant_id: int, import_id: int) -> None:
        async with self._database.transaction(merchant_id) as connection:
            await connection.execute(_SQL["renew"], merchant_id, import_id)

    async def finish(self, merchant_id: int, import_id: int, *, problem: str, now: datetime) -> ImportRow:
        async with self._database.transaction(merchant_id) as connection:
            row = await connection.fetchrow(_SQL["finish"], merchant_id, import_id, problem, now)
        assert row is not None
        return _import(row)

    async def get(self, merchant_id: int, import_id: int) -> ImportRow:
        async with self._database.transaction(merchant_id) as connection:
            row = await connection.fetchrow(_SQL["import"], merchant_id, import_id)
        if row is None:
            raise NotFound
        return _import(row)

    async def list(self, merchant_id: int, ask: PageAsk) -> Page[ImportRow]:
        async with self._database.transaction(merchant_id) as connection:
            rows, more = await page_rows(connection, _SQL["imports_page"], merchant_id, ask)
        return Page([_import(row) for row in rows], more)

    async def errors(
        self, merchant_id: int, import_id: int, *, after_row: int, limit: int
    ) -> tuple[Sequence[ImportErrorRow], bool]:
        async with self._database.transaction(merchant_id) as connection:
            if await connection.fetchrow(_SQL["import"], merchant_id, import_id) is None:
                raise NotFound
            rows = await connection.fetch(_SQL["errors"], merchant_id, import_id, after_row, limit + 1)
        return [ImportErrorRow(*row) for row in rows[:limit]], len(rows) > limit


class Ended(NamedTuple):
    """Numbers whose question of a double opt-in waits no more; and that begin again, without older offers."""

    asked: list[int]
    offers: list[int]

    async def write(self, connection: Connection, merchant_id: int) -> None:
        if asked := self.asked:
            about = [merchant_id] * len(asked), asked, [PURPOSE] * len(asked)
            await connection.execute(_INBOUND["close_questions"], *about)
        if offers := self.offers:
            await connection.execute(_INBOUND["close_offers"], [merchant_id] * len(offers), offers)


class Judged(NamedTuple):
    """Which rows are taken, the state each leads to, refusals, what ends; `held` are the known people."""

    chosen: list[int]
    states: list[str]
    refused: RowErrors
    ended: Ended
    held: Sequence[asyncpg.Record]


async def _judge(
    connection: Connection, hashes: SuppressionHashes, merchant_id: int, rows: ImportRows
) -> Judged:
    """Lock the known numbers, and decide about each row."""
    refused = RowErrors()
    if not rows:
        return Judged([], [], refused, Ended([], []), [])
    locked = await connection.fetch(_SQL["lock_numbers"], merchant_id, rows.msisdns)
    held = (
        await connection.fetch(
            _SQL["consents_of"], merchant_id, [row["subscriber_id"] for row in locked], PURPOSE,
            VOIDING_EVENTS,
        )
        if locked
        else []
    )  # fmt: skip
    now_in = {row["msisdn"]: ConsentState(row["offers_state"]) for row in held}
    stopped_at = {row["msisdn"]: row["stopped_at"] for row in held}
    pending = [msisdn for msisdn, state in now_in.items() if state is ConsentState.PENDING]
    blocked = await suppressed_to_add(connection, hashes, merchant_id, rows.msisdns)
    for msisdn, at in (await stops_among(connection, hashes, merchant_id, rows.msisdns)).items():
        stopped_at[msisdn] = max(at, stopped_at.get(msisdn) or at)
    offers: list[int] = []
    chosen: list[int] = []
    states: list[str] = []
    for i, msisdn in enumerate(rows.msisdns):
        if msisdn in blocked:
            refused.add(rows.row_nos[i], "suppressed", REFUSALS["suppressed"])
            continue
        decision = decide(
            now_in.get(msisdn, ConsentState.NONE),
            ConsentEvent.IMPORT,
            evidence_at=rows.occurred_at[i],
            last_stop_at=stopped_at.get(msisdn),
        )
        if decision.accepted:
            now_in[msisdn] = decision.state
            chosen.append(i)
            states.append(decision.state.value)
            if decision.close_offers and msisdn in stopped_at:  # who is new has none
                offers.append(msisdn)
        else:
            stop = stopped_at.get(msisdn)
            since = f" (ended {stop:%Y-%m-%dT%H:%M:%SZ})" if stop is not None else ""
            refused.add(rows.row_nos[i], decision.code, f"{REFUSALS[decision.code]}{since}")
    asked = [msisdn for msisdn in pending if now_in[msisdn] is not ConsentState.PENDING]
    return Judged(chosen, states, refused, Ended(asked, offers), held)


async def _write(
    connection: Connection,
    merchant_id: int,
    rows: ImportRows,
    judged: Judged,
    brought: tuple[str, str],
    id_base: int,
    now: datetime,
) -> None:
    (reference, who), chosen = brought, judged.chosen
    msisdns = _of(rows.msisdns, chosen)

    def texts(column: Sequence[str | None]) -> str:
        return texts_text(_of(column, chosen))

    def kept(column: Sequence[str | None], name: str) -> str:
        known = {row["msisdn"]: row[name] for row in judged.held}
        return texts_text(_or_known(_of(column, chosen), msisdns, known))

    await connection.execute(
        _SQL["put_rows"], merchant_id, id_base, id_base + len(rows), PURPOSE, ConsentEvent.IMPORT.value,
        "import", reference, now, msisdns, texts(rows.external_ids),
        kept(rows.languages, "language"), texts(rows.countries), kept(rows.tags, "tags"), texts(rows.fields),
        texts_text(judged.states), texts(rows.wording_versions), texts(rows.sources),
        _of(rows.occurred_at, chosen), ids_text(_of(rows.row_nos, chosen)), texts(rows.regions),
        texts(rows.timezones), texts(rows.places), who,
    )  # fmt: skip


def _or_known(
    column: Sequence[str | None], msisdns: Sequence[int], known: dict[int, str | None]
) -> Sequence[str | None]:
    """Put in what is known of a person, also from an earlier row, where a row names nothing."""
    if None not in column:
        return column
    found: list[str | None] = []
    for msisdn, named in zip(msisdns, column, strict=True):
        if named is not None:
            known[msisdn] = named
        found.append(named if named is not None else known.get(msisdn))
    return found


def _of(column: Sequence[T], chosen: list[int]) -> Sequence[T]:
    """Return the chosen entries; mostly they are all of them."""
    return column if len(chosen) == len(column) else [column[i] for i in chosen]


def _import(row: asyncpg.Record) -> ImportRow:
    found = ImportRow(*(row[name] for name in _FIELDS))
    if row["is_silent"]:  # its process died, or its database was away when it ended
        return replace(found, state="failed", problem=BROKE_OFF, finished_at=row["alive_at"])
    return found
