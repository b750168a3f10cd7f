"""The tables [[billing.carrier_files]]: how each carrier writes the files by which it bills."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from smsgate.billing.carrier_files import COLUMNS, FileTerms
from smsgate.billing.periods import zone
from smsgate.billing.reconciliation import Tolerance
from smsgate.billing.sheet_cells import Dates
from smsgate.errors import Invalid
from smsgate.money import HUNDRED_PERCENT, micros_from_text
from smsgate.protocol.message_ids import IdForm

FILES_MAX: Final = 1_000  # as many as there may be carriers
Value = TypeVar("Value")
_TABLE = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

Title = Annotated[str, Field(min_length=1, max_length=100)]


class CarrierFileSettings(BaseModel):
    model_config = _TABLE

    carrier: str = Field(min_length=1, max_length=60, description="the name of a carrier")
    timezone: str = Field(
        default="UTC", description="the IANA zone of its months and of times without an offset"
    )
    dates: Dates = Field(default=Dates.ISO, description='"iso", "dmy" or "mdy"')
    cents: bool = Field(strict=True, default=False, description="true: amounts are in hundredths")
    ids: IdForm = Field(
        default=IdForm.AS_IS,
        description='what makes an id of the file ours: "as_is", "hex_to_dec", "dec_to_hex"',
    )
    columns: dict[str, Title] = Field(
        default_factory=dict,
        description=f"titles of columns that are not found by name: {', '.join(COLUMNS)}",
    )
    keep: dict[str, tuple[Title, ...]] = Field(
        default_factory=dict, description='rows that count, where not all do: { operation = ["submit"] }'
    )
    tolerance_percent: str = Field(default="0", description='of our cost, as text, such as "0.5"')
    tolerance_amount: str = Field(
        default="0", description="in the currency, as text; the larger of both holds"
    )

    def terms(self) -> FileTerms:
        return FileTerms(self.timezone, self.dates, self.cents, self.ids, self.columns, {**self.keep})

    def tolerance(self) -> Tolerance:
        return Tolerance(micros_from_text(self.tolerance_percent), micros_from_text(self.tolerance_amount))

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, name: str) -> str:
        _checked(zone, name)
        return name

    @field_validator("ids")
    @classmethod
    def _is_told(cls, form: IdForm) -> IdForm:
        if form is IdForm.AUTO:
            raise ValueError("a file's ids are told, not learned")
        return form

    @field_validator("columns")
    @classmethod
    def _are_columns(cls, columns: dict[str, str]) -> dict[str, str]:
        if unknown := sorted(columns.keys() - set(COLUMNS)):
            raise ValueError(f"{unknown[0]} is none of {', '.join(COLUMNS)}")
        return columns

    @field_validator("tolerance_percent", "tolerance_amount")
    @classmethod
    def _is_amount(cls, text: str, info: object) -> str:
        micros = _checked(micros_from_text, text)
        share = getattr(info, "field_name", "") == "tolerance_percent"
        if micros < 0 or (share and micros > HUNDRED_PERCENT):
            raise ValueError("a tolerance is not below zero, nor above 100 %")
        return text


def _checked(check: Callable[[str], Value], text: str) -> Value:
    """Let pydantic say where it was."""
    try:
        return check(text)
    except Invalid as exc:
        raise ValueError(str(exc)) from None
