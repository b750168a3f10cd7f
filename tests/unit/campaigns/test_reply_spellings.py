"""Spellings that people use and no list has: without the space, as they speak, as a phone takes dictation."""

from __future__ import annotations

import pytest

from smsgate.campaigns.replies import Label, read_reply
from smsgate.campaigns.reply_entries import listed, spoken_entries


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("jabitte", "de"),
        ("sigrazie", "it"),
        ("Jatack!", "sv"),
        ("yespls", "en"),
        ("ouimerci", "fr"),
        ("taklütfen", "pl"),
    ],
)
def test_a_yes_and_a_word_of_thanks_need_no_space(text: str, language: str) -> None:
    assert read_reply(text, language).label is Label.ACCEPT


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("jabitte nicht", "de"),
        ("sigrazie ma domani", "it"),
        ("ouimerci?", "fr"),
        ("stopmerci", "fr"),
        ("simerci", "xx"),
    ],
)
def test_beside_anything_else_it_is_no_order(text: str, language: str) -> None:
    assert read_reply(text, language).label not in {Label.ACCEPT, Label.QUANTITY, Label.CHOICE}


def test_a_word_as_it_is_spoken_is_the_word_that_is_meant() -> None:
    assert read_reply("lämna mej i fred", "sv").label is Label.STOP
    assert read_reply("hörts auf", "de").label is Label.STOP
    assert read_reply("ikkje send meldingar", "nb").label is Label.STOP


def test_each_spoken_spelling_is_of_no_list_and_means_one_word_of_a_list() -> None:
    """Any other would change nothing, or what another language says."""
    said, meant = zip(*spoken_entries(), strict=True)
    assert sorted({*said} & listed()) == []
    assert sorted({*meant} - listed()) == []
    assert len({*said}) == len(said)


@pytest.mark.parametrize(
    ("text", "language", "label"),
    [
        ("OK Period", "en", Label.ACCEPT),
        ("Yes comma please", "en", Label.ACCEPT),
        ("Ja Punkt", "de", Label.ACCEPT),
        ("ok punkt 2", "de", Label.UNCLEAR),
        ("yes period 5", "en", Label.UNCLEAR),
        ("Stop Punkt", "de", Label.STOP),
        ("no period", "en", Label.DECLINE),
    ],
)
def test_a_mark_that_was_dictated_says_nothing(text: str, language: str, label: Label) -> None:
    assert read_reply(text, language).label is label


def test_a_yes_before_a_verb_of_buying_buys_like_the_verb() -> None:
    assert read_reply("dai ok lo prendo", "it").label is Label.ACCEPT


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("yes please, without hesitation", "en"),
        ("ja bitte, so schnell wie möglich", "de"),
        ("si gracias, lo antes posible", "es"),
        ("oui merci, au plus vite", "fr"),
        ("ja tak, hurtigst muligt", "da"),
        ("да пожалуйста, как можно скорее", "ru"),
        ("yes please, hugs", "en"),
        ("si grazie, a presto", "it"),
    ],
)
def test_haste_and_a_farewell_change_nothing_beside_thanks(text: str, language: str) -> None:
    assert read_reply(text, language).label is Label.ACCEPT


@pytest.mark.parametrize(
    ("text", "language"), [("ok hugs", "en"), ("ok a presto", "it"), ("ok bis bald", "de")]
)
def test_a_farewell_beside_a_bare_ok_is_for_somebody_else(text: str, language: str) -> None:
    assert read_reply(text, language).label is Label.UNCLEAR


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Tak kochana", "pl"),
        ("tak mordo", "pl"),
        ("tak tak, szefie", "pl"),
        ("tak buziaki", "pl"),
        ("tak do auta", "pl"),
        ("tá sim querida", "pt"),
        ("tá sim, amiga", "pt"),
        ("tá sim, beijos", "pt"),
    ],
)
def test_what_is_another_languages_thanks_is_no_thanks(text: str, language: str) -> None:
    """Whom "yes dear" is said to is not known; Danes thank with a Polish yes, Britons as Portuguese agree."""
    assert read_reply(text, language).label is Label.UNCLEAR


@pytest.mark.parametrize(("text", "language"), [("tak dziękuję kochana", "pl"), ("ja tack kompis", "sv")])
def test_a_yes_with_thanks_is_one_still(text: str, language: str) -> None:
    assert read_reply(text, language).label is Label.ACCEPT


@pytest.mark.parametrize("text", ["ok appena possibile", "si grazie, appena possibile", "ok appena posso"])
def test_who_says_yes_as_soon_as_it_is_possible_may_put_it_off(text: str) -> None:
    """Italians ask for haste by "il prima possibile"."""
    assert read_reply(text, "it").label is Label.UNCLEAR


@pytest.mark.parametrize("text", ["0.K.", "Oo.K.", "o.0.k", "0-k"])
def test_ok_with_noughts_and_marks_is_ok(text: str) -> None:
    assert read_reply(text, "en").label is Label.ACCEPT


@pytest.mark.parametrize("text", ["10.0.K", "5.0k", "ok 2.0.k", "20.-k", "$0.k"])
def test_a_figure_before_a_k_is_none(text: str) -> None:
    assert read_reply(text, "en").label is Label.UNCLEAR


def test_the_small_print_of_a_mail_is_not_read() -> None:
    mail = "Yes please\n\nThis e-mail and any attachments are confidential. To stop, reply."
    assert read_reply(mail, "en").label is Label.ACCEPT
    assert read_reply("Yes\nThis e-mail is not for me, stop", "en").label is Label.STOP


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("ok thanks it's for my mum", "en"),
        ("ok merci, c'est pour ma mère", "fr"),
        ("yes finally decided", "en"),
    ],
)
def test_what_for_and_why_change_nothing_beside_thanks_or_a_plain_yes(text: str, language: str) -> None:
    assert read_reply(text, language).label is Label.ACCEPT


@pytest.mark.parametrize("text", ["ok it's for my mum", "ok finally decided", "ok thanks love the album"])
def test_beside_a_bare_ok_and_in_talk_they_are_asked_about(text: str) -> None:
    assert read_reply(text, "en").label is Label.UNCLEAR
