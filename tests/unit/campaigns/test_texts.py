from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import pytest

import smsgate
from smsgate.campaigns.order_commands import OrderCommand, order_wish
from smsgate.campaigns.replies import Label, read_reply
from smsgate.campaigns.tables import table
from smsgate.campaigns.texts import (
    FIELD_CHARACTERS_MAX,
    LANGUAGES,
    START_WORDING,
    UCS2_LANGUAGES,
    contact_text,
    field_characters_max,
    kinds,
    often_text,
    other_yes,
    spoken,
    system_text,
    told_word,
    topic_text,
)
from smsgate.errors import Invalid
from smsgate.protocol.gsm0338 import is_gsm
from smsgate.protocol.segmentation import measure

USUAL: dict[str, str | int] = {
    "shop": "Boxman",
    "item": "CD Madonna",
    "quantity": 1,
    "total": "19,90€",
    "order": "4711",
    "until": "20h",
    "maximum": 5,
    "contact": "aide@boxman.fr",
    "link": "bxm.fr/c/8Hq2",
    "at": "21.11 14:03",
    "reason": "rupture",
    "topic": "sondages, rendez-vous",
    "names": "Boxman, Discomania",
    "orders": "74170963, 74170964",
    "word": "RETRACTATION",
    "often": "au plus 4 par semaine",
    "days": 14,
}
WORST: dict[str, str | int] = {"shop": "{}" * 100, "item": "Œuvre [€] " * 30, "names": "{}" * 100}
for _name, _limit in FIELD_CHARACTERS_MAX.items():
    WORST[_name] = "€" * (_limit // 2) + "8" * (_limit - _limit // 2)


def usual(language: str) -> dict[str, str | int]:
    """Return what fields mostly hold; words of the language itself where a field holds those."""
    topic = topic_text(["polls", "appointments"], language)
    often = often_text(4, language)
    return {**USUAL, "topic": topic, "word": told_word("withdraw", language), "often": often}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_of_a_language_fit_the_places_that_texts_have_for_them(language: str) -> None:
    words = [told_word(name, language) for name in ("yes", "cancel", "withdraw")]
    assert max(map(len, [*words, "OK 8888"])) <= field_characters_max("word", language)
    topics = topic_text(["offers", "location", "polls", "appointments"], language)
    assert len(topics) <= field_characters_max("topic", language)
    for week_max in (None, 1_000):
        assert len(often_text(week_max, language)) <= field_characters_max("often", language)


@pytest.mark.parametrize("contact", ["", "x" * 41, "\u2026" * 30])  # three dots for each
@pytest.mark.parametrize(
    ("name", "kept"),
    [("Boxman", "Boxman"), ("N" * 60, "N" * 40), ("\u0152" * 60, "\u0152" * 20)],  # OE for each
)
def test_a_contact_that_no_text_has_room_for_gives_way_to_the_name(
    contact: str, name: str, kept: str
) -> None:
    assert contact_text(contact, name) == kept
    for language in LANGUAGES:
        told = system_text("help", language, shop="Disco", contact=kept)
        assert kept in told or kept.replace("\u0152", "OE") in told
    assert contact_text("bxm.fr", name) == "bxm.fr"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", kinds())
def test_every_text_fits_one_segment_of_its_alphabet_in_its_worst_case(kind: str, language: str) -> None:
    worst: dict[str, str | int] = {
        **{name: str(value)[: field_characters_max(name, language)] for name, value in WORST.items()},
        "total": "8" * 13 + "€",
        "order": "8" * 12,
        "quantity": "8888",
        "maximum": "8888",
    }
    for fields in (usual(language), worst):
        air = measure(system_text(kind, language, **fields))
        assert (air.encoding, air.segments) == ("ucs2" if language in UCS2_LANGUAGES else "gsm7", 1)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", kinds())
def test_amounts_and_numbers_are_never_cut(kind: str, language: str) -> None:
    fields: dict[str, str | int] = {
        **usual(language),
        "shop": "S" * 90,
        "item": "I" * 200,
        "total": "123456,78 EUR",
        "order": "990000004711",
    }
    text = system_text(kind, language, **fields)
    template = re.sub(r"\[[^\]]*\]", "", table("texts.toml")[language][kind])
    for name in ("total", "order", "quantity", "maximum"):
        assert f"{{{name}}}" not in template or str(fields[name]) in text


def test_every_text_is_one_that_something_sends() -> None:
    """By its name in the code: a text that nobody sends is a promise that nobody keeps."""
    code = "".join(path.read_text(encoding="utf-8") for path in Path(smsgate.__file__).parent.rglob("*.py"))
    assert [kind for kind in kinds() if f'"{kind}"' not in code] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_text_with_the_same_fields(language: str) -> None:
    texts, reference = table("texts.toml")[language], table("texts.toml")["en"]
    assert list(texts) == list(reference)
    for kind in reference:
        assert set(re.findall(r"\{\w+\}", texts[kind])) == set(re.findall(r"\{\w+\}", reference[kind]))


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_but_the_shops_confirmation_says_confirmed_or_paid(language: str) -> None:
    claim = re.compile(
        r"confirm|bekräft|bestätigt|bevestig|bekræft|bekreft|vahvist|potwierdz|onayla|принят:|قبول|charged$|débitée|paid|payé",
        re.IGNORECASE,
    )
    for kind in kinds():
        if kind != "order_confirmed":
            text = system_text(kind, language, **usual(language))
            assert not claim.search(text), kind


def test_the_receipt_tells_item_number_total_order_and_how_to_cancel() -> None:
    text = system_text("order_receipt", "fr", **USUAL)
    assert text == (
        "Boxman: votre OK est bien recu: 1 CD Madonna 19,90€. Commande 4711 transmise. "
        "Pour annuler avant 20h: NON 4711. bxm.fr/c/8Hq2"
    )


@pytest.mark.parametrize(
    ("language", "word"),
    [
        ("fr", "NON"),
        ("en", "NO"),
        ("sv", "NEJ"),
        ("de", "NEIN"),
        ("es", "NO"),
        ("it", "NO"),
        ("pt", "NAO"),
        ("nl", "NEE"),
        ("da", "NEJ"),
        ("nb", "NEI"),
        ("fi", "EI"),
        ("pl", "NIE"),
        ("tr", "HAYIR"),
        ("ru", "НЕТ"),
        ("ar", "لا"),
    ],
)
def test_the_words_that_texts_tell_to_use_are_understood(language: str, word: str) -> None:
    assert f"{word} 4711" in system_text("order_receipt", language, **usual(language))
    assert read_reply(f"{word} 4711", language).reference == "4711"
    stop = re.findall(r"(STOPP?|BAJA|SAIR|СТОП) =", system_text("unclear", language, **usual(language)))
    assert [read_reply(w, language).label for w in stop] == [Label.STOP]
    assert "START" in system_text("stop_confirmation", language, **usual(language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_word_to_withdraw_an_order_is_understood_and_is_no_stop(language: str) -> None:
    text = f"{told_word('withdraw', language)} 74170963"
    label = read_reply(text, language).label
    assert label is not Label.STOP
    wish = order_wish(text, label)
    assert wish is not None
    assert wish.command is OrderCommand.WITHDRAW
    assert read_reply(f"{told_word('cancel', language)} 74170963", language).label is Label.DECLINE


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_second_question_asks_for_other_letters_than_the_first_answer_had(language: str) -> None:
    yes = told_word("yes", language)
    assert other_yes("ok merci", 2, language) == yes
    assert other_yes(f"{yes.lower()}!", 2, language) == "OK"
    assert other_yes(f"OK {yes}", 2, language) == "OK 2"
    assert {read_reply(word, language).label for word in (yes, "OK")} == {Label.ACCEPT}
    assert read_reply("OK 2", language).quantity == 2


def test_optional_parts_are_left_out_without_their_field() -> None:
    text = system_text("order_receipt", "en", shop="B", item="CD", quantity=1, total="1£", order="7")
    assert text == "B: we got your OK: 1 CD 1£. Order 7 is passed on."


def test_the_first_language_that_has_texts_is_spoken_and_norwegian_has_three_names() -> None:
    assert spoken("ja", "fr-BE") == "fr"
    assert spoken("ru-UA", "fr") == "ru"
    assert spoken("pt_BR", "fr") == "pt"
    assert {spoken(code) for code in ("no", "nn-NO", "nb", "NB")} == {"nb"}
    assert spoken(None, "ja") == spoken() == "en"


def test_where_a_carrier_writes_no_ucs2_a_text_goes_in_the_next_language_and_at_last_in_english() -> None:
    assert spoken("ru", "fr", ucs2=False) == "fr"
    assert spoken("ar", "ru-UA", ucs2=False) == spoken("ar", ucs2=False) == "en"
    assert spoken("pl", "fr", ucs2=False) == "pl"
    for kind in kinds():
        assert is_gsm(system_text(kind, spoken("ar", "ru", ucs2=False), **usual("en"))), kind


def test_names_are_replaced_by_gsm_characters_and_unknown_languages_get_english() -> None:
    assert (
        system_text("late", "ja", shop="Françoise", item="Noël’s 你")
        == "Francoise: the offer Noel's  has ended. Nothing was ordered."
    )


def test_names_keep_their_letters_where_the_text_is_ucs2_and_are_cut_to_its_seventy_units() -> None:
    text = system_text("sold_out", "ru", shop="Бокс 😀 Ёлка", item="Дискотека " * 9)
    assert text.startswith("Бокс 😀 Ёлка: Дискотека Дискотека")
    assert text.endswith(".: распродано. Ничего не заказано.")
    assert len(text.encode("utf-16-be")) // 2 == 70


def test_missing_and_overlong_fields_are_refused() -> None:
    with pytest.raises(Invalid) as missing:
        system_text("late", "fr", shop="B")
    with pytest.raises(Invalid) as overlong:
        system_text("late", "fr", shop="B", item="C", order="1" * 13)
    assert (missing.value.code, overlong.value.code) == ("field_missing", "field_too_long")


def test_templates_have_no_braces_but_those_of_places() -> None:
    for language in LANGUAGES:
        for kind, template in table("texts.toml")[language].items():
            assert not set("{}") & set(re.sub(r"\{[a-z]+\}", "", template)), (language, kind)


def test_what_fills_a_place_is_not_read_as_a_template() -> None:
    text = system_text("order_receipt", "en", **USUAL | {"shop": "{item} {0} %s"})
    assert "{item} {0} %s" in text


def test_the_welcome_that_a_start_agrees_to_keeps_its_version_as_long_as_its_words() -> None:
    """Whoever changes a word gives it the next version: the log of consents names it for years."""
    words = [(language, table("texts.toml")[language]["start_welcome"]) for language in LANGUAGES]
    assert (START_WORDING, sha256(repr(words).encode()).hexdigest()[:16]) == (
        "smsgate/start-1",
        "cd0a2dd2d570aec0",
    )
