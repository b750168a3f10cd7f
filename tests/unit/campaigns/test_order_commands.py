from __future__ import annotations

from collections import Counter

import pytest

from smsgate.campaigns.folding import fold
from smsgate.campaigns.order_commands import OrderCommand, order_command
from smsgate.campaigns.replies import Label, read_reply
from smsgate.campaigns.tables import table

CANCEL, WITHDRAW, DISPUTE = OrderCommand.CANCEL, OrderCommand.WITHDRAW, OrderCommand.DISPUTE


@pytest.mark.parametrize(
    ("text", "language", "command"),
    [
        ("j'annule ma commande", "fr", CANCEL),
        ("CANCEL", "en", CANCEL),
        ("annuler commande 74170963", "fr", CANCEL),
        ("please cancel my order", "en", CANCEL),
        ("please do not cancel", "en", None),
        ("je me rétracte", "fr", WITHDRAW),
        ("Rétractation 74170963 svp", "fr", WITHDRAW),
        ("I withdraw from the contract", "en", WITHDRAW),
        ("ich widerrufe die Bestellung", "de", WITHDRAW),
        ("Jag ångrar köpet", "sv", WITHDRAW),
        ("desistimiento", "es", WITHDRAW),
        ("How do I withdraw?", "en", None),
        ("I never ordered this", "en", DISPUTE),
        ("my son replied OK", "en", DISPUTE),
        ("je n'ai rien commandé !", "fr", DISPUTE),
        ("ich habe nichts bestellt", "de", DISPUTE),
        ("non merci", "fr", None),
        ("OK", "fr", None),
        ("OK 2", "fr", None),
        ("STOP", "fr", None),
    ],
)
def test_what_a_text_wants_done_with_an_order(text: str, language: str, command: OrderCommand | None) -> None:
    assert order_command(text, read_reply(text, language).label) is command


@pytest.mark.parametrize("label", [Label.ACCEPT, Label.QUANTITY, Label.CHOICE, Label.AUTO, Label.START])
def test_a_text_that_orders_or_that_a_machine_wrote_commands_nothing(label: Label) -> None:
    assert order_command("cancel", label) is None


def test_each_phrase_is_in_one_list_once_and_written_as_it_is_compared() -> None:
    words = table("order_words.toml")
    phrases = [phrase for command in OrderCommand for phrase in words[command.value]]
    assert [phrase for phrase, times in Counter(phrases).items() if times > 1] == []
    assert [phrase for phrase in [*phrases, *words["not"]] if fold(phrase) != phrase] == []


def test_no_word_to_withdraw_or_dispute_is_beside_a_plain_stop() -> None:
    for text in ("STOP", "stop svp", "arrêtez", "STOPP", "BAJA", "unsubscribe", "désabonner"):
        assert order_command(text, read_reply(text, "fr").label) is None
