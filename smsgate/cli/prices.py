"""`smsgate prices`: price lists, and what is in force."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

import typer

from smsgate.billing.tier_cells import ladder_to_cell
from smsgate.billing.tiers import ladder_from_json
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.merchants import price_list_of
from smsgate.cli.output import JsonOption, say, show_json, show_table
from smsgate.cli.sessions import with_services
from smsgate.daemon.services import Services
from smsgate.errors import Conflict
from smsgate.flows.ports_api import PriceItem
from smsgate.flows.usage_records import PriceData, PriceListData, PriceVersionData
from smsgate.money import micros_to_text
from smsgate.store.usage import PgPriceData

app: Final = typer.Typer(
    help="Price lists: list, show. New versions: smsgate billing publish.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

COLUMNS: Final = ("direction", "network", "unit_price", "basis", "tiers")
ListArgument = Annotated[str, typer.Argument(metavar="LIST", help="Name of the list.")]


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
            raise Conflict(f"{name} holds no prices yet: smsgate billing publish {name} FILE.csv")
        items = [
            PriceItem(row.direction, row.network, row.unit_micros, row.basis, row.ladder)
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
    show_table(COLUMNS, [[_cell(row[column]) for column in COLUMNS] for row in rows])


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
                "basis": item.basis,
                "tiers": None if item.ladder is None else ladder_to_cell(ladder_from_json(item.ladder)),
            }
            for item in items
        ],
    }


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return "-" if value is None else str(value)
