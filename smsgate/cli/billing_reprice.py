"""`smsgate billing simulate --price-list`: what a past month would have brought by another price list."""

from __future__ import annotations

from pathlib import Path

import typer

from smsgate.billing.periods import Month
from smsgate.cli.exits import Exit, as_usage
from smsgate.cli.output import say, show_json, show_table
from smsgate.cli.sessions import merchant_of, with_settings
from smsgate.config import load_settings
from smsgate.daemon.billing_reports import repricing_of
from smsgate.daemon.services import Services
from smsgate.flows.repricing import RepricedMonth
from smsgate.money import minor_to_text


def reprice(
    price_list: str, version: int | None, month: str, merchant: str | None, config: Path | None, as_json: bool
) -> None:
    with as_usage("--month"):
        asked = Month.parse(month)
    settings = load_settings(config)

    async def work(services: Services) -> RepricedMonth:
        merchant_id = None if merchant is None else (await merchant_of(services, merchant)).merchant_id
        repricing = repricing_of(settings, services)
        return await repricing.month(price_list, asked, version=version, merchant_id=merchant_id)

    found = with_settings(settings, work)
    if as_json:
        show_json(repriced_as_dict(found))
    else:
        _tell(found)
    for skipped in found.skipped:
        say(f"{skipped.merchant} is not in it: {skipped.why}.")
    if found.skipped:
        raise typer.Exit(Exit.FAILED)


def repriced_as_dict(found: RepricedMonth) -> dict[str, object]:
    rows = _rows(found)
    names = (
        "merchant", "segments", "segments_by_new", "unpriced_segments", "net", "net_by_new", "difference",
        "margin", "margin_by_new",
    )  # fmt: skip
    return {
        "month": str(found.month),
        "price_list": found.prices.name,
        "version": found.version.version,
        "effective_from": found.version.effective_from,
        "currency": found.prices.currency,
        "merchants": [dict(zip(names, row, strict=True)) for row in rows[:-1]],
        "total": dict(zip(names[1:], rows[-1][1:], strict=True)),
        "skipped": [skipped._asdict() for skipped in found.skipped],
    }


def _rows(found: RepricedMonth) -> list[tuple[str | int, ...]]:
    """Return a row for each merchant, what would change most first, and the sums of all."""
    currency = found.prices.currency
    ordered = sorted(found.merchants, key=lambda each: (-abs(each.difference_minor), each.merchant))
    numbers = [
        (
            each.segments_before, each.segments_after, each.unpriced_segments, each.before_minor,
            each.after_minor, each.difference_minor, each.margin_minor, each.margin_after_minor,
        )
        for each in ordered
    ]  # fmt: skip
    sums = tuple(map(sum, zip(*numbers, strict=True))) if numbers else (0,) * 8
    named = zip([*(each.merchant for each in ordered), "total"], [*numbers, sums], strict=True)
    return [
        (name, *counts[:3], *(minor_to_text(amount, currency) for amount in counts[3:]))
        for name, counts in named
    ]


def _tell(found: RepricedMonth) -> None:
    columns = (
        "merchant", "segments", "by the new", "unpriced", "net", "by the new", "difference", "margin",
        "by the new",
    )  # fmt: skip
    show_table(columns, [[str(cell) for cell in row] for row in _rows(found)])
    say(
        f"{found.month} by {found.prices.name}, version {found.version.version}, in {found.prices.currency} "
        "without VAT; nothing was written."
    )
    if unpriced := sum(each.unpriced_segments for each in found.merchants):
        say(
            f"{unpriced} segments went to networks without a price in it: they would have been refused, and "
            "their cost, which both margins have, saved."
        )
    if uncosted := sum(each.uncosted_segments for each in found.merchants):
        say(f"{uncosted} segments have no known cost in {found.prices.currency}: margins are without it.")
