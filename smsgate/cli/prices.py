"""`smsgate prices`: price lists from CSV files, and what is in force."""

from __future__ import annotations

import csv
import hashlib
import io
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from smsgate.api.routes_prices import CLOCK_SKEW, ITEMS_MAX
from smsgate.billing import prices as billing
from smsgate.cli.examples import examples
from smsgate.cli.exits import UsageRefused, as_usage
from smsgate.cli.files import unreadable
from smsgate.cli.merchants import price_list_of
from smsgate.cli.output import JsonOption, say, show_json, show_table
from smsgate.cli.sessions import ConfigOption, with_services
from smsgate.daemon.services import Services
from smsgate.errors import Conflict, Invalid
from smsgate.flows.ports_api import PriceItem, PriceVersionRow
from smsgate.flows.usage_records import PriceData, PriceListData, PriceVersionData
from smsgate.money import check_currency, micros_from_text, micros_to_text
from smsgate.store.prices import PgPrices
from smsgate.store.usage import PgPriceData

app: Final = typer.Typer(
    help="Price lists: publish, list, show.", no_args_is_help=True, rich_markup_mode=None
)

COLUMNS: Final = ("direction", "network", "unit_price")
FILE_OCTETS_MAX: Final = 1 << 20  # ITEMS_MAX rows of 40 octets are a fifth of it
NAME_CHARACTERS_MAX: Final = 100  # as over the API
STANDARD_INPUT: Final = Path("-")

Side = Literal["sell", "cost"]
ListArgument = Annotated[str, typer.Argument(metavar="LIST", help="Name of the list.")]


@app.command(
    "publish",
    help="Publish a version of a price list, and make the list if there is none of that name.\n\n"
    "The file is CSV with the columns direction (mt or mo), network (MCC+MNC, MCC, or * for all others) and "
    "unit_price (per segment, decimal: 0.045). What was published never changes; a new version replaces it "
    "from its instant on.",
    epilog=examples(
        "smsgate prices publish fr-standard prices.csv",
        "smsgate prices publish sim-cost costs.csv --side cost --currency EUR",
        "smsgate prices publish fr-standard prices.csv --from 2027-01-01T00:00:00+01:00",
    ),
)
def publish(
    name: ListArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="- is standard input.")],
    side: Annotated[
        Side | None, typer.Option(help="What merchants pay, or carriers cost.", show_default="sell")
    ] = None,
    currency: Annotated[str | None, typer.Option(help="Of a new list.", show_default="EUR")] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="ISO 8601 with its offset.", show_default="now")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    octets = _read(file)
    items = read_prices(octets, str(file))
    effective_from = None if from_ is None else _instant(from_)
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable():
        raise UsageRefused(f"LIST: write 1 to {NAME_CHARACTERS_MAX} characters without control characters.")
    with as_usage("--currency"):
        wanted_currency = None if currency is None else check_currency(currency)

    async def work(services: Services) -> tuple[PriceListData, PriceVersionRow]:
        prices = await _list_for(services, name, side, wanted_currency)
        now = services.clock.now()
        version = await PgPrices(services.database).publish(
            prices.price_list_id,
            effective_from or now,
            items,
            item_id_base=services.ids.block(len(items)),
            source_sha256=hashlib.sha256(octets).digest(),
            now=now,
            not_before=now - CLOCK_SKEW,
        )
        return prices, version

    prices, version = with_services(config, work)
    if as_json:
        show_json(
            {**_list_as_dict(prices), **_version_as_dict(version.version, version.effective_from, items)}
        )
        return
    say(
        f"Published version {version.version} of {name} ({prices.side}, {prices.currency}): "
        f"{len(items)} prices from {version.effective_from.isoformat(timespec='seconds')} on."
    )


@app.command("list", help="List price lists.", epilog=examples("smsgate prices list --json"))
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    async def work(services: Services) -> list[dict[str, object]]:
        data, now = await PgPriceData(services.database).prices(), services.clock.now()
        return [_summary(data, row, now) for row in data.lists]

    found = with_services(config, work)
    if as_json:
        show_json(found)
        return
    columns = ("name", "side", "currency", "versions", "in_force")
    show_table(columns, [[_cell(row[column]) for column in columns] for row in found])


@app.command(
    "show",
    help="Show the prices of a list that are in force now, or of its first version to come.",
    epilog=examples("smsgate prices show fr-standard"),
)
def show_(name: ListArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    async def work(services: Services) -> dict[str, object]:
        prices = await price_list_of(services, name)
        data = await PgPriceData(services.database).prices()
        versions = [row for row in data.versions if row.price_list_id == prices.price_list_id]
        chosen = _in_force(versions, services.clock.now()) or next(iter(versions), None)
        if chosen is None:
            raise Conflict(f"{name} holds no prices yet: smsgate prices publish {name} FILE.csv")
        items = [
            PriceItem(row.direction, row.network, row.unit_micros)
            for row in data.items
            if (row.price_list_id, row.version) == (chosen.price_list_id, chosen.version)
        ]
        return {**_list_as_dict(prices), **_version_as_dict(chosen.version, chosen.effective_from, items)}

    found = with_services(config, work)
    if as_json:
        show_json(found)
        return
    say(f"{name}: version {found['version']}, {found['currency']}, from {_cell(found['effective_from'])} on")
    rows = found["items"]
    assert isinstance(rows, list)
    show_table(COLUMNS, [[row[column] for column in COLUMNS] for row in rows])


def read_prices(octets: bytes, where: str) -> list[PriceItem]:
    """
    Return the rows of a price file, judged by billing itself.

    Raises:
        Invalid: not CSV of the documented columns; names the row.
    """
    try:
        reader = csv.DictReader(io.StringIO(octets.decode("utf-8-sig"), newline=""), strict=True)
        rows = list(reader)
        header = [name.strip() for name in reader.fieldnames or ()]
    except (UnicodeDecodeError, csv.Error) as exc:
        raise Invalid(f"{where} is not CSV in UTF-8: {exc}.") from None
    if sorted(header) != sorted(COLUMNS):
        raise Invalid(
            f"{where} must begin with the line {','.join(COLUMNS)}; it has {','.join(header)[:100]!r}."
        )
    if not 1 <= len(rows) <= ITEMS_MAX:
        raise Invalid(f"{where} has {len(rows)} prices: 1 to {ITEMS_MAX} are possible.")
    items = [_item(row, f"{where}, price {place}") for place, row in enumerate(rows, 1)]
    seen: set[tuple[str, str]] = set()
    for place, item in enumerate(items, 1):
        if (item.direction, item.network) in seen:
            raise Invalid(f"{where}, price {place}: {item.direction} {item.network} is priced twice.")
        seen.add((item.direction, item.network))
    return items


def _item(row: Mapping[str, str | None], where: str) -> PriceItem:
    if None in row or None in row.values():  # "0,045" is two cells: the price would be read as 0
        raise Invalid(f"{where}: it has not {len(COLUMNS)} cells; write decimals with a point.")
    cells = {str(column).strip(): (cell or "").strip() for column, cell in row.items()}
    direction, network, price = (cells[column] for column in COLUMNS)
    if direction not in set(billing.Direction):
        raise Invalid(f"{where}: direction {direction[:20]!r} is neither mt nor mo.")
    try:
        micros = micros_from_text(price)
        billing.PriceItem(1, billing.Direction(direction), network, micros)
    except Invalid as exc:
        raise Invalid(f"{where}: {exc}.") from None
    return PriceItem(direction, network, micros)


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


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise UsageRefused(f"--from: {text[:40]!r} is no instant such as 2027-01-01T00:00:00+01:00.")
    return at


async def _list_for(services: Services, name: str, side: Side | None, currency: str | None) -> PriceListData:
    """Return the list of that name, made when missing; what is asked of it must be what it is."""
    found = next(
        (row for row in (await PgPriceData(services.database).prices()).lists if row.name == name), None
    )
    if found is None:
        row = await PgPrices(services.database).add_list(
            services.ids.next(), name, side or "sell", currency or "EUR", services.clock.now()
        )
        return PriceListData(row.price_list_id, row.name, row.side, row.currency)
    if side not in {None, found.side} or currency not in {None, found.currency}:
        raise Conflict(
            f"The list {name} is of side {found.side} in {found.currency}, for ever: choose another name."
        )
    return found


def _in_force(versions: Sequence[PriceVersionData], now: datetime) -> PriceVersionData | None:
    begun = [version for version in versions if version.effective_from <= now]
    return max(begun, key=lambda version: version.effective_from, default=None)


def _summary(data: PriceData, row: PriceListData, now: datetime) -> dict[str, object]:
    versions = [version for version in data.versions if version.price_list_id == row.price_list_id]
    current = _in_force(versions, now)
    return {
        **_list_as_dict(row),
        "versions": len(versions),
        "in_force": None if current is None else current.version,
    }


def _list_as_dict(row: PriceListData) -> dict[str, object]:
    return {"name": row.name, "side": row.side, "currency": row.currency}


def _version_as_dict(version: int, effective_from: datetime, items: Sequence[PriceItem]) -> dict[str, object]:
    return {
        "version": version,
        "effective_from": effective_from,
        "items": [
            {
                "direction": item.direction,
                "network": item.network,
                "unit_price": micros_to_text(item.unit_micros),
            }
            for item in items
        ],
    }


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return "-" if value is None else str(value)
