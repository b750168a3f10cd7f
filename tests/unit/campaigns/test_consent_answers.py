from __future__ import annotations

import pytest

from smsgate.campaigns.consent_answers import Said, said_to_question
from smsgate.campaigns.texts import LANGUAGES, system_text, told_word

NAMES = ("Boxman", "boxman")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_word_that_the_question_names_agrees_in_its_language(language: str) -> None:
    word = told_word("yes", language)
    assert word in system_text("optin_question", language, shop="Boxman")
    assert said_to_question(word, language, NAMES) is Said.YES
    assert said_to_question(f"{word.lower()} Boxman", language, NAMES) is Said.YES


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("word", ["START", "join", "START Boxman"])
def test_start_and_join_agree_in_every_language(word: str, language: str) -> None:
    assert said_to_question(word, language, NAMES) is Said.JOIN


@pytest.mark.parametrize(
    "text", ["OK", "ok merci", "Yes please", "oui j'accepte", "d'accord", "Oui, je veux bien", "OUI BOXMAN"]
)
def test_a_yes_in_other_words_agrees(text: str) -> None:
    assert said_to_question(text, "fr", NAMES) is Said.YES


@pytest.mark.parametrize(
    "text",
    [
        "5", "1", "ok 1", "OK 5", "oui 2", "x2", "je commande", "oui je commande", "je prends", "ok?",
        "ok...", "oui mais pas le dimanche", "peut-être", "le rouge", "merci", "bonjour", "deux", "quoi?",
    ],
)  # fmt: skip
def test_a_quantity_an_order_or_what_is_not_clear_says_nothing_to_the_question(text: str) -> None:
    assert said_to_question(text, "fr", NAMES) is Said.NOTHING


@pytest.mark.parametrize("text", ["NON", "non merci", "no", "No thanks"])
def test_a_no_is_a_no_to_the_question(text: str) -> None:
    assert said_to_question(text, "fr", NAMES) is Said.NO
