"""The table [billing]: what a seller must be, and what it becomes."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from smsgate.billing.currencies import Ratio
from smsgate.config.billing import BillingSettings

SELLER: dict[str, Any] = {
    "name": "Passerelle SAS", "street": "1 rue de la Paix", "postcode": "75002", "city": "Paris",
    "siren": "732829320", "vat_number": "FR44732829320", "iban": "FR1420041010050500013M02606",
}  # fmt: skip


def test_without_a_name_nobody_sells_and_months_close_by_command() -> None:
    settings = BillingSettings()
    assert settings.seller() is None
    assert (settings.close, settings.delay) == ("by_command", timedelta(hours=96))


def test_a_seller_has_its_address_its_rates_and_its_series() -> None:
    settings = BillingSettings(
        **SELLER,
        series="F{year}",
        vat_rates=[
            {"since": date(2014, 1, 1), "percent": "20"},
            {"since": date(2027, 1, 1), "percent": "20.5"},
        ],
        exchange_rates={"USD": "0.91825"},
    )
    seller = settings.seller()
    assert seller is not None
    assert (seller.party.legal_id, seller.party.einvoicing_id) == ("732829320", "732829320")
    assert seller.vat_rates == ((date(2014, 1, 1), 20_000_000), (date(2027, 1, 1), 20_500_000))
    assert seller.exchange_rates == {"USD": Ratio(91_825, 100_000)}
    assert seller.series_on(date(2026, 12, 31)) == "F2026"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"siren": "732829321"}, "check digits are wrong"),
        ({"vat_number": "FR00732829320"}, "check digits are wrong"),
        ({"vat_number": "DE136695976"}, "begins with FR"),
        ({"country": "GR", "vat_number": "GR094259216"}, "begins with EL"),
        ({"siren": ""}, "a French seller has a SIREN"),
        ({"iban": "FR1420041010050500013M02607"}, "check digits are wrong"),
        ({"series": "F {year}"}, "cannot be a series"),
        ({"timezone": "Mars/Base"}, "no IANA time zone"),
        ({"currency": "EURO"}, "no ISO 4217 code"),
        ({"exchange_rates": {"USD": "-1"}}, "is no exchange rate"),
        ({"exchange_rates": {"DOLLAR": "1"}}, "no ISO 4217 code"),
        ({"vat_rates": [{"since": date(2014, 1, 1), "percent": "101"}]}, "a rate is 0 to 100"),
        ({"vat_rates": [{"since": date(2014, 1, 1), "percent": "twenty"}]}, "is not an amount"),
        ({"street": ""}, "a street, a postcode and a city"),
        ({"close_after_h": -1}, "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_a_seller_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        BillingSettings(**{**SELLER, **changes})


def test_months_close_by_themselves_only_where_somebody_sells() -> None:
    assert BillingSettings(**SELLER, close="automatic").close == "automatic"
    with pytest.raises(ValidationError, match="needs a seller"):
        BillingSettings(close="automatic")
