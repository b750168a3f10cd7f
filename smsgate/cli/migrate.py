"""`smsgate migrate`: bring the database's schema to this version, or only look."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit, sentence_of
from smsgate.cli.output import say
from smsgate.cli.sessions import run_to_end
from smsgate.config import load_settings
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
    raise typer.Exit(
        run_to_end(_migrate(settings.node.state_dir, settings.database.dsns(), check_only=check))
    )


async def _migrate(state_dir: Path, dsns: Dsns | None, *, check_only: bool) -> Exit:
    async with AsyncExitStack() as stack:
        source: Dsns | EmbeddedPostgres
        if dsns is not None:
            source = dsns
        else:
            source = await stack.enter_async_context(EmbeddedPostgres(state_dir, on_progress=say))
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
