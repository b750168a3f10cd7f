"""Rating: what a batch of messages costs, by columns. Nothing is rounded here; a statement rounds once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.alike import of_each
from smsgate.billing.prices import Basis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsgate.billing.prices import Direction, PriceItem, PriceVersion

REASON_NO_PRICE: Final = "price_missing"


class Rated(NamedTuple):
    """
    Columns as long as the batch: `item_ids[i]` is None and `micros[i]` 0 exactly when `reasons[i]` says why.

    `micros` is unit price x segments, in micros of the price list's currency.
    """

    item_ids: list[int | None]
    micros: list[int]
    reasons: list[str | None]
    delivered: frozenset[int] = frozenset()  # items among them whose messages a receipt charges

    @property
    def total_micros(self) -> int:
        return sum(self.micros)


def rate_columns(
    version: PriceVersion | None, direction: Direction, networks: Sequence[str], segments: Sequence[int] | int
) -> Rated:
    """
    Price a batch with the version in force at the instant of acceptance; None refuses every row.

    `segments` is a column, or one number for all. Each distinct network is looked up once.
    """
    items = {network: _find(version, direction, network) for network in set(networks)}
    ids = {network: None if item is None else item.item_id for network, item in items.items()}
    reasons = {network: REASON_NO_PRICE if item is None else None for network, item in items.items()}
    units = {network: 0 if item is None else item.unit_micros for network, item in items.items()}
    if isinstance(segments, int):
        prices = {network: unit * segments for network, unit in units.items()}
        micros = of_each(networks, prices)
    else:
        micros = [units[network] * count for network, count in zip(networks, segments, strict=True)]
    delivered = frozenset(
        item.item_id for item in items.values() if item is not None and item.basis is Basis.DELIVERED
    )
    return Rated(of_each(networks, ids), micros, of_each(networks, reasons), delivered)


def _find(version: PriceVersion | None, direction: Direction, network: str) -> PriceItem | None:
    return None if version is None else version.lookup(direction, network)
