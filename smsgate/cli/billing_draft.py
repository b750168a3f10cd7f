"""`smsgate billing draft`: what a month's invoice would say now, and what receipts may still charge."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from smsgate.api.routes_drafts import MonthDraft, as_draft
from smsgate.billing.periods import Month, month_of
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import as_usage
from smsgate.cli.output import JsonOption, show, show_json, show_table
from smsgate.cli.sessions import merchant_of, with_settings
from smsgate.config import load_settings
from smsgate.daemon.invoicing import invoicing_of
from smsgate.daemon.services import Services
from smsgate.flows.forecasting import Forecast

HELP: Final = (
    "Show what a month's invoice would say if it closed now; nothing is written, and no number is taken.\n\n"
    "Messages that are charged on delivery and still wait for their receipt are told apart, with an estimate "
    "from how long receipts took in the two weeks before. Exit code 1: the month is closed, or seller or "
    "buyer are not known."
)
EPILOG: Final = examples("smsgate billing draft boxman", "smsgate billing draft boxman 2026-11 --json")


def draft(
    merchant: Annotated[str, typer.Argument(metavar="MERCHANT", help="Its slug.")],
    month: Annotated[
        str | None, typer.Argument(metavar="[YYYY-MM]", help="A month that is not closed; else this one.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    asked = None
    if month is not None:
        with as_usage("YYYY-MM"):
            asked = Month.parse(month)
    settings = load_settings(config)

    async def work(services: Services) -> Forecast:
        row = await merchant_of(services, merchant)
        wanted = asked or month_of(services.clock.now(), row.timezone)
        return await invoicing_of(settings, services).forecasting.month(row.merchant_id, wanted)

    found = as_draft(with_settings(settings, work))
    if as_json:
        show_json(found.model_dump(mode="json"))
    else:
        _tell(found)


def _tell(found: MonthDraft) -> None:
    show(f"{found.month} ({found.zone}), closes at {found.close_at.isoformat(timespec='seconds')}")
    for each in found.drafts:
        show_table(
            ("line", "month", "quantity", "unit price", "net"),
            [
                [line.name, line.for_month, str(line.quantity), line.unit_price, line.net]
                for line in each.lines
            ],
        )
        kind = "credit note" if each.credit_note else "invoice"
        show(f"{kind}: net {each.net}, VAT {each.vat}, gross {each.gross} {each.currency}")
        for paid in each.prepayments:
            named = paid.number or "a payment without its document yet"
            show(f"paid in advance by {named}: {paid.gross}, VAT in it {paid.vat}")
        if each.prepayments:
            show(f"to pay: {each.due} {each.currency}")
    if not found.drafts:
        show("nothing to bill")
    for late in found.late_receipts:
        show(
            f"{late.messages} messages wait for their receipt: {late.awaited} {late.currency}; expected by "
            f"the close {late.expected_by_close}, after it {late.expected_late} "
            f"(from {found.observed_messages} older messages)"
        )
