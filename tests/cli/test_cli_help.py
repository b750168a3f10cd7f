"""What a person finds by --help."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smsgate.cli.billing import COMMANDS as BILLING
from smsgate.cli.lazy import Command, LazyCommands, load
from smsgate.cli.main import COMMANDS as ENTRIES
from tests.cli.command_shell import Shell


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if isinstance(command, LazyCommands):
        for entry in command.table.values():
            yield from commands(load(entry), (*path, entry.name))
    elif subcommands := getattr(command, "commands", None):
        for name, each in subcommands.items():
            yield from commands(each, (*path, name))
    else:
        yield " ".join(path), command


COMMANDS = {name: each for entry in ENTRIES for name, each in commands(load(entry), (entry.name,))}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_of_itself(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert f"\n  smsgate {name}" in command.epilog.replace("SMSGATE_STATE_DIR=/var/lib/smsgate ", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is_for(name: str) -> None:
    for parameter in COMMANDS[name].params:
        assert getattr(parameter, "help", None), f"{name} {parameter.name}"


def test_the_exit_codes_stand_in_the_help(tmp_path: Path) -> None:
    found = Shell(tmp_path).ok("--help")
    for line in (
        "0    done",
        "1    failed",
        "2    the command line or the configuration",
        "3    the database",
    ):
        assert line in found.out


def test_an_unknown_option_is_a_usage_error(tmp_path: Path) -> None:
    found = Shell(tmp_path).run("version", "--nonsense")
    assert found.code == 2
    assert "--nonsense" in found.err
    assert found.out == ""


def test_version_and_openapi_need_no_database(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    assert shell.ok("version", "--json").json() == {"version": shell.ok("--version").out.split()[-1]}
    assert shell.ok("openapi").json()["openapi"] == "3.1.0"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("entry", [*ENTRIES, *BILLING], ids=lambda entry: entry.name)
def test_the_list_of_commands_says_what_their_own_help_says(entry: Command) -> None:
    assert entry.summary.rstrip(".").split()[0] == load(entry).help.split()[0]


def test_a_question_about_commands_imports_none_of_them() -> None:
    """Nobody waits for a database driver to read a list."""
    heavy = "aiohttp", "asyncpg", "pydantic", "phonenumbers"
    script = f"""import sys
from smsgate.cli.main import app
try: app(["--help"], prog_name="smsgate")
except SystemExit: sys.exit(", ".join(sorted(set({heavy!r}) & set(sys.modules))) or 0)"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    assert "carrier" in found.stdout


def test_an_export_does_not_import_what_makes_documents() -> None:
    """Memory of a month of ten million rows is the export's own."""
    heavy = "facturx", "fpdf", "lxml", "pyarrow", "xlsxwriter"
    script = f"""import sys
from smsgate.cli.main import app
try: app(["billing", "export", "--help"], prog_name="smsgate")
except SystemExit: sys.exit(", ".join(sorted(set({heavy!r}) & set(sys.modules))) or 0)"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
