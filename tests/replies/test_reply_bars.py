"""The bars of the reply reader: no wrong order, no wrong number, hardly a lost stop, few lost sales."""

from __future__ import annotations

import pytest

from tests.replies.reading import read
from tests.replies.scoring import (
    OWN,
    PROTECTED,
    SAMPLES,
    Figures,
    Row,
    error_of,
    holds_standard_word,
    is_held,
    rows,
)

Scored = list[tuple[Row, str | None]]


def scored(part: list[Row]) -> Scored:
    return [(row, error_of(row, *read(row))) for row in part]


PARTS: dict[str, Scored] = {
    "samples": scored(rows(SAMPLES)),
    "dev": scored([row for row in rows(OWN) if not is_held(row)]),
    "held": scored([row for row in rows(OWN) if is_held(row)]),
}


def wrong(part: Scored, *errors: str) -> list[str]:
    return [f"{row['lang']}: {row['text']} ({row['label']})" for row, error in part if error in errors]


@pytest.fixture(params=PARTS)
def part(request: pytest.FixtureRequest) -> Scored:
    found: Scored = PARTS[request.param]
    return found


def test_no_reply_becomes_a_wrong_order(part: Scored) -> None:
    assert wrong(part, "E1") == []


def test_no_order_has_a_wrong_number_or_variant(part: Scored) -> None:
    assert wrong(part, "E3") == []


def test_no_stop_with_a_standard_word_is_lost_to_another_label(part: Scored) -> None:
    hard = [(row, error) for row, error in part if error == "E2hard"]
    assert not [row["text"] for row, _ in hard if holds_standard_word(row)]
    assert len(hard) <= 0.01 * Figures(part).labels["stop"], wrong(part, "E2hard")


def test_at_most_three_percent_of_the_stops_need_a_question(part: Scored) -> None:
    assert len(wrong(part, "E2", "E2hard")) <= 0.03 * Figures(part).labels["stop"], wrong(
        part, "E2", "E2hard"
    )


def test_hardly_anybody_who_did_not_ask_is_unsubscribed(part: Scored) -> None:
    figures = Figures(part)
    assert figures.errors["E4"] <= 0.01 * (figures.rows - figures.labels["stop"]), wrong(part, "E4")
    assert not [row["text"] for row, error in part if error == "E4" and row["label"] in PROTECTED]


def test_at_most_five_percent_of_the_sales_need_a_question(part: Scored) -> None:
    figures = Figures(part)
    assert figures.errors["E5"] + figures.errors["E5hard"] <= 0.05 * figures.sales, wrong(
        part, "E5", "E5hard"
    )
    assert figures.errors["E5hard"] <= 0.005 * figures.sales, wrong(part, "E5hard")


def test_no_machine_is_answered(part: Scored) -> None:
    assert wrong(part, "E6") == []


def test_the_own_set_has_every_label_in_many_languages() -> None:
    own = rows(OWN)
    assert len(own) >= 2_000
    assert len({row["label"] for row in own}) == 10
    assert len({row["lang"] for row in own}) >= 20
