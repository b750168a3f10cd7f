"""What a person finds by --help."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
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


def run_and_see(words: Sequence[str], heavy: Sequence[str], stdin: str = "") -> str:
    """Run a command in a new interpreter, which then has none of the `heavy` modules; return its output."""
    script = f"""import sys
from smsgate.cli.main import app
try: app({list(words)!r}, prog_name="smsgate")
except SystemExit as exc: sys.exit(exc.code or ", ".join(sorted(set({heavy!r}) & set(sys.modules))) or 0)"""
    found = subprocess.run(
        [sys.executable, "-c", script], input=stdin, capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")
    return found.stdout


def test_a_question_about_commands_imports_none_of_them() -> None:
    """Nobody waits for a database driver to read a list."""
    assert "carrier" in run_and_see(["--help"], ["aiohttp", "asyncpg", "pydantic", "phonenumbers"])


def test_an_export_imports_neither_what_makes_documents_nor_the_api() -> None:
    """Memory of a month of ten million rows is the export's own."""
    heavy = ["aiohttp", "facturx", "fpdf", "lxml", "pyarrow", "xlsxwriter"]
    run_and_see(["billing", "export", "--help"], heavy)


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        (["reply", "ok merci", "--lang", "fr"], ""),
        (["text", "Boxman: CD Madonna 19,90 EUR."], ""),
        (["pdu", "decode", "00000010000000150000000000000001"], ""),
        (["billing", "simulate", "-"], '{"kind": "segments", "input": {"texts": ["OK"]}}'),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_a_command_that_only_computes_starts_without_what_the_daemon_needs(
    words: list[str], stdin: str
) -> None:
    heavy = [
        "aiohttp", "asyncpg", "cryptography", "facturx", "phonenumbers", "prometheus_client",
        "smsgate.config", "ssl", "structlog",
    ]  # fmt: skip
    assert run_and_see(words, heavy, stdin)


def test_the_configuration_is_read_without_what_it_is_for() -> None:
    script = """import sys, smsgate.config
for name in ("aiohttp", "cryptography", "prometheus_client"): assert name not in sys.modules, name"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
