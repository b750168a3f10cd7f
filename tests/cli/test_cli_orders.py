"""`smsgate order`: proof files."""

from __future__ import annotations

from smsgate.security.proof_chain import Entry, ProofKey
from smsgate.security.proof_stamps import entry_of
from tests.cli.command_shell import Shell
from tests.unit.security.stamping import made

KEY = ProofKey(bytes(32))
ENTRIES = [
    Entry("reply", "2026-11-23T12:01:00+00:00", {"text": "OK"}, "inb_1"),
    Entry("order", "2026-11-23T12:01:00+00:00", {}, "ord_1"),
]
STAMP = entry_of(made(KEY, "ord_1", None, "2026-11-23T12:01:00+00:00", ENTRIES))
FILE = KEY.sealed([*ENTRIES, STAMP], "2026-11-26T12:00:00+00:00")


def test_a_proof_file_is_verified_without_a_database(shell: Shell) -> None:
    (shell.cwd / "order.proof").write_bytes(FILE)
    done = shell.ok("order", "verify", "order.proof", "--key", KEY.public)
    assert done.out == (
        "All 4 entries hold, signed by the key that you gave.\n"
        "2 of them were stamped as things happened, from 2026-11-23T12:01:00+00:00 on.\n"
    )
    told = shell.ok("order", "verify", "order.proof", "--json").json()
    assert (told["key"], told["stamped"], told["holds"]) == (KEY.public, 2, True)


def test_the_first_entry_that_does_not_hold_is_named(shell: Shell) -> None:
    (shell.cwd / "order.proof").write_bytes(FILE.replace(b'"OK"', b'"NO"'))
    done = shell.run("order", "verify", "order.proof")
    assert (done.code, done.out) == (1, "")
    assert "Entry 1 of order.proof does not hold: it was changed" in done.err
    assert shell.run("order", "verify", "nowhere.proof").code == 2


def test_what_was_changed_in_the_database_since_its_stamp_is_named(shell: Shell) -> None:
    changed = [ENTRIES[0]._replace(body={"text": "OK 9"}), ENTRIES[1], STAMP]
    (shell.cwd / "order.proof").write_bytes(KEY.sealed(changed, "2026-11-26T12:00:00+00:00"))
    done = shell.run("order", "verify", "order.proof", "--key", KEY.public)
    assert (done.code, done.out) == (1, "")
    assert "Entry 1 of order.proof does not hold: it was changed after 2026-11-23" in done.err


def test_a_file_of_another_gateway_is_told_from_ours(shell: Shell) -> None:
    (shell.cwd / "order.proof").write_bytes(FILE)
    ours = shell.ok("order", "key").out.strip()
    assert shell.ok("order", "key", "--json").json() == {"public_key": ours}
    done = shell.run("order", "verify", "order.proof", "--key", ours)
    assert (done.code, "another gateway signed this" in done.err) == (1, True)


def test_an_order_that_is_nobodys_has_no_proof(shell: Shell) -> None:
    done = shell.run("order", "proof", "ord_senseless")
    assert (done.code, done.out) == (1, "")
