"""Whether everybody who may send has prices, a carrier and a number that can be answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from smsgate.billing.networks import NetworkTable, default_table
from smsgate.billing.prices import Direction, PriceBook
from smsgate.cli.findings import Findings
from smsgate.cli.sessions import all_merchants
from smsgate.clock import Clock
from smsgate.config import Settings
from smsgate.config.routes import carrier_facts
from smsgate.errors import SmsgateError
from smsgate.flows.commerce_records import PageAsk
from smsgate.flows.ports_api import OPERATOR, MerchantRow
from smsgate.flows.pricing import Pricing
from smsgate.flows.publishing import earning_too_little
from smsgate.flows.usage_records import PriceListData
from smsgate.money import micros_to_text
from smsgate.routing.rules import find_faults
from smsgate.store.merchants import PgApiKeys
from smsgate.store.pool import Database
from smsgate.store.usage import PgPriceData

NETWORKS_SHOWN: Final = 5
KEYS_READ: Final = 100


async def check_commerce(findings: Findings, settings: Settings, database: Database, clock: Clock) -> None:
    pricing = Pricing(PgPriceData(database), clock)
    try:
        await pricing.refresh()
    except SmsgateError as exc:
        findings.fail("prices", f"the price lists cannot be read: {exc}", "publish a version that is whole")
        return
    lists = {row.price_list_id: row for row in (await PgPriceData(database).prices()).lists}
    merchants = await all_merchants(database)
    await _check_operator(findings, database, clock)
    _check_costs(findings, settings, pricing, clock)
    _check_routes(findings, settings, pricing, merchants)
    if not merchants:
        findings.warn("merchants", "there are none yet", "smsgate merchant add SLUG --name NAME --country FR")
    for merchant in merchants:
        _check_merchant(findings, merchant, lists, pricing, clock)
        _check_senders_of(findings, settings, merchant)
    _check_margins(findings, settings, merchants, pricing, clock)
    _check_names(findings, settings, merchants)


async def _check_operator(findings: Findings, database: Database, clock: Clock) -> None:
    now = clock.now()
    page = await PgApiKeys(database).list(OPERATOR, PageAsk(KEYS_READ))
    in_force = [
        key
        for key in page.rows
        if key.revoked_at is None and (key.expires_at is None or key.expires_at > now)
    ]
    if in_force:
        findings.ok("operator keys", f"{len(in_force)} in force")
    else:
        findings.warn("operator keys", "there is none", "smsgate key add --operator --name NAME")


def _check_costs(findings: Findings, settings: Settings, pricing: Pricing, clock: Clock) -> None:
    for carrier in settings.carriers:
        name, where = f"costs of {carrier.name}", f"carriers.{carrier.name}.cost_list"
        if carrier.cost_list is None:
            findings.warn(
                name,
                "no price list says what this carrier charges, so margins cannot be told",
                f"smsgate billing publish {carrier.name}-cost FILE.csv --side cost, then set {where}",
            )
            continue
        book = pricing.cost_book(carrier.cost_list)
        if book is None or book.version_at(clock.now()) is None:
            findings.fail(
                name,
                f"{where} is {carrier.cost_list!r}, and no cost list of that name has prices in force"
                + _coming(book, clock),
                f"smsgate billing publish {carrier.cost_list} FILE.csv --side cost",
            )
        else:
            findings.ok(name, f"list {carrier.cost_list}, {book.currency}")


def _check_routes(
    findings: Findings, settings: Settings, pricing: Pricing, merchants: Sequence[MerchantRow]
) -> None:
    """Say what the rules lack that only the database knows: currencies of costs, names of merchants."""
    if not settings.routes:
        return
    names = {carrier.cost_list for carrier in settings.carriers if carrier.cost_list is not None}
    books = {name: book for name in names if (book := pricing.cost_book(name)) is not None}
    currencies = {name: book.currency for name, book in books.items()}
    rules = [route.rule for route in settings.routes]
    faults = find_faults(rules, carrier_facts(settings.carriers, currencies))
    for fault in faults:
        findings.fail(f"route {fault.rule}", fault.what, fault.mend)
    known = {merchant.slug for merchant in merchants}
    for rule in rules:
        for slug in sorted(set(rule.merchants) - known):
            findings.warn(
                f"route {rule.name}",
                f"it names the merchant {slug!r}, who does not exist",
                f"smsgate merchant add {slug} --name NAME --country FR, or correct the name",
            )
    if not faults:
        findings.ok("routes", ", ".join(rule.name for rule in rules))


def _check_merchant(
    findings: Findings,
    merchant: MerchantRow,
    lists: Mapping[int, PriceListData],
    pricing: Pricing,
    clock: Clock,
) -> None:
    name = f"prices of {merchant.slug}"
    if merchant.price_list_id is None:
        findings.fail(
            name,
            "the merchant has no price list, so it can send nothing",
            f"smsgate merchant price-list {merchant.slug} LIST",
        )
        return
    prices, book = lists[merchant.price_list_id], pricing.book(merchant.price_list_id)
    publish = f"smsgate billing publish {prices.name} FILE.csv"
    if book is None or book.version_at(clock.now()) is None:
        findings.fail(name, f"the list {prices.name} has no version in force{_coming(book, clock)}", publish)
        return
    missing = networks_without_price(book, merchant.country, clock, default_table())
    if missing:
        shown = ", ".join(missing[:NETWORKS_SHOWN]) + (", ..." if len(missing) > NETWORKS_SHOWN else "")
        findings.fail(
            name,
            f"the list {prices.name} has no price for {len(missing)} networks of {merchant.country}: {shown}"
            + _coming(book, clock),
            f"add them, or the country's code alone, and publish again: {publish}",
        )
    else:
        findings.ok(
            name, f"list {prices.name}, {book.currency}: every network of {merchant.country} has a price"
        )


def _coming(book: PriceBook | None, clock: Clock) -> str:
    """Say which version is about to begin: it may be the remedy, published a moment ago."""
    versions = () if book is None else book.versions
    for version in versions:
        if version.effective_from > clock.now():
            at = version.effective_from.isoformat(timespec="seconds")
            return f"; version {version.version} begins at {at}"
    return ""


def _check_margins(
    findings: Findings, settings: Settings, merchants: Sequence[MerchantRow], pricing: Pricing, clock: Clock
) -> None:
    """Say which lists that merchants pay by earn less than carriers of the configuration cost."""
    names = {carrier.cost_list for carrier in settings.carriers}
    for list_id in sorted({m.price_list_id for m in merchants if m.price_list_id is not None}):
        prices, book = pricing.price_list(list_id), pricing.book(list_id)
        running = None if book is None else book.version_at(clock.now())
        if prices is None or running is None:
            continue
        found = [
            each
            for each in earning_too_little(prices, running.items, clock.now(), pricing)
            if each.cost_list in names
        ]
        if found:
            shown = ", ".join(
                f"{each.network} at {micros_to_text(each.sell_micros)} costs "
                f"{micros_to_text(each.cost_micros)} ({each.cost_list})"
                for each in found[:NETWORKS_SHOWN]
            )
            findings.warn(
                f"margin of {prices.name}",
                f"{len(found)} prices are below cost: {shown}",
                f"smsgate billing publish {prices.name} FILE.csv --partial",
            )


def networks_without_price(book: PriceBook, country: str, clock: Clock, table: NetworkTable) -> list[str]:
    """Return the networks of the merchant's own country that a message could not be priced for."""
    now = clock.now()
    return [code for code in table.mccmncs(country) if book.lookup(now, Direction.MT, code) is None]


def _check_senders_of(findings: Findings, settings: Settings, merchant: MerchantRow) -> None:
    if not settings.carriers:
        return
    usable = [
        sender
        for carrier in settings.carriers
        for sender in carrier.senders
        if sender.merchants == "*" or merchant.slug in sender.merchants
    ]
    name = f"senders of {merchant.slug}"
    if not usable:
        findings.fail(
            name,
            "no carrier has a sender number that this merchant may use",
            f'add {{ number = "36111", receives = true, merchants = ["{merchant.slug}"] }} to a carrier',
        )
    elif not any(sender.receives for sender in usable):
        findings.fail(
            name,
            "nobody can answer the merchant's senders, so no offer can be accepted",
            "set receives = true for the number whose answers come over the carrier",
        )
    else:
        findings.ok(name, ", ".join(sender.number for sender in usable))


def _check_names(findings: Findings, settings: Settings, merchants: Sequence[MerchantRow]) -> None:
    known = {merchant.slug for merchant in merchants}
    for carrier in settings.carriers:
        for sender in carrier.senders:
            for slug in () if sender.merchants == "*" else sender.merchants:
                if slug not in known:
                    findings.warn(
                        f"sender {sender.number}",
                        f"carriers.{carrier.name}.senders names the merchant {slug!r}, who does not exist",
                        f"smsgate merchant add {slug} --name NAME --country FR, or correct the name",
                    )
