"""What asks for silence and is said among friends, too: neither a stop beside an order, nor the order."""

from __future__ import annotations

import pytest

from smsgate.campaigns.replies import Label, read_reply


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("smettila, lo prendo subito", "it"),
        ("ma smettila! lo prendo", "it"),
        ("finiscila, ne prendo due", "it"),
        ("lägg av! jag tar den", "sv"),
        ("hör auf, ich nehme es", "de"),
        ("kutt ut, jeg tar den", "nb"),
        ("hou op, ik neem hem", "nl"),
        ("hold op, jeg tager den", "da"),
        ("knock it off, I'll take two", "en"),
        ("arrête ton char, je le prends", "fr"),
    ],
)
def test_a_friends_come_on_before_an_order_is_asked_about(text: str, language: str) -> None:
    assert read_reply(text, language).label is Label.UNCLEAR


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("smettila", "it"),
        ("smettila, sì", "it"),
        ("lo prendo, smettila", "it"),
        ("smettila di scrivermi, lo prendo altrove", "it"),
        ("smettila con i messaggi, lo prendo", "it"),
        ("smettila, basta, lo prendo", "it"),
        ("smettila, non lo prendo", "it"),
        ("stop, lo prendo", "it"),
        ("kutt ut meldingene, jeg tar den", "nb"),
        ("hör auf mir zu schreiben, ich nehme es woanders", "de"),
        ("lägg av med sms, jag tar den", "sv"),
        ("oh stop it, I'll take two", "en"),
    ],
)
def test_a_stop_of_which_more_is_said_or_that_comes_last_wins_still(text: str, language: str) -> None:
    assert read_reply(text, language).label is Label.STOP


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("kutt ut røyken", "nb"),
        ("slutt å røyke", "nb"),
        ("sluta röka", "sv"),
        ("hold op med at ryge", "da"),
        ("hör auf zu rauchen", "de"),
        ("stop met roken", "nl"),
        ("smetti di fumare", "it"),
        ("arrête de fumer", "fr"),
        ("para de fumar", "pt"),
        ("stop smoking", "en"),
    ],
)
def test_what_is_to_end_may_be_another_thing_than_messages(text: str, language: str) -> None:
    assert read_reply(text, language).label is Label.UNCLEAR


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("kutt ut tullet", "nb"),
        ("sluta tjata", "sv"),
        ("hör auf mit dem Mist", "de"),
        ("smetti di scrivere", "it"),
        ("arrête de m'écrire", "fr"),
        ("stop smoking and stop texting me", "en"),
    ],
)
def test_nuisance_is_what_messages_are(text: str, language: str) -> None:
    assert read_reply(text, language).label is Label.STOP
