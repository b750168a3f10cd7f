"""What a text wants done with an order that is there: a wrong end and a deaf ear both cost somebody."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.campaigns.order_commands import OrderCommand, OrderWish, _words, order_wish, plain_no
from smsgate.campaigns.replies import Label, read_reply
from smsgate.campaigns.tables import table
from smsgate.campaigns.texts import LANGUAGES

CANCEL, WITHDRAW, DISPUTE = OrderCommand.CANCEL, OrderCommand.WITHDRAW, OrderCommand.DISPUTE
NAMES = ("Boxman", "CD Madonna")
# One order stands, 74170963: what each text does to it. `ask`: nothing, whatever else is answered.
ROWS = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "data" / "order-replies.jsonl").read_text("utf-8").splitlines()
]


def wish_of(text: str, language: str) -> OrderWish | None:
    return order_wish(text, read_reply(text, language, names=NAMES).label, NAMES)


def done(text: str, language: str) -> str:
    """Return what happens to the one order that is there."""
    label = read_reply(text, language, names=NAMES).label
    wish = order_wish(text, label, NAMES)
    if wish is not None and wish.command is not None:
        return wish.command.value
    return "cancel" if label is Label.DECLINE and plain_no(text) else "ask"


DONE = [(row, done(row["text"], row["lang"])) for row in ROWS]


def test_the_rows_are_many_and_of_every_language_and_wish() -> None:
    assert len(ROWS) >= 400
    assert len({(row["lang"], row["text"]) for row in ROWS}) == len(ROWS)
    assert {(row["lang"], row["wish"]) for row in ROWS} == {
        (language, wish) for language in LANGUAGES for wish in ("cancel", "withdraw", "dispute", "ask")
    }


def test_no_order_is_ended_that_nobody_wants_ended() -> None:
    assert [row for row, did in DONE if did in {"cancel", "withdraw"} and row["wish"] != did] == []


def test_no_order_is_disputed_by_an_everyday_sentence() -> None:
    """Such as "my daughter was delighted", or "it wasn't me at the door, please redeliver"."""
    assert [row for row, did in DONE if did == "dispute" and row["wish"] != did] == []


@pytest.mark.parametrize("wish", ["cancel", "withdraw", "dispute"])
def test_at_most_one_in_ten_clear_wishes_needs_a_question(wish: str) -> None:
    meant = [(row, did) for row, did in DONE if row["wish"] == wish]
    deaf = [row["text"] for row, did in meant if did != wish]
    assert len(deaf) <= len(meant) / 10, deaf


@pytest.mark.parametrize(
    ("text", "language", "command"),
    [
        ("j'annule ma commande", "fr", CANCEL),
        ("CANCEL", "en", CANCEL),
        ("annuler commande 74170963", "fr", CANCEL),
        ("cancel my Madonna order, Julien", "en", CANCEL),
        ("je me rétracte", "fr", WITHDRAW),
        ("Rétractation 74170963 svp", "fr", WITHDRAW),
        ("I withdraw from the contract", "en", WITHDRAW),
        ("I never ordered this", "en", DISPUTE),
        ("my son replied OK", "en", DISPUTE),
        ("je n'ai rien commandé !", "fr", DISPUTE),
    ],
)
def test_what_a_text_wants_done_with_an_order(text: str, language: str, command: OrderCommand) -> None:
    wish = wish_of(text, language)
    assert wish is not None
    assert wish.command is command
    assert wish.reason.endswith(".")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("please do not cancel", "'not' beside 'cancel' may change what is wanted."),
        ("cancel, no?", "'cancel' with a question mark."),
        ("cancel 2 of them", "'2' beside 'cancel' may change what is wanted."),
        ("annulla, non il CD", "'non' beside 'annulla' may change what is wanted."),
        ("no cancelar", "'no' beside 'cancelar' may change what is wanted."),
        ("cancel my order 😂", "'😂' beside 'cancel' may change what is wanted."),
        ("i no longer want to cancel", "'cancel' may be what is not wanted any more."),
        ("Julien cancel", None),
        ("No, cancel", None),
        ("cancel for Julien and me", "'for' beside 'cancel' may change what is wanted."),
    ],
)
def test_what_may_limit_a_wish_is_named_and_the_order_stands(text: str, reason: str | None) -> None:
    wish = order_wish(text, Label.UNCLEAR, NAMES)
    assert wish is not None
    assert (wish.command is None, wish.reason) == (
        reason is not None,
        reason or "'cancel' and nothing that limits it.",
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("it wasn't me at the door", "'door' beside 'it wasn t me' may change what is meant."),
        (
            "I never ordered something better",
            "'something' beside 'i never ordered' may change what is meant.",
        ),
        ("Я не заказывал такси", "'такси' beside 'я не заказывал' may change what is meant."),
    ],
)
def test_what_else_it_wasnt_me_may_be_about_is_named_and_the_order_stands(text: str, reason: str) -> None:
    for label in (Label.UNCLEAR, Label.STOP, Label.HELP):
        assert order_wish(text, label) == OrderWish(None, reason)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "I didn't order anything else, thanks",
            "'else' behind 'didn t order anything' may change what is meant.",
        ),
        ("j'ai rien commandé d'autre", "'d autre' behind 'j ai rien commande' may change what is meant."),
        ("my daughter ordered more", "'more' behind 'my daughter ordered' may change what is meant."),
    ],
)
def test_nothing_else_was_ordered_says_nothing_about_the_order_that_stands(text: str, reason: str) -> None:
    for label in (Label.UNCLEAR, Label.STOP, Label.HELP):
        assert order_wish(text, label) == OrderWish(None, reason)


def test_why_nothing_new_is_bought_disputes_no_older_order_and_that_it_was_a_mistake_does() -> None:
    assert order_wish("sorry i didn't order, too expensive", Label.DECLINE) == OrderWish(
        None, "'too expensive' beside 'i didn t order' may change what is meant."
    )
    wish = order_wish("sorry i didn't order, it was a mistake", Label.DECLINE)
    assert wish is not None
    assert wish.command is DISPUTE


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("cancel my record", "Vinyl Record"),
        ("annulez mon disque svp", "Disque d'or"),
        ("bitte die Platte stornieren", "Platte"),
        ("cancel my shop order", "Kim's Shop"),
    ],
)
def test_the_items_own_name_is_understood_beside_a_wish_whatever_goods_are_called_so(
    text: str, name: str
) -> None:
    wish = order_wish(text, Label.UNCLEAR, ("Boxman", name))
    assert wish is not None
    assert wish.command is CANCEL
    other = order_wish(text, Label.UNCLEAR, ("Boxman", "Madonna"))
    assert other is not None
    assert other.command is None


def test_beside_a_stop_it_wasnt_me_disputes_in_a_clause_of_its_own() -> None:
    wish = order_wish("I never ordered, get me off your list", Label.STOP)
    assert wish is not None
    assert wish.command is DISPUTE
    assert order_wish("I never ordered such rubbish, get me off your list", Label.STOP) == OrderWish(
        None, "'rubbish' beside 'i never ordered' may change what is meant."
    )


@pytest.mark.parametrize(
    "text", ["did I order this? It wasn't me, stop", "my son ordered this, or not? stop"]
)
def test_beside_a_stop_a_question_whether_it_was_me_leaves_the_order_to_a_person(text: str) -> None:
    assert order_wish(text, Label.STOP) == OrderWish(None, "It may dispute an order, with a question mark.")


def test_what_may_stand_beside_it_wasnt_me_is_one_thing_more_beside_any_other_wish() -> None:
    assert order_wish("cancel this cd", Label.UNCLEAR) == OrderWish(
        None, "'cd' beside 'cancel this' may change what is wanted."
    )


@pytest.mark.parametrize("text", ["non merci", "OK", "OK 2", "STOP", "où est mon colis"])
def test_a_text_that_speaks_of_no_end_wants_none(text: str) -> None:
    assert wish_of(text, "fr") is None


def test_beside_a_stop_or_a_question_for_help_a_doubtful_wish_is_none() -> None:
    for label in (Label.STOP, Label.HELP):
        assert order_wish("how do i cancel my newsletter", label) is None
    assert order_wish("je n'en veux plus", Label.STOP) is None
    wish = order_wish("je ne veux plus de ma commande", Label.STOP)
    assert wish is not None
    assert wish.command is CANCEL


@pytest.mark.parametrize("label", [Label.ACCEPT, Label.QUANTITY, Label.CHOICE, Label.AUTO, Label.START])
def test_a_text_that_orders_or_that_a_machine_wrote_commands_nothing(label: Label) -> None:
    assert order_wish("cancel", label) is None


@pytest.mark.parametrize(
    "text", ["NON", "non!", "No", "NON NON", "NO 74170963", "non, commande 74170963 svp"]
)
def test_a_bare_no_and_a_no_before_the_number_are_plain(text: str) -> None:
    assert plain_no(text)


@pytest.mark.parametrize(
    "text",
    ["", "non merci", "no rush", "NON?", "NO 74170963?", "No. 74170963", "NON 4711 74170963",
     "NON 74170963 74170964",
     "74170963", "NO 74170963 has not arrived", "no no cancel", "non 👍", "no nein"],
)  # fmt: skip
def test_whatever_stands_beside_a_no_leaves_it_no_plain_one(text: str) -> None:
    assert not plain_no(text)


LIMITS = (
    "pas",
    "not",
    "don't",
    "never",
    "nicht",
    "ikke",
    "inte",
    "niet",
    "si",
    "if",
    "wenn",
    "maybe",
    "only",
)


@given(st.sampled_from(LIMITS), st.integers(0, 4), st.booleans())
def test_a_limiting_word_anywhere_leaves_the_order_as_it_is(word: str, place: int, shout: bool) -> None:
    said = ["please", "cancel", "my", "order"]
    said.insert(place, word)
    text = " ".join(said)
    for language in ("fr", "en", "de", "sv"):
        assert done(text.upper() if shout else text, language) == "ask"


def test_each_phrase_is_in_one_list_once() -> None:
    phrases = [" ".join(_words(phrase)) for found in table("order_words.toml").values() for phrase in found]
    assert [phrase for phrase, times in Counter(phrases).items() if times > 1] == []


def test_no_word_to_withdraw_or_dispute_is_beside_a_plain_stop() -> None:
    for text in ("STOP", "stop svp", "arrêtez", "STOPP", "BAJA", "unsubscribe", "désabonner"):
        assert order_wish(text, read_reply(text, "fr").label) is None
