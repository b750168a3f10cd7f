"""`smsgate esme`: accounts of other companies' applications that bind to us by SMPP."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

import typer

from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import UsageRefused
from smsgate.cli.output import JsonOption, say, show, show_json, show_table
from smsgate.cli.sessions import merchant_of, silence_logs, with_services, with_settings
from smsgate.config import Settings, load_settings
from smsgate.daemon.control import ask_esmes
from smsgate.daemon.esmes import esme_accounts
from smsgate.daemon.reloading import sender_table
from smsgate.daemon.services import Services
from smsgate.errors import Invalid, NotFound
from smsgate.flows.esme_accounts import AccountAsk, EsmeAccounts
from smsgate.flows.esme_records import (
    BINDS_DEFAULT,
    QUEUE_DEFAULT,
    RATE_DEFAULT_PER_S,
    WINDOW_DEFAULT,
    EsmeAccount,
    Purpose,
)
from smsgate.store.esmes import PgEsmeAccounts

app: Final = typer.Typer(
    help="ESME accounts: add, list, set-password, disable, enable, sessions.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

SystemIdArgument = Annotated[str, typer.Argument(metavar="SYSTEM_ID", help="What the ESME binds as.")]


@app.command(
    "add",
    help="Make an account and print its password: this once, for only its code is kept.",
    epilog=examples(
        "smsgate esme add boxman boxman-erp --sender 36111",
        "smsgate esme add clinic clinic --sender 38123 --number 38123 --rate-per-s 100 --daily-max 50000",
        "smsgate esme add shop shop-ads --sender 36111 --purpose marketing",
    ),
)
def add(
    slug: Annotated[str, typer.Argument(metavar="MERCHANT_SLUG", help="Who pays for what it sends.")],
    system_id: SystemIdArgument,
    sender: Annotated[
        list[str], typer.Option(help="A number or name that it may send from; again for more.")
    ],
    number: Annotated[
        list[str] | None,
        typer.Option(help="A number whose MOs it gets, not the reply reader; again for more."),
    ] = None,
    purpose: Annotated[
        Purpose, typer.Option(help="marketing reaches subscribers who agreed, and nobody else.")
    ] = Purpose.TRANSACTIONAL,
    binds_max: Annotated[int, typer.Option(help="Sessions at once.")] = BINDS_DEFAULT,
    window_max: Annotated[
        int, typer.Option(help="deliver_sm without an answer, per session.")
    ] = WINDOW_DEFAULT,
    rate_per_s: Annotated[int, typer.Option(help="Segments a second.")] = RATE_DEFAULT_PER_S,
    queue_max: Annotated[int, typer.Option(help="Messages that wait to leave.")] = QUEUE_DEFAULT,
    daily_max: Annotated[
        int | None, typer.Option(help="Segments a day (UTC).", show_default="no limit")
    ] = None,
    binary: Annotated[bool, typer.Option("--binary", help="Let binary, ports and WAP Push through.")] = False,
    join_mo: Annotated[
        bool, typer.Option("--join-mo", help="Long MOs in one piece, not part by part.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    settings = load_settings(config)
    ask = AccountAsk(
        system_id=system_id,
        senders=tuple(sender),
        numbers=tuple(number or ()),
        purpose=purpose,
        binds_max=binds_max,
        window_max=window_max,
        rate_per_s=rate_per_s,
        queue_max=queue_max,
        daily_max=daily_max,
        allow_binary=binary,
        join_mo=join_mo,
    )

    async def work(services: Services) -> tuple[EsmeAccount, str]:
        merchant = await merchant_of(services, slug)
        return await _accounts(settings, services).add(merchant, ask)

    try:
        account, password = with_settings(settings, work)
    except Invalid as exc:
        raise UsageRefused(str(exc)) from exc
    _show_password(account, password, as_json=as_json)


@app.command(
    "list",
    help="List ESME accounts; without a merchant, everybody's.",
    epilog=examples("smsgate esme list", "smsgate esme list boxman --json"),
)
def list_(
    slug: Annotated[str | None, typer.Argument(metavar="[MERCHANT_SLUG]", help="Whose they are.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    async def work(services: Services) -> list[EsmeAccount]:
        store = PgEsmeAccounts(services.database)
        if slug is None:
            return await store.all()
        merchant = await merchant_of(services, slug)
        return [row for row in await store.all() if row.merchant_id == merchant.merchant_id]

    rows = with_services(config, work)
    if as_json:
        show_json([_as_dict(row) for row in rows])
        return
    show_table(
        ("SYSTEM_ID", "MERCHANT", "PURPOSE", "STATE", "SENDERS", "NUMBERS", "BINDS", "RATE/S"),
        [
            [
                row.system_id,
                row.slug,
                row.purpose.value,
                "active" if row.active else "disabled",
                ",".join(row.senders),
                ",".join(row.numbers),
                str(row.binds_max),
                str(row.rate_per_s),
            ]
            for row in rows
        ],
    )


@app.command(
    "set-password",
    help="Give an account a new password and print it; its open sessions end within seconds.",
    epilog=examples("smsgate esme set-password boxman-erp"),
)
def set_password(
    system_id: SystemIdArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    settings = load_settings(config)

    async def work(services: Services) -> tuple[EsmeAccount, str]:
        account = await _account_of(services, system_id)
        return await _accounts(settings, services).new_password(account.account_id)

    account, password = with_settings(settings, work)
    _show_password(account, password, as_json=as_json)


@app.command(
    "disable",
    help="Let an account bind no more; its open sessions end within seconds.",
    epilog=examples("smsgate esme disable boxman-erp"),
)
def disable(system_id: SystemIdArgument, config: ConfigOption = None) -> None:
    _set_active(system_id, config, active=False)


@app.command(
    "enable",
    help="Let a disabled account bind again.",
    epilog=examples("smsgate esme enable boxman-erp"),
)
def enable(system_id: SystemIdArgument, config: ConfigOption = None) -> None:
    _set_active(system_id, config, active=True)


@app.command(
    "sessions",
    help="Say which ESMEs are bound to the gateway that runs on this machine.",
    epilog=examples("smsgate esme sessions", "smsgate esme sessions --json"),
)
def sessions(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    silence_logs()
    rows = asyncio.run(ask_esmes(load_settings(config).node.state_dir))
    if as_json:
        show_json(rows)
        return
    names = ("system_id", "bind", "peer", "since", "submits", "refused", "delivered", "window_used")
    show_table([name.upper() for name in names], [[str(row[name]) for name in names] for row in rows])


def _set_active(system_id: str, config: Any, *, active: bool) -> None:
    async def work(services: Services) -> None:
        account = await _account_of(services, system_id)
        await PgEsmeAccounts(services.database).set_active(account.account_id, active=active)

    with_services(config, work)
    say(f"{system_id} is {'active' if active else 'disabled'}.")


def _accounts(settings: Settings, services: Services) -> EsmeAccounts:
    return esme_accounts(settings, services, sender_table(settings))


async def _account_of(services: Services, system_id: str) -> EsmeAccount:
    found = await PgEsmeAccounts(services.database).by_system_id(system_id)
    if found is None:
        raise NotFound(f"No account has the system_id {system_id!r}: `smsgate esme list` shows them.")
    return found


def _show_password(account: EsmeAccount, password: str, *, as_json: bool) -> None:
    if as_json:
        show_json({**_as_dict(account), "password": password})
        return
    show(password)
    say(f"Keep it now: it is not shown again. For another: smsgate esme set-password {account.system_id}")


def _as_dict(row: EsmeAccount) -> dict[str, object]:
    return {
        "system_id": row.system_id,
        "merchant": row.slug,
        "purpose": row.purpose.value,
        "active": row.active,
        "senders": list(row.senders),
        "numbers": list(row.numbers),
        "binds_max": row.binds_max,
        "window_max": row.window_max,
        "rate_per_s": row.rate_per_s,
        "queue_max": row.queue_max,
        "daily_max": row.daily_max,
        "allow_binary": row.allow_binary,
        "join_mo": row.join_mo,
        "created_at": row.created_at,
    }
