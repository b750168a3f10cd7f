"""What merchants pay for the replies that they get."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from smsgate.billing.networks import NetworkTable
from smsgate.billing.postings import PostingKey, posting
from smsgate.billing.prices import Direction
from smsgate.clock import Clock
from smsgate.flows.inbound_records import InboundWrites
from smsgate.flows.ledger import ledger_lines
from smsgate.flows.ports import Ids
from smsgate.flows.routes import Prices
from smsgate.ids import quarter_hour_of


class ReplyCharges:
    def __init__(self, prices: Prices, networks: NetworkTable, ids: Ids, clock: Clock) -> None:
        self._prices = prices
        self._networks = networks
        self._ids = ids
        self._clock = clock

    async def add(self, writes: InboundWrites, ported: Mapping[int, str]) -> None:
        """Charge each merchant for the replies it got; a list without MO prices makes them free."""
        merchants = {row.merchant_id for row in writes.rows if row.merchant_id}
        if any(not self._prices.slug(merchant_id) for merchant_id in merchants):
            self._prices.invalidate()  # a merchant that is a moment old pays, too
            await self._prices.refresh()
        now = self._clock.now()
        charges: Counter[tuple[int, int | None, int, int, int, str]] = Counter()
        for row in writes.rows:
            if row.outcome == "repetition":
                continue  # what the carrier says twice is not charged twice
            book = self._prices.book_of(row.merchant_id)
            version = None if book is None else book.version_at(now)
            msisdn = row.mo.msisdn
            network = ported.get(msisdn) or self._networks.network_of(str(msisdn)).mccmnc
            item = None if version is None else version.lookup(Direction.MO, network)
            if item is not None and book is not None:
                key = (row.merchant_id, row.campaign_id, row.mo.carrier_id, item.item_id, item.unit_micros)
                charges[(*key, book.currency)] += 1
        accepted_at = datetime.fromtimestamp(quarter_hour_of(self._ids.next()), UTC)
        for (merchant_id, campaign_id, carrier_id, item_id, unit, currency), count in charges.items():
            made = posting(
                PostingKey(merchant_id, campaign_id, item_id, currency, None, None, None),
                count, count, unit * count, 0,
            )  # fmt: skip
            writes.postings += ledger_lines(made, self._ids.next(), "mo", carrier_id, now, accepted_at)
