"""What holds for every text, whatever people write."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from dataclasses import replace
from itertools import cycle

from hypothesis import given
from hypothesis import strategies as st

from smsgate.campaigns.replies import Context, Label, read_reply
from smsgate.campaigns.reply_entries import LANGUAGES
from smsgate.campaigns.reply_tokens import clean, of_letters, strip_quoted, take_apart
from smsgate.campaigns.reply_words import own_language, vocabulary
from tests.replies.scoring import OWN, rows

ORDERS = {Label.ACCEPT, Label.QUANTITY, Label.CHOICE}
OWN_ROWS = rows(OWN)
ONE_LINERS = [row for row in OWN_ROWS if "\n" not in row["text"]]
LIMITS = ["and maybe", "unless it rains", "xyzzy 42 abc", "à condition"]
LANGUAGE = st.sampled_from([*LANGUAGES, "und", "xx"])
# Words of real replies in any order: nearer to people than random characters.
WORDS = sorted({word for row in OWN_ROWS for word in row["text"].split()})
SENTENCES = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
TEXTS = st.text(max_size=2_000) | SENTENCES


@given(TEXTS, LANGUAGE, st.sampled_from(Context))
def test_every_text_has_one_reading_with_its_reason(text: str, language: str, context: Context) -> None:
    reading = read_reply(text, language, names=("Boxman", "CD"), context=context)
    assert reading == read_reply(text, language, names=("Boxman", "CD"), context=context)
    assert reading.reason
    assert reading.rule
    assert (reading.quantity or 1) >= 1


@given(TEXTS, LANGUAGE)
def test_a_text_that_ends_in_stop_orders_nothing(text: str, language: str) -> None:
    for ending in (" STOP", "\nSTOP", ", stop", ". Stop."):
        assert read_reply(text + ending, language, names=("Boxman",)).label not in ORDERS


@given(TEXTS, TEXTS, LANGUAGE)
def test_nothing_is_ordered_under_a_question_mark(before: str, after: str, language: str) -> None:
    assert read_reply(f"{before}?{after}", language).label not in ORDERS


@given(TEXTS, LANGUAGE)
def test_composed_and_decomposed_letters_are_read_the_same(text: str, language: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert read_reply(composed, language) == read_reply(decomposed, language)


def test_every_labelled_reply_with_a_stop_behind_it_orders_nothing() -> None:
    """Found here: a STOP after a mail signature was cut off with it."""
    for row in OWN_ROWS:
        assert read_reply(f"{row['text']} STOP", row["lang"]).label not in ORDERS, row["text"]


def test_one_word_too_many_orders_nothing() -> None:
    """Found here: "à" after a first name was taken for an initial, and the condition for a name."""
    for row, words in zip(ONE_LINERS, cycle(LIMITS)):  # each row with one of them: seconds, not minutes
        assert read_reply(f"{row['text']} {words}", row["lang"]).label not in ORDERS, (row, words)


def test_spaces_around_change_no_labelled_reply_and_capitals_make_none_bolder() -> None:
    """A family name that no list holds is known by its capital letter: all in capitals it is asked back."""
    for row in ONE_LINERS:
        plain = read_reply(row["text"], row["lang"]).label
        assert read_reply(f"  {row['text']} \n", row["lang"]).label is plain, row["text"]
        if "ß" not in row["text"]:
            loud = read_reply(row["text"].upper(), row["lang"]).label
            assert loud in {plain, Label.UNCLEAR}, row["text"]


def test_a_text_of_letters_is_taken_apart_as_any_other() -> None:
    """Most replies go the short way past quotations, marks and numbers: it must end at the same tokens."""
    of_that_kind = 0
    for row in OWN_ROWS:
        seen, words = clean(row["text"]), vocabulary(own_language(row["lang"]))
        short = of_letters(seen, words)
        if short is not None:
            of_that_kind += 1
            assert replace(short, own=seen.strip(), letters=False) == take_apart(strip_quoted(seen), words), (
                seen
            )
    assert of_that_kind > len(OWN_ROWS) / 2


def test_a_reading_is_the_same_in_every_process() -> None:
    """Found by comparing two runs: of two words equally near a slip, the order of a set chose one."""
    program = (
        "from smsgate.campaigns.replies import read_reply\n"
        "for text in ('fouté moi la pai', 'arète', 'elimíname', 'que ça cesse'):\n"
        "    print(*(read_reply(text, language) for language in ('fr', 'es')))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1
