from __future__ import annotations

import json
from pathlib import Path

from tests.cli.command_shell import Shell

ROWS = Path(__file__).parents[1] / "data" / "reply-samples.jsonl"


def answers(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


def test_rows_are_answered_one_a_line_in_their_order(shell: Shell) -> None:
    rows = [json.loads(line) for line in ROWS.read_text("utf-8").splitlines()]
    from_file = answers(shell.ok("reply", str(ROWS)).out)
    assert len(from_file) == len(rows)
    assert from_file == answers(shell.ok("reply", stdin=ROWS.read_text("utf-8")).out)
    assert all(found.keys() >= {"label", "language", "reason", "rule"} for found in from_file)
    assert all(("quantity" in found) == (found["label"] == "quantity") for found in from_file)
    assert from_file[0]["label"] == rows[0]["label"] == "accept"


def test_a_line_that_means_nothing_has_its_error_and_the_others_their_answers(shell: Shell) -> None:
    lines = (
        '{"text":"OK 2","lang":"fr"}\n{"lang":"fr"}\n{"text":\n{"text":"ok","context":"moon"}\n'
        '{"text":7}\n{"text":"ok","names":"Boxman"}\nSTOP\n'
    )
    outcome = shell.run("reply", stdin=lines)
    assert outcome.code == 1
    two, without, broken, moon, number, names, stop = answers(outcome.out)
    assert (two["label"], two["quantity"]) == ("quantity", 2)
    assert 'write {"text"' in str(without["error"])
    assert "no JSON" in str(broken["error"])
    assert str(moon["error"]) == "context 'moon' is none of offer, multi, none, optin, poll, list"
    assert 'write {"text"' in str(number["error"])
    assert "names is a list" in str(names["error"])
    assert stop["label"] == "stop"


def test_people_see_the_label_and_the_sentence_that_explains_it(shell: Shell) -> None:
    first, second = shell.ok("reply", "OK 2", "--lang", "fr").out.splitlines()
    assert first.startswith("quantity 2: ")
    assert second.startswith("rule yes_number, language fr, rules of ")


def test_what_is_open_for_the_person_changes_what_a_yes_means(shell: Shell) -> None:
    def label(*options: str) -> object:
        return shell.ok("reply", "OUI", "--lang", "fr", "--json", *options).json()["label"]

    assert label() == "accept"
    assert label("--context", "optin") == "start"
    assert label("--context", "none") == "unclear"


def test_lines_without_a_language_have_the_one_of_the_option(shell: Shell) -> None:
    lines = '{"text":"si"}\n{"text":"si","lang":"it"}\n'
    assert [a["label"] for a in answers(shell.ok("reply", "--lang", "fr", stdin=lines).out)] == [
        "unclear",
        "accept",
    ]
