"""An invoice's line down to its messages: what its price charges in its month, and where it was billed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from smsgate.billing.documents import Line, LineKind
from smsgate.billing.periods import Month
from smsgate.errors import NotFound
from smsgate.flows.commerce_records import Page, PageAsk
from smsgate.flows.documents import StoredDocument


class LineMessage(NamedTuple):
    """A message with all its parts, or a reply; `id_` is of the kind that the direction says."""

    id_: int
    accepted_at: datetime
    parts: int
    segments: int
    micros: int


@dataclass(frozen=True, slots=True)
class PricedItem:
    """What a line's messages have in common; `delivered`: its basis."""

    item_id: int
    direction: str
    delivered: bool
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class LineOfMessages:
    """
    `charged` are the segments of the line's price and month; `billed` says on which documents, by number.

    Steps of tiers share their messages, and so do late lines: what is not on a document yet is `not_billed`.
    """

    line: Line
    item: PricedItem
    charged: int
    billed: Mapping[str, int]

    @property
    def not_billed(self) -> int:
        return self.charged - sum(self.billed.values())


class LineStore(Protocol):
    async def item(self, merchant_id: int, item_id: int, month: Month) -> PricedItem: ...

    async def counts(self, merchant_id: int, item: PricedItem, month: Month) -> tuple[int, dict[str, int]]:
        """Return the segments that are charged, and those of each document."""
        ...

    async def page(self, merchant_id: int, item: PricedItem, ask: PageAsk) -> Page[LineMessage]:
        """Return charged messages, newest first."""
        ...


class InvoiceLines:
    def __init__(self, store: LineStore) -> None:
        self._store = store

    async def line(self, document: StoredDocument, number: int) -> LineOfMessages:
        """
        Return a line of usage, counted from 1.

        Raises:
            NotFound: no such line, or one without messages: a minimum, a prepayment, a payout.
        """
        lines = document.lines[number - 1 : number] if number >= 1 else []
        if not lines or lines[0].terms.kind is not LineKind.USAGE:
            raise NotFound
        merchant_id, terms = document.row.merchant_id, lines[0].terms
        item = await self._store.item(merchant_id, terms.item_id, terms.origin)
        charged, billed = await self._store.counts(merchant_id, item, terms.origin)
        return LineOfMessages(lines[0], item, charged, billed)

    async def messages(
        self, document: StoredDocument, line: LineOfMessages, ask: PageAsk
    ) -> Page[LineMessage]:
        return await self._store.page(document.row.merchant_id, line.item, ask)
