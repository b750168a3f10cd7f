"""Commands that are imported when they are asked for: a question is answered at once, not after a second."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, NamedTuple

import typer
import typer.core
import typer.main

OPTIONS: Final[dict[str, Any]] = {
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


class Command(NamedTuple):
    """
    One command: `module` of this room has its `app`, or the `function` with HELP and EPILOG.

    `words` stands before these two names in a module of several commands.

    `summary` is what the list of all commands says of it, so that the list needs no import.
    """

    name: str
    module: str
    summary: str
    function: str = ""
    words: str = ""


class LazyCommands(typer.core.TyperGroup):
    """A group whose commands stand in `table`: `lazy_group` makes one."""

    table: ClassVar[Mapping[str, Command]] = {}

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(self.table)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        entry = self.table.get(cmd_name)
        return None if entry is None else load(entry)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(entry.name, entry.summary) for entry in self.table.values()])


def lazy_group(commands: Sequence[Command]) -> type[LazyCommands]:
    """Return a group of these commands, in their order."""
    return type("LazyGroup", (LazyCommands,), {"table": {command.name: command for command in commands}})


def load(entry: Command) -> Any:
    """Import one command and return it as typer's own click knows it."""
    module = importlib.import_module(f"smsgate.cli.{entry.module}")
    app = typer.Typer(**OPTIONS)
    if not entry.function:
        app.add_typer(module.app, name=entry.name)
        return typer.main.get_group(app).commands[entry.name]
    help_, epilog = (getattr(module, f"{entry.words}{name}") for name in ("HELP", "EPILOG"))
    app.command(entry.name, help=help_, epilog=epilog)(getattr(module, entry.function))
    return typer.main.get_command(app)
