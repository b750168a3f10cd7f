"""Replies of a worked case: written and charged by the code of the intake."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from smsgate.billing.networks import default_table
from smsgate.billing.prices import PriceBook
from smsgate.clock import Clock
from smsgate.flows.batches import BATCH_MAX
from smsgate.flows.inbound_charges import ReplyCharges
from smsgate.flows.inbound_records import InboundRow, InboundWrites
from smsgate.flows.records import MobileOriginated
from smsgate.protocol.segmentation import capacity, header_octets
from smsgate.store.flushing import insert_postings
from smsgate.store.inbound_rows import add_replies
from smsgate.store.pool import Database
from smsgate.store.together import Together

DESTINATION: Final = "36111"


@dataclass(slots=True)
class _CasePrices:
    """Prices by the list that a message names: a case may have several, and a merchant has one."""

    book: PriceBook | None = None

    async def refresh(self) -> None: ...

    def invalidate(self) -> None: ...

    def slug(self, merchant_id: int) -> str:
        return str(merchant_id)

    def book_of(self, merchant_id: int) -> PriceBook | None:
        del merchant_id
        return self.book


class CaseReplies:
    def __init__(
        self, database: Database, clock: Clock, next_id: Callable[[], int], carrier_id: int, msisdn: int
    ) -> None:
        self._database = database
        self._prices = _CasePrices()
        self._charges = ReplyCharges(self._prices, default_table(), next_id, clock)
        self._carrier_id, self._msisdn = carrier_id, msisdn

    async def receive(
        self,
        merchant_id: int,
        inbound_ids: Sequence[int],
        *,
        network: str,
        book: PriceBook,
        segments: int,
        received_at: datetime,
    ) -> None:
        """Take replies that are alike."""
        self._prices.book = book
        said = MobileOriginated(
            self._carrier_id, self._msisdn, str(self._msisdn), DESTINATION, text_of(segments), b"", 0,
            received_at,
        )  # fmt: skip
        for first in range(0, len(inbound_ids), BATCH_MAX):
            writes = InboundWrites(
                rows=[
                    InboundRow(
                        merchant_id, inbound_id, said, None, None, None, None, "other", None, "noted",
                        "a reply of a worked case", "",
                    )
                    for inbound_id in inbound_ids[first : first + BATCH_MAX]
                ]
            )  # fmt: skip
            await self._charges.add(writes, {self._msisdn: network})
            together = Together()
            add_replies(together, writes)
            async with self._database.bulk_transaction() as connection:
                await together.run(connection)
                await insert_postings(connection, writes.postings)


def text_of(segments: int) -> str:
    """Return a text of so many segments."""
    return "x" * (segments * capacity("gsm7", header_octets(concat="udh8"))) if segments > 1 else ""
