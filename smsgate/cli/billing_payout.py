"""`smsgate billing payout`: what a merchant gets of a month of premium messages."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from smsgate.billing.payouts import PremiumUse
from smsgate.billing.periods import Month
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit, UsageRefused, as_usage
from smsgate.cli.files import unreadable
from smsgate.cli.output import JsonOption, say, show, show_json, show_table
from smsgate.cli.sessions import merchant_of, with_settings
from smsgate.config import load_settings
from smsgate.daemon.invoicing import invoicing_of
from smsgate.daemon.services import Services
from smsgate.errors import Invalid
from smsgate.flows.billing_records import DocumentRow
from smsgate.flows.payouts import PayoutPlan
from smsgate.money import micros_from_text, micros_to_text, minor_to_text

HELP: Final = (
    "Pay a merchant's premium month out, once: a self-billed invoice (389) in its name, and what is owed to "
    "it in the ledger.\n\nThe file is CSV with short_code, retail_price (with VAT), vat_rate, carrier_share, "
    "merchant_share (per cent) and billed, by the carrier's count. What would be written is shown first. "
    "Exit code 1: nothing is written yet, the month is not over, or it is paid out with other figures."
)
EPILOG: Final = examples(
    "smsgate billing payout boxman 2026-11 premium.csv",
    "smsgate billing payout boxman 2026-11 premium.csv --yes",
)
COLUMNS: Final = ("short_code", "retail_price", "vat_rate", "carrier_share", "merchant_share", "billed")
FILE_OCTETS_MAX: Final = 1 << 20  # 500 lines of 100 octets, many times
STANDARD_INPUT: Final = Path("-")


def payout(
    merchant: Annotated[str, typer.Argument(metavar="MERCHANT", help="Its slug.")],
    month: Annotated[str, typer.Argument(metavar="YYYY-MM", help="A month of its time zone that is over.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="- is standard input.")],
    currency: Annotated[
        str | None, typer.Option(help="Of the prices.", show_default="the merchant's")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Write it without asking.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    with as_usage("YYYY-MM"):
        wanted = Month.parse(month)
    uses = _uses(file)
    settings = load_settings(config)

    async def work(services: Services) -> tuple[PayoutPlan, DocumentRow | None]:
        payouts = invoicing_of(settings, services).payouts
        row = await merchant_of(services, merchant)
        plan = await payouts.plan(row.merchant_id, wanted, uses, currency)
        return plan, await payouts.close(plan) if yes else None

    plan, row = with_settings(settings, work)
    _tell(plan, row, as_json)
    if row is None:
        say("Nothing is written yet: repeat it with --yes.")
        raise typer.Exit(Exit.FAILED)
    say(f"{row.number} of {row.issued_on}: smsgate billing invoice {row.number}")


def _uses(file: Path) -> list[PremiumUse]:
    try:
        octets = sys.stdin.buffer.read(FILE_OCTETS_MAX + 1) if file == STANDARD_INPUT else file.read_bytes()
    except OSError as exc:
        raise unreadable(file, exc) from exc
    if len(octets) > FILE_OCTETS_MAX:
        raise UsageRefused(f"{file} is larger than {FILE_OCTETS_MAX} octets.")
    try:
        rows = list(csv.DictReader(io.StringIO(octets.decode("utf-8-sig"), newline=""), strict=True))
    except (csv.Error, UnicodeDecodeError) as exc:
        raise UsageRefused(f"{file} is no CSV in UTF-8: {exc}.") from exc
    if not rows or set(rows[0]) != set(COLUMNS):
        raise UsageRefused(f"{file} must have rows, and the columns {', '.join(COLUMNS)}.")
    found: list[PremiumUse] = []
    for line, row in enumerate(rows, 2):
        with as_usage(f"{file}, line {line}"):
            found.append(_use(row))
    return found


def _use(row: dict[str, str]) -> PremiumUse:
    code, billed = (row[name] or "" for name in ("short_code", "billed"))
    for name, text in (("short_code", code), ("billed", billed)):
        if not (text.isascii() and text.isdecimal() and len(text) <= 10):
            raise Invalid(f"{name} {text[:20]!r} is no number")
    retail, vat_rate, carrier, own = (micros_from_text(row[name] or "") for name in COLUMNS[1:5])
    return PremiumUse(code, retail, vat_rate, carrier, own, int(billed))


def _tell(plan: PayoutPlan, row: DocumentRow | None, as_json: bool) -> None:
    currency, document = plan.currency, plan.draft.document
    lines = [
        {
            "short_code": use.short_code,
            "billed": str(use.billed),
            "retail_price": micros_to_text(use.retail_micros),
            "net": minor_to_text(line.net_minor, currency),
        }
        for use, line in zip(plan.uses, document.lines, strict=True)
    ]
    sums = {
        "net": minor_to_text(document.net_minor, currency),
        "vat": minor_to_text(document.vat_minor, currency),
        "gross": minor_to_text(document.gross_minor, currency),
    }
    if as_json:
        number = None if row is None else row.number
        show_json({"month": str(plan.month), "currency": currency, "number": number, "lines": lines, **sums})
        return
    show_table(tuple(lines[0]), [list(line.values()) for line in lines])
    category = document.vat_rows[0].vat.category
    show(f"net {sums['net']}, VAT {category} {sums['vat']}, gross {sums['gross']} {currency}")
