"""Price lists and who pays by them, in memory: looked up all the time, changed a few times a year."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from smsgate.billing.prices import Basis, Direction, PriceBook, PriceItem, PriceVersion
from smsgate.billing.tiers import ladder_from_json
from smsgate.clock import Clock
from smsgate.errors import DomainError
from smsgate.flows.ports_commerce import PriceDataStore
from smsgate.flows.test_mode import free_book
from smsgate.flows.usage_records import PriceData, PriceListData

REFRESH_S: Final = (
    5.0  # another node's published price is seen within this; it takes effect by its own instant
)


Found = TypeVar("Found")


class Pricing:
    """Call `refresh` before a batch of work; the look-ups themselves never wait."""

    def __init__(self, store: PriceDataStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._books: dict[int, PriceBook] = {}
        self._cost_lists: dict[str, int] = {}
        self._lists: Sequence[PriceListData] = ()
        self._merchants: dict[int, tuple[int | None, str]] = {}
        self._slugs: dict[int, str] = {}
        self._free: dict[int, PriceBook] = {}  # of test merchants
        self._version: tuple[object, ...] | None = None
        self._loaded_at: float | None = None
        self._looks_asked = self._looks_done = 0  # a look that was asked for after it began is another one
        self._loading = asyncio.Lock()

    def invalidate(self) -> None:
        """
        Have the next `refresh` look: a list was published, or a merchant was given one.

        Also when somebody looks at this moment, who may have read before that.
        """
        self._looks_asked += 1

    async def refresh(self) -> None:
        """Load what changed, at most every REFRESH_S seconds."""
        if self._fresh():
            return
        async with self._loading:
            if self._fresh():
                return
            asked, asked_at = self._looks_asked, self._clock.monotonic()
            version = await self._store.version()
            merchants = await self._store.merchants()
            if version != self._version:
                self._take(await self._store.prices())
                self._version = version
            self._merchants = {row.merchant_id: (row.price_list_id, row.currency) for row in merchants}
            self._slugs = {row.merchant_id: row.slug for row in merchants}
            self._free = {row.merchant_id: free_book(row.currency) for row in merchants if row.test}
            self._looks_done, self._loaded_at = asked, asked_at

    async def looked_up(
        self, look_up: Callable[[], tuple[Found, Sequence[str]]]
    ) -> tuple[Found, Sequence[str]]:
        """
        Return what `look_up` finds by the prices of now, and which networks have none.

        Where one has none it is done a second time: the price may have been published a moment ago.
        """
        await self.refresh()
        found, missing = look_up()
        if missing:
            self.invalidate()
            await self.refresh()
            found, missing = look_up()
        return found, missing

    def book(self, price_list_id: int) -> PriceBook | None:
        return self._books.get(price_list_id)

    def cost_book(self, name: str) -> PriceBook | None:
        """Return a cost list by its name, as carriers' configuration names it."""
        list_id = self._cost_lists.get(name)
        return None if list_id is None else self._books.get(list_id)

    def price_list(self, price_list_id: int) -> PriceListData | None:
        return next((row for row in self._lists if row.price_list_id == price_list_id), None)

    def price_lists(self, side: str) -> list[PriceListData]:
        """Return the lists of one side, by name."""
        return sorted((row for row in self._lists if row.side == side), key=lambda row: row.name)

    def named_books(self, side: str, currency: str) -> list[tuple[str, PriceBook]]:
        """Return the lists of one side in one currency, by name."""
        found = [row for row in self._lists if row.side == side and row.currency == currency]
        return [(row.name, self._books[row.price_list_id]) for row in sorted(found, key=lambda row: row.name)]

    def merchant(self, merchant_id: int) -> tuple[int | None, str]:
        """Return (price_list_id, currency); no list and "" for a merchant that is not known (yet)."""
        return self._merchants.get(merchant_id, (None, ""))

    def slug(self, merchant_id: int) -> str:
        """Return the name that the configuration calls the merchant by; "" when it is not known (yet)."""
        return self._slugs.get(merchant_id, "")

    def book_of(self, merchant_id: int) -> PriceBook | None:
        """Return the book that the merchant pays by."""
        if (free := self._free.get(merchant_id)) is not None:
            return free
        list_id, _currency = self.merchant(merchant_id)
        return None if list_id is None else self._books.get(list_id)

    def _fresh(self) -> bool:
        if self._loaded_at is None or self._looks_done != self._looks_asked:
            return False
        return self._clock.monotonic() - self._loaded_at < REFRESH_S

    def _take(self, data: PriceData) -> None:
        items: defaultdict[tuple[int, int], list[PriceItem]] = defaultdict(list)
        for row in data.items:
            ladder = None if row.ladder is None else ladder_from_json(row.ladder)
            item = PriceItem(
                row.item_id, Direction(row.direction), row.network, row.unit_micros, Basis(row.basis), ladder
            )
            items[row.price_list_id, row.version].append(item)
        versions: defaultdict[int, list[PriceVersion]] = defaultdict(list)
        for version in data.versions:
            key = (version.price_list_id, version.version)
            versions[version.price_list_id].append(
                PriceVersion(version.version, version.effective_from, items[key])
            )
        self._books = {
            row.price_list_id: PriceBook(row.price_list_id, row.currency, versions[row.price_list_id])
            for row in data.lists
        }
        self._lists = data.lists
        self._cost_lists = {row.name: row.price_list_id for row in data.lists if row.side == "cost"}


def price_missing(networks: Sequence[str], advice: str = "ask the operator") -> DomainError:
    """Return the refusal of what would have to go to networks that have no price."""
    return DomainError(
        f"no price for {', '.join(networks)}: {advice}",
        code="price_missing",
        extra={"networks": list(networks)},
    )
