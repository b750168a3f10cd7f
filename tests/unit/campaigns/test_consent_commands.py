from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.campaigns.consent import Purpose
from smsgate.campaigns.consent_commands import (
    ALL_PURPOSES,
    PAUSE_DAYS_MAX,
    PLAIN_STOP,
    DatedReach,
    StopCommand,
    StopReach,
    asks_erasure,
    named_merchants,
    pause_days,
    reach_on,
    start_name,
    stop_command,
    wants_less,
    wants_more,
)
from smsgate.campaigns.folding import fold
from smsgate.campaigns.replies import Label, read_reply
from smsgate.campaigns.tables import table

NAMES = {7: ("Boxman", "boxman"), 8: ("Disco Mania", "disco-mania")}
OFFERS, LOCATION, APPOINTMENTS = Purpose.OFFERS, Purpose.LOCATION, Purpose.APPOINTMENTS


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("STOP", PLAIN_STOP),
        ("stop svp", PLAIN_STOP),
        ("STOP PUB", PLAIN_STOP),
        ("STOP SMS", PLAIN_STOP),
        ("STOP 36111", PLAIN_STOP),
        ("Stop. Merci", PLAIN_STOP),
        ("je ne veux plus de vos messages", PLAIN_STOP),
        ("STOP ALL", StopCommand(everyone=True)),
        ("Stop tout svp", StopCommand(everyone=True)),
        ("STOPP alla", StopCommand(everyone=True)),
        ("STOPALL", StopCommand(everyone=True)),
        ("STOP Boxman", StopCommand(merchant_ids=frozenset({7}))),
        ("stop DISCO-MANIA merci", StopCommand(merchant_ids=frozenset({8}))),
        ("Arrêt discomania", StopCommand(merchant_ids=frozenset({8}))),
        ("STOP offres", StopCommand(purposes=frozenset({OFFERS}))),
        ("STOP position", StopCommand(purposes=frozenset({LOCATION}))),
        ("STOP sauf suivi", StopCommand(purposes=ALL_PURPOSES - {APPOINTMENTS})),
        ("STOP except reminders", StopCommand(purposes=ALL_PURPOSES - {APPOINTMENTS})),
        ("STOP aanbiedingen aub", StopCommand(purposes=frozenset({OFFERS}))),
        ("STOP behalve afspraken", StopCommand(purposes=ALL_PURPOSES - {APPOINTMENTS})),
        ("стоп все", StopCommand(everyone=True)),
        ("STOP except", PLAIN_STOP),
        ("STOP offres et tout le reste", PLAIN_STOP),
        ("STOP Boxman et Disco", PLAIN_STOP),
    ],
)
def test_a_stop_reaches_what_it_names_and_all_of_it_when_it_names_nothing(
    text: str, command: StopCommand
) -> None:
    assert stop_command(text, NAMES) == command


@pytest.mark.parametrize(
    "text",
    ["STOP ALL", "STOP tout", "STOP Boxman", "STOP offres", "STOP sauf suivi", "STOPALL", "Arrêt boxman"],
)
def test_a_stop_that_names_something_is_read_as_a_stop(text: str) -> None:
    assert read_reply(text, "fr").label is Label.STOP


@given(st.text(max_size=200))
def test_whatever_is_said_a_command_ends_at_least_one_purpose_and_never_fails(text: str) -> None:
    assert stop_command(f"STOP {text}", NAMES).purposes
    pause_days(text)
    named_merchants(start_name(text), NAMES)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("PAUSE", 1),
        ("pause svp", 1),
        ("Pausa", 1),
        ("PAUSE 7", 7),
        ("pause 30 jours", 30),
        ("PAUSE 365", 365),
        ("przerwa 3 dni", 3),
        ("PAUSE 366", None),
        ("PAUSE 0", None),
        ("PAUSE 7 semaines", 49),
        ("PAUSE 2 weeks", 14),
        ("pause 15 jours", 15),
        ("pause for two weeks please", 14),
        ("Pause d'une semaine svp", 7),
        ("pause 2w", 14),
        ("Pause 1 Monat", 30),
        ("paus i en vecka", 7),
        ("пауза 2 недели", 14),
        ("إيقاف مؤقت", 1),
        ("توقف مؤقت لمدة أسبوعين", 14),
        ("ايقاف مؤقت ٣ أيام", None),
        ("pause 13 months", None),
        ("pause 2 mardis", None),
        ("pause de", None),
        ("une pause", None),
        ("pause café ?", None),
        ("OK", None),
        ("", None),
    ],
)
def test_a_pause_lasts_as_long_as_it_says_and_a_day_when_it_says_nothing(text: str, days: int | None) -> None:
    assert pause_days(text) == days
    assert days is None or 1 <= days <= PAUSE_DAYS_MAX


@pytest.mark.parametrize(
    "text",
    [
        "LESS",
        "Less please",
        "fewer texts",
        "moins de SMS svp",
        "moins souvent",
        "menos mensajes por favor",
        "meno messaggi",
        "weniger Nachrichten bitte",
        "färre sms",
        "minder berichten aub",
        "færre beskeder",
        "vähemmän viestejä",
        "mniej wiadomości",
        "daha az mesaj",
        "меньше сообщений",
        "رسائل أقل",
        "plus rarement",
        "not so often",
    ],
)
def test_whoever_wants_fewer_messages_can_say_so_and_no_stop_nor_order_is_read_from_it(text: str) -> None:
    assert wants_less(text)
    assert read_reply(text, "fr").label is Label.UNCLEAR


@pytest.mark.parametrize("text", ["less than 10?", "OK moins 2", "more or less", "moins cher", "no less", ""])
def test_what_speaks_of_less_of_something_else_asks_for_no_silence(text: str) -> None:
    assert not wants_less(text)


@pytest.mark.parametrize("text", ["MORE", "more often please", "plus souvent", "Mehr", "más", "чаще", "أكثر"])
def test_whoever_wants_more_messages_can_say_so(text: str) -> None:
    assert wants_more(text)
    assert read_reply(text, "fr").label is Label.UNCLEAR


@pytest.mark.parametrize(
    "text", ["plus de sms", "plus", "no more", "more?! no", "nie mehr", "больше не надо", "one more", ""]
)
def test_what_may_ask_for_none_asks_for_no_more(text: str) -> None:
    assert not wants_more(text)


@pytest.mark.parametrize("text", ["PAUSE 2 weeks", "pause 15 jours", "إيقاف مؤقت", "توقف مؤقت"])
def test_a_pause_is_read_as_no_stop(text: str) -> None:
    assert read_reply(text, "ar").label is Label.UNCLEAR


def test_the_words_are_written_as_they_are_compared() -> None:
    words = table("consent_words.toml")
    for purpose, listed in words["purposes"].items():
        for word in listed:
            assert stop_command(f"STOP {word}", {}).purposes == {Purpose(purpose)}
    assert all(pause_days(word) == 1 for word in words["pause"])
    lists = (
        "polite",
        "between",
        "days",
        "weeks",
        "months",
        "pairs",
        "numbers",
        "less",
        "sent",
        "rarer",
        "more",
    )
    assert [word for name in lists for word in words[name] if fold(word) != word] == []


def test_a_start_names_a_merchant_by_its_whole_name() -> None:
    assert named_merchants(start_name("START Boxman"), NAMES) == {7}
    assert named_merchants(start_name("start disco mania svp"), NAMES) == {8}
    assert named_merchants(start_name("START"), NAMES) == frozenset()
    assert named_merchants(start_name("START box"), NAMES) == frozenset()


def test_the_reach_of_a_stop_changes_on_its_day() -> None:
    reaches = [DatedReach(date(2027, 1, 31), StopReach.ALL), DatedReach(date(2026, 1, 1), StopReach.OFFER)]
    assert reach_on(date(2025, 12, 31), reaches) is StopReach.NUMBER
    assert reach_on(date(2026, 1, 1), reaches) is StopReach.OFFER
    assert reach_on(date(2027, 1, 30), reaches) is StopReach.OFFER
    assert reach_on(date(2027, 1, 31), reaches) is StopReach.ALL


@pytest.mark.parametrize(
    "text",
    [
        "Effacez mes données", "STOP et supprimez mes donnees svp", "delete my data",
        "Please erase all my data!",
        "radera mina uppgifter", "Bitte löschen Sie meine Daten", "borren mis datos", "cancelli i miei dati",
        "apaguem os meus dados", "verwijder mijn gegevens", "slet mine oplysninger",
        "slett opplysningene mine",
        "poistakaa tietoni", "usuńcie moje dane", "verilerimi silin", "Удалите мои данные", "احذفوا بياناتي",
    ],
)  # fmt: skip
def test_who_wants_to_be_erased_is_understood_in_every_language(text: str) -> None:
    assert asks_erasure(text)


@pytest.mark.parametrize("text", ["STOP", "mes données de livraison ont changé", "my data plan is used up"])
def test_nobody_is_erased_for_another_text(text: str) -> None:
    assert not asks_erasure(text)
