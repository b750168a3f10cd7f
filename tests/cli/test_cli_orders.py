"""`smsgate order`: proof files."""

from __future__ import annotations

from smsgate.security.proof_chain import Entry, ProofKey
from tests.cli.command_shell import Shell

KEY = ProofKey(bytes(32))
FILE = KEY.sealed(
    [
        Entry("reply", "2026-11-23T12:01:00+00:00", {"text": "OK"}),
        Entry("order", "2026-11-23T12:01:00+00:00", {}),
    ],
    "2026-11-26T12:00:00+00:00",
)


def test_a_proof_file_is_verified_without_a_database(shell: Shell) -> None:
    (shell.cwd / "order.proof").write_bytes(FILE)
    done = shell.ok("order", "verify", "order.proof", "--key", KEY.public)
    assert done.out == "All 3 entries hold, signed by the key that you gave.\n"
    assert shell.ok("order", "verify", "order.proof", "--json").json()["key"] == KEY.public


def test_the_first_entry_that_does_not_hold_is_named(shell: Shell) -> None:
    (shell.cwd / "order.proof").write_bytes(FILE.replace(b'"OK"', b'"NO"'))
    done = shell.run("order", "verify", "order.proof")
    assert (done.code, done.out) == (1, "")
    assert "Entry 1 of order.proof does not hold: it was changed" in done.err
    assert shell.run("order", "verify", "nowhere.proof").code == 2


def test_a_file_of_another_gateway_is_told_from_ours(shell: Shell) -> None:
    (shell.cwd / "order.proof").write_bytes(FILE)
    ours = shell.ok("order", "key").out.strip()
    assert shell.ok("order", "key", "--json").json() == {"public_key": ours}
    done = shell.run("order", "verify", "order.proof", "--key", ours)
    assert (done.code, "another gateway signed this" in done.err) == (1, True)


def test_an_order_that_is_nobodys_has_no_proof(shell: Shell) -> None:
    done = shell.run("order", "proof", "ord_senseless")
    assert (done.code, done.out) == (1, "")
