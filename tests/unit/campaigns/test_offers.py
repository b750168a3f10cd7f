from __future__ import annotations

from datetime import date

import pytest

from smsgate.campaigns.offers import Facts, Finding, can_receive, lint, rules_of
from smsgate.campaigns.tables import table
from smsgate.campaigns.texts import LANGUAGES
from smsgate.protocol.encodings import permitted
from smsgate.protocol.segmentation import measure
from smsgate.protocol.shift_tables import Shift

FRENCH = (
    "Boxman: CD Madonna 19,90€ port compris. Répondez OK = commande avec obligation de paiement. "
    "Rétractation 14 j. Infos bxm.fr/m1 STOP 36111"
)
ENGLISH = (
    "Boxman: Madonna CD £12.99 incl. post. Reply OK = order with obligation to pay. "
    "14 days to withdraw. Info bxm.uk/m1 STOP to end"
)
SWEDISH = (
    "Boxman: Madonna-skiva 149 kr inkl frakt. Svara OK = beställning med betalningsskyldighet. "
    "14 dagars ångerrätt. bxm.se/m1 STOPP"
)
BARE = "Le dernier disque de Madonna est en vente sur Boxman. Voulez-vous l'acheter ? Repondez OK"
FACTS = Facts("Boxman", "CD Madonna", 1990, "EUR")


def missing(findings: list[Finding]) -> set[str]:
    return {finding.what for finding in findings if finding.code == "mandatory_info_missing"}


@pytest.mark.parametrize(
    ("text", "septets", "facts", "country"),
    [
        (FRENCH, 138, FACTS, "FR"),
        (ENGLISH, 126, Facts("Boxman", "Madonna CD", 1299, "GBP"), "GB"),
        (SWEDISH, 126, Facts("Boxman", "Madonna-skiva", 14900, "SEK"), "SE"),
    ],
)
def test_a_text_with_the_legal_minimum_passes_and_fits(
    text: str, septets: int, facts: Facts, country: str
) -> None:
    assert measure(text).units == septets
    assert lint(text, facts, country, "36111") == []
    assert lint(text, facts, "PT", "36111") == []  # the strict common minimum asks for the same


def test_a_text_without_price_withdrawal_meaning_and_stop_is_refused_with_each_named() -> None:
    findings = lint(BARE, FACTS, "FR", "36111")
    assert missing(findings) == {"price", "ok_meaning", "withdrawal", "stop"}
    assert all(finding.source for finding in findings)


@pytest.mark.parametrize(
    ("cut", "element"),
    [
        ("Boxman: ", "identity"),
        ("CD Madonna ", "item"),
        ("19,90€", "price"),
        ("avec obligation de paiement", "ok_meaning"),
        ("Rétractation 14 j.", "withdrawal"),
        (" STOP 36111", "stop"),
        (" 14 j", "withdrawal"),
        ("€", "price"),
    ],
)
def test_each_element_is_missed_when_it_is_cut_out(cut: str, element: str) -> None:
    assert missing(lint(FRENCH.replace(cut, ""), FACTS, "FR", "36111")) == {element}


@pytest.mark.parametrize(
    ("written", "currency", "minor", "right"),
    [
        ("19,90€", "EUR", 1990, True),
        ("19.90 EUR", "EUR", 1990, True),
        ("€19.90", "EUR", 1990, True),
        ("19,91€", "EUR", 1990, False),
        ("1990€", "EUR", 1990, False),
        ("119,90€", "EUR", 1990, False),
        ("1 199,00 kr", "SEK", 119900, True),
        ("149:-", "SEK", 14900, False),
        ("20€", "EUR", 2000, True),
        ("19,90 kreta", "SEK", 1990, False),
        ("£12.99", "GBP", 1299, True),
        ("12.99$", "GBP", 1299, False),
    ],
)
def test_the_price_in_the_text_is_that_of_the_offer(
    written: str, currency: str, minor: int, right: bool
) -> None:
    text = FRENCH.replace("19,90€", written)
    assert (
        "price" not in missing(lint(text, Facts("Boxman", "CD Madonna", minor, currency), "FR", "36111"))
    ) is right


# The legal minimum as a shop writes it, in each language of the gateway; the length is another rule.
MINIMUM = {
    "fr": "OK = commande avec obligation de paiement. {n} jours de rétractation. STOP",
    "en": "OK = order with obligation to pay. {n} days to withdraw. STOP",
    "sv": "OK = beställning med betalningsskyldighet. {n} dagars ångerrätt. STOPP",
    "de": "OK = zahlungspflichtig bestellen. {n} Tage Widerruf. STOPP",
    "es": "OK = pedido con obligación de pago. {n} días de desistimiento. BAJA",
    "it": "OK = ordine con obbligo di pagare. {n} giorni di recesso. STOP",
    "pt": "OK = encomenda com obrigação de pagar. {n} dias de livre resolução. SAIR",
    "nl": "OK = bestelling met betalingsverplichting. {n} dagen herroeping. STOP",
    "da": "OK = ordre med betalingsforpligtelse. {n} dages fortrydelsesret. STOP",
    "nb": "OK = bestilling med betalingsplikt. {n} dagers angrerett. STOPP",
    "fi": "OK = tilaus, johon liittyy maksuvelvollisuus. {n} päivän peruutusoikeus. STOP",
    "pl": "OK = zamówienie z obowiązkiem zapłaty. {n} dni na odstąpienie. STOP",
    "tr": "OK = ödeme yükümlülüğü olan sipariş. {n} gün cayma hakkı. RET",
    "ru": "OK = заказ с обязательством оплаты. Отказ {n} дней. СТОП",
    "ar": "OK = طلب مع الالتزام بالدفع. حق العدول {n} يوم. STOP",
}
DENIED = {
    "fr": "Sans rétractation", "en": "No right of withdrawal", "sv": "Ingen ångerrätt", "de": "Kein Widerruf",
    "es": "Sin desistimiento", "it": "Senza recesso", "pt": "Sem livre resolução", "nl": "Geen herroeping",
    "da": "Ingen fortrydelsesret", "nb": "Ingen angrerett", "fi": "Ei peruutusoikeutta",
    "pl": "Bez prawa odstąpienia", "tr": "Cayma hakkı yok", "ru": "Без права отказа", "ar": "بدون حق العدول",
}  # fmt: skip


def codes(text: str, *, withdrawal: bool | None = None, country: str = "PT") -> list[str]:
    facts = Facts("Boxman", "CD", 1990, "EUR", withdrawal=withdrawal)
    found = lint(f"Boxman: CD 19,90€. {text}", facts, country, "36111")
    return [finding.code for finding in found if finding.code not in {"charset_ucs2", "text_too_long"}]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_minimum_can_be_said_in_every_language_that_the_gateway_writes(language: str) -> None:
    text = MINIMUM[language]
    assert codes(text.format(n=14), withdrawal=True) == []
    assert codes(text.format(n=30), withdrawal=True) == []
    for part in text.format(n=14).split(". "):
        assert codes(text.format(n=14).replace(part, "")) == ["mandatory_info_missing"], part


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_period_in_the_text_is_no_shorter_than_the_laws(language: str) -> None:
    assert codes(MINIMUM[language].format(n=13)) == ["withdrawal_mismatch"]
    assert codes(MINIMUM[language].format(n=3), withdrawal=True) == ["withdrawal_mismatch"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_text_says_of_the_right_of_withdrawal_what_the_offer_says(language: str) -> None:
    order, _, stop = MINIMUM[language].split(". ")
    denied = f"{order}. {DENIED[language]}. {stop}"
    assert codes(denied, withdrawal=False) == []
    assert codes(denied, withdrawal=True) == ["withdrawal_mismatch"]
    assert codes(MINIMUM[language].format(n=14), withdrawal=False) == ["withdrawal_mismatch"]


def test_a_country_with_its_own_rule_wants_its_own_language() -> None:
    for country in ("FR", "RE", "GP"):
        assert codes(MINIMUM["fr"].format(n=14), country=country) == []
        assert set(codes(MINIMUM["en"].format(n=14), country=country)) == {"mandatory_info_missing"}
    assert codes(MINIMUM["en"].format(n=14), country="GB") == []


def test_every_language_has_every_list_and_no_other() -> None:
    phrases = table("law", "offer_phrases.toml")
    assert set(phrases) == set(LANGUAGES)
    for language, own in phrases.items():
        assert set(own) == {"ok_meaning", "withdrawal", "no_withdrawal", "stop", "days"}, language
        assert all(own.values()), language


def test_goods_without_withdrawal_say_so_instead_of_a_period() -> None:
    assert lint(FRENCH.replace("Rétractation 14 j", "Sans rétractation"), FACTS, "FR", "36111") == []


def test_a_name_as_sender_cannot_take_the_ok() -> None:
    assert [f.code for f in lint(FRENCH, FACTS, "FR", "Boxman")] == ["sender_not_reply_capable"]
    assert not can_receive("")
    assert can_receive("36111")
    assert can_receive("+447700900123")


def test_costly_characters_are_named_with_their_replacement() -> None:
    findings = lint(FRENCH.replace("port compris", "reçu’"), FACTS, "FR", "36111")
    assert [(f.code, f.what) for f in findings] == [("charset_ucs2", "ç"), ("charset_ucs2", "’")]
    assert "'c'" in findings[0].message


def test_one_segment_in_any_alphabet_of_the_carrier_is_enough() -> None:
    costly = FRENCH.replace("port compris", "reçu, prêt")
    assert lint(costly, FACTS, "FR", "36111", alphabets=permitted([Shift(single=3)])) == []
    findings = lint(costly, FACTS, "FR", "36111", alphabets=permitted([]))
    assert [(f.code, f.what) for f in findings] == [("charset_ucs2", "ç"), ("charset_ucs2", "ê")]
    typographic = costly.replace("Rétractation", "Rétractation’")
    findings = lint(typographic, FACTS, "FR", "36111", alphabets=permitted([Shift(single=3)]))
    assert [f.what for f in findings] == ["ç", "ê", "’"]


def test_the_longest_fields_count_for_the_length() -> None:
    text = FRENCH.replace("Boxman:", "Boxman {name}:")
    assert lint(text, Facts("Boxman", "CD Madonna", 1990, "EUR", {"name": 20}), "FR", "36111") == []
    findings = lint(text, Facts("Boxman", "CD Madonna", 1990, "EUR", {"name": 30}), "FR", "36111")
    assert [(f.code, f.what) for f in findings] == [("text_too_long", "169")]


def test_rules_are_dated_and_the_common_minimum_fills_the_gaps() -> None:
    assert "L221-12" in rules_of("FR", date(2026, 1, 1))["source"]
    assert rules_of("FR", date(2020, 1, 1)) == rules_of("PT")
