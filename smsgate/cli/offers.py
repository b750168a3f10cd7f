"""`smsgate offer`: offers and their versions; stock, a new version, the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from smsgate.api.commerce import minor_from_text
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import UsageRefused, as_usage
from smsgate.cli.output import JsonOption, say, show_json, show_table
from smsgate.cli.sessions import with_settings
from smsgate.config import load_settings
from smsgate.daemon.nudges import Nudges
from smsgate.daemon.reloading import sender_table
from smsgate.daemon.services import Services
from smsgate.errors import NotFound
from smsgate.flows.offer_changes import OfferChanges
from smsgate.flows.offer_records import OfferRecord
from smsgate.flows.offers import LIFE_MAX, STOCK_MAX, Offers
from smsgate.flows.stops import RecentStops
from smsgate.money import minor_to_text
from smsgate.security.public_ids import Kind
from smsgate.store.offers import PgOffers

LIFE_MAX_H: Final = LIFE_MAX // timedelta(hours=1)

app: Final = typer.Typer(
    help="Offers: stock, new versions, withdrawal.", no_args_is_help=True, rich_markup_mode=None
)

OfferArgument = Annotated[str, typer.Argument(metavar="OFFER", help="Its id: ofr_...")]
_EXAMPLE: Final = "ofr_3vQb7XwJpA2cN5kTgY0u1Z"
_COLUMNS: Final = ("version", "state", "price", "currency", "stock", "left", "expires", "text")


@app.command(
    "show",
    help="Show an offer and its versions, the newest first.",
    epilog=examples(f"smsgate offer show {_EXAMPLE}"),
)
def show_offer(offer: OfferArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    async def work(changes: OfferChanges, merchant_id: int, offer_id: int) -> Sequence[OfferRecord]:
        return await changes.versions(merchant_id, offer_id)

    rows = _do(config, offer, work)
    if as_json:
        show_json(rows)
    else:
        show_table(
            _COLUMNS, [["" if row[name] is None else str(row[name]) for name in _COLUMNS] for row in rows]
        )


@app.command(
    "stock",
    help="Set how many pieces there are in all, those that are sold included; never under what is sold.",
    epilog=examples(f"smsgate offer stock {_EXAMPLE} 120"),
)
def set_stock(
    offer: OfferArgument,
    pieces: Annotated[int, typer.Argument(metavar="PIECES", min=0, max=STOCK_MAX, help="In all.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    async def work(changes: OfferChanges, merchant_id: int, offer_id: int) -> Sequence[OfferRecord]:
        return [await changes.set_stock(merchant_id, offer_id, pieces)]

    _tell(_do(config, offer, work), as_json, "{left} of {stock} pieces are left.")


@app.command(
    "withdraw",
    help="Close an offer for good: nothing more of it leaves, and no answer orders.\n\nOrders that are "
    "placed stand. It cannot be taken back.",
    epilog=examples(f"smsgate offer withdraw {_EXAMPLE} --yes"),
)
def withdraw(
    offer: OfferArgument,
    yes: Annotated[bool, typer.Option("--yes", help="You know that it cannot be taken back.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    if not yes:
        raise UsageRefused("A withdrawal cannot be taken back: say --yes.")

    async def work(changes: OfferChanges, merchant_id: int, offer_id: int) -> Sequence[OfferRecord]:
        return [await changes.withdraw(merchant_id, offer_id)]

    _tell(_do(config, offer, work), as_json, "The offer is withdrawn.")


@app.command(
    "version",
    help="Publish a new version of an offer; what is not said stays as it is.\n\nWhat was sent keeps its "
    "version and its terms. Campaigns that still send an older one end, drafts take the new one.",
    epilog=examples(
        f'smsgate offer version {_EXAMPLE} --price 14.90 --text "$(cat offer.txt)" --expires-in-h 12'
    ),
)
def publish(
    offer: OfferArgument,
    text: Annotated[str | None, typer.Option("--text", help="One segment.")] = None,
    item: Annotated[str | None, typer.Option("--item", help="What is sold.")] = None,
    price: Annotated[
        str | None, typer.Option("--price", metavar="AMOUNT", help="Of one piece: 14.90")
    ] = None,
    quantity_max: Annotated[int | None, typer.Option("--quantity-max", min=1, help="Of one order.")] = None,
    expires_in_h: Annotated[
        int | None, typer.Option("--expires-in-h", min=1, max=LIFE_MAX_H, help="Hours from now.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    wishes: dict[str, Any] = {"text": text, "item": item, "quantity_max": quantity_max}
    wishes = {name: value for name, value in wishes.items() if value is not None}

    async def work(changes: OfferChanges, merchant_id: int, offer_id: int) -> Sequence[OfferRecord]:
        (newest, *_) = await changes.versions(merchant_id, offer_id)
        if price is not None:
            with as_usage("--price"):
                wishes["unit_price_minor"] = minor_from_text(price, newest.offer.currency)
        if expires_in_h is not None:
            wishes["expires_at"] = changes.now() + timedelta(hours=expires_in_h)
        return [await changes.publish(merchant_id, offer_id, wishes)]

    _tell(_do(config, offer, work), as_json, "Version {version} is published.")


def _do(
    config: Path | None,
    public_id: str,
    work: Callable[[OfferChanges, int, int], Awaitable[Sequence[OfferRecord]]],
) -> list[dict[str, Any]]:
    """Do something about an offer, whoever's it is; return what is shown of its versions."""
    settings = load_settings(config)

    async def session(services: Services) -> list[dict[str, Any]]:
        store = PgOffers(services.database)
        offer_id = services.public_ids.decode(Kind.OFFER, public_id)
        merchant_id = await store.owner(offer_id)
        if merchant_id is None:
            raise NotFound(f"No offer has the id {public_id}.")
        changes = OfferChanges(
            store,
            Offers(store, services.ids, services.clock, sender_table(settings)),
            services.ids,
            services.public_ids,
            services.clock,
            stops=RecentStops(),  # nothing is sent from here: gateways hear it with the commit
            wakeups=Nudges(),
        )
        rows = await work(changes, merchant_id, offer_id)
        return [_row(row, changes) for row in rows]

    return with_settings(settings, session)


def _row(record: OfferRecord, changes: OfferChanges) -> dict[str, Any]:
    offer = record.offer
    return {
        "version": offer.version,
        "state": record.state_at(changes.now()).value,
        "price": minor_to_text(offer.unit_price_minor, offer.currency),
        "currency": offer.currency,
        "stock": record.stock,
        "left": record.stock_remaining,
        "expires": offer.expires_at.isoformat(timespec="seconds"),
        "text": offer.text,
    }


def _tell(rows: list[dict[str, Any]], as_json: bool, sentence: str) -> None:
    if as_json:
        show_json(rows[0])
    else:
        say(sentence.format(**rows[0]))
