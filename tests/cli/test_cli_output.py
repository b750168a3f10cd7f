"""What reaches the terminal."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from smsgate.cli.exits import UsageRefused, exit_of, sentence_of
from smsgate.cli.output import printable
from smsgate.cli.phone import control_url
from smsgate.cli.smsc import seconds_range
from smsgate.errors import ConfigError, NotFound, StoreNotReady, StoreUnavailable
from tests.cli.command_shell import COMMAND, LIMIT_S, Shell


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Skivhuset Åre, 19,90 €", "Skivhuset Åre, 19,90 €"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("one\ntwo\r", "one\\ntwo\\r"),
        ("\u202eevil", "\\u202eevil"),
        ("\u2066a\u2069", "\\u2066a\\u2069"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u2028b", "a\\u2028b"),
        ("👩\u200d👧", "👩\u200d👧"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_instead(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_errors_end_as_the_table_says() -> None:
    codes = {2: (ConfigError, UsageRefused), 3: (StoreUnavailable, StoreNotReady), 1: (NotFound,)}
    for code, errors in codes.items():
        for error in errors:
            assert int(exit_of(error("x"))) == code


def test_an_error_is_a_sentence_with_place_and_remedy() -> None:
    error = ConfigError("not a port", where="http.port", mend="write 0 to 65535")
    assert sentence_of(error) == "http.port: not a port. Write 0 to 65535."
    error = ConfigError("http.port: not a port", where="http.port", mend="write 0 to 65535")
    assert sentence_of(error) == "http.port: not a port. Write 0 to 65535."
    assert sentence_of(NotFound("No such thing.")) == "No such thing."


@pytest.mark.parametrize(("text", "found"), [("0.5,3", (0.5, 3.0)), ("2", (2.0, 2.0)), ("0,0", (0.0, 0.0))])
def test_a_range_of_seconds_is_read(text: str, found: tuple[float, float]) -> None:
    assert seconds_range(text, "--x") == found


@pytest.mark.parametrize("text", ["", "3,1", "-1,2", "a,b", "1,nan", "0,inf", "1,2,3", "nan"])
def test_no_range_of_seconds_is_refused(text: str) -> None:
    with pytest.raises(UsageRefused, match="--x"):
        seconds_range(text, "--x")


def test_the_simulator_is_where_the_option_says_or_the_environment_or_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = tmp_path / "demo.json"
    monkeypatch.delenv("SMSGATE_PHONES", raising=False)
    assert control_url(None, notes) == "http://127.0.0.1:2776"
    notes.write_text("{broken")
    assert control_url(None, notes) == "http://127.0.0.1:2776"
    notes.write_text('{"SMSGATE_PHONES": "http://127.0.0.1:5"}')
    assert control_url(None, notes) == "http://127.0.0.1:5"
    monkeypatch.setenv("SMSGATE_PHONES", "http://127.0.0.1:6")
    assert control_url(None, notes) == "http://127.0.0.1:6"
    assert control_url("http://127.0.0.1:7", notes) == "http://127.0.0.1:7"


@pytest.mark.parametrize(
    "arguments", ["text Bonjour", "pdu decode 00000010000000150000000000000001", "version"]
)
def test_a_full_disk_is_said_in_a_sentence(arguments: str, tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    done = in_sh(shell, f"{arguments} > /dev/full")
    assert done == (1, "", "smsgate: Cannot write: No space left on device.\n")


@pytest.mark.parametrize("command", ["merchant list", "billing verify --export {}"])
def test_what_the_system_refuses_is_said_in_a_sentence(command: str, tmp_path: Path) -> None:
    place = tmp_path / ("x" * 256)  # longer than a name may be, for root, too
    done = Shell(tmp_path, {"SMSGATE_STATE_DIR": str(place)}).run(*command.format(place).split())
    assert (done.code, done.out) == (1, ""), done
    (sentence,) = done.err.splitlines()
    assert sentence.startswith(f"smsgate: {place}")
    assert sentence.endswith(": File name too long.")


def test_a_file_where_the_demo_has_its_directory_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "var").touch()
    done = Shell(tmp_path).run("demo", "--once")
    assert (done.code, done.out, done.err) == (1, "", "smsgate: var/demo.lock: Not a directory.\n")


def test_a_standard_stream_that_is_closed_is_an_empty_one(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    assert in_sh(shell, "pdu decode <&-") == (0, "", "")
    assert in_sh(shell, "text Bonjour >&-") == (0, "", "")


def in_sh(shell: Shell, words: str) -> tuple[int, str, str]:
    """Let sh redirect; return exit code, standard output and error."""
    done = subprocess.run(
        ["sh", "-c", f"{shlex.join(COMMAND)} {words}"],
        cwd=shell.cwd,
        env=shell.environment(),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr
