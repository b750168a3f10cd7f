"""`smsgate wap-push`: the octets of a pushed link, as submit_sm carries them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from smsgate.cli.examples import examples
from smsgate.cli.output import JsonOption, show, show_json
from smsgate.protocol.wap_push import (
    Indication,
    Loading,
    SiAction,
    SlAction,
    push_messages,
    push_pdu,
)

app: Final = typer.Typer(
    help="Links as WAP Push: the short_message of each segment, in hexadecimal.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_DATE_FORMS: Final = ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"]

HrefArgument = Annotated[str, typer.Argument(metavar="URL", help="Where the link leads.")]
ReferenceOption = Annotated[
    int, typer.Option(min=0, max=0xFF, help="Reference number, when it takes several segments.")
]
TransactionOption = Annotated[
    int, typer.Option(min=0, max=0xFF, help="WSP transaction id; phones drop one that they have seen lately.")
]


@app.command(
    "si",
    help="Service Indication: a sentence with a link.",
    epilog=examples(
        'smsgate wap-push si https://shop.example/o/7 "Your order is on its way"',
        'smsgate wap-push si https://shop.example/s "Sale" --action signal-high --expires 2026-12-31 --json',
        'smsgate wap-push si https://shop.example/s "Sale" --id sale-7 --action delete',
    ),
)
def si(
    href: HrefArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the phone shows.")],
    action: Annotated[
        SiAction | None, typer.Option(help="How loud it is; left out, phones take signal-medium.")
    ] = None,
    created: Annotated[
        datetime | None, typer.Option(formats=_DATE_FORMS, help="When it was made, UTC.")
    ] = None,
    expires: Annotated[
        datetime | None, typer.Option(formats=_DATE_FORMS, help="When the phone may throw it away, UTC.")
    ] = None,
    si_id: Annotated[
        str, typer.Option("--id", help="Names it, for a later one that replaces or deletes it.")
    ] = "",
    reference: ReferenceOption = 0,
    transaction: TransactionOption = 1,
    as_json: JsonOption = False,
) -> None:
    indication = Indication(href, text, action, _utc(created), _utc(expires), si_id)
    _show(push_pdu(indication, transaction_id=transaction), reference, as_json=as_json)


@app.command(
    "sl",
    help="Service Loading: a link that the phone opens, if its owner lets it.",
    epilog=examples(
        "smsgate wap-push sl https://shop.example/o/7",
        "smsgate wap-push sl https://shop.example/o/7 --action cache --json",
    ),
)
def sl(
    href: HrefArgument,
    action: Annotated[
        SlAction | None, typer.Option(help="What the phone does; left out, phones take execute-low.")
    ] = None,
    reference: ReferenceOption = 0,
    transaction: TransactionOption = 1,
    as_json: JsonOption = False,
) -> None:
    _show(push_pdu(Loading(href, action), transaction_id=transaction), reference, as_json=as_json)


def _show(pdu: bytes, reference: int, *, as_json: bool) -> None:
    sent = push_messages(pdu, reference=reference)
    parts = [octets.hex() for octets in sent.short_messages]
    if as_json:
        show_json(
            {
                "data_coding": sent.data_coding,
                "esm_class": sent.esm_class,
                "segments": len(parts),
                "short_messages": parts,
            }
        )
        return
    for part in parts:
        show(part)


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)
