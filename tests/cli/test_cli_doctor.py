"""`smsgate carrier doctor` finds what the simulated carriers of the field want."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from smsgate.errors import NotFound
from smsgate.simulator.control_client import fetch_inbox, send_reply
from tests.cli.carriers import write_config
from tests.cli.command_shell import Outcome, Running, Shell, until

PHONE = "+33612345678"


class Clinic:
    """A simulator with profiles of faults, and the doctor sent to it."""

    def __init__(self, shell: Shell, started: Callable[..., Running]) -> None:
        self._shell = shell
        self._started = started
        self.control = ""

    def open(self, *profiles: str, receives: str = "true") -> None:
        options = [option for profile in profiles for option in ("--profile", profile)]
        smsc = self._started("smsc", "--port", "0", "--control-port", "0", "--json", *options)
        until(lambda: "\n" in smsc.out)
        facts = json.loads(smsc.out.splitlines()[0])
        self.control = facts["control"]
        write_config(self._shell.cwd / "doctor.toml", smpp=facts["smpp"], receives=receives)

    def doctor(self, *options: str, wait_s: str = "2") -> Outcome:
        return self._shell.run(
            *("carrier", "doctor", "sim", "--to", PHONE, "--yes", "--json", "--wait-s", wait_s),
            *("--config", "doctor.toml", *options),
        )

    def answer(self, *texts: str) -> None:
        """Type the answers, each after one more question has come."""

        def type_them() -> None:
            for count, text in enumerate(texts, 1):
                until(lambda count=count: self._questions() >= count)  # type: ignore[misc]
                asyncio.run(send_reply(self.control, PHONE, text))

        threading.Thread(target=type_them, daemon=True).start()

    def _questions(self) -> int:
        try:
            inbox = asyncio.run(fetch_inbox(self.control, PHONE))
        except NotFound:  # nothing has come yet
            return 0
        return sum("Answer A for yes" in message.text for message in inbox)


@pytest.fixture
def clinic(shell: Shell, started: Callable[..., Running]) -> Clinic:
    return Clinic(shell, started)


def found(outcome: Outcome) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    for finding in outcome.json()["findings"]:
        keys |= finding["keys"]
    return keys


def test_a_healthy_carrier_needs_nothing_and_the_phone_decides_its_alphabet(clinic: Clinic) -> None:
    clinic.open()
    clinic.answer("a", "A")
    outcome = clinic.doctor(wait_s="20")
    assert outcome.code == 0, outcome
    assert found(outcome) == {
        "receipts": "esm_class",
        "id_resp": "as_is",
        "id_receipt": "as_is",
        "default_alphabet": "gsm7",
        "concat": "udh8",
    }
    assert outcome.json()["messages"] <= 12


def test_latin_1_is_found_by_two_answers(clinic: Clinic) -> None:
    clinic.open("latin1-default-alphabet")
    clinic.answer("B", "A", "A")
    keys = found(clinic.doctor(wait_s="20"))
    assert (keys["default_alphabet"], keys["concat"]) == ("latin1", "udh8")


def test_the_way_in_which_a_long_text_comes_whole_is_found_and_written(clinic: Clinic, shell: Shell) -> None:
    clinic.open("refuses-udh")
    clinic.answer("A", "A")
    outcome = clinic.doctor("--write", "found.toml", wait_s="20")
    assert outcome.code == 0, outcome
    assert found(outcome)["concat"] == "sar"
    assert 'concat = "sar"' in (shell.cwd / "found.toml").read_text()


@pytest.mark.parametrize(
    ("profiles", "keys"),
    [
        (
            ("ids-hex-in-response", "version-3.3", "refuses-validity"),
            {"id_receipt": "dec_to_hex", "interface_version": 0x33, "validity": "none"},
        ),
        (
            ("ids-decimal-in-response", "gsm-as-data-coding-1", "receipt-marked-by-nothing"),
            {"id_receipt": "hex_to_dec", "gsm_data_coding": 1, "receipts": "text"},
        ),
        (("ids-zero-padded", "version-5.0", "receipt-data-sm"), {"interface_version": 0x50}),
    ],
)
def test_habits_of_the_field_are_found(
    clinic: Clinic, shell: Shell, profiles: tuple[str, ...], keys: dict[str, Any]
) -> None:
    clinic.open(*profiles, receives="false")
    outcome = clinic.doctor("--from", "36111", "--write", "found.toml")
    assert outcome.code == 0, outcome
    assert keys.items() <= found(outcome).items()
    written = (shell.cwd / "found.toml").read_text()
    assert "secret" not in written
    assert all(f"{key} = " in written for key in keys)


def test_what_nothing_mends_is_said_with_what_to_do(clinic: Clinic) -> None:
    clinic.open("vendor-tlvs-required", receives="false")
    outcome = clinic.doctor("--from", "36111")
    assert outcome.code == 1
    [failed] = [each for each in outcome.json()["findings"] if each["state"] == "failed"]
    assert "MISSINGOPTPARAM" in failed["detail"]
    assert failed["mend"]


def test_what_was_found_before_the_bind_broke_is_said_and_that_it_broke(clinic: Clinic, shell: Shell) -> None:
    clinic.open("refuses-udh", "already-bound-after-loss", receives="false")  # cut after five messages
    outcome = clinic.doctor("--from", "36111", "--write", "found.toml")
    assert outcome.code == 1, outcome
    states = {each["name"]: each["state"] for each in outcome.json()["findings"]}
    assert (states["message"], states["receipts"], states["bind"]) == ("found", "found", "found")
    broken = outcome.json()["findings"][-1]
    assert (broken["name"], broken["state"]) == ("bind lost", "failed")
    assert broken["detail"].startswith("the bind is gone")
    assert broken["mend"]
    assert 'receipts = "esm_class"' in (shell.cwd / "found.toml").read_text()


def test_bad_asks_are_refused_before_anything_is_sent(clinic: Clinic, shell: Shell) -> None:
    clinic.open()
    unknown = shell.run("carrier", "doctor", "nobody", "--to", PHONE, "--yes", "--config", "doctor.toml")
    assert unknown.code == 1
    assert "No carrier is called nobody" in unknown.err
    number = shell.run("carrier", "doctor", "sim", "--to", "12", "--yes", "--config", "doctor.toml")
    assert number.code == 2
    assert number.err.startswith("smsgate: --to: ")
    for sender in ("Café", "BOXMAN SHOP 2", "3" * 21):
        alien = shell.run(
            "carrier", "doctor", "sim", "--to", PHONE, "--from", sender, "--yes", "--config", "doctor.toml"
        )
        assert (alien.code, alien.out) == (2, "")
        assert alien.err == (
            f"smsgate: --from: '{sender}' is neither digits nor 1 to 11 ASCII characters of GSM 03.38.\n"
        )
    unasked = shell.run("carrier", "doctor", "sim", "--to", PHONE, "--config", "doctor.toml", stdin="n\n")
    assert unasked.code == 1
