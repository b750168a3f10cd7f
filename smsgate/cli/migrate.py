"""`smsgate migrate`: bring the database's schema to this version, or only look."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Annotated, Final

import typer

from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit, sentence_of
from smsgate.cli.output import say
from smsgate.cli.sessions import run_to_end
from smsgate.config import Settings, load_settings
from smsgate.errors import StoreNotReady
from smsgate.store.dsn import Dsns
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database

HELP: Final = "Bring the database's schema up to date."
EPILOG: Final = examples("smsgate migrate", "smsgate migrate --check")


def migrate(
    config: ConfigOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; 1 when the schema is not this version's.")
    ] = False,
) -> None:
    settings = load_settings(config)
    raise typer.Exit(run_to_end(_migrate(settings, check_only=check)))


async def _migrate(settings: Settings, *, check_only: bool) -> Exit:
    async with AsyncExitStack() as stack:
        source: Dsns | EmbeddedPostgres
        dsns, name = settings.database.dsns(), settings.database.name
        if dsns is not None:
            source = dsns
        else:
            server = EmbeddedPostgres(settings.node.state_dir, database=name, on_progress=say)
            source = await stack.enter_async_context(server)
        try:
            database = await stack.enter_async_context(await Database.open(source, migrate=not check_only))
        except StoreNotReady as exc:
            if not check_only:
                raise
            say(sentence_of(exc))
            return Exit.FAILED
        for name in database.migrated:
            say(f"Migration {name} applied.")
        if not database.migrated:
            say("The schema is up to date.")
    return Exit.OK
