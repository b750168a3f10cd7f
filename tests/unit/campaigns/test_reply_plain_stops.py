"""A stop that is known before the phrases of a reply are is the one that they would have led to."""

from __future__ import annotations

from typing import Final

from smsgate.campaigns.reply_phrases import classify, named
from smsgate.campaigns.reply_stops import asking, plain_stop, read_stop
from smsgate.campaigns.reply_tokens import clean, strip_quoted, take_apart
from smsgate.campaigns.reply_words import own_language, vocabulary
from tests.replies.scoring import OWN, rows

EACH: Final = 5  # of so many labelled replies one is looked at
STOPS_MIN: Final = 800


def test_a_plain_stop_is_what_the_whole_reading_finds() -> None:
    found = 0
    for row in rows(OWN)[::EACH]:
        words = vocabulary(own_language(row["lang"]))
        text = take_apart(strip_quoted(clean(row["text"])), words)
        asked = asking(text, words)
        plain = plain_stop(text, asked)
        if plain is not None:
            found += 1
            segments = classify(text, words, named(("Boxman", "Madonna")))
            assert read_stop(text, words, segments, asked)[0] == plain, row
    assert found >= STOPS_MIN


def test_what_may_mean_something_else_waits_for_the_phrases() -> None:
    words = vocabulary("en")
    for said in ("bus stop", "come off it, I'll take it", "no more messages from the bus stop"):
        text = take_apart(said, words)
        assert plain_stop(text, asking(text, words)) is None, said
