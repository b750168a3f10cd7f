"""What an import asks of the store, and the columns that it hands over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from smsgate.flows.commerce_records import Page, PageAsk

BROKE_OFF: Final = "The import broke off."


@dataclass(slots=True)
class ImportRows:
    """Up to 2,000 checked rows of an import; parallel columns."""

    row_nos: list[int] = field(default_factory=list)
    msisdns: list[int] = field(default_factory=list)
    external_ids: list[str | None] = field(default_factory=list)
    languages: list[str | None] = field(default_factory=list)
    countries: list[str] = field(default_factory=list)
    regions: list[str] = field(default_factory=list)
    timezones: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)  # campaigns.places.place_key
    # PostgreSQL arrays of texts: {"a","b"}; None, here and of languages: what the person has stays.
    tags: list[str | None] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)  # JSON objects of texts
    wording_versions: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    occurred_at: list[datetime] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.row_nos)


@dataclass(slots=True)
class RowErrors:
    """What is wrong with which row; parallel columns."""

    row_nos: list[int] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.row_nos)

    def add(self, row_no: int, code: str, detail: str) -> None:
        self.row_nos.append(row_no)
        self.codes.append(code)
        self.details.append(detail)


@dataclass(frozen=True, slots=True)
class ImportRow:
    import_id: int
    kind: str
    state: str
    validate_only: bool
    rows_total: int
    rows_ok: int
    rows_failed: int
    problem: str
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class ImportErrorRow:
    row_no: int
    code: str
    detail: str


class ImportStore(Protocol):
    async def start(
        self, merchant_id: int, import_id: int, kind: str, *, validate_only: bool, now: datetime
    ) -> None: ...

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
        """
        Commit a batch: subscribers, their consents, the errors and the job's counts in one transaction.

        `id_base` is the first of 2 ids a row: subscribers, then consents. `reference` is the import's public
        id and `who` that of the key that brings it, for the evidence. A row older than the number's last stop
        is refused as `stop_is_newer`.
        """
        ...

    async def renew(self, merchant_id: int, import_id: int) -> None:
        """Note that an import still runs; one that does not say so for two minutes is told as `failed`."""
        ...

    async def finish(self, merchant_id: int, import_id: int, *, problem: str, now: datetime) -> ImportRow:
        """End the job; a `problem` makes it `failed`, and rows committed before stay."""
        ...

    async def get(self, merchant_id: int, import_id: int) -> ImportRow: ...

    async def list(self, merchant_id: int, ask: PageAsk) -> Page[ImportRow]: ...

    async def errors(
        self, merchant_id: int, import_id: int, *, after_row: int, limit: int
    ) -> tuple[Sequence[ImportErrorRow], bool]: ...
