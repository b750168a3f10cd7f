from __future__ import annotations

import json
from pathlib import Path

from tests.cli.command_shell import Shell

VECTORS = Path(__file__).parents[1] / "data" / "text-vectors.jsonl"


def answers(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


def test_rows_are_answered_one_a_line_in_their_order(shell: Shell) -> None:
    rows = [json.loads(line) for line in VECTORS.read_text("utf-8").splitlines()]
    from_file = answers(shell.ok("text", str(VECTORS)).out)
    assert [answer["id"] for answer in from_file] == [row["id"] for row in rows]
    assert from_file == answers(shell.ok("text", stdin=VECTORS.read_text("utf-8")).out)
    assert [answer["segments"] for answer, row in zip(from_file, rows, strict=True) if "segments" in row] == [
        row["segments"] for row in rows if "segments" in row
    ]


def test_a_line_that_means_nothing_has_its_error_and_the_others_their_answers(shell: Shell) -> None:
    lines = '{"id":"a","kind":"segment","text":"OK"}\n{"id":"b","kind":"sing","text":"OK"}\n{"id":\n'
    outcome = shell.run("text", stdin=lines)
    assert outcome.code == 1
    first, second, third = answers(outcome.out)
    assert first["segments"] == 1
    assert "kind 'sing' is none of" in str(second["error"])
    assert "no JSON" in str(third["error"])


def test_people_see_what_costs_and_what_it_could_be_replaced_by(shell: Shell) -> None:
    words = "Votre commande est bien reçue, elle est prête à être livrée. Merci et à bientôt chez Boxman"
    table = shell.ok("text", words, "--price", "45000").out.splitlines()
    assert table[0].split() == ["ALPHABET", "PARTS", "UNITS", "OF", "EACH", "PART", "MICROS"]
    assert table[1].split()[:6] == ["GSM", "03.38,", "single", "shift", "pt", "1"]
    assert any(line.startswith("UCS-2") and line.endswith("90000") for line in table)
    assert "at 26: ç -> c" in table
    nobody = shell.ok("text", "你好 ç").out
    assert "nothing stands for: 你 好" in nobody


def test_programs_get_the_same_as_json(shell: Shell) -> None:
    found = shell.ok("text", "Reçu", "--json").json()
    assert (found["encoding"], found["segments"]) == ("ucs2", 1)
    assert found["replaced"] == "Recu"
    assert found["replacements"] == [{"position": 2, "before": "ç", "after": "c"}]


def test_an_argument_that_is_no_text_is_refused_in_a_sentence(shell: Shell) -> None:
    outcome = shell.run("text", "\udcff\udcfe")
    assert (outcome.code, outcome.err) == (
        2,
        "smsgate: The text is not UTF-8, and no file has this name.\n",
    )


def test_a_text_that_cannot_be_sent_is_refused_in_a_sentence(shell: Shell) -> None:
    outcome = shell.run("text", "я" * 20_000)
    assert (outcome.code, outcome.err) == (1, "smsgate: At most 255 segments can be sent.\n")
