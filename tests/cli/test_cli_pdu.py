"""`smsgate pdu`: JSON lines in, JSON lines out, and a form for people."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import pytest

from smsgate.cli.json_lines import LINE_OCTETS_MAX
from tests.cli.command_shell import Shell

DATA = Path(__file__).parents[1] / "data"
ENQUIRE_LINK = "00000010000000150000000000000001"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def answers(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_rows_of_the_vectors_are_answered_in_order_and_their_expected_fields_are_not_looked_at(
    shell: Shell,
) -> None:
    rows = answers((DATA / "protocol-vectors.jsonl").read_text("utf-8"))
    found = answers(shell.ok("pdu", "decode", str(DATA / "protocol-vectors.jsonl")).out)
    assert [each["id"] for each in found] == [row["id"] for row in rows]
    assert [each["verdict"] for each in found] == [row["verdict"] for row in rows]
    lies = [
        {**row, "verdict": "ignore", "fields": {"sequence_number": 3}, "tlvs": [], "note": ""} for row in rows
    ]
    told = shell.ok("pdu", "decode", stdin="".join(json.dumps(row) + "\n" for row in lies))
    assert answers(told.out) == found


def test_an_id_comes_back_with_all_of_its_digits(shell: Shell) -> None:
    lines = [
        f'{{"id":{2**64},"hex":"{ENQUIRE_LINK}"}}',
        f'{{"id":-{10**40},"hex":"odd"}}',
        f'{{"id":1.5,"hex":"{ENQUIRE_LINK}"}}',
    ]
    told = shell.run("pdu", "decode", stdin="\n".join(lines))
    assert [each["id"] for each in answers(told.out)] == [2**64, -(10**40), 1.5]


def test_a_file_that_is_not_there_is_named_in_a_sentence(shell: Shell) -> None:
    refused = shell.run("pdu", "decode", "Nofile")
    assert (refused.code, refused.err) == (2, "smsgate: Nofile cannot be read: No such file or directory.\n")


def test_what_decode_writes_encode_makes_again(shell: Shell) -> None:
    rows = [
        row for row in answers((DATA / "pdu-suites.jsonl").read_text("utf-8")) if row["verdict"] == "accept"
    ]
    decoded = shell.ok("pdu", "decode", stdin="".join(row["hex"] + "\n" for row in rows)).out
    made = answers(shell.ok("pdu", "encode", stdin=decoded).out)
    assert [each["hex"] for each in made] == [row["hex"] for row in rows]
    assert [each["id"] for each in made] == list(range(1, len(rows) + 1))


def test_a_line_that_cannot_be_read_is_answered_with_an_error_and_the_next_ones_are_read(
    shell: Shell,
) -> None:
    lines = [
        b'{"id":"cut","hex":"00',
        b'{"id":"odd","hex":"0"}',
        b'{"id":"none"}',
        b"[1]",
        b"not hex",
        b"\xff",
        b"",
        b"00" * LINE_OCTETS_MAX,
        ENQUIRE_LINK.encode(),
    ]
    (shell.cwd / "lines").write_bytes(b"\n".join(lines))
    outcome = shell.run("pdu", "decode", "lines")
    assert outcome.code == 1
    found = answers(outcome.out)
    assert [each["id"] for each in found] == [1, "odd", "none", 4, 5, 6, 8, 9]
    assert [each["verdict"] for each in found if "error" not in each] == ["accept"]
    assert all(set(each) == {"id", "error"} for each in found[:-1])


def test_a_pdu_that_was_not_read_is_not_made(shell: Shell) -> None:
    refused = shell.ok("pdu", "decode", stdin="0000001100000004000000000000000100").out
    outcome = shell.run("pdu", "encode", stdin=refused)
    assert outcome.code == 1
    assert "was not read" in answers(outcome.out)[0]["error"]


def test_digits_as_an_argument_are_shown_for_people_without_the_password(shell: Shell) -> None:
    bind = "00000023000000090000000000039951414c4c5f545700414c4c5f5458000034000000"
    out = shell.ok("pdu", "decode", bind + ENQUIRE_LINK).out
    assert out.splitlines()[0] == "bind_transceiver: stream"
    assert "enquire_link: accept" in out
    assert "'ALL_TW'" in out
    assert "ALL_TX" not in out


def test_a_receipt_and_a_text_are_shown_in_words(shell: Shell) -> None:
    rows = {row["id"]: row["hex"] for row in answers((DATA / "protocol-vectors.jsonl").read_text("utf-8"))}
    receipt = shell.ok("pdu", "decode", rows["deliver_sm-009"]).out
    assert "message_state (0x0427) = 2" in receipt
    assert "126e85a6edeac1a020200993124795" in receipt.split("receipt id")[1]
    long = shell.ok("pdu", "decode", rows["deliver_sm-038"]).out
    assert "part 1 of 6" in long
    assert "jako jako" in long


def test_a_file_that_is_not_there_is_a_usage_error(shell: Shell) -> None:
    outcome = shell.run("pdu", "decode", "no-such-file")
    assert outcome.code == 2
    assert "no-such-file" in outcome.err


def test_ten_thousand_lines_take_seconds_not_minutes(shell: Shell) -> None:
    lines = (DATA / "protocol-vectors.jsonl").read_text("utf-8").splitlines()
    copies = 10_000 // len(lines)
    (shell.cwd / "many").write_text("\n".join(lines * copies), "utf-8")
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    found = shell.ok("pdu", "decode", "many").out
    assert found.count("\n") == len(lines) * copies
    assert (
        resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 5.0
    )  # a second, most of it to start
