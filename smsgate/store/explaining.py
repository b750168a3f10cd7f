"""
What is stored of one message's money, read as the merchant itself may read it, of one snapshot.

Which posting holds a charge no row says: a flush posts sums. But it posts them in the transaction that
writes what is charged (the outcome; of an item of delivered basis the receipt, or the outcome that came
after it), and PostgreSQL keeps with each row which transaction wrote it. Where that is not known any more
(rows that were loaded from a dump) all postings that may hold it are told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import asyncpg

from smsgate.billing.charge_facts import (
    BilledLine,
    Cut,
    ExplainFacts,
    GivenBack,
    PartFacts,
    Posted,
    Priced,
    Receipt,
)
from smsgate.billing.numbering import number_text
from smsgate.billing.periods import Month, month_bounds, month_of
from smsgate.billing.prices import Basis, Direction, PriceItem
from smsgate.billing.tiers import ladder_from_json
from smsgate.billing.vat import Vat
from smsgate.errors import NotFound
from smsgate.flows.explaining import Asked
from smsgate.flows.exporting import accepted_at_of
from smsgate.flows.inbound_charges import quarter_of
from smsgate.flows.records import STATUS_NOT_SENT, STATUS_UNKNOWN
from smsgate.ids import quarter_hour_of
from smsgate.money import minor_to_text
from smsgate.protocol.commands import status_text
from smsgate.protocol.receipt_states import FINAL, ReceiptState
from smsgate.store.catalogue import load
from smsgate.store.closing import first_day, month_of_day
from smsgate.store.connection import Connection
from smsgate.store.pool import Database

_SQL: Final = load("explaining")
_BILLING: Final = load("billing")
_FINALS: Final = sorted(FINAL)
CLOCKS_APART: Final = timedelta(days=1)  # an entry's instant may be of another node's clock
REPLIES_LATE: Final = timedelta(
    days=2
)  # parts that wait for others are decided after 30 s, or after a restart
RECEIPTS_LATE: Final = timedelta(days=40)  # one that waited for its message is posted when it is matched

Items = Mapping[int, Priced]


class PgExplaining:
    """Implements `explaining.ExplainStore`; `posting_name` writes the id of a posting for people."""

    def __init__(self, database: Database, posting_name: Callable[[int], str]) -> None:
        self._database = database
        self._posting_name = posting_name

    async def owner(self, id_: int, direction: Direction) -> int | None:
        name = "owner_of_message" if direction is Direction.MT else "owner_of_reply"
        async with self._database.report() as connection:
            found: int | None = await connection.fetchval(_SQL[name], id_)
        return found

    async def erased(self, asked: Asked) -> bool | None:
        name = "message" if asked.direction is Direction.MT else "reply"
        async with self._database.transaction(asked.merchant_id) as connection:
            row = await connection.fetchrow(_SQL[name], asked.merchant_id, asked.id_)
        return None if row is None else row["msisdn"] == 0

    async def facts(self, asked: Asked) -> tuple[ExplainFacts, Sequence[tuple[date, str, int | None]]]:
        merchant_id = asked.merchant_id
        async with self._database.transaction(merchant_id) as connection:
            merchant = await connection.fetchrow(_BILLING["billing_merchant"], merchant_id)
            if merchant is None:
                raise NotFound
            zone_name = merchant["timezone"]
            if asked.direction is Direction.MT:
                accepted_at = accepted_at_of(asked.id_)
                parts, items = await self._sent(connection, asked)
            else:
                accepted_at, parts, items = await self._received(connection, asked)
            origin = month_of(accepted_at, zone_name)
            facts = ExplainFacts(
                asked.direction,
                accepted_at,
                zone_name,
                parts,
                await _cuts(connection, merchant_id, origin),
                await _lines(connection, merchant_id, list(items), origin),
                await _month_segments(connection, merchant_id, items, origin, zone_name),
                first_month=await _first_month(connection, merchant_id, zone_name),
            )
            vats = [
                (row["valid_from"], row["category"], row["rate_micros"])
                for row in await connection.fetch(_BILLING["merchant_vat"], merchant_id)
            ]
        return facts, vats

    async def _sent(self, connection: Connection, asked: Asked) -> tuple[list[PartFacts], Items]:
        merchant_id = asked.merchant_id
        message = await connection.fetchrow(_SQL["message"], merchant_id, asked.id_)
        assert message is not None
        rows = await connection.fetch(_SQL["parts"], merchant_id, asked.id_, _FINALS)
        items = await _items(
            connection, {row[name] for row in rows for name in ("sell_item_id", "cost_item_id") if row[name]}
        )
        parts = []
        for row in rows:
            postings: tuple[Posted, ...] = ()
            if row["sell_item_id"] and row["status"] == 0:
                recorded = [at for at in (row["sent_at"], row["received_at"]) if at is not None]
                by_receipt = items[row["sell_item_id"]].item.basis is Basis.DELIVERED
                until = RECEIPTS_LATE if by_receipt else CLOCKS_APART
                outcome, receipt = row["wrote"]
                postings = await self._postings(
                    connection,
                    asked,
                    row["sell_item_id"],
                    datetime.fromtimestamp(quarter_hour_of(asked.id_), UTC),
                    message["campaign_id"],
                    row["carrier_id"],
                    (min(recorded) - CLOCKS_APART, max(recorded) + until),
                    (receipt, outcome) if by_receipt else (outcome,),
                )
            parts.append(self._part(row, items, postings))
        return parts, items

    def _part(self, row: asyncpg.Record, items: Items, postings: tuple[Posted, ...]) -> PartFacts:
        receipt = None
        if row["state"] is not None:
            receipt = Receipt(ReceiptState(row["state"]).name.lower(), row["received_at"])
        return PartFacts(
            row["segment"],
            row["segments"],
            row["sent_at"],
            _refusal(row["status"], row["reason"]),
            row["carrier"],
            items.get(row["sell_item_id"]),
            row["sell_micros"],
            items.get(row["cost_item_id"]),
            row["cost_micros"],
            receipt,
            postings,
            self._given_back(row),
        )

    def _given_back(self, row: asyncpg.Record) -> GivenBack | None:
        if row["back_id"] is None:
            return None
        return GivenBack(self._posting_name(row["back_id"]), row["back_at"], row["back_reason"])

    async def _received(
        self, connection: Connection, asked: Asked
    ) -> tuple[datetime, list[PartFacts], Items]:
        row = await connection.fetchrow(_SQL["reply"], asked.merchant_id, asked.id_)
        assert row is not None
        received_at: datetime = row["received_at"]
        item_id = row["sell_item_id"] or 0
        items = await _items(connection, {item_id} - {0})
        postings: tuple[Posted, ...] = ()
        if item_id:
            postings = await self._postings(
                connection, asked, item_id, quarter_of(received_at), row["campaign_id"], row["carrier_id"],
                (received_at - CLOCKS_APART, received_at + REPLIES_LATE), [row["wrote"]],
            )  # fmt: skip
        part = PartFacts(
            0,
            row["segments"] or 1,
            received_at,
            _not_charged(row),
            row["carrier"],
            items.get(item_id),
            row["sell_micros"] or 0,
            postings=postings,
            given_back=self._given_back(row),
        )
        return received_at, [part], items

    async def _postings(
        self,
        connection: Connection,
        asked: Asked,
        item_id: int,
        quarter: datetime,
        campaign_id: int | None,
        carrier_id: int,
        recorded: tuple[datetime, datetime],
        writers: Sequence[str | None],
    ) -> tuple[Posted, ...]:
        """Return the postings of the first of `writers` (transactions, likeliest first) that wrote any."""
        rows = await connection.fetch(
            _SQL["postings"], asked.merchant_id, asked.direction.value, item_id, quarter, campaign_id,
            carrier_id, *recorded,
        )  # fmt: skip
        known = next(
            (found for wrote in writers if (found := [row for row in rows if row["wrote"] == wrote])), rows
        )
        return tuple(
            Posted(
                self._posting_name(row["posting_id"]),
                row["at"],
                row["messages"],
                row["segments"],
                row["amount_micros"],
            )
            for row in known
        )


def _not_charged(row: asyncpg.Record) -> str:
    """Return why a reply counts for nothing, as a clause; "" when it may be charged."""
    if row["outcome"] == "repetition":
        return "the carrier brought it before, and it counts once"
    return "it came before charges were kept with replies" if row["segments"] is None else ""


def _refusal(status: int, reason: str | None) -> str:
    """Return why the carrier did not take a part, as a clause; "" when it did."""
    if status == 0:
        return ""
    if status == STATUS_UNKNOWN:
        return "it was written to the carrier and never answered, so nobody knows whether it arrived"
    if status == STATUS_NOT_SENT:
        return f"it was never sent ({reason})"
    return f"the carrier refused it ({status_text(status)})"


async def _items(connection: Connection, item_ids: Iterable[int]) -> Items:
    found = {}
    for row in await connection.fetch(_SQL["prices"], list(item_ids)):
        ladder = None if row["ladder"] is None else ladder_from_json(row["ladder"])
        item = PriceItem(
            row["item_id"], Direction(row["direction"]), row["network"], row["unit_micros"],
            Basis(row["basis"]), ladder,
        )  # fmt: skip
        found[item.item_id] = Priced(
            item,
            row["name"],
            row["version"],
            row["currency"],
            row["effective_from"],
            row["effective_until"],
            row["is_first"],
        )
    return found


async def _cuts(connection: Connection, merchant_id: int, origin: Month) -> list[Cut]:
    rows = await connection.fetch(_SQL["cuts"], merchant_id, first_day(origin))
    return [Cut(month_of_day(row["month"]), row["cut_at"], row["closed"]) for row in rows]


async def _first_month(connection: Connection, merchant_id: int, zone_name: str) -> Month | None:
    """Return the first month that is billed: the first cut one, or what `flows.closing` will cut first."""
    row = await connection.fetchrow(_SQL["first_month"], merchant_id)
    assert row is not None
    if row["first_cut"] is not None:
        return month_of_day(row["first_cut"])
    firsts = []
    if row["first_minimum"] is not None:
        firsts.append(month_of_day(row["first_minimum"]))
    if row["first_charge"] is not None:
        firsts.append(month_of(row["first_charge"], zone_name))
    return min(firsts, default=None)


async def _lines(
    connection: Connection, merchant_id: int, item_ids: Sequence[int], origin: Month
) -> list[BilledLine]:
    rows = await connection.fetch(_SQL["lines"], merchant_id, item_ids, first_day(origin))
    credits_: defaultdict[tuple[int, int], list[tuple[str, int]]] = defaultdict(list)
    documents = sorted({row["document_id"] for row in rows})
    for row in await connection.fetch(_SQL["credits"], merchant_id, documents):
        number = number_text(row["series"], row["number"])
        credits_[row["credits_id"], row["credits_line"]].append((number, row["quantity"]))
    return [
        BilledLine(
            row["item_id"],
            number_text(row["series"], row["number"]),
            row["doc_type"],
            month_of_day(row["month"]),
            row["issued_on"],
            row["line"],
            row["quantity"],
            row["unit_micros"],
            minor_to_text(row["net_minor"], row["currency"]),
            row["currency"],
            Vat(row["vat_category"], row["vat_rate_micros"]),
            tuple(credits_[row["document_id"], row["line"]]),
        )
        for row in rows
    ]


async def _month_segments(
    connection: Connection, merchant_id: int, items: Items, origin: Month, zone_name: str
) -> Mapping[int, int]:
    """Count what steps are counted by, where there are any."""
    tiered = [item_id for item_id, priced in items.items() if priced.item.ladder is not None]
    if not tiered:
        return {}
    start, end = month_bounds(origin, zone_name)
    rows = await connection.fetch(
        _BILLING["charged_of_items"], merchant_id, start, end, start - CLOCKS_APART, tiered
    )
    return {row["item_id"]: row["segments"] for row in rows}
