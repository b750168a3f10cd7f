"""`smsgate key`: API keys of merchants and of the operator."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import UsageRefused
from smsgate.cli.output import JsonOption, say, show, show_json, show_table
from smsgate.cli.sessions import all_merchants, all_rows, merchant_of, with_services
from smsgate.daemon.services import Services
from smsgate.errors import NotFound
from smsgate.flows.api_keys import AskedKey, add_key
from smsgate.flows.ports_api import OPERATOR, Principal
from smsgate.security.api_keys import MERCHANT_SCOPES, Mode, Scope
from smsgate.store.merchants import PgApiKeys

app: Final = typer.Typer(help="API keys: add, list, revoke.", no_args_is_help=True, rich_markup_mode=None)

# What a shop needs from day to day; a key that makes keys has to be asked for.
DEFAULT_SCOPES: Final = MERCHANT_SCOPES - {Scope.KEYS_MANAGE}
NAME_CHARACTERS_MAX: Final = 100  # as over the API

OwnerArgument = Annotated[str | None, typer.Argument(metavar="[MERCHANT_SLUG]", help="Whose key it is.")]
OperatorOption = Annotated[bool, typer.Option("--operator", help="The operator's own key instead.")]


@app.command(
    "add",
    help="Make an API key and print it: this once, for only its hash is kept.",
    epilog=examples(
        "smsgate key add boxman --name shop",
        "smsgate key add boxman --name reports --scopes read,billing.read",
        "smsgate key add boxman --name try --test",
        "smsgate key add --operator --name ops",
    ),
)
def add(
    name: Annotated[str, typer.Option(help="What it is for; at most two keys in force share a name.")],
    owner: OwnerArgument = None,
    operator: OperatorOption = False,
    scopes: Annotated[
        str | None,
        typer.Option(
            help=f"Comma-separated, of {', '.join(sorted(MERCHANT_SCOPES))}.",
            show_default="all but keys.manage",
        ),
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", help="Data of its own, simulated phones, no carrier.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    _check_owner(owner, operator=operator)
    granted = _scopes(scopes, operator=operator)
    if test and operator:
        raise UsageRefused("--test: a merchant's key alone has a test mode.")
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable():
        raise UsageRefused(f"--name: write 1 to {NAME_CHARACTERS_MAX} characters without control characters.")

    async def work(services: Services) -> tuple[Principal, str]:
        owner_id = OPERATOR if owner is None else (await merchant_of(services, owner)).merchant_id
        asked = AskedKey(owner_id, name, Mode.TEST if test else Mode.LIVE, granted)
        store = PgApiKeys(services.database)
        return await add_key(store, services.ids, services.clock, services.key_mac_key, asked)

    added, text = with_services(config, work)
    if as_json:
        show_json({**_as_dict(added, owner), "key": text})
        return
    show(text)
    say("Keep it now: it is not shown again. To end it: smsgate key revoke " + added.public_id)


@app.command(
    "list",
    help="List API keys, by owner; without any owner, everybody's.",
    epilog=examples("smsgate key list boxman", "smsgate key list --operator --json"),
)
def list_(
    owner: OwnerArgument = None,
    operator: OperatorOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    if owner is not None and operator:
        _check_owner(owner, operator=operator)

    async def work(services: Services) -> list[dict[str, object]]:
        owners: list[tuple[int, str | None]] = []
        if owner is not None:
            owners.append(((await merchant_of(services, owner)).merchant_id, owner))
        else:
            owners.append((OPERATOR, None))
            if not operator:
                owners += [(row.merchant_id, row.slug) for row in await all_merchants(services.database)]
        return [
            _as_dict(row, slug) for owner_id, slug in owners for row in await _keys_of(services, owner_id)
        ]

    found = with_services(config, work)
    if as_json:
        show_json(found)
        return
    header = ("key", "owner", "name", "mode", "state", "scopes")
    show_table(header, [_cells(row) for row in found])


@app.command(
    "revoke",
    help="End a key. A running gateway refuses it within 30 seconds.",
    epilog=examples("smsgate key revoke 4fGh2kLm9Q"),
)
def revoke(
    public_id: Annotated[str, typer.Argument(help="The ten characters after sgk_live_, or the whole key.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    wanted = public_id.removeprefix("sgk_live_").removeprefix("sgk_test_")[:10]

    async def work(services: Services) -> Principal:
        store = PgApiKeys(services.database)
        found = await store.find(wanted)
        if found is None:
            raise NotFound(f"No key has the public id {wanted!r}: `smsgate key list` shows those that exist.")
        return await store.revoke(found.key_id, services.clock.now())

    revoked = with_services(config, work)
    if as_json:
        show_json(_as_dict(revoked, None))
    else:
        say(f"The key {revoked.public_id} ({revoked.name}) is revoked.")


async def _keys_of(services: Services, owner_id: int) -> list[Principal]:
    store = PgApiKeys(services.database)
    return list(await all_rows(lambda ask: store.list(owner_id, ask), lambda row: row.key_id))


def _check_owner(owner: str | None, *, operator: bool) -> None:
    if (owner is None) != operator:
        raise UsageRefused(
            "Name the merchant whose key it is by its slug, or say --operator: one of the two."
        )


def _scopes(text: str | None, *, operator: bool) -> tuple[str, ...]:
    if operator:
        if text is not None:
            raise UsageRefused("An operator's key has the scope operator and no other: leave --scopes away.")
        return (Scope.OPERATOR.value,)
    wanted = DEFAULT_SCOPES if text is None else {part.strip() for part in text.split(",") if part.strip()}
    unknown = sorted(set(wanted) - MERCHANT_SCOPES)
    if unknown or not wanted:
        known = ", ".join(sorted(MERCHANT_SCOPES))
        raise UsageRefused(f"--scopes: {', '.join(unknown) or 'nothing'} is none of {known}.")
    return tuple(sorted(wanted))


def _as_dict(row: Principal, owner: str | None) -> dict[str, object]:
    return {
        "public_id": row.public_id,
        "owner": "operator" if row.owner_id == OPERATOR else owner,
        "name": row.name,
        "mode": row.mode,
        "scopes": sorted(row.scopes),
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "revoked_at": row.revoked_at,
        "last_used_at": row.last_used_at,
    }


def _cells(row: dict[str, object]) -> list[str]:
    scopes = row["scopes"]
    assert isinstance(scopes, list)
    state = "revoked" if row["revoked_at"] else "in force"
    return [
        str(row["public_id"]),
        str(row["owner"]),
        str(row["name"]),
        str(row["mode"]),
        state,
        ",".join(scopes),
    ]
