"""What a phone or a machine wrote: what it says and tells people to send is nobody's wish."""

from __future__ import annotations

import pytest

from smsgate.campaigns.replies import Label, read_reply


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("You have successfully been unsubscribed. Reply START to resubscribe.", "en"),
        ("STOP request received. You will not get more messages.", "en"),
        ("This number is not in service", "en"),
        ("Ce numéro ne reçoit pas de SMS", "fr"),
        ('NETWORK MSG: You replied with the word "stop" which blocks all texts from this number.', "en"),
    ],
)
def test_a_sign_that_speaks_of_a_stop_asks_for_none(text: str, language: str) -> None:
    assert read_reply(text, language).label is Label.AUTO


def test_what_begins_like_a_sign_and_goes_on_as_a_wish_is_a_persons() -> None:
    assert read_reply("do not reply to this number again", "en").label is not Label.AUTO


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Gillade ”Madonna på vinyl, svara OK, eller STOPP”", "sv"),
        ("Tykkäsi ”Madonna vinyylinä, vastaa OK tai STOP”", "fi"),
        ("Syntes godt om »Madonna på vinyl, svar OK, eller STOP«", "da"),
    ],
)
def test_a_quotation_is_taken_away_by_the_marks_of_every_language(text: str, language: str) -> None:
    assert read_reply(text, language).label is Label.AUTO


def test_what_stands_between_two_quotations_is_the_persons_own() -> None:
    assert read_reply("”OK” ni tjatar ”OK” sluta skicka mig sms ”ja”", "sv").label is Label.STOP
    assert read_reply("« OK » ne m'envoyez plus jamais vos sms « OK »", "fr").label is Label.STOP


@pytest.mark.parametrize(
    ("text", "language", "label"),
    [
        ("je conduis, envoyez stop, voila STOP", "fr", Label.STOP),
        ("I'm driving, reply stop you say: STOP", "en", Label.STOP),
        ("Je conduis. Pour ne plus recevoir de messages, envoyez STOP au 36111", "fr", Label.AUTO),
        ("Bin im Urlaub. Antworten Sie mit STOP, um keine Nachrichten mehr zu erhalten", "de", Label.AUTO),
        ("I'm driving. To opt out reply STOP", "en", Label.AUTO),
    ],
)
def test_what_is_told_beside_words_that_a_person_may_write_ends_with_its_clause(
    text: str, language: str, label: Label
) -> None:
    assert read_reply(text, language).label is label


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("OK. I'm in a meeting", "en"),
        ("ok im in a meeting", "en"),
        ("Yes please! I'm in a meeting and can't talk", "en"),
        ("Okay. Bin gerade im Meeting", "de"),
        ("ja, är i möte", "sv"),
        ("ok estou em reunião", "pt"),
    ],
)
def test_a_yes_before_what_a_phone_may_write_is_asked_about(text: str, language: str) -> None:
    assert read_reply(text, language).label is Label.UNCLEAR


@pytest.mark.parametrize(
    ("text", "language", "label"),
    [
        ("No thanks. I'm driving", "en", Label.DECLINE),
        ("Nein danke, bin im Urlaub", "de", Label.DECLINE),
        ("no I'm driving", "en", Label.UNCLEAR),
        ("non je conduis", "fr", Label.UNCLEAR),
        ("Kör bil, ringer sen. Nej", "sv", Label.AUTO),
    ],
)
def test_a_no_beside_what_a_phone_may_write_declines_when_it_is_said_first_and_apart(
    text: str, language: str, label: Label
) -> None:
    assert read_reply(text, language).label is label


CUT = "Boxman: CD Madonna 19,90. OK = order. STOP 36"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (f"Liked “{CUT}", "en"),
        (f'Emphasized "{CUT}', "en"),
        (f"Laughed at “{CUT[:-3]}", "en"),
        (f"👍 to “{CUT}", "en"),
        (f"👍“{CUT}", "en"),
        (f"A aimé « {CUT}", "fr"),
        (f"Gefällt „{CUT}", "de"),
        (f"Gillade ”{CUT}", "sv"),
        ("Liked “Boxman: antworte STOP für keine weiteren SMS…", "en"),
    ],
)
def test_a_reaction_whose_quotation_was_cut_off_is_a_reaction(text: str, language: str) -> None:
    reading = read_reply(text, language)
    assert (reading.label, reading.rule) == (Label.AUTO, "machine")


@pytest.mark.parametrize(
    "text",
    [
        f"“{CUT}",  # no phone says so
        f"You wrote “{CUT}",
        "Liked “it STOP",  # too short for what a phone quotes
        f"Liked “{CUT}\nSTOP",
        f"Liked “OK” {CUT}",
        f"STOP Liked “{CUT}",
    ],
)
def test_a_stop_that_may_be_a_persons_is_not_taken_for_a_quotation_without_an_end(text: str) -> None:
    assert read_reply(text, "en").label is not Label.AUTO
