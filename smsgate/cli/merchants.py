"""`smsgate merchant`: who sends offers, and by which prices each pays."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import ValidationError

from smsgate.api.routes_operator import CreateMerchant
from smsgate.billing.issuable import check_invoiced_currency
from smsgate.campaigns.shares import WEIGHT_MAX
from smsgate.campaigns.texts import FIELD_CHARACTERS_MAX
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import UsageRefused, as_usage
from smsgate.cli.output import JsonOption, say, show_json, show_table
from smsgate.cli.sessions import SlugArgument, all_merchants, merchant_of, with_services
from smsgate.daemon.services import Services
from smsgate.errors import Conflict, NotFound
from smsgate.flows.ports_api import MerchantChange, MerchantDraft, MerchantRow
from smsgate.flows.usage_records import PriceListData
from smsgate.security.public_ids import Kind
from smsgate.store.merchants import PgMerchants
from smsgate.store.usage import PgPriceData

app: Final = typer.Typer(
    help="Merchants: add, list, give prices, weigh, suspend.", no_args_is_help=True, rich_markup_mode=None
)

FORMS: Final = {
    "slug": "SLUG: write 2 to 40 lower-case letters, digits and dashes, a letter first.",
    "name": "--name: write 1 to 60 characters, no control characters.",
    "country": "--country: write two capital letters of ISO 3166, such as FR.",
    "language": "--language: write two small letters of ISO 639, such as fr.",
    "timezone": "--timezone: write a name of the IANA database, such as Europe/Paris.",
    "currency": "--currency: write three capital letters of ISO 4217, such as EUR.",
    "contact": f"--contact: write at most {FIELD_CHARACTERS_MAX['contact']} characters.",
}


@app.command(
    "add",
    help="Add a merchant.",
    epilog=examples(
        "smsgate merchant add boxman --name Boxman --country FR --contact 'bxm.fr 0800 123 456'",
        "smsgate merchant add skiva --name Skivhuset --country SE --language sv \\",
        "    --timezone Europe/Stockholm --currency SEK",
    ),
)
def add(
    slug: SlugArgument,
    name: Annotated[str, typer.Option(help="As buyers know it, up to 60 characters.")],
    country: Annotated[str, typer.Option(help="ISO 3166 code of where it sells: FR")],
    language: Annotated[str, typer.Option(help="Of the texts that we write for it.")] = "fr",
    timezone: Annotated[str, typer.Option(help="IANA name; months are counted in it.")] = "Europe/Paris",
    currency: Annotated[str, typer.Option(help="It is billed in this one.")] = "EUR",
    contact: Annotated[str, typer.Option(help="What CONTACT by SMS is answered with.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    with as_usage("--currency"):
        check_invoiced_currency(currency)
    try:
        asked = CreateMerchant(
            name=name,
            slug=slug,
            country=country,
            language=language,
            timezone=timezone,
            currency=currency,
            contact=contact,
        )
    except ValidationError as exc:
        key = str(exc.errors(include_url=False, include_input=False)[0]["loc"][0])
        raise UsageRefused(FORMS[key]) from None

    async def work(services: Services) -> dict[str, object]:
        draft = MerchantDraft(merchant_id=services.ids.next(), **asked.model_dump())
        try:
            row = await PgMerchants(services.database).add(draft)
        except Conflict as exc:
            raise Conflict(f"{str(exc).rstrip('.')}: choose another, or see smsgate merchant list") from None
        return as_dict(services, row, None)

    added = with_services(config, work)
    if as_json:
        show_json(added)
    else:
        say(f"Added {slug}. It needs prices before it can send: smsgate merchant price-list {slug} LIST")


@app.command(
    "list", help="List merchants, the newest first.", epilog=examples("smsgate merchant list --json")
)
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    async def work(services: Services) -> list[dict[str, object]]:
        lists = {row.price_list_id: row.name for row in (await PgPriceData(services.database).prices()).lists}
        rows = await all_merchants(services.database)
        return [as_dict(services, row, lists.get(row.price_list_id or 0)) for row in rows]

    found = with_services(config, work)
    if as_json:
        show_json(found)
        return
    columns = ("slug", "name", "country", "currency", "timezone", "price_list", "sending_weight", "state")
    show_table(columns, [[str(row[column] or "-") for column in columns] for row in found])


@app.command(
    "price-list",
    help="Give a merchant the price list that it pays by from now on.",
    epilog=examples("smsgate merchant price-list boxman fr-standard"),
)
def price_list(
    slug: SlugArgument,
    name: Annotated[str, typer.Argument(metavar="LIST", help="Name of a list of side `sell`.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    async def work(services: Services) -> dict[str, object]:
        merchant = await merchant_of(services, slug)
        prices = await price_list_of(services, name)
        store = PgMerchants(services.database)
        changed = await store.set_price_list(merchant.merchant_id, prices.price_list_id)
        return as_dict(services, changed, prices.name)

    changed = with_services(config, work)
    if as_json:
        show_json(changed)
    else:
        say(f"{slug} pays by {name} from now on.")


@app.command(
    "suspend",
    help="Stop a merchant: its keys are refused until it is resumed. Nothing is deleted.",
    epilog=examples("smsgate merchant suspend boxman"),
)
def suspend(slug: SlugArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    changed = _set_state(slug, "suspended", config)
    if as_json:
        show_json(changed)
    else:
        say(f"{slug} is suspended. To let it go on: smsgate merchant resume {slug}")


@app.command(
    "resume",
    help="Let a suspended merchant go on.",
    epilog=examples("smsgate merchant resume boxman"),
)
def resume(slug: SlugArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    changed = _set_state(slug, "active", config)
    if as_json:
        show_json(changed)
    else:
        say(f"{slug} is active.")


@app.command(
    "weight",
    help="Set a merchant's share of the carriers that several merchants send by.",
    epilog=examples("smsgate merchant weight boxman 3"),
)
def weight(
    slug: SlugArgument,
    share: Annotated[
        int,
        typer.Argument(
            metavar="WEIGHT",
            min=1,
            max=WEIGHT_MAX,
            help="3: thrice the messages of a merchant with 1, while both have some to send.",
        ),
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    changed = _change(slug, MerchantChange(sending_weight=share), config)
    if as_json:
        show_json(changed)
    else:
        say(f"{slug} sends with weight {share} from now on.")


def _set_state(slug: str, state: str, config: Path | None) -> dict[str, object]:
    return _change(slug, MerchantChange(state=state), config)


def _change(slug: str, change: MerchantChange, config: Path | None) -> dict[str, object]:
    async def work(services: Services) -> dict[str, object]:
        merchant = await merchant_of(services, slug)
        changed = await PgMerchants(services.database).change(merchant.merchant_id, change)
        lists = {row.price_list_id: row.name for row in (await PgPriceData(services.database).prices()).lists}
        return as_dict(services, changed, lists.get(changed.price_list_id or 0))

    return with_services(config, work)


async def price_list_of(services: Services, name: str) -> PriceListData:
    """
    Return the price list of that name.

    Raises:
        NotFound: there is none.
    """
    for row in (await PgPriceData(services.database).prices()).lists:
        if row.name == name:
            return row
    raise NotFound(f"No price list is called {name!r}: `smsgate prices list` shows those that exist.")


def as_dict(services: Services, row: MerchantRow, price_list_name: str | None) -> dict[str, object]:
    return {
        "id": services.public_ids.encode(Kind.MERCHANT, row.merchant_id),
        "slug": row.slug,
        "name": row.name,
        "country": row.country,
        "language": row.language,
        "timezone": row.timezone,
        "currency": row.currency,
        "contact": row.contact,
        "price_list": price_list_name,
        "state": row.state,
        "sending_weight": row.sending_weight,
        "offers_wait_since": row.shop_lost_at,
        "created_at": row.created_at,
    }
