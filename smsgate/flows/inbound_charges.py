"""What merchants pay for the replies that they get."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from smsgate.billing.networks import NetworkTable
from smsgate.billing.postings import PostingKey, posting
from smsgate.billing.prices import Direction, PriceBook, PriceItem
from smsgate.billing.segments import segments_of
from smsgate.clock import Clock
from smsgate.flows.inbound_records import InboundRow, InboundWrites, ReplyCharge
from smsgate.flows.ledger import ledger_lines

INSTANTS_KEPT: Final = 1_024  # of receipt, which the replies of one read share


class ReplyPrices(Protocol):
    """What of `routes.Prices` replies need."""

    async def refresh(self) -> None: ...

    def invalidate(self) -> None: ...

    def book_of(self, merchant_id: int) -> PriceBook | None: ...

    def slug(self, merchant_id: int) -> str: ...


class _Group(NamedTuple):
    """Replies that are one posting: of one price, campaign, carrier and quarter of an hour of receipt."""

    merchant_id: int
    campaign_id: int | None
    carrier_id: int
    item_id: int
    currency: str
    quarter: datetime


class ReplyCharges:
    def __init__(
        self, prices: ReplyPrices, networks: NetworkTable, next_id: Callable[[], int], clock: Clock
    ) -> None:
        self._prices = prices
        self._networks = networks
        self._next_id = next_id
        self._clock = clock

    async def add(self, writes: InboundWrites, ported: Mapping[int, str]) -> None:
        """
        Charge each merchant for the replies it got; a list without MO prices makes them free.

        Segments, price and month are those of the text and the instant at which it was received (R1, R2, R8).
        """
        merchants = {row.merchant_id for row in writes.rows if row.merchant_id}
        if any(not self._prices.slug(merchant_id) for merchant_id in merchants):
            self._prices.invalidate()  # a merchant that is a moment old pays, too
            await self._prices.refresh()
        messages: Counter[_Group] = Counter()
        segments: Counter[_Group] = Counter()
        micros: Counter[_Group] = Counter()
        for row in writes.rows:
            count = segments_of(row.mo.text)
            priced = self._price(row, ported)
            if priced is None:
                writes.charges.append(ReplyCharge(count, 0, 0))
                continue
            item, currency = priced
            charge = ReplyCharge(count, item.item_id, item.unit_micros * count)
            writes.charges.append(charge)
            group = _Group(
                row.merchant_id, row.campaign_id, row.mo.carrier_id, item.item_id, currency,
                quarter_of(row.mo.received_at),
            )  # fmt: skip
            messages[group] += 1
            segments[group] += count
            micros[group] += charge.micros
        now = self._clock.now()
        for group, count in messages.items():
            key = PostingKey(
                group.merchant_id, group.campaign_id, group.item_id, group.currency, None, None, None
            )
            made = posting(key, count, segments[group], micros[group], 0)
            writes.postings += ledger_lines(made, self._next_id(), "mo", group.carrier_id, now, group.quarter)

    def _price(self, row: InboundRow, ported: Mapping[int, str]) -> tuple[PriceItem, str] | None:
        """Return the price and its currency; None: it is free, or the carrier said it twice."""
        book = None if row.outcome == "repetition" else self._prices.book_of(row.merchant_id)
        if book is None:
            return None
        msisdn = row.mo.msisdn
        network = ported.get(msisdn) or self._networks.network_of(str(msisdn)).mccmnc
        item = book.lookup(row.mo.received_at, Direction.MO, network)
        return None if item is None else (item, book.currency)


@lru_cache(INSTANTS_KEPT)
def quarter_of(at: datetime) -> datetime:
    """Return the quarter of an hour as the ledger has it."""
    at = at.astimezone(UTC)
    return at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)
