"""`smsgate billing commitment`: the minimum of a merchant's months, seen before it holds."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from smsgate.billing.commitments import Commitment
from smsgate.billing.periods import Month
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit, UsageRefused, as_usage
from smsgate.cli.output import JsonOption, say, show_json, show_table
from smsgate.cli.sessions import merchant_of, with_services
from smsgate.daemon.services import Services
from smsgate.flows.commitments import (
    CommitmentPlan,
    Commitments,
    CommitmentState,
    changes_view,
    commitments_view,
)
from smsgate.money import check_currency, minor_from_text
from smsgate.store.commitments import PgCommitments

HELP: Final = (
    "Show the minimums of a merchant's months, or set one: what the month's invoice lacks of it is a line of "
    "its own.\n\nWhat would change is shown first. Versions are added and never changed; the newest one that "
    "covers a month holds, and closed months keep theirs. Exit code 1: nothing is set yet, or the month is "
    "closed."
)
EPILOG: Final = examples(
    "smsgate billing commitment boxman",
    "smsgate billing commitment boxman --minimum 500 --from 2026-12",
    "smsgate billing commitment boxman --minimum 500 --from 2026-12 --to 2027-11 --yes",
    "smsgate billing commitment boxman --minimum 0 --from 2027-03 --yes",
)
COLUMNS: Final = ("version", "first_month", "last_month", "minimum", "currency", "set_at")
CHANGE_COLUMNS: Final = ("first_month", "last_month", "old", "new")


def commitment(
    merchant: Annotated[str, typer.Argument(metavar="MERCHANT", help="Its slug.")],
    minimum: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="Net of a month, without VAT; 0 ends an earlier one.")
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="YYYY-MM", help="First month, of its time zone.")
    ] = None,
    to: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Last month, included.", show_default="without end")
    ] = None,
    currency: Annotated[
        str | None, typer.Option(help="Of the minimum.", show_default="the merchant's")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Set it without asking.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    if minimum is None:
        if from_ or to or currency or yes:
            raise UsageRefused("--minimum: say how much.")
        _show(with_services(config, lambda services: _state(services, merchant)), as_json)
        return
    with as_usage("--from"):
        first = Month.parse(from_ or "")
    with as_usage("--to"):
        last = None if to is None else Month.parse(to)
    with as_usage("--currency"):
        code = None if currency is None else check_currency(currency)

    async def work(services: Services) -> tuple[CommitmentPlan, CommitmentState | None]:
        row = await merchant_of(services, merchant)
        commitments = _commitments(services)
        wanted = code or (await commitments.state(row.merchant_id)).currency
        with as_usage("--minimum"):
            terms = Commitment(wanted, minor_from_text(minimum, wanted), first, last)
        plan = await commitments.plan(row.merchant_id, terms)
        return plan, await commitments.add(row.merchant_id, plan) if yes else None

    plan, state = with_services(config, work)
    _tell(plan, state, as_json)
    if state is None and plan.changes:
        say("Nothing is set yet: repeat it with --yes.")
        raise typer.Exit(Exit.FAILED)


def _commitments(services: Services) -> Commitments:
    return Commitments(PgCommitments(services.database), services.clock)


async def _state(services: Services, slug: str) -> CommitmentState:
    return await _commitments(services).state((await merchant_of(services, slug)).merchant_id)


def _show(state: CommitmentState, as_json: bool) -> None:
    rows = commitments_view(state)
    if as_json:
        show_json(rows)
    elif rows:
        show_table(COLUMNS, [[_cell(row[column]) for column in COLUMNS] for row in rows])
    else:
        say("No minimum.")


def _tell(plan: CommitmentPlan, state: CommitmentState | None, as_json: bool) -> None:
    changes = changes_view(plan)
    if as_json:
        show_json({"currency": plan.terms.currency, "set": state is not None, "changes": changes})
    elif changes:
        show_table(CHANGE_COLUMNS, [[_cell(row[column]) for column in CHANGE_COLUMNS] for row in changes])
    if not changes:
        say("Nothing would change: this minimum holds already.")


def _cell(value: object) -> str:
    return "-" if value is None else str(value)
