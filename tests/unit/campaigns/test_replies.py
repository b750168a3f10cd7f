"""What single replies mean; the labelled sets are in tests/replies."""

from __future__ import annotations

import json
import py_compile
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import smsgate
from smsgate.campaigns.replies import Context, Label, read_reply
from smsgate.campaigns.reply_entries import entries_of
from smsgate.campaigns.tables import DIGITS, digest_of

CAMPAIGNS = Path(smsgate.__file__).parent / "campaigns"
ORDERS = {Label.ACCEPT, Label.QUANTITY, Label.CHOICE}

# Written for these tests, not taken from the labelled set.
PHRASES: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "data" / "reply-phrases.json").read_text("utf-8")
)


def spread(label: str) -> list[tuple[str, str]]:
    return [(language, text) for language, texts in PHRASES[label].items() for text in texts]


@pytest.mark.parametrize(("language", "text"), spread("no_order"))
def test_where_a_careful_person_hesitates_nothing_is_ordered(language: str, text: str) -> None:
    assert read_reply(text, language, names=("Boxman",)).label not in ORDERS


@pytest.mark.parametrize(("language", "text"), spread("stop"))
def test_a_stop_needs_no_keyword_and_wins_over_a_yes(language: str, text: str) -> None:
    assert read_reply(text, language).label is Label.STOP


@pytest.mark.parametrize(("language", "text"), spread("accept"))
def test_a_plain_yes_accepts(language: str, text: str) -> None:
    reading = read_reply(text, language, names=("Boxman",))
    assert (reading.label, reading.quantity) == (Label.ACCEPT, 1)


@pytest.mark.parametrize(
    ("language", "text", "quantity"),
    [(lang, text, n) for lang, texts in PHRASES["quantity"].items() for text, n in texts.items()],
)
def test_a_stated_number_is_the_quantity(language: str, text: str, quantity: int) -> None:
    reading = read_reply(text, language)
    assert (reading.label, reading.quantity) == (Label.QUANTITY, quantity)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("a blue in a large", "en"),
        ("the second one, on vinyl please", "en"),
        ("CD, not vinyl", "en"),
        ("not the white one, the green one", "en"),
        ("el negro no, el azul", "es"),
        ("nicht die rote, sondern die weiße", "de"),
        ("the 11am slot suits me", "en"),
        ("le créneau de 16h30 me va", "fr"),
        ("quello con la copertina nera, grazie", "it"),
        ("the Coltrane record please", "en"),
        ("celle de Barbara svp", "fr"),
    ],
)
def test_a_variant_may_be_named_in_several_words(text: str, language: str) -> None:
    assert read_reply(text, language, names=("Boxman",)).label is Label.CHOICE


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("not the blue one", "en"),
        ("red or blue", "en"),
        ("the red and the blue", "en"),
        ("the broken record please", "en"),
        ("the Coltrane record is scratched", "en"),
        ("celle de ma voisine est cassée", "fr"),
        ("le créneau ne me va pas", "fr"),
        ("11am", "en"),
        ("the blue one works great", "en"),
    ],
)
def test_what_is_refused_broken_or_undecided_is_no_variant(text: str, language: str) -> None:
    assert read_reply(text, language, names=("Boxman",)).label not in ORDERS


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("I pressed stop accidentally, keep sending please", "en"),
        ("stop envoyé par accident, continuez svp", "fr"),
        ("lo stop era un errore, continuate", "it"),
    ],
)
def test_a_stop_that_is_called_a_mistake_asks_for_messages_again(text: str, language: str) -> None:
    assert read_reply(text, language).label is Label.START


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("you text me by mistake, stop", "en"),
        ("stop, this is an error, don't keep sending", "en"),
        ("why do you keep sending by mistake? stop", "en"),
        ("stop, c'est une erreur", "fr"),
    ],
)
def test_a_mistake_of_the_sender_does_not_take_a_stop_back(text: str, language: str) -> None:
    assert read_reply(text, language).label is Label.STOP


@pytest.mark.parametrize(
    ("text", "language", "label"),
    [
        ("I'm driving, stop texting me", "en", Label.STOP),
        ("STOPP, bin im Urlaub", "de", Label.STOP),
        ("No thanks, I'm on holiday", "en", Label.DECLINE),
        ("OK, call you later", "en", Label.UNCLEAR),
        ("I'm driving. I'll call you later, when I stop", "en", Label.UNCLEAR),
        ("I'm driving", "en", Label.AUTO),
        ("I'm driving. Reply STOP to end these messages", "en", Label.AUTO),
        ("Automatic reply: I'm on holiday. Reply STOP to end", "en", Label.AUTO),
        ("Automatic reply. I cannot read this on holiday, so please stop writing", "en", Label.UNCLEAR),
    ],
)
def test_what_a_person_may_say_too_hides_no_stop_and_a_machine_makes_none(
    text: str, language: str, label: Label
) -> None:
    assert read_reply(text, language).label is label


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("pelase dont send me anymroe mesages", "en"),
        ("leavemealone", "en"),
        ("abmeldne", "und"),
        ("desinscrption", "fr"),
        ("w9fo had les messages", "ar-Latn"),
        ("waaqef", "ar-Latn"),
        ("matsiftoulich", "ar-Latn"),
        ("الرقم مو لأحمد", "ar"),
        ("supprimez my number", "fr"),
        ("lose my #", "en"),
        ("how many times must I say stop", "en"),
    ],
)
def test_a_stop_is_heard_through_slips_of_the_finger_and_mixed_languages(text: str, language: str) -> None:
    assert read_reply(text, language).label is Label.STOP


@pytest.mark.parametrize(
    ("text", "language"), [("oui je prnds", "fr"), ("yse", "en"), ("bestelen", "de"), ("takk to ja", "pl")]
)
def test_an_order_is_never_read_out_of_a_word_that_is_not_spelled_right(text: str, language: str) -> None:
    assert read_reply(text, language).label not in ORDERS


@pytest.mark.parametrize(
    ("text", "language"),
    [("NON 4711", "fr"), ("NO 4711", "en"), ("NEJ 4711", "sv"), ("annuler commande 4711", "fr")],
)
def test_a_no_with_an_order_number_cancels_that_order(text: str, language: str) -> None:
    reading = read_reply(text, language)
    assert (reading.label, reading.reference) == (Label.DECLINE, "4711")


@pytest.mark.parametrize(
    ("text", "language", "label"),
    [
        ("si", "es", Label.ACCEPT),
        ("si", "fr", Label.UNCLEAR),
        ("tak", "pl", Label.ACCEPT),
        ("tak", "da", Label.UNCLEAR),
        ("ano", "cs", Label.ACCEPT),
        ("ano", "es", Label.UNCLEAR),
        ("en", "sv", Label.QUANTITY),
        ("en", "fr", Label.UNCLEAR),
    ],
)
def test_the_profile_decides_words_that_differ_between_languages(
    text: str, language: str, label: Label
) -> None:
    assert read_reply(text, language).label is label


@pytest.mark.parametrize(
    ("text", "language"),
    [("OK, I'll call you later", "en"), ("Ok, je suis en réunion", "fr"), ("ja, ich fahre gerade", "de")],
)
@pytest.mark.parametrize("context", [Context.OFFER, Context.OPTIN])
def test_a_yes_beside_what_a_machine_may_say_neither_buys_nor_subscribes(
    text: str, language: str, context: Context
) -> None:
    assert read_reply(text, language, context=context).label is Label.UNCLEAR


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("I do not reply to adverts and I never asked for this so please stop them", "en"),
        ("You sent me a verification code that I never asked for, please stop it", "en"),
        ("STOP. I get these messages during business hours and they disturb me at work", "en"),
        ("STOP ne m'envoyez plus rien ma messagerie vocale est pleine a cause de vous", "fr"),
    ],
)
def test_a_stop_in_a_long_text_with_a_machines_words_is_never_dropped(text: str, language: str) -> None:
    assert read_reply(text, language).label in {Label.STOP, Label.UNCLEAR}


def test_what_a_machine_tells_people_to_send_is_no_stop_of_theirs() -> None:
    text = "This is an automatic reply, nobody reads this mailbox. Reply STOP to end messages from us."
    assert read_reply(text, "en").label is Label.AUTO


def test_yes_buys_and_never_subscribes_unless_the_question_was_about_messages() -> None:
    assert read_reply("YES", "en").label is Label.ACCEPT
    assert read_reply("YES", "en", context=Context.OPTIN).label is Label.START
    assert read_reply("YES", "en", context=Context.NONE).label is Label.UNCLEAR
    assert read_reply("YES", "en", context=Context.MULTI).label is Label.UNCLEAR
    assert read_reply("2", "en", context=Context.LIST).label is Label.CHOICE
    assert read_reply("OK", "en", context=Context.POLL).label is Label.FEEDBACK


def test_no_declines_and_never_unsubscribes() -> None:
    for text, language in [
        ("NO", "en"),
        ("NON", "fr"),
        ("NEJ", "sv"),
        ("NEIN", "de"),
        ("no", "es"),
        ("no", "it"),
    ]:
        assert read_reply(text, language).label is Label.DECLINE


def test_a_reading_says_why_and_by_which_rules() -> None:
    reading = read_reply("OK 2", "fr")
    assert reading.rule == "yes_number"
    assert "2" in reading.reason
    assert reading.rules_version.endswith(f"+{digest_of(CAMPAIGNS).hex()[:DIGITS]}")


@pytest.mark.parametrize(
    "name",
    [
        "words/fr.toml", "order_words.toml", "order_children.toml", "consent_words.toml", "blocks.toml",
        "texts.toml", "law/offer_phrases.toml", "replies.py", "reply_machine.py", "order_commands.py",
        "folding.py",
    ],
)  # fmt: skip
def test_the_rules_have_another_version_with_any_word_and_any_line_of_code(name: str, tmp_path: Path) -> None:
    copy = tmp_path / "campaigns"
    shutil.copytree(CAMPAIGNS, copy)
    assert digest_of(copy) == digest_of(CAMPAIGNS)
    (copy / name).write_text((copy / name).read_text("utf-8") + "# one word more\n", "utf-8")
    assert digest_of(copy) != digest_of(CAMPAIGNS)


def test_an_installation_without_sources_has_another_version_with_any_line_of_code_too(
    tmp_path: Path,
) -> None:
    def compiled(name: str, more: str) -> bytes:
        copy = tmp_path / name
        shutil.copytree(CAMPAIGNS, copy, ignore=shutil.ignore_patterns("__pycache__"))
        with (copy / "replies.py").open("a") as source:
            source.write(more)
        for source_path in copy.glob("*.py"):
            py_compile.compile(
                str(source_path), f"{source_path}c", source_path.name,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )  # fmt: skip
            source_path.unlink()
        return digest_of(copy)

    assert compiled("one", "") == compiled("same", "")
    assert compiled("other", "ONE_LINE_MORE = 1\n") != compiled("again", "")


@given(st.text(max_size=300), st.sampled_from(["fr", "en", "sv", "de", "es", "it", "und", "xx"]))
@example("0e", "fr")  # found here: nothing is the noughth
def test_every_text_has_one_reading(text: str, language: str) -> None:
    assert read_reply(text, language) == read_reply(text, language)


@given(st.text(max_size=60))
@example("?IN")  # found here: "stop in" is a visit
@example("by")
def test_a_stop_on_a_line_of_its_own_never_orders_whatever_follows(tail: str) -> None:
    """Found here: a long question after the STOP made the text a question."""
    assert read_reply(f"STOP\n{tail}", "fr").label in {Label.STOP, Label.AUTO, Label.UNCLEAR}


def test_a_question_after_a_stop_is_still_a_stop() -> None:
    for text in (
        "STOP. Why do you keep sending me all of this?",
        "STOP\nOK?",
        "Stop! Who gave you this number, and when?",
    ):
        assert read_reply(text, "en").label is Label.STOP


@pytest.mark.parametrize(
    "text",
    [
        "a " * 800,
        "stop by " * 200,
        "ok " * 500,
        "1 " * 800,
        "s t o p " * 200,
        "«" * 100_000,
        "je ne suis pas " * 9_000,
    ],
)
def test_hostile_texts_are_read_in_linear_time(text: str) -> None:
    read_reply(text, "fr")


def test_ideas_that_stand_far_apart_in_a_long_sentence_are_no_stop() -> None:
    text = (
        "Bonjour, je voudrais commander le disque mais je ne sais pas si mon adresse est encore la bonne, "
        "car j'ai déménagé en octobre. Pouvez-vous m'appeler demain, s'il vous plaît ? Merci, Hélène."
    )
    assert read_reply(text, "fr").label is not Label.STOP
    assert read_reply("je ne veux vraiment plus du tout recevoir vos messages", "fr").label is Label.STOP


def test_an_entry_with_choices_stands_for_each_phrase_that_can_be_made_of_it() -> None:
    assert entries_of("(i|we) want (it|); ok") == (
        ("i", "want", "it"),
        ("i", "want"),
        ("we", "want", "it"),
        ("we", "want"),
        ("ok",),
    )


@pytest.mark.parametrize(
    ("text", "language", "label"),
    [
        ("OK. Regards, J. Miller", "en", Label.ACCEPT),
        ("ja graag, groetjes Fleurtje", "nl", Label.ACCEPT),
        ("OK from Paris", "en", Label.UNCLEAR),
        ("OK best Pizza in town", "en", Label.UNCLEAR),
        ("ja solange der Vorrat reicht", "de", Label.UNCLEAR),
        ("ok sept", "en", Label.UNCLEAR),
        ("ok Annas", "sv", Label.UNCLEAR),
        ("OK €", "en", Label.UNCLEAR),
    ],
)
def test_a_name_is_what_people_sign_with_and_no_other_word(text: str, language: str, label: Label) -> None:
    assert read_reply(text, language).label is label


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "YES. - Dr. A. Ramsbottom"),
        ("en", "yes please, Quentina"),
        ("sv", "Ja tack. /Ragnvald"),
        ("it", "ok grazie mille, Ermengarda"),
        ("fr", "Oui merci Philomena"),
        ("fr", "OK 🎶 Philomena"),
        ("de", "Ja bitte! Ihre Hannelore Krumbiegel"),
    ],
)
def test_one_or_two_words_that_stand_like_a_signature_are_one(language: str, text: str) -> None:
    assert read_reply(text, language).label is Label.ACCEPT


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Yes, Paypal"),
        ("en", "Yes. Waterproof"),
        ("en", "yes please, quentinately"),
        ("en", "Yes, Blue Whales Swim"),
        ("fr", "Oui merci Amazon"),
        ("fr", "ok merci docteur"),
        ("de", "Ja bitte, Geschenkpapier"),
        ("de", "Ja, Bordsteinkante"),
    ],
)
def test_what_pays_delivers_or_is_no_name_is_no_signature(language: str, text: str) -> None:
    assert read_reply(text, language).label is Label.UNCLEAR


@pytest.mark.parametrize(
    ("language", "text", "label"),
    [
        ("fr", "oui pour ma mère", Label.ACCEPT),
        ("fr", "ok pour ma mère", Label.UNCLEAR),
        ("fr", "oui pour le dentiste", Label.UNCLEAR),
        ("fr", "je le prends pour l'écouter en voiture", Label.ACCEPT),
        ("de", "drei fürs Büro bitte", Label.QUANTITY),
        ("en", "I'll take it for our brewery", Label.ACCEPT),
        ("en", "yes for our brewery", Label.UNCLEAR),
        ("sv", "ja tack, den har jag väntat på", Label.ACCEPT),
        ("sv", "den har jag väntat på", Label.UNCLEAR),
        ("fr", "ok j'adore", Label.UNCLEAR),
        ("fr", "j'adore je prends", Label.ACCEPT),
        ("fr", "j'adore", Label.FEEDBACK),
    ],
)
def test_what_it_is_for_and_joy_change_nothing_beside_a_sure_answer(
    language: str, text: str, label: Label
) -> None:
    assert read_reply(text, language).label is label


@pytest.mark.parametrize(
    ("language", "text", "label"),
    [
        ("nl", "ja graag lieverd", Label.ACCEPT),
        ("nl", "ja lieverd", Label.UNCLEAR),
        ("en", "yes dear", Label.UNCLEAR),
        ("fr", "merci mon ami, je le prends", Label.ACCEPT),
        ("fr", "oui mon ami", Label.UNCLEAR),
    ],
)
def test_who_is_spoken_to_is_the_shop_only_beside_thanks_or_a_verb_of_buying(
    language: str, text: str, label: Label
) -> None:
    assert read_reply(text, language).label is label


@pytest.mark.parametrize(
    ("language", "text", "quantity"),
    [
        ("en", "Two please, one is a present", 2),
        ("de", "zwei, eins ist ein Geschenk", 2),
        ("fr", "deux, un pour ma femme", 2),
        ("en", "two, one for my wife, one for my sister, one for my son", None),  # more than there are
        ("de", "zwei und eine für meine Schwester", None),  # three, or two
        ("fr", "un pour moi et un pour mon frère donc 2", 2),
        ("en", "one for me and one for my wife, so 3", None),
    ],
)
def test_what_one_of_a_number_is_for_leaves_the_number(
    language: str, text: str, quantity: int | None
) -> None:
    reading = read_reply(text, language)
    assert reading.quantity == quantity
    assert reading.label is (Label.QUANTITY if quantity else Label.UNCLEAR)


def test_a_doubled_letter_too_many_hides_no_stop_and_makes_no_order() -> None:
    assert read_reply("slutta skicka", "sv").label is Label.STOP
    assert read_reply("beeställer", "sv").label is Label.UNCLEAR
