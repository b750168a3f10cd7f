"""A merchant with prices, whose messages and charges are written as the flush writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any, Final

from smsgate.billing.invoices import Party
from smsgate.billing.issuing import Seller
from smsgate.billing.periods import Month
from smsgate.clock import ManualClock
from smsgate.flows.closing import Closing
from smsgate.flows.ledger import Charge
from smsgate.flows.records import Flush
from smsgate.ids import first_id_at, quarter_hour_of
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.security.public_ids import KEY_LENGTH, PublicIds
from smsgate.store.closing import PgClosing
from smsgate.store.flushing import commit
from smsgate.store.partitions import make_ahead
from smsgate.store.pool import Database

PUBLIC_IDS: Final = PublicIds(bytes(KEY_LENGTH))
PERCENT: Final = 1_000_000
SELLER: Final = Seller(
    Party(
        "Passerelle SAS", "1 rue de la Paix", "75002", "Paris", "FR", "732829320", "0002", "FR44732829320",
        "732829320",
    ),
    iban="FR1420041010050500013M02606",
    vat_rates=((date(2014, 1, 1), 20 * PERCENT),),
)  # fmt: skip
OCTOBER: Final = Month(2026, 10)
NOVEMBER: Final = Month(2026, 11)
IN_OCTOBER: Final = datetime(2026, 10, 5, 8, tzinfo=UTC)
CLOSE_AT: Final = datetime(2026, 11, 4, 23, tzinfo=UTC)
ITEM: Final = 11
OTHER_ITEM: Final = 12
CARRIER: Final = 1
OWNER: Final = 1


@dataclass
class Books:
    database: Database
    clock: ManualClock
    seller: Seller | None = SELLER
    ids: count[int] = field(default_factory=lambda: count(1_000))
    flushes: count[int] = field(default_factory=lambda: count(1))

    def closing(self, *, store: PgClosing | None = None, series: str | None = None) -> Closing:
        seller = self.seller
        if seller is not None and series is not None:
            seller = replace(seller, series=series)
        store = store or PgClosing(self.database, lambda campaign_id: f"cmp_{campaign_id}")
        return Closing(store, seller, self.clock, lambda: next(self.ids))

    def go_to(self, at: datetime) -> None:
        self.clock.advance((at - self.clock.now()).total_seconds())

    async def execute(self, sql: str, *values: Any) -> None:
        async with self.database.control() as connection:
            await connection.execute(sql, *values)

    async def value(self, sql: str, *values: Any) -> Any:
        async with self.database.control() as connection:
            return await connection.fetchval(sql, *values)

    async def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        async with self.database.control() as connection:
            return [tuple(row) for row in await connection.fetch(sql, *values)]

    async def prices(
        self,
        *items: tuple[int, str, str, int],
        currency: str = "EUR",
        list_id: int = 1,
        side: str = "sell",
        basis: str = "submit",
    ) -> None:
        """Publish (item id, direction, network, micros)."""
        await self.execute(
            "INSERT INTO price_list (price_list_id, name, side, currency) VALUES ($1, $2, $3, $4)",
            list_id,
            f"List {list_id}",
            side,
            currency,
        )
        await self.execute(
            "INSERT INTO price_version (price_list_id, version, effective_from, source_sha256) "
            "VALUES ($1, 1, '2025-01-01', '')",
            list_id,
        )
        for item_id, direction, network, micros in items:
            await self.execute(
                "INSERT INTO price_item (item_id, price_list_id, version, direction, network, unit_micros, "
                "basis) VALUES ($1, $2, 1, $3, $4, $5, $6)",
                item_id,
                list_id,
                direction,
                network,
                micros,
                basis,
            )

    async def merchant(
        self, merchant_id: int, *, zone: str = "Europe/Paris", profile: bool = True, vat: bool = True
    ) -> None:
        await self.execute(
            "INSERT INTO merchant (merchant_id, name, slug, country, language, timezone, currency) "
            "VALUES ($1, $2, $2, 'FR', 'fr', $3, 'EUR')",
            merchant_id,
            f"shop-{merchant_id}",
            zone,
        )
        if profile:
            await self.profile(merchant_id)
        if vat:
            await self.execute(
                "INSERT INTO billing_vat (merchant_id, valid_from, category, reason) "
                "VALUES ($1, '2020-01-01', 'S', 'in France')",
                merchant_id,
            )

    async def profile(self, merchant_id: int) -> None:
        await self.execute(
            "INSERT INTO billing_profile (merchant_id, legal_name, street, postcode, city, country, "
            "legal_id, vat_number, business, einvoicing_id, payment_days) VALUES ($1, 'Boxman SARL', "
            "'2 rue des Disques', '69001', 'Lyon', 'FR', '552100554', 'FR96552100554', true, "
            "'552100554', 30)",
            merchant_id,
        )

    async def partitions(self, *days: datetime) -> None:
        async with self.database.control() as connection:
            for day in days:
                await make_ahead(connection, day, 0)

    async def take(
        self,
        merchant_id: int,
        messages: int,
        *,
        accepted_at: datetime = IN_OCTOBER,
        recorded_at: datetime | None = None,
        item: tuple[int, int] = (ITEM, 45_000),
        segments: int = 1,
        campaign_id: int | None = None,
        currency: str = "EUR",
        owner: int = OWNER,
        cost: tuple[int, int] = (0, 0),
        by_receipt: bool = False,
        cost_by_receipt: bool = False,
        message_ids: Sequence[int] = (),
        receipts_of: Sequence[int] = (),
    ) -> list[int]:
        """
        Have the carrier take messages: rows and charge, in one flush; return their ids.

        `by_receipt`, `cost_by_receipt`: the item is of delivered basis, so the flush does not charge it.
        `message_ids` are of the instant of acceptance. `receipts_of`: messages taken before, whose final
        receipts come with it.
        """
        item_id, micros = item
        cost_item, cost_micros = cost
        at = recorded_at or accepted_at
        base = first_id_at(int(accepted_at.timestamp() * 1000)) + next(self.ids) * 1_000
        message_ids = list(message_ids or range(base, base + messages))
        flush = Flush(number=next(self.flushes))
        sent = flush.sent
        sent.merchant_ids += [merchant_id] * messages
        sent.message_ids += message_ids
        for column, value in (
            (sent.segments, 1), (sent.segment_counts, segments), (sent.carrier_ids, CARRIER),
            (sent.statuses, 0), (sent.sell_item_ids, item_id), (sent.sell_micros, micros * segments),
            (sent.cost_item_ids, cost_item), (sent.cost_micros, cost_micros * segments),
        ):  # fmt: skip
            column.extend([value] * messages)
        sent.smsc_ids += [b"%x" % message_id for message_id in message_ids]
        sent.reasons += [None] * messages
        sent.sent_at += [at] * messages
        charge = Charge(
            merchant_id, campaign_id, CARRIER, 0 if by_receipt else item_id,
            0 if by_receipt else micros * segments, 0 if cost_by_receipt else cost_item,
            0 if cost_by_receipt else cost_micros * segments, segments, quarter_hour_of(base), currency,
            currency if cost_item and not cost_by_receipt else "",
        )  # fmt: skip
        flush.charges[charge] += messages
        for message_id in receipts_of:
            _delivered(flush, merchant_id, message_id, ReceiptState.DELIVRD, at)
        flush.at = at
        await commit(self.database, flush, owner=owner, next_id=lambda: next(self.ids), public_ids=PUBLIC_IDS)
        return message_ids

    async def write_messages(self, merchant_id: int, message_ids: Sequence[int], text: str = "Hello") -> None:
        """Write the messages that `take` wrote outcomes of, as system messages."""
        await self.execute(
            "INSERT INTO message (merchant_id, message_id, msisdn, kind, sender, body) "
            "SELECT $1, id, 33612345678, 'answer', '36111', $3 FROM unnest($2::bigint[]) AS n (id)",
            merchant_id,
            list(message_ids),
            text,
        )

    async def receipt(
        self, merchant_id: int, message_id: int, state: ReceiptState, at: datetime, *, recorded_at: datetime
    ) -> None:
        """Have a final receipt come for a message of delivered basis, in a flush of its own."""
        flush = Flush(number=next(self.flushes), at=recorded_at)
        _delivered(flush, merchant_id, message_id, state, at)
        flush.by_receipt.append((merchant_id, message_id, 1))
        await commit(self.database, flush, owner=OWNER, next_id=lambda: next(self.ids), public_ids=PUBLIC_IDS)

    async def accounts(self) -> dict[tuple[str, str], int]:
        rows = await self.rows(
            "SELECT account, currency, sum(amount_micros)::bigint FROM ledger_entry GROUP BY 1, 2"
        )
        return {(account, currency): amount for account, currency, amount in rows if amount}

    async def lines(self, merchant_id: int) -> Sequence[tuple[Any, ...]]:
        """Return (month, type, origin, quantity, micros, net) of all documents, in order."""
        return await self.rows(
            "SELECT to_char(d.month, 'YYYY-MM'), d.doc_type, to_char(l.origin, 'YYYY-MM'), l.quantity, "
            "l.unit_micros, l.net_minor FROM document d "
            "JOIN document_line l USING (merchant_id, document_id) "
            "WHERE merchant_id = $1 ORDER BY d.number, l.line",
            merchant_id,
        )


def _delivered(flush: Flush, merchant_id: int, message_id: int, state: ReceiptState, at: datetime) -> None:
    columns = flush.receipts
    columns.merchant_ids.append(merchant_id)
    columns.message_ids.append(message_id)
    columns.segments.append(1)
    columns.states.append(state)
    columns.errors.append(b"")
    columns.received_at.append(at)


async def some_books(database: Database, *, now: datetime = CLOSE_AT) -> Books:
    books = Books(database, ManualClock(now))
    await books.partitions(IN_OCTOBER, IN_OCTOBER + timedelta(days=26), CLOSE_AT)
    await books.prices((ITEM, "mt", "20801", 45_000), (OTHER_ITEM, "mt", "*", 90_001))
    return books
