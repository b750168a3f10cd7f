"""`smsgate billing margins`: what is left per merchant, campaign and carrier, and which prices lose money."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from smsgate.api.routes_margins import as_margins
from smsgate.billing.periods import Month
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import as_usage
from smsgate.cli.output import JsonOption, say, show_json, show_table
from smsgate.cli.sessions import merchant_of, with_settings
from smsgate.config import load_settings
from smsgate.daemon.billing_reports import reports_of
from smsgate.daemon.services import Services
from smsgate.flows.margins import By, MarginReport
from smsgate.money import micros_to_text
from smsgate.security.public_ids import PublicIds

HELP: Final = (
    "Say what is left of a month's revenue after carriers' costs, what loses most first; and which prices in "
    "force are below cost.\n\nFrom the ledger's entries, by the month of each merchant's own zone. "
    "Currencies are never added."
)
EPILOG: Final = examples(
    "smsgate billing margins 2026-10",
    "smsgate billing margins 2026-10 --by carrier --json",
    "smsgate billing margins 2026-10 --by campaign --merchant boxman",
)


def margins(
    month: Annotated[str, typer.Argument(metavar="YYYY-MM", help="A month of each merchant's time zone.")],
    by: Annotated[By, typer.Option(help="What to add up by.")] = By.MERCHANT,
    merchant: Annotated[str | None, typer.Option(help="Its slug.", show_default="all")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    with as_usage("YYYY-MM"):
        asked = Month.parse(month)
    settings = load_settings(config)

    async def work(services: Services) -> tuple[MarginReport, PublicIds]:
        merchant_id = None if merchant is None else (await merchant_of(services, merchant)).merchant_id
        report = await reports_of(settings, services).margins.report(asked, by, merchant_id)
        return report, services.public_ids

    report, public_ids = with_settings(settings, work)
    if as_json:
        show_json(as_margins(report, public_ids).model_dump(mode="json"))
        return
    _tell(report, public_ids)


def _tell(report: MarginReport, public_ids: PublicIds) -> None:
    shown = as_margins(report, public_ids)
    show_table(
        ("merchant", "campaign", "carrier", "messages", "segments", "revenue", "cost", "margin", ""),
        [
            [
                line.merchant or "-", line.campaign or "-", line.carrier or "-", str(line.messages),
                str(line.segments), line.revenue, line.cost, line.margin,
                f"{line.currency}{', below cost' if line.below_cost else ''}",
            ]
            for line in shown.data
        ],
    )  # fmt: skip
    for line in shown.data:
        if line.segments_without_cost:
            named = " ".join(each for each in (line.merchant, line.campaign, line.carrier) if each)
            say(f"{named or 'All'}: what {line.segments_without_cost} segments cost is not known.")
    for loss in report.losses:
        found = loss.found
        say(
            f"{found.sell_list} sells {found.network} at {micros_to_text(found.sell_micros)} "
            f"{loss.currency}, below the {micros_to_text(found.cost_micros)} of {found.cost_list}."
        )
