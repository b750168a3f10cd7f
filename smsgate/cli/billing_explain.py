"""`smsgate billing explain`: one message's money, from the price list to the line of the document."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from smsgate.api.routes_explanations import as_operator_explanation, sentences
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit
from smsgate.cli.output import JsonOption, show, show_json
from smsgate.cli.sessions import with_settings
from smsgate.config import load_settings
from smsgate.daemon.billing_reports import reports_of
from smsgate.daemon.services import Services
from smsgate.errors import NotFound
from smsgate.flows.explaining import Answered
from smsgate.security.public_ids import PublicIds

HELP: Final = (
    "Say what a message (or a reply) was charged and cost, and why: price list and version, segments, basis, "
    "month, posting, line of the invoice, cost and margin.\n\nEverything is computed once more. Ends with 1 "
    "when that does not agree with what is stored, or there is no such message."
)
EPILOG: Final = examples(
    "smsgate billing explain msg_4SM5xMC6jN0nK0nRvRX2rZ",
    "smsgate billing explain inb_4SM5xMC6jN0nK0nRvRX2rZ --json",
)


def explain(
    message: Annotated[
        str, typer.Argument(metavar="MESSAGE_ID", help="As API, webhooks and exports name it.")
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    settings = load_settings(config)

    async def work(services: Services) -> tuple[Answered, PublicIds]:
        try:
            answered = await reports_of(settings, services).explaining.explain(message)
        except NotFound:
            raise NotFound(
                f"No message has the id {message[:64]!r}: it is none of this gateway, or was dropped after "
                "the days that [retention] says."
            ) from None
        return answered, services.public_ids

    answered, public_ids = with_settings(settings, work)
    if as_json:
        told = as_operator_explanation(message, answered.merchant_id, answered.explained, public_ids)
        show_json(told.model_dump(mode="json"))
    else:
        for sentence in sentences(answered.explained, operator=True):
            show(sentence)
    raise typer.Exit(Exit.FAILED if answered.explained.wrong else Exit.OK)
