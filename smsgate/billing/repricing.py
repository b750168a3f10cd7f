"""A month's messages counted by another version of prices: what its close would then have billed."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from smsgate.billing.closing import ItemTerms, UsageRow
from smsgate.billing.networks import NETWORK_UNKNOWN
from smsgate.billing.periods import Month, day_bounds, month_bounds
from smsgate.billing.prices import Basis, Direction

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from smsgate.billing.prices import PriceVersion
    from smsgate.billing.vat import Vat, VatHistory


class VatSpan(NamedTuple):
    """A part of a month, in UTC, whose messages are taxed alike; a month mostly has one."""

    starts_at: datetime
    ends_at: datetime
    vat: Vat


def vat_spans(month: Month, zone_name: str, history: VatHistory) -> list[VatSpan]:
    """
    Return the month's spans by the merchant's own days.

    Raises:
        Invalid: code `vat_unknown`.
    """
    day = month.last_day.replace(day=1)
    starts_at, ends_at = month_bounds(month, zone_name)
    spans = [VatSpan(starts_at, ends_at, history.on(day))]
    while (day := day + timedelta(days=1)) <= month.last_day:
        vat = history.on(day)
        if vat != spans[-1].vat:
            at = day_bounds(day, zone_name)[0]
            spans[-1] = spans[-1]._replace(ends_at=at)
            spans.append(VatSpan(at, ends_at, vat))
    return spans


class Recount:
    """
    Counts of one merchant's month by the prices of `version`, whatever its instants say.

    Segments to networks without a price are apart: such messages would have been refused. A reply without a
    price is free.
    """

    def __init__(self, version: PriceVersion) -> None:
        self._version = version
        self._segments: Counter[tuple[int, Vat]] = Counter()
        self.unpriced_segments = 0

    def add_sent(
        self, networks: Sequence[str], segments: Sequence[int], delivered: Sequence[bool], vat: Vat
    ) -> None:
        """Take messages that carriers took; `delivered`: the first final receipt says DELIVRD."""
        counts: Counter[tuple[str, bool]] = Counter()
        for network, count, arrived in zip(networks, segments, delivered, strict=True):
            counts[network, arrived] += count
        for (network, arrived), count in counts.items():
            item = self._version.lookup(Direction.MT, network)
            if item is None:
                self.unpriced_segments += count
            elif arrived or item.basis is Basis.SUBMIT:
                self._segments[item.item_id, vat] += count

    def add_received(self, networks: Sequence[str], segments: Sequence[int], vat: Vat) -> None:
        """Take replies."""
        for (network, each), count in Counter(zip(networks, segments, strict=True)).items():
            item = self._version.lookup(Direction.MO, network)
            if item is not None:
                self._segments[item.item_id, vat] += each * count

    @property
    def segments(self) -> int:
        """Return how many are charged."""
        return self._segments.total()

    def usage(self, month: Month) -> Iterator[UsageRow]:
        """Yield the counts as a close takes them."""
        for (item_id, vat), count in self._segments.items():
            yield UsageRow(item_id, month, vat, count)


def terms_of(version: PriceVersion, list_id: int, currency: str) -> dict[int, ItemTerms]:
    """Return what lines of a version's items say."""
    return {
        item.item_id: ItemTerms(
            list_id, item.item_id, version.version, currency, item.unit_micros, item.ladder
        )
        for item in version.items
    }


def named_network(priced: str, computed: str) -> str:
    """
    Return the network of a message: the one that its own price names, else what its number says now.

    The number of an erased person is not known any more (`computed` is unknown); its price's country is.
    """
    if len(priced) >= 5:
        return priced
    if computed != NETWORK_UNKNOWN or len(priced) != 3:
        return computed
    return f"{priced}*"
