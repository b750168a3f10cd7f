"""What a worked case writes into an empty database before its messages, and reads at its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, NamedTuple

from smsgate.billing.commitments import Commitment
from smsgate.billing.documents import Document, DocumentType, Line, LineKind, LineTerms
from smsgate.billing.invoices import invoice_from_json
from smsgate.billing.periods import Month
from smsgate.billing.prices import PriceItem
from smsgate.billing.tiers import ladder_to_json
from smsgate.billing.vat import Vat, VatRow
from smsgate.store.catalogue import load
from smsgate.store.partitions import make_ahead
from smsgate.store.pool import Database

_SQL: Final = load("worked_case")
FIRST_MONTH: Final = date(2000, 1, 1)  # of a minimum without a beginning


@dataclass(frozen=True, slots=True)
class CaseList:
    """A price list with its versions: (version, start, items)."""

    list_id: int
    name: str
    currency: str
    versions: Sequence[tuple[int, datetime, Sequence[PriceItem]]]


class Balance(NamedTuple):
    account: str
    currency: str
    micros: int


async def write_merchant(
    database: Database,
    merchant_id: int,
    zone_name: str,
    currency: str,
    vat: Iterable[tuple[date, Vat]],
    commitments: Iterable[Commitment],
) -> None:
    """Write a merchant, whom its documents go to, and its terms."""
    async with database.bulk_transaction() as connection:
        await connection.execute(_SQL["merchant"], merchant_id, f"case-{merchant_id}", zone_name, currency)
        await connection.execute(_SQL["profile"], merchant_id)
        for day, each in vat:
            await connection.execute(_SQL["vat"], merchant_id, day, each.category, each.rate_micros)
        for version, commitment in enumerate(commitments, 1):
            await connection.execute(
                _SQL["commitment"],
                merchant_id,
                version,
                commitment.currency,
                FIRST_MONTH if commitment.first is None else _first_day(commitment.first),
                None if commitment.last is None else _first_day(commitment.last),
                commitment.minimum_minor,
            )


async def write_prices(database: Database, lists: Iterable[CaseList]) -> None:
    async with database.bulk_transaction() as connection:
        for each in lists:
            await connection.execute(_SQL["price_list"], each.list_id, each.name, each.currency)
            for version, effective_from, items in each.versions:
                await connection.execute(_SQL["price_version"], each.list_id, version, effective_from)
                await connection.executemany(
                    _SQL["price_item"],
                    [
                        (
                            item.item_id, each.list_id, version, item.direction.value, item.network,
                            item.unit_micros, item.basis.value,
                            None if item.ladder is None else ladder_to_json(item.ladder),
                        )
                        for item in items
                    ],
                )  # fmt: skip


async def make_days(database: Database, days: Iterable[datetime]) -> None:
    """Make the partitions that messages of these days need."""
    async with database.control() as connection:
        for day in days:
            await make_ahead(connection, day, 0)


async def open_since(database: Database, merchant_id: int) -> datetime | None:
    """Return the first acceptance of what no close has taken; None: everything is billed."""
    async with database.bulk() as connection:
        found: datetime | None = await connection.fetchval(_SQL["open_since"], merchant_id)
    return found


async def balances(database: Database, merchant_id: int) -> list[Balance]:
    """Return what is left on each account, those of zero left out."""
    async with database.bulk() as connection:
        rows = await connection.fetch(_SQL["balances"], merchant_id)
    return [Balance(row["account"], row["currency"], row["micros"]) for row in rows]


async def documents(database: Database, merchant_id: int) -> list[Document]:
    """Return a merchant's documents as they are stored, in the order of their numbers."""
    async with database.bulk() as connection:
        rows = await connection.fetch(_SQL["documents"], merchant_id)
        lines = await connection.fetch(_SQL["lines"], merchant_id)
    found: list[Document] = []
    for row in rows:
        invoice = invoice_from_json(bytes(row["payload"]))
        vat_rows = tuple(
            VatRow(Vat(vat.category, vat.rate_micros), vat.basis_minor, vat.amount_minor)
            for vat in invoice.vats
        )
        found.append(
            Document(
                period=Month(row["month"].year, row["month"].month),
                currency=row["currency"],
                doc_type=DocumentType(row["doc_type"]),
                lines=tuple(
                    Line(
                        LineTerms(
                            Month(line["origin"].year, line["origin"].month), LineKind(line["kind"]),
                            line["price_list_id"], line["item_id"], line["version"], line["unit_micros"],
                            Vat(line["vat_category"], line["vat_rate_micros"]),
                        ),
                        line["quantity"],
                        line["net_minor"],
                    )
                    for line in lines
                    if line["document_id"] == row["document_id"]
                ),
                net_minor=row["net_minor"],
                vat_rows=vat_rows,
                vat_minor=row["vat_minor"],
                gross_minor=row["gross_minor"],
                exact_micros=row["exact_micros"],
                rounding_micros=row["rounding_micros"],
            )
        )  # fmt: skip
    return found


def _first_day(month: Month) -> date:
    return date(month.year, month.month, 1)
