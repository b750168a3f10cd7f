from __future__ import annotations

from datetime import date

import pytest

from smsgate.campaigns.offers import Facts, Finding, can_receive, lint, rules_of
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


def test_goods_without_withdrawal_say_so_instead_of_a_period() -> None:
    assert lint(FRENCH.replace("Rétractation 14 j", "Sans rétractation"), FACTS, "FR", "36111") == []


def test_a_name_as_sender_cannot_take_the_ok() -> None:
    assert [f.code for f in lint(FRENCH, FACTS, "FR", "Boxman")] == ["sender_not_reply_capable"]
    assert not can_receive("")
    assert can_receive("36111")
    assert can_receive("+447700900123")


def test_french_mobile_numbers_are_no_senders_for_applications() -> None:
    assert [f.code for f in lint(FRENCH, FACTS, "FR", "33612345678")] == ["sender_not_allowed"]


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
