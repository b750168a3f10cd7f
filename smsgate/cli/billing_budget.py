"""`smsgate billing budget`, `topup` and `refund`: what a merchant may send for, and what it paid in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import typer

from smsgate.cli.billing_tables import document_json, show_documents
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit, UsageRefused, as_usage
from smsgate.cli.output import JsonOption, say, show, show_json
from smsgate.cli.sessions import merchant_of, with_services, with_settings
from smsgate.config import load_settings
from smsgate.daemon.invoicing import prepaying_of
from smsgate.daemon.services import Services
from smsgate.errors import Invalid
from smsgate.flows.billing_records import DocumentRow
from smsgate.flows.budget_records import BudgetState, BudgetTerms, budget_view
from smsgate.flows.prepaying import ToppedUp
from smsgate.money import micros_from_text, minor_to_text
from smsgate.store.budget_terms import PgBudgets

BUDGET_HELP: Final = (
    "Show what a merchant may still send for, or set it: a balance paid in before, caps on each month and on "
    "each day, or all of them.\n\nWithout a budget nothing bounds what it sends. Gateways that run follow "
    "within a second. Exit code 1: there is no budget, or a cap is below what its month or day has spent."
)
BUDGET_EPILOG: Final = examples(
    "smsgate billing budget boxman",
    "smsgate billing budget boxman --prepaid --alarm 50",
    "smsgate billing budget boxman --month-cap 2500.00 --day-cap 200",
    "smsgate billing budget boxman --no-prepaid --month-cap none",
)
TOPUP_HELP: Final = (
    "Book a payment to a merchant's balance, once for its reference; what waits for money goes on by itself."
    "\n\nThe amount is in the merchant's currency, without VAT: 500 stands for 600 that arrived at 20 %. Its "
    "prepayment invoice (386) is written at once when seller and buyer are known, else with the next close "
    "or when the same payment is told again. Exit code 1: no budget, an amount finer than a cent, or another "
    "amount is booked under this reference."
)
TOPUP_EPILOG: Final = examples(
    "smsgate billing topup boxman 500 --reference 'transfer 2026-11-03'",
    "smsgate billing topup boxman 49.90 --reference 'transfer 2026-11-17' --json",
)
REFUND_HELP: Final = (
    "Pay back what a merchant can still send for, with its VAT, by a credit note (503) of each prepayment."
    "\n\nFor the end of a contract, after the last close: exit code 1 when something is used and on no "
    "document yet, or nothing is left. Told again with the same reference it pays nothing more, and shows "
    "the documents of the first time. The transfer itself is yours to make."
)
REFUND_EPILOG: Final = examples(
    "smsgate billing refund boxman --reference 'transfer back 2026-12-15'",
    "smsgate billing refund boxman --reference 'transfer back 2026-12-15' --json",
)
NONE: Final = "none"

Merchant = Annotated[str, typer.Argument(metavar="MERCHANT", help="Its slug.")]


def budget(
    merchant: Merchant,
    prepaid: Annotated[
        bool | None,
        typer.Option("--prepaid/--no-prepaid", help="Whether it sends for what was paid in alone."),
    ] = None,
    month_cap: Annotated[
        str | None, typer.Option(metavar="AMOUNT|none", help="For each month of its time zone.")
    ] = None,
    day_cap: Annotated[
        str | None, typer.Option(metavar="AMOUNT|none", help="For each day of its time zone.")
    ] = None,
    alarm: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="Tell the shop when no more than this is left.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    terms = BudgetTerms(
        prepaid=prepaid,
        month_cap_micros=None if month_cap in {None, NONE} else _amount("--month-cap", month_cap or ""),
        without_cap=month_cap == NONE,
        day_cap_micros=None if day_cap in {None, NONE} else _amount("--day-cap", day_cap or ""),
        without_day_cap=day_cap == NONE,
        alarm_micros=None if alarm is None else _amount("--alarm", alarm),
    )

    async def work(budgets: PgBudgets, services: Services, merchant_id: int) -> BudgetState | None:
        now = services.clock.now()
        if terms == BudgetTerms():
            return await budgets.state(merchant_id, now)
        return await budgets.set_terms(merchant_id, terms, now)

    _show(_with_budgets(config, merchant, work), as_json)


def topup(
    merchant: Merchant,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="Such as 500 or 49.90, without VAT.")],
    reference: Annotated[str, typer.Option(help="Of the payment, for the books; each books once.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    micros = _amount("AMOUNT", amount)
    if not micros:
        raise UsageRefused("AMOUNT: a top-up pays something in.")
    if not reference.strip():
        raise UsageRefused("--reference: say which payment it is.")
    settings = load_settings(config)

    async def work(services: Services) -> ToppedUp:
        row = await merchant_of(services, merchant)
        return await prepaying_of(settings, services).top_up(row.merchant_id, micros, reference)

    topped = with_settings(settings, work)
    _show(topped.state, as_json, topped.document)
    if topped.document is None:
        say(f"No prepayment invoice yet: {topped.waits}.")


def refund(
    merchant: Merchant,
    reference: Annotated[str, typer.Option(help="Of the payment back, for the books; each pays back once.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    settings = load_settings(config)

    async def work(services: Services) -> list[DocumentRow]:
        row = await merchant_of(services, merchant)
        return await prepaying_of(settings, services).refund(row.merchant_id, reference)

    show_documents(with_settings(settings, work), as_json)


def _amount(option: str, text: str) -> int:
    with as_usage(option):
        micros = micros_from_text(text)
        if micros < 0:
            raise Invalid("an amount is not below zero")
    return micros


def _with_budgets(
    config: Any, slug: str, work: Callable[[PgBudgets, Services, int], Awaitable[BudgetState | None]]
) -> BudgetState | None:
    async def session(services: Services) -> BudgetState | None:
        row = await merchant_of(services, slug)
        return await work(PgBudgets(services.database, services.ids.next), services, row.merchant_id)

    return with_services(config, session)


def _show(state: BudgetState | None, as_json: bool, document: DocumentRow | None = None) -> None:
    if state is None:
        say("No budget: nothing bounds what this merchant sends.")
        raise typer.Exit(Exit.FAILED)
    view = budget_view(state)
    if as_json:
        show_json(view if document is None else view | {"document": document_json(document)})
        return
    currency = state.currency
    if document is not None:
        gross = minor_to_text(document.gross_minor, document.currency)
        vat = minor_to_text(document.vat_minor, document.currency)
        show(f"prepayment invoice {document.number}: {gross} {currency} paid, VAT in it {vat}")
    if view["prepaid"]:
        show(
            f"paid in {view['paid_in']} {currency}: available {view['available']}, leased {view['leased']} "
            f"(in doubt {view['in_doubt']}), spent {view['spent']}"
        )
        show(f"on invoices {view['deducted']} deducted, paid back {view['refunded']} {currency}")
    for span in ("month", "day"):
        told = view[span]
        cap = "no cap" if told["cap"] is None else f"cap {told['cap']}, left {told['left']}"
        show(f"{told[span]}: {cap}, leased {told['leased']}, spent {told['spent']} {currency}")
    show(f"alarm at {view['alarm']} {currency}")
    if view["held"]:
        show("held: budget. Messages wait for a top-up, another cap, the next day or month.")
