"""What papers call networks and days: every network that a number can have has a name in each language."""

from __future__ import annotations

from datetime import date

import pytest

from smsgate.billing.issuing import LINE_WORDS
from smsgate.billing.network_names import country_name, country_names, network_name, operator_names
from smsgate.billing.networks import default_table
from smsgate.billing.vat import EU, FRANCE
from smsgate.billing.written_dates import day_text, month_text, span_text

NETWORKS = sorted(set(default_table().prefixes().values()))


def test_every_network_that_a_number_can_have_has_its_names() -> None:
    assert [each for each in NETWORKS if set(country_names().get(each[:3], {})) != set(LINE_WORDS)] == []
    assert [each for each in NETWORKS if not each.endswith("*") and each not in operator_names()] == []


def test_no_operator_is_named_that_no_number_can_have() -> None:
    assert set(operator_names()) <= set(NETWORKS)


@pytest.mark.parametrize(
    ("network", "english", "french"),
    [
        ("20801", "Orange France (20801)", "Orange France (20801)"),
        ("208", "France (208)", "France (208)"),
        ("26202", "Vodafone Germany (26202)", "Vodafone Allemagne (26202)"),
        ("26299", "Germany (26299)", "Allemagne (26299)"),
        ("*", "networks without a price of their own (*)", "réseaux sans prix propre (*)"),
        ("99999", "99999", "99999"),
    ],
)
def test_a_network_is_called_by_operator_and_country(network: str, english: str, french: str) -> None:
    assert (network_name(network, "en"), network_name(network, "fr")) == (english, french)
    assert network_name(network, "de") == english


@pytest.mark.parametrize("language", sorted(LINE_WORDS))
def test_every_country_of_the_eu_and_france_overseas_has_a_name(language: str) -> None:
    overseas = {"GP", "MQ", "GF", "RE", "YT", "NC", "PF", "PM", "BL", "MF", "WF"}
    codes = (EU - {"EL"}) | FRANCE | overseas | {"GB", "CH", "NO", "US"}
    assert [code for code in sorted(codes) if country_name(code, language) == code] == []


def test_a_country_is_called_by_its_own_name_in_the_language_of_the_paper() -> None:
    assert (country_name("DE", "fr"), country_name("DE", "en")) == ("Allemagne", "Germany")
    assert country_name("MQ", "fr") == "Martinique"  # whose numbers have the MCC of Guadeloupe, too
    assert country_name("DE", "xx") == "Germany"
    assert country_name("QX", "fr") == "QX"


def test_days_are_written_in_the_language_of_the_paper() -> None:
    first, last = date(2026, 10, 1), date(2026, 10, 31)
    assert day_text(first, "fr") == "1er octobre 2026"
    assert day_text(last, "en") == day_text(last, "de") == "31 October 2026"
    assert span_text(first, last, "fr") == "1er – 31 octobre 2026"
    assert span_text(last, last, "fr") == "31 octobre 2026"
    assert span_text(last, date(2026, 11, 1), "fr") == "31 octobre 2026 – 1er novembre 2026"
    assert month_text("2026-02", "fr") == "février 2026"
