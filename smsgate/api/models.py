"""Shapes that requests and answers share: pydantic at the border, and only here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, Generic, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

PAGE_DEFAULT: Final = 20
PAGE_MAX: Final = 100
YEAR_MIN: Final = 2000
YEAR_MAX: Final = 2199  # beyond it nothing is meant, and arithmetic with time zones overflows at 9999

Item = TypeVar("Item")


class RequestModel(BaseModel):
    """A JSON body: unknown members and wrong types are refused (422), nothing is coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class QueryModel(BaseModel):
    """A query string: unknown names are refused, texts are read as the field's type."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AnswerModel(BaseModel):
    """What leaves: the document promises no member that is not sent."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_serialization_defaults_required=True)


def _near(at: datetime) -> datetime:
    if not YEAR_MIN <= at.year <= YEAR_MAX:
        raise ValueError(f"the year must be {YEAR_MIN} to {YEAR_MAX}")
    return at.astimezone(UTC)


def no_control(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("control characters are not allowed")
    return text


def written_as(sentence: str) -> WrapValidator:
    """Say `sentence` to whoever writes another form: nobody should have to read a regular expression."""

    def check(value: object, handler: ValidatorFunctionWrapHandler) -> object:
        try:
            return handler(value)
        except ValidationError as exc:
            kind = exc.errors(include_url=False, include_context=False, include_input=False)[0]["type"]
        raise PydanticCustomError(kind, "{sentence}", {"sentence": sentence})

    return WrapValidator(check)


# An instant in RFC 3339 with its offset; arrives as UTC.
Instant = Annotated[AwareDatetime, AfterValidator(_near)]
# Patterns are of the Rust engine: `$` is the end of the text there, no line break before it.
# One line for people: a name, a label.
Line = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(no_control)]
# An id of ours; whether it is one is for `PublicIds` to say.
PublicId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
# The caller's own key of an object.
ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(no_control)]
Tag = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,40}$"),
    written_as("write 1 to 40 letters, digits, dots, colons, dashes and underscores"),
]
# Money as decimal text ("0.045"), never as a JSON number; smsgate.money.micros_from_text reads it.
Amount = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{1,12}(\.[0-9]{1,6})?$"),
    written_as('write it as decimal text with a point: "19.90"'),
]
CurrencyCode = Annotated[
    str, StringConstraints(pattern=r"^[A-Z]{3}$"), written_as("write three capital letters of ISO 4217: EUR")
]
CountryCode = Annotated[
    str, StringConstraints(pattern=r"^[A-Z]{2}$"), written_as("write two capital letters of ISO 3166: FR")
]
LanguageCode = Annotated[
    str, StringConstraints(pattern=r"^[a-z]{2}$"), written_as("write two small letters of ISO 639: fr")
]


class PageQuery(QueryModel):
    """Every list takes these; a list with filters derives from it."""

    limit: int = Field(default=PAGE_DEFAULT, ge=1, le=PAGE_MAX, description="Objects a page.")
    starting_after: str | None = Field(
        default=None, max_length=64, description="Id after which the page starts."
    )
    ending_before: str | None = Field(
        default=None, max_length=64, description="Id before which the page ends."
    )


class Page(AnswerModel, Generic[Item]):
    """Newest first."""

    data: list[Item]
    has_more: bool = Field(description="There are more objects in the direction that was asked for.")
