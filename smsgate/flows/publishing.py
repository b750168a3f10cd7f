"""What a rate sheet would change, and where messages would then earn less than they cost."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from smsgate.billing.networks import NetworkTable
from smsgate.billing.prefix_sheets import by_network
from smsgate.billing.price_changes import BelowCost, PlannedVersion, PriceChange, below_cost, planned_versions
from smsgate.billing.prices import Basis, Direction, PriceBook, PriceItem, PriceVersion
from smsgate.billing.rate_sheets import RateSheet
from smsgate.billing.tier_cells import ladder_to_cell
from smsgate.billing.tiers import ladder_from_json, ladder_to_json
from smsgate.clock import Clock
from smsgate.errors import Conflict, Invalid
from smsgate.flows import ports, ports_api
from smsgate.flows.pricing import Pricing
from smsgate.flows.usage_records import PriceListData
from smsgate.money import micros_to_text

# A change of prices is known everywhere before it begins, for what is accepted is never priced anew: nodes
# look every REFRESH_S, their clocks are 5 s apart at most (`smsgate check`), a claim that has looked may wait
# 20 s for its locks before it numbers its messages, and the commit of the change takes its time.
AHEAD_MIN: Final = timedelta(seconds=60)
AHEAD: Final = timedelta(seconds=75)  # of a change that is to begin as soon as it can
ITEMS_MAX: Final = 5_000  # networks of the world, both directions
NETWORKS_TOLD_MAX: Final = 100  # of one refusal; all of them stand in the differences


@dataclass(frozen=True, slots=True)
class Publication:
    """
    What would be added to a list, and what of it needs a second look; `last_version` is what it was seen
    on.
    """

    versions: tuple[PlannedVersion, ...]
    below_cost: tuple[tuple[datetime, BelowCost], ...]
    ignored_columns: tuple[str, ...]
    last_version: int

    @property
    def contradictions(self) -> tuple[str, ...]:
        return tuple(sentence for version in self.versions for sentence in version.contradictions)

    @property
    def differs(self) -> bool:
        return any(version.differs for version in self.versions)


def plan(
    sheet: RateSheet,
    prices: PriceListData,
    pricing: Pricing,
    networks: NetworkTable,
    *,
    effective_from: datetime,
    partial: bool = False,
) -> Publication:
    """
    Return what publishing would do; `pricing` is fresh. Writes nothing.

    Raises:
        Invalid: the sheet is of another currency, or cannot be told by network.
    """
    check_ladders(prices.side, any(row.ladder is not None for row in sheet.rows))
    if sheet.currency not in {None, prices.currency}:
        raise Invalid(
            f"The sheet's prices are in {sheet.currency}, the list {prices.name} is in {prices.currency}.",
            code="sheet_invalid",
        )
    book = pricing.book(prices.price_list_id) or PriceBook(prices.price_list_id, prices.currency, ())
    planned = planned_versions(
        by_network(sheet, networks), book, effective_from=effective_from, partial=partial
    )
    for version in planned:
        if len(version.items) > ITEMS_MAX:
            raise Invalid(f"A version has at most {ITEMS_MAX} prices, not {len(version.items)}.")
    starts = [version.effective_from for version in planned]
    starts += [version.effective_from for version in book.versions]
    return Publication(
        tuple(planned),
        tuple(
            found
            for version in planned
            for found in losses_of_version(prices, version.items, version.effective_from, starts, pricing)
        ),
        sheet.ignored,
        max((version.version for version in book.versions), default=0),
    )


def earning_too_little(
    prices: PriceListData, items: Sequence[PriceItem], at: datetime, pricing: Pricing
) -> list[BelowCost]:
    """Return what prices in force at `at` sell below cost, against all lists of the other side."""
    version = PriceVersion(0, at, items)
    other = "cost" if prices.side == "sell" else "sell"
    others = [
        (name, running)
        for name, book in pricing.named_books(other, prices.currency)
        if (running := book.version_at(at)) is not None
    ]
    if prices.side == "sell":
        return below_cost((prices.name, version), others)
    return [found for sell in others for found in below_cost(sell, [(prices.name, version)])]


def losses_of_version(
    prices: PriceListData,
    items: Sequence[PriceItem],
    start: datetime,
    starts: Sequence[datetime],
    pricing: Pricing,
) -> list[tuple[datetime, BelowCost]]:
    """
    Return what sells below cost as long as a version is in force, each with the instant from which it does.

    `starts` are those of all versions of its list: it ends with the next one. Versions of the other side that
    are published already count from their own instants on.
    """
    end = min((at for at in starts if at > start), default=None)
    other = "cost" if prices.side == "sell" else "sell"
    instants = {start} | {
        version.effective_from
        for _name, book in pricing.named_books(other, prices.currency)
        for version in book.versions
        if version.effective_from > start and (end is None or version.effective_from < end)
    }
    told: list[tuple[datetime, BelowCost]] = []
    before: list[BelowCost] = []
    for at in sorted(instants):
        found = earning_too_little(prices, items, at, pricing)
        told += [(at, each) for each in found if each not in before]
        before = found
    return told


def check_margins(prices: PriceListData, losses: Sequence[tuple[datetime, BelowCost]], advice: str) -> None:
    """
    Refuse prices that sell below cost; `advice` says how to publish them all the same.

    What a carrier charges is a fact and is never refused: then the sell prices are what has to change.

    Raises:
        Conflict: code `below_cost`, with the networks.
    """
    if prices.side != "sell" or not losses:
        return
    at, first = losses[0]
    networks = sorted({found.network for _at, found in losses})
    raise Conflict(
        f"{len(networks)} networks would sell below cost, first {first.network} from "
        f"{at.isoformat(timespec='seconds')}: {micros_to_text(first.sell_micros)}, and "
        f"{first.cost_list} costs {micros_to_text(first.cost_micros)}; {advice}",
        code="below_cost",
        extra={"networks": networks[:NETWORKS_TOLD_MAX]},
    )


async def publish(
    store: ports_api.PriceStore,
    ids: ports.Ids,
    clock: Clock,
    price_list_id: int,
    publication: Publication,
    octets: bytes,
) -> Sequence[ports_api.PriceVersionRow]:
    """Add the planned versions, all or none; `octets` are the sheet as it came."""
    now = clock.now()
    prices = [
        ports_api.NewPrices(version.effective_from, stored(version.items), ids.block(len(version.items)))
        for version in publication.versions
    ]
    return await store.publish(
        price_list_id,
        prices,
        source_sha256=hashlib.sha256(octets).digest(),
        now=now,
        not_before=now + AHEAD_MIN,
        last_version=publication.last_version,
    )


def change_view(change: PriceChange) -> dict[str, str | None]:
    """Return the old and the new price as API and command line show them."""
    old, new = change.old, change.new
    return {
        "old": None if old is None else micros_to_text(old.unit_micros),
        "new": None if new is None else micros_to_text(new.unit_micros),
        "old_tiers": None if old is None or old.ladder is None else ladder_to_cell(old.ladder),
        "new_tiers": None if new is None or new.ladder is None else ladder_to_cell(new.ladder),
    }


def check_ladders(side: str, tiered: bool) -> None:
    """
    Refuse prices by quantity where no close counts them.

    Raises:
        Invalid: code `price_invalid`.
    """
    if tiered and side != "sell":
        raise Invalid(
            "Prices by quantity are for lists of side sell: nothing counts a carrier's months.",
            code="price_invalid",
        )


def stored(items: Sequence[PriceItem]) -> list[ports_api.PriceItem]:
    return [
        ports_api.PriceItem(
            item.direction.value,
            item.network,
            item.unit_micros,
            item.basis.value,
            None if item.ladder is None else ladder_to_json(item.ladder),
        )
        for item in items
    ]


def billable(items: Sequence[ports_api.PriceItem], item_id_base: int = 1) -> list[PriceItem]:
    """
    Return what billing makes of items, judged by billing itself.

    Raises:
        Invalid: code `price_invalid`, at the item's pointer.
    """
    found: list[PriceItem] = []
    for place, item in enumerate(items):
        try:
            found.append(
                PriceItem(
                    item_id_base + place,
                    Direction(item.direction),
                    item.network,
                    item.unit_micros,
                    Basis(item.basis),
                    None if item.ladder is None else ladder_from_json(item.ladder),
                )
            )
        except Invalid as exc:
            raise Invalid(str(exc), code=exc.code, pointer=f"/items/{place}{exc.pointer or ''}") from None
    return found
