"""Closes in the database: cuts under the lock that flushes share, facts of one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import asyncpg

from smsgate.billing.advances import PrepaidAccount
from smsgate.billing.closing import Billed, ItemTerms
from smsgate.billing.commitments import Commitment
from smsgate.billing.documents import LineKind
from smsgate.billing.invoices import CampaignResult
from smsgate.billing.issuing import ItemText
from smsgate.billing.numbering import number_text
from smsgate.billing.periods import Month, month_bounds
from smsgate.billing.prices import Basis
from smsgate.billing.tiers import ladder_from_json
from smsgate.billing.vat import Vat
from smsgate.flows.billing_records import (
    BilledItem,
    BillingMerchant,
    ChargeRow,
    CloseFacts,
    CloseState,
    CutAsked,
    DocumentRow,
    Issue,
    ItemSum,
    Period,
    Proof,
)
from smsgate.ids import first_id_at
from smsgate.money import micros_per_minor, round_half_away
from smsgate.protocol.receipt_states import FINAL
from smsgate.store.advances import CLOCKS_APART, account_of
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection
from smsgate.store.documents import documents_of, issue
from smsgate.store.ledger_seals import seal
from smsgate.store.pool import Database
from smsgate.store.prepaying import PgPrepayments
from smsgate.store.profiles import billing_merchant
from smsgate.store.retired import horizon

_SQL: Final = load("billing")
_RETIRED: Final = load("retired")
ALWAYS: Final = datetime(2000, 1, 1, tzinfo=UTC)
RESULTS_MAX: Final = 40  # campaigns on a document's page, dearest first
ORDERS_COUNTED: Final = ("placed", "confirmed", "fulfilled")  # smsgate.campaigns.orders: not taken back

Rows = dict[int, tuple[int, int]]  # item -> segments, micros


class PgClosing(PgPrepayments):
    """Implements `flows.closing.ClosingStore`; `campaign_name` writes an id for people."""

    def __init__(self, database: Database, campaign_name: Callable[[int], str]) -> None:
        super().__init__(database)
        self._campaign_name = campaign_name

    async def states(self, merchant_id: int | None = None) -> Sequence[CloseState]:
        async with self._database.report() as connection:
            rows = await connection.fetch(_SQL["close_states"], merchant_id)
        return [
            CloseState(
                merchant_id=row["merchant_id"],
                zone_name=row["timezone"],
                last_cut=_month(row["last_cut"]),
                open_months=[month_of_day(day) for day in row["open_months"] or ()],
                first_charge_at=row["first_charge"],
                first_minimum=_month(row["first_minimum"]),
            )
            for row in rows
        ]

    async def merchant(self, merchant_id: int) -> BillingMerchant:
        async with self._database.bulk() as connection:
            return await billing_merchant(connection, merchant_id)

    async def cut(self, asked: Sequence[CutAsked]) -> None:
        async with self._database.bulk_transaction() as connection:
            await connection.execute(_SQL["lock_cuts"])
            for month in sorted({cut.month for cut in asked}):  # the statement sees what stood before it
                cuts = [cut for cut in asked if cut.month == month]
                await connection.execute(
                    _SQL["cut_periods"],
                    [cut.merchant_id for cut in cuts],
                    [first_day(cut.month) for cut in cuts],
                    [cut.starts_at for cut in cuts],
                    [cut.ends_at for cut in cuts],
                    [cut.cut_at for cut in cuts],
                )

    async def period(self, merchant_id: int, month: Month) -> Period | None:
        async with self._database.bulk() as connection:
            row = await connection.fetchrow(_SQL["period"], merchant_id, first_day(month))
        if row is None:
            return None
        return Period(
            merchant_id=merchant_id,
            month=month,
            starts_at=row["starts_at"],
            ends_at=row["ends_at"],
            cut_at=row["cut_at"],
            previous_cut_at=row["previous_cut_at"],
            closed_at=row["closed_at"],
        )

    async def facts(self, period: Period, zone_name: str) -> CloseFacts:
        async with self._database.report() as connection:
            charges = await _charges(connection, period, zone_name)
            origins = sorted({period.month, *(Month(row.day.year, row.day.month) for row in charges)})
            _first_kept, kept_from = await horizon(connection)
            proofs = [
                await _proof(connection, period.merchant_id, month, zone_name, kept_from) for month in origins
            ]
            wanted = {row.item_id for row in charges}
            days = [first_day(month) for month in origins]
            currencies = sorted({row.currency for row in charges})
            return CloseFacts(
                charges=charges,
                items=await _items(connection, wanted),
                billed=await _billed(connection, period.merchant_id, days),
                vat_entries=[
                    (row["valid_from"], row["category"], row["rate_micros"])
                    for row in await connection.fetch(_SQL["merchant_vat"], period.merchant_id)
                ],
                commitments=await _commitments(connection, period.merchant_id),
                proofs=proofs,
                preceding=await _preceding(connection, period.merchant_id, days),
                results={
                    currency: await self._results(connection, period, currency) for currency in currencies
                },
            )

    async def seal(self, period: Period) -> None:
        await seal(self._database, period.merchant_id, first_day(period.month), period.cut_at)

    async def issue(self, issue_: Issue) -> list[DocumentRow]:
        async with self._database.bulk_transaction() as connection:
            return await issue(connection, issue_)

    async def documents_of(self, merchant_id: int, month: Month) -> list[DocumentRow]:
        async with self._database.bulk() as connection:
            return await documents_of(connection, merchant_id, month)

    async def prepaid_account(self, period: Period) -> PrepaidAccount | None:
        async with self._database.report() as connection:
            return await account_of(connection, period)

    async def _results(
        self, connection: Connection, period: Period, currency: str
    ) -> Sequence[CampaignResult]:
        rows = await connection.fetch(
            _SQL["campaign_results"], period.merchant_id, currency, period.starts_at, period.ends_at,
            period.cut_at, RESULTS_MAX, list(ORDERS_COUNTED),
        )  # fmt: skip
        scale = micros_per_minor(currency)
        return [
            CampaignResult(
                name=row["external_id"] or self._campaign_name(row["campaign_id"]),
                messages=row["messages"],
                delivered=row["delivered"],
                orders=row["orders"],
                orders_minor=row["orders_minor"],
                cost_minor=round_half_away(row["micros"], scale),
            )
            for row in rows
        ]


def first_day(month: Month) -> date:
    return date(month.year, month.month, 1)


def month_of_day(day: date) -> Month:
    return Month(day.year, day.month)


def _month(day: date | None) -> Month | None:
    return None if day is None else month_of_day(day)


async def _charges(connection: Connection, period: Period, zone_name: str) -> list[ChargeRow]:
    previous = period.previous_cut_at or ALWAYS
    rows = await connection.fetch(
        _SQL["usage_of_period"], period.merchant_id, min(period.starts_at, previous) - CLOCKS_APART,
        period.cut_at, period.starts_at, period.ends_at, previous, zone_name,
    )  # fmt: skip
    return [ChargeRow(*row) for row in rows]


async def _proof(
    connection: Connection, merchant_id: int, month: Month, zone_name: str, kept_from: datetime
) -> Proof:
    """
    Return a month of acceptance as the ledger has it, and as the rows of messages and replies make it.

    Of days whose message rows are dropped the sums that were kept stand for them.
    """
    starts_at, ends_at = month_bounds(month, zone_name)
    replies = await connection.fetch(
        _SQL["replies_of_month"], merchant_id, starts_at, ends_at, _first_id(starts_at - CLOCKS_APART)
    )
    known = not any(row["unknown"] for row in replies)
    ledger = await connection.fetch(
        _SQL["ledger_of_month"], merchant_id, starts_at, ends_at, starts_at - CLOCKS_APART, kept_from, known
    )
    first, end = _first_id(starts_at), _first_id(ends_at)
    messages = _sums(await connection.fetch(_SQL["messages_of_month"], merchant_id, first, end))
    items = await _items(connection, messages)
    delivered = [item_id for item_id, item in items.items() if item.basis is Basis.DELIVERED]
    if delivered:
        charged = _sums(
            await connection.fetch(
                _SQL["delivered_of_month"], merchant_id, first, end, delivered, sorted(FINAL)
            )
        )
        for item_id in delivered:
            messages[item_id] = charged.get(item_id, (0, 0))
    reversed_ = _sums(
        await connection.fetch(_SQL["reversed_of_month"], merchant_id, first, end, delivered, sorted(FINAL))
    )
    retired = _sums(await connection.fetch(_RETIRED["retired_of_month"], merchant_id, first_day(month)))
    for sums, sign in ((reversed_, -1), (retired, 1)):
        for item_id, (segments, micros) in sums.items():
            had = messages.get(item_id, (0, 0))
            messages[item_id] = had[0] + sign * segments, had[1] + sign * micros
    if known:
        messages |= _sums(replies)
    return Proof(month, _item_sums(_sums(ledger)), _item_sums(messages))


def _first_id(at: datetime) -> int:
    return first_id_at(int(at.timestamp()) * 1000)


def _sums(rows: Iterable[asyncpg.Record]) -> Rows:
    return {row["item_id"]: (row["segments"], row["micros"]) for row in rows}


def _item_sums(sums: Rows) -> frozenset[ItemSum]:
    """Return what is left of each item; one whose charges were all given back says nothing."""
    return frozenset(ItemSum(item_id, *row) for item_id, row in sums.items() if row != (0, 0))


async def _items(connection: Connection, item_ids: Iterable[int]) -> Mapping[int, BilledItem]:
    rows = await connection.fetch(_SQL["billing_items"], list(item_ids))
    return {row["item_id"]: _item(row) for row in rows}


def _item(row: asyncpg.Record) -> BilledItem:
    ladder = None if row["ladder"] is None else ladder_from_json(row["ladder"])
    terms = ItemTerms(
        row["price_list_id"], row["item_id"], row["version"], row["currency"], row["unit_micros"], ladder
    )
    return BilledItem(terms, ItemText(row["direction"], row["network"], row["name"]), Basis(row["basis"]))


async def _billed(connection: Connection, merchant_id: int, origins: Sequence[date]) -> Billed:
    billed = Billed()
    for row in await connection.fetch(_SQL["billed"], merchant_id, origins):
        origin, currency = month_of_day(row["origin"]), row["currency"]
        kind = LineKind(row["kind"])
        if kind is LineKind.USAGE:
            vat = Vat(row["vat_category"], row["vat_rate_micros"])
            billed.counts[row["item_id"], origin][vat] += row["quantity"]
            billed.nets[currency, origin] += row["net_minor"]
        elif kind is LineKind.COMMITMENT:
            billed.shortfalls[currency, origin] += row["net_minor"]
    for row in await connection.fetch(_SQL["credited_shortfalls"], merchant_id, origins):
        billed.credited[row["currency"], month_of_day(row["origin"])] += row["net_minor"]
    return billed


async def _commitments(connection: Connection, merchant_id: int) -> list[Commitment]:
    rows: list[Any] = await connection.fetch(_SQL["merchant_commitments"], merchant_id)
    return [
        Commitment(
            row["currency"], row["minimum_minor"], _month(row["first_month"]), _month(row["last_month"])
        )
        for row in rows
    ]


async def _preceding(
    connection: Connection, merchant_id: int, months: Sequence[date]
) -> dict[tuple[str, Month, bool], tuple[str, date]]:
    found: dict[tuple[str, Month, bool], tuple[str, date]] = {}
    for row in await connection.fetch(_SQL["invoices_of_months"], merchant_id, months):
        key = row["currency"], month_of_day(row["month"]), row["outside"]
        found.setdefault(key, (number_text(row["series"], row["number"]), row["issued_on"]))
    return found
