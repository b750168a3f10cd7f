"""
Price lists: numbered versions that never change once published, looked up in memory.

Prices are per segment, in micros of the list's currency. Within the version in force: the exact network,
then its country (the first three digits), then "*". Nothing falls back to an older version, and a price of
zero is a price.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from smsgate.billing.tiers import Ladder
from smsgate.errors import Invalid
from smsgate.money import check_currency

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

UNIT_MICROS_MAX: Final = 1_000 * 1_000_000  # a thousand units for one segment: dearer is a slip
ANY_NETWORK: Final = "*"


class Direction(StrEnum):
    MT = "mt"
    MO = "mo"


class Basis(StrEnum):
    """What charges an MT: the carrier's taking it, or its first final receipt being DELIVRD."""

    SUBMIT = "submit"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class PriceItem:
    """
    `network` is MCC+MNC (five or six digits), an MCC (three digits) or "*".

    With a ladder `unit_micros` is the price of its first step: messages are rated with it, the close does the
    rest.
    """

    item_id: int
    direction: Direction
    network: str
    unit_micros: int
    basis: Basis = Basis.SUBMIT
    ladder: Ladder | None = None

    def __post_init__(self) -> None:
        digits = self.network.isascii() and self.network.isdecimal() and len(self.network) in {3, 5, 6}
        if not digits and self.network != ANY_NETWORK:
            raise Invalid(
                f"{self.network!r} is neither MCC+MNC, MCC nor *", code="price_invalid", pointer="/network"
            )
        if not 0 <= self.unit_micros <= UNIT_MICROS_MAX:
            raise Invalid(
                f"{self.unit_micros} micros is no price", code="price_invalid", pointer="/unit_price"
            )
        if self.ladder is None:
            return
        prices = [step.unit_micros for step in self.ladder.steps]
        if prices[0] != self.unit_micros or max(prices) > UNIT_MICROS_MAX:
            raise Invalid(
                f"the steps of {self.network} do not begin at its price, or one of them is no price",
                code="price_invalid",
                pointer="/tiers",
            )


class PriceVersion:
    """What one version charges from `effective_from` (included) until the next one starts."""

    __slots__ = ("_items", "effective_from", "version")

    def __init__(self, version: int, effective_from: datetime, items: Iterable[PriceItem]) -> None:
        assert effective_from.tzinfo is not None
        self.version = version
        self.effective_from = effective_from
        self._items: dict[tuple[str, str], PriceItem] = {}
        for item in items:
            key = (item.direction.value, item.network)
            if key in self._items:
                raise Invalid(
                    f"{item.direction} {item.network} is priced twice in version {version}",
                    code="price_invalid",
                )
            self._items[key] = item

    @property
    def items(self) -> tuple[PriceItem, ...]:
        return tuple(self._items.values())

    def lookup(self, direction: Direction, network: str) -> PriceItem | None:
        """Return the item for a destination network such as "20801", "208*" or "*"; None means refusal."""
        key = direction.value
        items = self._items
        return items.get((key, network)) or items.get((key, network[:3])) or items.get((key, ANY_NETWORK))


class PriceBook:
    """One price list with its versions."""

    __slots__ = ("_starts", "_versions", "currency", "list_id")

    def __init__(self, list_id: int, currency: str, versions: Iterable[PriceVersion]) -> None:
        self.list_id = list_id
        self.currency = check_currency(currency)
        self._versions = sorted(versions, key=lambda version: version.effective_from)
        self._starts = [version.effective_from for version in self._versions]
        if len(set(self._starts)) != len(self._starts):
            raise Invalid("two versions start at the same instant", code="price_invalid")

    @property
    def versions(self) -> tuple[PriceVersion, ...]:
        """All versions, the oldest first."""
        return tuple(self._versions)

    def version_at(self, instant: datetime) -> PriceVersion | None:
        """Return the version in force, None before the first one."""
        assert instant.tzinfo is not None
        position = bisect_right(self._starts, instant)
        return self._versions[position - 1] if position else None

    def lookup(self, instant: datetime, direction: Direction, network: str) -> PriceItem | None:
        version = self.version_at(instant)
        return None if version is None else version.lookup(direction, network)
