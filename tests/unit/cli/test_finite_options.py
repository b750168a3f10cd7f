"""Options that take a number take no "inf", no "nan" and none that nothing can be reckoned with."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from smsgate.cli.exits import UsageRefused
from smsgate.cli.main import app

SMSC = ("smsc", "--port", "0", "--control-port", "0")
DOCTOR = ("carrier", "doctor", "sim", "--to", "+33612345678", "--config", "none.toml")


@pytest.mark.parametrize("value", ["inf", "nan", "-inf"])
@pytest.mark.parametrize(
    ("command", "option"),
    [
        *((SMSC, name) for name in ("--latency-ms", "--receipt-delay-s", "--reply-delay-s")),
        *((SMSC, name) for name in ("--undelivered", "--ok", "--stop")),
        (DOCTOR, "--wait-s"),
    ],
)
def test_what_is_no_finite_number_is_refused(command: tuple[str, ...], option: str, value: str) -> None:
    found = CliRunner().invoke(app, [*command, option, value])
    assert found.exit_code == 2 or isinstance(found.exception, UsageRefused)
    assert option in found.output + str(found.exception)


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        (("offer", "version", "ofr_x"), "--expires-in-h", "100000000"),
        (("text", "OK", "--json"), "--price", "99999999999999999999"),
        ((*SMSC, "--json"), "--seed", "99999999999999999999"),
        ((*SMSC, "--json"), "--seed", "-99999999999999999999"),
    ],
)
def test_a_number_beyond_all_use_is_refused(command: tuple[str, ...], option: str, value: str) -> None:
    found = CliRunner().invoke(app, [*command, option, value])
    assert found.exit_code == 2
    assert option in found.output
