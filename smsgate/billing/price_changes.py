"""
What publishing would change: versions from a rate sheet, each beside what would hold without it.

A sheet may name several instants (increases next month, decreases at once): each becomes a version, and a
version is always whole. Until its instant a row's network keeps the price in force.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from smsgate.billing.prices import Direction, PriceBook, PriceItem, PriceVersion
from smsgate.billing.rate_sheets import Claim, RateSheet, SheetRow
from smsgate.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

Key = tuple[Direction, str]


class ChangeKind(StrEnum):
    INCREASE = "increase"
    DECREASE = "decrease"
    NEW = "new"
    REMOVED = "removed"  # what is sent there is priced by the country or "*", or refused
    UNCHANGED = "unchanged"
    TERMS = "terms"  # the same price, charged on another basis or by another ladder


class PriceChange(NamedTuple):
    """`old` and `new` are what holds before and after; None: no price."""

    direction: Direction
    network: str
    old: PriceItem | None
    new: PriceItem | None
    kind: ChangeKind


class BelowCost(NamedTuple):
    """A message to `network` that earns less than this list of costs says it costs."""

    network: str
    sell_micros: int
    cost_micros: int
    sell_list: str
    cost_list: str


@dataclass(frozen=True, slots=True)
class PlannedVersion:
    """`contradictions`: sentences about rows whose own word is not what they change."""

    effective_from: datetime
    items: tuple[PriceItem, ...]
    changes: tuple[PriceChange, ...]
    contradictions: tuple[str, ...]

    @property
    def differs(self) -> bool:
        return any(change.kind is not ChangeKind.UNCHANGED for change in self.changes)


def compare(before: PriceVersion | None, after: Iterable[PriceItem]) -> tuple[PriceChange, ...]:
    """Return what `after` makes of each network of either, in order of direction and network."""
    old = {(item.direction, item.network): item for item in (() if before is None else before.items)}
    new = {(item.direction, item.network): item for item in after}
    changes = []
    for key in sorted(old.keys() | new.keys()):
        was, is_ = old.get(key), new.get(key)
        changes.append(PriceChange(*key, was, is_, _kind(was, is_)))
    return tuple(changes)


def _kind(was: PriceItem | None, is_: PriceItem | None) -> ChangeKind:
    if was is None:
        return ChangeKind.NEW
    if is_ is None:
        return ChangeKind.REMOVED
    if was.unit_micros != is_.unit_micros:
        return ChangeKind.INCREASE if is_.unit_micros > was.unit_micros else ChangeKind.DECREASE
    same = (was.basis, was.ladder) == (is_.basis, is_.ladder)
    return ChangeKind.UNCHANGED if same else ChangeKind.TERMS


def planned_versions(
    sheet: RateSheet, book: PriceBook, *, effective_from: datetime, partial: bool = False
) -> list[PlannedVersion]:
    """
    Return the versions that publishing the sheet would add, oldest first.

    Rows without an instant are effective at `effective_from`. `partial`: networks that the sheet does not
    name keep their prices; else they have none any more from the first instant on. Item ids are 1 and up:
    whoever stores them gives them their own.

    Raises:
        Invalid: code `sheet_invalid`: prefixes that are not resolved, or nothing is left of a version.
    """
    if sheet.by_prefix:
        raise Invalid("the sheet's prefixes are not networks yet", code="sheet_invalid")
    dated: dict[datetime, dict[Key, SheetRow]] = {}
    for row in sheet.rows:
        at = effective_from if row.effective_from is None else row.effective_from
        first = dated.setdefault(at, {}).setdefault((row.direction, row.network), row)
        if first is not row:
            raise Invalid(
                f"lines {first.line} and {row.line} price {row.direction} {row.network} from one instant",
                code="sheet_invalid",
            )
    named = {key for rows in dated.values() for key in rows}
    taken: dict[Key, SheetRow] = {}
    planned: list[PlannedVersion] = []
    for at in sorted(dated):
        running = book.version_at(at)
        taken |= dated[at]
        kept = {
            (item.direction, item.network): item
            for item in (() if running is None else running.items)
            if (item.direction, item.network) not in taken
            and (partial or (item.direction, item.network) in named)
        }
        items = _numbered(kept, taken)
        if not items:
            raise Invalid(f"no price would be left from {at.isoformat()} on", code="sheet_invalid")
        before = running if not planned else PriceVersion(0, at, planned[-1].items)
        changes = compare(before, items)
        planned.append(PlannedVersion(at, items, changes, _contradictions(dated[at], changes)))
    return planned


def _numbered(kept: Mapping[Key, PriceItem], taken: Mapping[Key, SheetRow]) -> tuple[PriceItem, ...]:
    items: list[PriceItem] = []
    for key in sorted(kept.keys() | taken.keys()):
        number = len(items) + 1
        row = taken.get(key)
        if row is None:
            old = kept[key]
            items.append(PriceItem(number, *key, old.unit_micros, old.basis, old.ladder))
        elif row.unit_micros is not None:
            items.append(PriceItem(number, *key, row.unit_micros, row.basis, row.ladder))
    return tuple(items)


_AGREES = {
    Claim.INCREASE: {ChangeKind.INCREASE},
    Claim.DECREASE: {ChangeKind.DECREASE},
    Claim.NEW: {ChangeKind.NEW},
    Claim.UNCHANGED: {ChangeKind.UNCHANGED},
    Claim.CLOSED: {ChangeKind.REMOVED},
}


def _contradictions(rows: Mapping[Key, SheetRow], changes: Sequence[PriceChange]) -> tuple[str, ...]:
    found = {(change.direction, change.network): change.kind for change in changes}
    return tuple(
        f"line {row.line} says {row.claim.value}, and {row.direction} {row.network} is {found[key].value}"
        if key in found
        else f"line {row.line} says {row.claim.value}, and {row.direction} {row.network} had no price"
        for key, row in sorted(rows.items(), key=lambda pair: pair[1].line)
        if row.claim is not None and (key not in found or found[key] not in _AGREES[row.claim])
    )


def below_cost(sell: tuple[str, PriceVersion], costs: Iterable[tuple[str, PriceVersion]]) -> list[BelowCost]:
    """
    Return where a message to phones would earn less than it costs; all lists are of one currency.

    Every network that either side names is looked up on both, as a message would be; a list of costs that
    has no price for a network says nothing about it. Of a price by quantity the lowest step counts.
    """
    name, version = sell
    found: list[BelowCost] = []
    for cost_name, cost_version in costs:
        networks = {
            item.network
            for side in (version, cost_version)
            for item in side.items
            if item.direction is Direction.MT
        }
        for network in sorted(networks):
            asked = f"{network}*" if len(network) == 3 else network  # as a number is whose block nobody knows
            earned = version.lookup(Direction.MT, asked)
            spent = cost_version.lookup(Direction.MT, asked)
            if earned is not None and spent is not None and _lowest(earned) < spent.unit_micros:
                found.append(BelowCost(network, _lowest(earned), spent.unit_micros, name, cost_name))
    return found


def _lowest(item: PriceItem) -> int:
    steps = () if item.ladder is None else item.ladder.steps
    return min((step.unit_micros for step in steps), default=item.unit_micros)
