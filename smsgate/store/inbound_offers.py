"""The offers that a group of MOs answers: locked where pieces are counted, else held before the commit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from smsgate.campaigns.orders import OrderTerms
from smsgate.flows.inbound_records import InboundContext
from smsgate.flows.records import OfferVersion
from smsgate.store.catalogue import load
from smsgate.store.claims import offer_of
from smsgate.store.connection import Connection, begin_again

_SQL: Final = load("inbound")


class AnsweredOffers:
    """Of one group, in its transaction. Source: docs/decisions/0061."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.live: dict[tuple[int, int], bool] = {}  # by merchant and offer
        self.versions: dict[tuple[int, int, int], OfferVersion] = {}
        # Live and of uncounted stock, by merchant: no lock keeps them so.
        self._unlocked: defaultdict[int, list[int]] = defaultdict(list)

    async def read(self, context: InboundContext, merchant_id: int, offer_ids: Sequence[int]) -> None:
        """Lock whose stock is counted, and read all of them."""
        await self._connection.execute(_SQL["lock_offers"], merchant_id, offer_ids)
        for row in await self._connection.fetch(_SQL["offer_versions"], merchant_id, offer_ids):
            key = merchant_id, row["offer_id"]
            context.stock[key] = row["stock_remaining"]
            self.live[key] = row["state"] == "live"
            self.versions[*key, row["offer_version"]] = replace(
                offer_of(merchant_id, row),
                ask_above_minor=row["ask_above_minor"],
                withdrawal=row["withdrawal"],
                terms=OrderTerms(*(row[name] for name in OrderTerms._fields)),
            )
        self._unlocked[merchant_id] += [
            offer_id
            for offer_id in offer_ids
            if self.live.get((merchant_id, offer_id)) and context.stock[merchant_id, offer_id] is None
        ]

    async def hold(self) -> None:
        """
        Hold what was answered as live until the commit.

        Raises:
            StoreUnavailable: 40001, one of them has ended meanwhile: decide again.
        """
        for merchant_id, offer_ids in sorted(self._unlocked.items()):
            if not offer_ids:
                continue
            held = await self._connection.fetch(_SQL["hold_live"], merchant_id, offer_ids)
            if len(held) < len(offer_ids):
                raise begin_again("An offer that was answered ended at the same time.")
