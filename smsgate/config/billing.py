"""The table [billing]: who sells, how documents are numbered and taxed, and when months are closed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from stdnum import iban as iban_numbers
from stdnum.eu import vat as eu_vat
from stdnum.exceptions import ValidationError
from stdnum.fr import siren as siren_numbers

from smsgate.billing.currencies import ratio_from_text
from smsgate.billing.invoices import Party
from smsgate.billing.issuing import Seller
from smsgate.billing.numbering import number_text
from smsgate.billing.periods import CLOSE_DELAY, zone
from smsgate.billing.vat import vat_prefix
from smsgate.config.carrier_files import FILES_MAX, CarrierFileSettings
from smsgate.errors import Invalid
from smsgate.money import HUNDRED_PERCENT, check_currency, micros_from_text

_TABLE = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
_HOURS = int(CLOSE_DELAY.total_seconds() // 3600)

Text = Annotated[str, Field(max_length=200)]


@contextmanager
def _as_value_error() -> Iterator[None]:
    """Let pydantic say where it was."""
    try:
        yield
    except Invalid as exc:
        raise ValueError(str(exc)) from None


def micros_of(percent: str) -> int:
    """Return a rate in millionths of a percent."""
    with _as_value_error():
        return micros_from_text(percent)


class VatRateSettings(BaseModel):
    model_config = _TABLE

    since: date = Field(description="the first day on which it holds, such as 2014-01-01")
    percent: str = Field(description='the rate as text, such as "20" or "5.5"')

    @field_validator("percent")
    @classmethod
    def _is_rate(cls, percent: str) -> str:
        if not 0 <= micros_of(percent) <= HUNDRED_PERCENT:
            raise ValueError("a rate is 0 to 100")
        return percent


class BillingSettings(BaseModel):
    model_config = _TABLE

    name: Text = Field(default="", description="the seller's legal name; empty: no documents are written")
    street: Text = Field(default="", description="street and number")
    postcode: str = Field(default="", max_length=20, description="postal code")
    city: Text = Field(default="", description="town")
    country: str = Field(default="FR", pattern="^[A-Z]{2}$", description="two letters of ISO 3166")
    siren: str = Field(default="", description="nine digits with a right check digit")
    vat_number: str = Field(default="", description="such as FR44732829320")
    einvoicing_id: str = Field(
        default="", max_length=60, description="the address on the e-invoicing network; empty: the SIREN"
    )
    iban: str = Field(default="", description="where customers pay")
    series: str = Field(
        default="F-{year}",
        max_length=28,
        description="prefix of document numbers: letters, digits, - + _ /; {year} is the year of issue",
    )
    timezone: str = Field(default="Europe/Paris", description="the IANA zone of dates of issue")
    currency: str = Field(default="EUR", description="VAT of documents in others is told in it too")
    vat_rates: tuple[VatRateSettings, ...] = Field(
        default=(VatRateSettings(since=date(2014, 1, 1), percent="20"),),
        max_length=100,
        description='rates of category S: [{ since = 2014-01-01, percent = "20" }]',
    )
    exchange_rates: dict[str, str] = Field(
        default_factory=dict, description='units of `currency` for one: { USD = "0.91825" }'
    )
    carrier_files: tuple[CarrierFileSettings, ...] = Field(
        default=(),
        max_length=FILES_MAX,
        description="tables [[billing.carrier_files]]: how carriers write what they bill, each carrier once",
    )
    close: Literal["by_command", "automatic"] = Field(
        default="by_command", description='"by_command", or "automatic": months close by themselves'
    )
    close_after_h: int = Field(
        strict=True,
        default=_HOURS,
        ge=0,
        le=1_000,
        description="hours after the end of a merchant's month, for late receipts, 0 to 1000",
    )

    @property
    def delay(self) -> timedelta:
        return timedelta(hours=self.close_after_h)

    def seller(self) -> Seller | None:
        """Return who writes documents; None: nobody is named."""
        if not self.name:
            return None
        return Seller(
            party=Party(
                name=self.name,
                street=self.street,
                postcode=self.postcode,
                city=self.city,
                country=self.country,
                legal_id=self.siren,
                vat_number=self.vat_number,
                einvoicing_id=self.einvoicing_id or self.siren,
            ),
            iban=self.iban,
            series=self.series,
            timezone=self.timezone,
            currency=self.currency,
            vat_rates=tuple((rate.since, micros_of(rate.percent)) for rate in self.vat_rates),
            exchange_rates={code: ratio_from_text(rate) for code, rate in self.exchange_rates.items()},
        )

    @field_validator("siren", "vat_number", "iban")
    @classmethod
    def _has_check_digits(cls, text: str, info: object) -> str:
        name = getattr(info, "field_name", "")
        check = {"siren": siren_numbers, "vat_number": eu_vat, "iban": iban_numbers}[name]
        try:
            return check.validate(text) if text else ""
        except ValidationError:
            raise ValueError(f"{text[:40]} is none: its length or check digits are wrong") from None

    @field_validator("series")
    @classmethod
    def _can_number(cls, series: str) -> str:
        with _as_value_error():
            number_text(series.replace("{year}", "2026"), 1)
        return series

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, name: str) -> str:
        with _as_value_error():
            zone(name)
        return name

    @field_validator("currency")
    @classmethod
    def _is_currency(cls, code: str) -> str:
        with _as_value_error():
            check_currency(code)
        return code

    @field_validator("exchange_rates")
    @classmethod
    def _are_rates(cls, rates: dict[str, str]) -> dict[str, str]:
        with _as_value_error():
            for code, rate in rates.items():
                check_currency(code)
                ratio_from_text(rate)
        return rates

    @field_validator("carrier_files")
    @classmethod
    def _are_of_one_carrier_each(
        cls, files: tuple[CarrierFileSettings, ...]
    ) -> tuple[CarrierFileSettings, ...]:
        names = [file.carrier for file in files]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two tables are of the carrier {doubled[0]}")
        return files

    @model_validator(mode="after")
    def _names_a_place(self) -> BillingSettings:
        if self.name and not (self.street and self.postcode and self.city):
            raise ValueError("a seller has a street, a postcode and a city")
        if self.name and self.country == "FR" and not self.siren:
            raise ValueError("a French seller has a SIREN: set siren to its nine digits")
        prefix = vat_prefix(self.country)
        if self.vat_number and not self.vat_number.startswith(prefix):
            raise ValueError(f"a VAT number of {self.country} begins with {prefix}")
        if self.close == "automatic" and not self.name:
            raise ValueError('close = "automatic" needs a seller: set name and address')
        return self
