"""The offers that a group of MOs answers: locked where pieces are counted, else held before the commit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, Final

import asyncpg

from smsgate.campaigns.orders import Due, OrderEvent, OrderState, OrderTerms
from smsgate.flows.inbound_records import InboundContext, PlacedOrder
from smsgate.flows.order_texts import order_number
from smsgate.flows.records import OfferVersion
from smsgate.store.catalogue import load
from smsgate.store.claims import offer_of
from smsgate.store.connection import Connection, begin_again
from smsgate.store.together import Together

_SQL: Final = load("inbound")
_VERSION: Final = (
    "offer_id", "offer_version", "text", "shop_name", "item", "unit_price_minor", "currency", "quantity_max",
    "language", "country", "sender", "expires_at", "ask_above_minor", "withdrawal", *OrderTerms._fields,
    "state", "stock_remaining",
)  # fmt: skip


class AnsweredOffers:
    """Of one group, in its transaction. Source: docs/decisions/0061."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.live: dict[tuple[int, int], bool] = {}  # by merchant and offer
        self.versions: dict[tuple[int, int, int], OfferVersion] = {}
        # Live and of uncounted stock, by merchant and offer: no lock keeps them so.
        self._unlocked: set[tuple[int, int]] = set()

    async def read(
        self, context: InboundContext, merchant_id: int, offer_ids: Sequence[int], message_ids: Sequence[int]
    ) -> None:
        """
        Lock whose stock is counted, and read all of them with the orders that these messages have.

        Also which numbers that new orders would get are taken: beside a million orders, each 90th.
        """
        reads = Together()
        locked = reads.read(
            _SQL["lock_offers"], ("offer_id", "state", "stock_remaining"), merchant_id, offer_ids
        )
        versions = reads.read(_SQL["offer_versions"], _VERSION, merchant_id, offer_ids)
        ordered = reads.read(_SQL["orders_of_messages"], ("order_id",), merchant_id, message_ids)
        first_numbers = [order_number(merchant_id, message_id, 1, 0) for message_id in message_ids]
        taken = reads.read(_SQL["taken_numbers"], ("number",), merchant_id, first_numbers)
        await reads.run(self._connection)
        context.numbers_taken.update((merchant_id, number) for (number,) in taken.rows)
        # What was waited for is as another left it, and stands in no other row of the statement.
        now = {row["offer_id"]: row for row in locked.dicts()}
        for row in versions.dicts():
            self._keep(context, merchant_id, row | now.get(row["offer_id"], {}))
        self._unlocked |= {
            (merchant_id, offer_id)
            for offer_id in offer_ids
            if self.live.get((merchant_id, offer_id)) and context.stock[merchant_id, offer_id] is None
        }
        if ordered.rows:
            await self._orders(context, merchant_id, [order_id for (order_id,) in ordered.rows])

    def _keep(self, context: InboundContext, merchant_id: int, row: dict[str, Any]) -> None:
        key = merchant_id, row["offer_id"]
        context.stock[key] = row["stock_remaining"]
        self.live[key] = row["state"] == "live"
        self.versions[*key, row["offer_version"]] = replace(
            offer_of(merchant_id, row),
            ask_above_minor=row["ask_above_minor"],
            withdrawal=row["withdrawal"],
            terms=OrderTerms(*(row[name] for name in OrderTerms._fields)),
        )

    async def hold(self, ordered_from: AbstractSet[tuple[int, int]]) -> None:
        """
        Hold what the group orders from until the commit, where no lock has kept it live.

        Raises:
            StoreUnavailable: 40001, one of them has ended meanwhile: decide again.
        """
        by_merchant: defaultdict[int, list[int]] = defaultdict(list)
        for merchant_id, offer_id in self._unlocked & ordered_from:
            by_merchant[merchant_id].append(offer_id)
        for merchant_id, offer_ids in sorted(by_merchant.items()):
            held = await self._connection.fetch(_SQL["hold_live"], merchant_id, offer_ids)
            if len(held) < len(offer_ids):
                raise begin_again("An offer that was answered ended at the same time.")

    async def _orders(self, context: InboundContext, merchant_id: int, order_ids: Sequence[int]) -> None:
        """Lock and read these orders, and look for the numbers that further ones would get."""
        rows = await self._connection.fetch(_SQL["lock_orders"], merchant_id, order_ids)
        of_message: defaultdict[int, list[asyncpg.Record]] = defaultdict(list)
        for row in rows:
            of_message[row["message_id"]].append(row)
        further = [
            order_number(merchant_id, message_id, len(found) + 1, 0)
            for message_id, found in of_message.items()
        ]
        reads = Together()
        steps = reads.read(_SQL["order_steps"], ("order_id", "seq", "asked"), merchant_id, order_ids)
        taken = reads.read(_SQL["taken_numbers"], ("number",), merchant_id, further)
        await reads.run(self._connection)
        context.numbers_taken.update((merchant_id, number) for (number,) in taken.rows)
        said = {order_id: (seq, asked) for order_id, seq, asked in steps.rows}
        for message_id, found in of_message.items():
            orders = [_placed(row, *said[row["order_id"]]) for row in found]
            context.orders.setdefault((merchant_id, message_id), []).extend(orders)


def _placed(row: asyncpg.Record, seq: int, asked: bool) -> PlacedOrder:  # two columns of a row
    return PlacedOrder(
        row["order_id"],
        row["number"],
        OrderState(row["state"]),
        row["nth"],
        seq,
        row["quantity"],
        row["created_at"],
        row["placed_at"] or row["created_at"],
        row["shop_ref"],
        row["stock_held"],
        None if row["due_at"] is None else Due(OrderEvent(row["due_event"]), row["due_at"]),
        row["delivered_at"],
        asked,
    )
