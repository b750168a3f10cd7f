"""`smsgate billing rate`: what a message would be charged and cost, every step explained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from smsgate.billing.networks import default_table
from smsgate.billing.prices import Direction, PriceBook
from smsgate.billing.rate_steps import Charge, RatedMessage, RateQuestion, rate_message
from smsgate.billing.segments import segments_of
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit, UsageRefused, as_usage, instant_of
from smsgate.cli.output import JsonOption, show, show_json
from smsgate.cli.sessions import merchant_of, with_settings
from smsgate.config import Settings, load_settings
from smsgate.daemon.services import Services
from smsgate.flows.pricing import Pricing
from smsgate.money import micros_to_text
from smsgate.msisdn import normalize
from smsgate.protocol.text_inspection import inspect_text
from smsgate.store.portability import PgPortability
from smsgate.store.usage import PgPriceData

HELP: Final = (
    "Say what one message would be charged and cost, and why.\n\nNothing is sent or stored. The network "
    "is by "
    "the imported portability data, else by the number's block; prices are those in force at the "
    "instant. Ends "
    "with 1 when there is no price."
)
EPILOG: Final = examples(
    "smsgate billing rate boxman +33612345678 'CD Madonna 19,90. OK?'",
    "smsgate billing rate boxman +33612345678 'OK' --direction mo --at 2026-10-15T12:00:00+02:00 --json",
)


def rate(
    merchant: Annotated[str, typer.Argument(metavar="MERCHANT", help="Its slug.")],
    msisdn: Annotated[str, typer.Argument(metavar="NUMBER", help="The phone, in international form.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What it would say.")],
    at: Annotated[
        str | None, typer.Option(help="Instant of acceptance: ISO 8601 with its offset.", show_default="now")
    ] = None,
    direction: Annotated[Direction, typer.Option(help="mt: to the phone; mo: from it.")] = Direction.MT,
    carrier: Annotated[
        str | None, typer.Option(help="Only this carrier's cost.", show_default="all of the configuration")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    with as_usage("NUMBER"):
        number = normalize(msisdn if msisdn.startswith("+") else f"+{msisdn}")
    with as_usage("TEXT"):
        segments = segments_of(text)
    instant = None if at is None else instant_of("--at", at)
    settings = load_settings(config)
    if carrier is not None and carrier not in {profile.name for profile in settings.carriers}:
        raise UsageRefused(f"--carrier: the configuration has no carrier {carrier!r}.")

    async def work(services: Services) -> tuple[RateQuestion, RatedMessage]:
        row = await merchant_of(services, merchant)
        pricing = Pricing(PgPriceData(services.database), services.clock)
        await pricing.refresh()
        network, because = await _network(services, number)
        question = RateQuestion(
            number, network, because, segments, _counted(text), direction, instant or services.clock.now()
        )
        sell = None
        if row.price_list_id is not None:
            prices, book = pricing.price_list(row.price_list_id), pricing.book(row.price_list_id)
            assert prices is not None
            assert book is not None
            sell = (prices.name, book)
        return question, rate_message(question, sell, _costs(settings, pricing, carrier))

    question, rated = with_settings(settings, work)
    if as_json:
        show_json(_as_dict(merchant, question, rated))
    else:
        for step in rated.steps:
            show(step.sentence)
    refused = rated.sell is None or (rated.sell.amount_micros is None and direction is Direction.MT)
    raise typer.Exit(Exit.FAILED if refused else Exit.OK)


async def _network(services: Services, number: str) -> tuple[str, str]:
    ported = (await PgPortability(services.database).lookup([int(number)])).get(int(number))
    if ported is not None:
        return ported, "the portability data says that it moved there"
    network = default_table().network_of(number).mccmnc
    if network == "*":
        return network, "no numbering plan that we have knows its block"
    if network.endswith("*"):
        return network, "its block is of this country, of no known network"
    return network, "its block was given to this network, and no move is known"


def _counted(text: str) -> str:
    found = inspect_text({"kind": "segment", "text": text})
    if found["encoding"] == "gsm7":
        return f"{found['septets']} septets of GSM-7"
    return f"{found['units']} units of UTF-16"


def _costs(settings: Settings, pricing: Pricing, only: str | None) -> Sequence[tuple[str, str, PriceBook]]:
    return [
        (profile.name, profile.cost_list, book)
        for profile in settings.carriers
        if profile.cost_list is not None
        and only in {None, profile.name}
        and (book := pricing.cost_book(profile.cost_list)) is not None
    ]


def _as_dict(merchant: str, question: RateQuestion, rated: RatedMessage) -> dict[str, Any]:
    return {
        "merchant": merchant,
        "msisdn": question.msisdn,
        "network": question.network,
        "direction": question.direction.value,
        "at": question.at,
        "segments": question.segments,
        "charge": None if rated.sell is None else _charge(rated.sell),
        "costs": [{"carrier": carrier, **_charge(cost)} for carrier, cost in rated.costs],
        "steps": [{"step": step.name, "sentence": step.sentence} for step in rated.steps],
    }


def _charge(charge: Charge) -> dict[str, Any]:
    item = charge.item
    return {
        "price_list": charge.list_name,
        "version": charge.version,
        "network": None if item is None else item.network,
        "unit_price": None if item is None else micros_to_text(item.unit_micros),
        "basis": None if item is None else item.basis.value,
        "amount": None if charge.amount_micros is None else micros_to_text(charge.amount_micros),
        "currency": charge.currency,
    }
