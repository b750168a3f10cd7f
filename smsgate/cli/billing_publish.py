"""`smsgate billing publish`: a rate sheet becomes price versions, after its differences were seen."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from smsgate.billing.issuable import check_invoiced_currency
from smsgate.billing.networks import default_table
from smsgate.billing.price_changes import BelowCost, ChangeKind, PriceChange
from smsgate.billing.rate_sheets import SheetTerms, read_rate_sheet
from smsgate.billing.sheet_cells import Dates
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit, UsageRefused, as_usage, instant_of
from smsgate.cli.files import unreadable
from smsgate.cli.output import JsonOption, say, show, show_json, show_table
from smsgate.cli.sessions import with_services
from smsgate.daemon.services import Services
from smsgate.errors import Conflict
from smsgate.flows.ports_api import PriceVersionRow
from smsgate.flows.pricing import Pricing
from smsgate.flows.publishing import AHEAD, Publication, change_view, check_margins, plan
from smsgate.flows.publishing import publish as publish_versions
from smsgate.flows.usage_records import PriceListData
from smsgate.money import check_currency, micros_to_text
from smsgate.store.prices import PgPrices
from smsgate.store.usage import PgPriceData

HELP: Final = (
    "Publish a rate sheet to a price list, and make the list if there is none of that name; what would "
    "change "
    "is shown first.\n\nThe sheet is CSV (also with semicolons, tabs or bars, in UTF-8, UTF-16 or "
    "Windows-1252) "
    "with a network by MCC-MNC or a prefix, and a price per segment; and, where they are there, direction, "
    "currency, effective, basis, change (increase, decrease, new, unchanged, closed) and tiers (prices by "
    'quantity: "graduated 101=0.04 1001=0.035", or volume). What was published '
    "never changes; a new version replaces it from its instant on. Prices below the cost of a list of "
    "costs are named, and published with --allow-below-cost alone."
)
EPILOG: Final = examples(
    "smsgate billing publish fr-standard prices.csv",
    "smsgate billing publish fr-standard prices.csv --yes",
    "smsgate billing publish sim-cost sheet.csv --side cost --currency EUR --zone Europe/Paris --yes",
    "smsgate billing publish fr-standard prices.csv --from 2027-01-01T00:00:00+01:00 --yes",
    "smsgate billing publish fr-campaign opening.csv --allow-below-cost --yes",
)
FILE_OCTETS_MAX: Final = 8 << 20  # 50,000 rows of 160 octets
NAME_CHARACTERS_MAX: Final = 100  # as over the API
CHANGE_COLUMNS: Final = ("direction", "network", "old", "new", "change")
STANDARD_INPUT: Final = Path("-")

Side = Literal["sell", "cost"]


@dataclass(frozen=True, slots=True)
class _Wish:
    """What was typed, checked; None: as the list is, or the default of a new one."""

    name: str
    side: Side | None
    currency: str | None
    effective_from: datetime | None
    partial: bool
    ignore_changes: bool
    below_cost: bool
    yes: bool


def publish(
    name: Annotated[str, typer.Argument(metavar="LIST", help="Name of the list.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="- is standard input.")],
    side: Annotated[
        Side | None, typer.Option(help="What merchants pay, or carriers cost.", show_default="sell")
    ] = None,
    currency: Annotated[
        str | None, typer.Option(help="Of a new list.", show_default="the sheet's, else EUR")
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", help="Of rows without a date; with its offset.", show_default="soonest"),
    ] = None,
    zone: Annotated[
        str | None, typer.Option(help="IANA zone of dates without an offset.", show_default="none: refused")
    ] = None,
    dates: Annotated[Dates, typer.Option(help="How the sheet writes dates.")] = Dates.ISO,
    cents: Annotated[bool, typer.Option("--cents", help="Prices are in hundredths.")] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Networks that the sheet does not name keep their prices.")
    ] = False,
    ignore_changes: Annotated[
        bool, typer.Option("--ignore-changes", help="Publish although the sheet's own words are not true.")
    ] = False,
    below_cost: Annotated[
        bool, typer.Option("--allow-below-cost", help="Publish prices that earn less than they cost.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Publish without asking.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    octets = _read(file)
    with as_usage("--currency"):
        wanted = None if currency is None else check_currency(currency)
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable():
        raise UsageRefused(f"LIST: write 1 to {NAME_CHARACTERS_MAX} characters without control characters.")
    at = None if from_ is None else instant_of("--from", from_)
    wish = _Wish(name, side, wanted, at, partial, ignore_changes, below_cost, yes)
    terms = SheetTerms(cents, zone, dates)
    prices, publication, done = with_services(
        config, lambda services: _work(services, wish, octets, file, terms)
    )
    _tell(prices, publication, as_json=as_json, published=done)
    if not done and not yes and file != STANDARD_INPUT and sys.stdin.isatty() and not as_json:
        if not typer.confirm(f"Publish to {name}?", err=True):
            raise typer.Exit(Exit.FAILED)
        again = replace(wish, yes=True)
        _prices, later, done = with_services(
            config, lambda services: _work(services, again, octets, file, terms, seen=publication)
        )
        assert later.versions
    if not done:
        say("Nothing is published yet: repeat it with --yes.")
        raise typer.Exit(Exit.FAILED)
    for version in done:
        say(
            f"Published version {version.version} of {name} ({prices.side}, {prices.currency}): "
            f"{len(version.items)} prices from {version.effective_from.isoformat(timespec='seconds')} on."
        )


async def _work(
    services: Services,
    wish: _Wish,
    octets: bytes,
    file: Path,
    terms: SheetTerms,
    *,
    seen: Publication | None = None,
) -> tuple[PriceListData, Publication, Sequence[PriceVersionRow]]:
    sheet = read_rate_sheet(octets, str(file), terms)
    pricing = Pricing(PgPriceData(services.database), services.clock)
    await pricing.refresh()
    now = services.clock.now()
    prices = await _list_for(services, wish, sheet.currency)
    book = pricing.book(prices.price_list_id)
    soonest = now + AHEAD if book is not None and book.versions else now
    publication = plan(
        sheet,
        prices,
        pricing,
        default_table(),
        effective_from=wish.effective_from or soonest,
        partial=wish.partial,
    )
    if seen is not None and seen.last_version != publication.last_version:
        raise Conflict(
            f"Version {publication.last_version} was published meanwhile: look at the differences again."
        )
    if publication.contradictions and not wish.ignore_changes:
        raise Conflict(
            f"{file}: {'; '.join(publication.contradictions[:5])}. Ask the carrier, or add --ignore-changes."
        )
    if not wish.yes:
        return prices, publication, ()
    if not wish.below_cost:
        check_margins(prices, publication.below_cost, "add --allow-below-cost to sell at a loss")
    if not prices.price_list_id:
        row = await PgPrices(services.database).add_list(
            services.ids.next(), prices.name, prices.side, prices.currency, now
        )
        prices = PriceListData(row.price_list_id, row.name, row.side, row.currency)
    done = await publish_versions(
        PgPrices(services.database), services.ids, services.clock, prices.price_list_id, publication, octets
    )
    return prices, publication, done


async def _list_for(services: Services, wish: _Wish, sheet_currency: str | None) -> PriceListData:
    """Return the list of that name, with id 0 when it is still to be made; it must be as was asked."""
    lists = (await PgPriceData(services.database).prices()).lists
    found = next((row for row in lists if row.name == wish.name), None)
    if found is None:
        side, currency = wish.side or "sell", wish.currency or sheet_currency or "EUR"
        if side == "sell":
            check_invoiced_currency(currency)
        return PriceListData(0, wish.name, side, check_currency(currency))
    if wish.side not in {None, found.side} or wish.currency not in {None, found.currency}:
        raise Conflict(
            f"The list {wish.name} is of side {found.side} in {found.currency}, for ever: choose another "
            "name."
        )
    return found


def _tell(
    prices: PriceListData, publication: Publication, *, as_json: bool, published: Sequence[PriceVersionRow]
) -> None:
    if as_json:
        numbers: list[int | None] = [row.version for row in published]
        numbers = numbers or [None for _ in publication.versions]
        show_json(publication_as_dict(prices, publication, numbers))
    else:
        for version in publication.versions:
            changed = [change for change in version.changes if change.kind is not ChangeKind.UNCHANGED]
            same = len(version.changes) - len(changed)
            show(
                f"{prices.name} from {version.effective_from.isoformat(timespec='seconds')}: "
                f"{len(changed)} changes, {same} unchanged"
            )
            if changed:
                show_table(CHANGE_COLUMNS, [_row(each) for each in changed])
    for at, found in publication.below_cost:
        say(f"Below cost from {at.isoformat(timespec='seconds')}: {_sentence(found)}")
    if publication.ignored_columns:
        say(f"Columns that were not read: {', '.join(publication.ignored_columns)}.")


def publication_as_dict(
    prices: PriceListData, publication: Publication, numbers: Sequence[int | None]
) -> dict[str, object]:
    return {
        "name": prices.name,
        "side": prices.side,
        "currency": prices.currency,
        "published": None not in numbers,
        "versions": [
            {
                "version": number,
                "effective_from": version.effective_from,
                "prices": len(version.items),
                "changes": [
                    {
                        "direction": change.direction.value,
                        "network": change.network,
                        **change_view(change),
                        "change": change.kind.value,
                    }
                    for change in version.changes
                    if change.kind is not ChangeKind.UNCHANGED
                ],
            }
            for number, version in zip(numbers, publication.versions, strict=True)
        ],
        "below_cost": [
            {
                "effective_from": at,
                "network": found.network,
                "sell": micros_to_text(found.sell_micros),
                "cost": micros_to_text(found.cost_micros),
                "sell_list": found.sell_list,
                "cost_list": found.cost_list,
            }
            for at, found in publication.below_cost
        ],
    }


def _row(change: PriceChange) -> list[str]:
    view = change_view(change)
    old, new = (" ".join(filter(None, (view[side], view[f"{side}_tiers"]))) or "-" for side in ("old", "new"))
    return [change.direction.value, change.network, old, new, change.kind.value]


def _sentence(found: BelowCost) -> str:
    return (
        f"network {found.network} sells at {micros_to_text(found.sell_micros)} ({found.sell_list}) and costs "
        f"{micros_to_text(found.cost_micros)} ({found.cost_list})."
    )


def _read(file: Path) -> bytes:
    try:
        if file == STANDARD_INPUT:
            octets = sys.stdin.buffer.read(FILE_OCTETS_MAX + 1)
        else:
            with file.open("rb") as opened:
                octets = opened.read(FILE_OCTETS_MAX + 1)
    except OSError as exc:
        raise unreadable(file, exc) from exc
    if len(octets) > FILE_OCTETS_MAX:
        raise UsageRefused(f"{file} is larger than {FILE_OCTETS_MAX} octets: is it the right file?")
    return octets
