"""What the gateway itself says is no answer when it comes back; what a person writes around it is."""

from __future__ import annotations

import pytest

from smsgate.campaigns.replies import Label, read_reply
from smsgate.campaigns.texts import LANGUAGES, kinds, system_text
from tests.unit.campaigns.test_texts import usual

OFFERS = (
    (
        "Boxman: CD Madonna 19,90€ port compris. Répondez OK = commande avec obligation de paiement. "
        "Rétractation 14 j. Infos bxm.fr/m1 STOP 36111"
    ),
    (
        "Boxman: Madonna CD £12.99 incl. post. Reply OK = order with obligation to pay. 14 days to withdraw. "
        "Info bxm.uk/m1 STOP to end"
    ),
    (
        "Boxman: Madonna-skiva 149 kr inkl frakt. Svara OK = beställning med betalningsskyldighet. "
        "14 dagars ångerrätt. bxm.se/m1 STOPP"
    ),
)
OPTIONAL = ("link", "reason", "at", "until")
STOPS = ("STOP", "stop svp", "arrêtez", "leave me alone", "laissez-moi tranquille")


def own_texts(language: str) -> list[str]:
    """Return every text in a language, with what is optional and without it."""
    bare = {**usual(language), **dict.fromkeys(OPTIONAL, "")}
    texts = [system_text(kind, language, **usual(language)) for kind in kinds()]
    return texts + [system_text(kind, language, **bare) for kind in kinds() if kind != "order_action"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_of_a_gateway_is_a_machines_whatever_language_its_reader_has(language: str) -> None:
    for text in (*own_texts(language), *OFFERS):
        for reader in (*LANGUAGES, "und"):
            assert read_reply(text, reader).label is Label.AUTO, text
        broken = text.replace(": ", ":\n", 1)  # by a phone that cuts its lines
        assert read_reply(broken, language).label is Label.AUTO


@pytest.mark.parametrize("stop", STOPS)
def test_a_stop_written_before_or_after_such_a_text_is_heard(stop: str) -> None:
    for text in (*own_texts("fr"), *own_texts("en"), *OFFERS):
        for quoted in (f"{stop} {text}", f"{stop}\n{text}", f"{text} {stop}", f"{text}\n{stop}"):
            assert read_reply(quoted, "fr").label is Label.STOP, quoted


@pytest.mark.parametrize("text", OFFERS)
def test_an_answer_written_beside_an_offer_is_not_taken_for_the_offer(text: str) -> None:
    for quoted in (f"OK {text}", f"{text} OK", f"non {text}"):
        assert read_reply(quoted, "fr").label is not Label.AUTO
