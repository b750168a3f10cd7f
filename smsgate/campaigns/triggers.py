"""
A stored mapping turns the shop's own JSON into an offer for an audience, so the shop writes no code.

A mapping is JSON: target field -> expression. An expression is
    "$.items[0].name"                          a path: names and non-negative indexes, nothing else
    {"path": "$.total", "default": "0"}        the same, with a value for what is missing or null
    {"literal": "$5 off"}                      this very value
    {"join": ["Boxman: ", "$.item.name"]}      texts one after the other
    "Boxman", 5, true, null                    a literal (a string that does not begin with "$")
There is no wildcard, no filter, no code. Depth and sizes are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from smsgate.errors import Invalid
from smsgate.money import MICROS_PER_UNIT, MINOR_DIGITS, check_currency, micros_from_text

PATH_STEPS_MAX: Final = 16
PATH_CHARACTERS_MAX: Final = 200
JOIN_PARTS_MAX: Final = 20
TEXT_CHARACTERS_MAX: Final = 2_000
RECIPIENTS_MAX: Final = 10_000  # numbers that one trigger may bring along; a larger audience is a stored one
FIELDS_MAX: Final = 20
PATHS_KEPT: Final = 10_000  # parsed, for the next webhook: some hundred octets each

_STEP: Final = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\[(0|[1-9][0-9]{0,5})\]|\[\"([^\"\]\\]{1,100})\"\]")
_MISSING: Final = object()

REQUIRED: Final = ("item", "price", "currency")
OPTIONAL: Final = (
    "text", "shop", "country", "language", "quantity_max", "stock", "ask_above", "expires_in_s",
    "external_id", "recipients", "audience", "fields", "price_unit",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MappedOffer:
    """
    What one trigger asks for.

    None is left to the trigger's own settings. Either `recipients` or `audience`.
    """

    item: str
    price_minor: int
    currency: str
    text: str | None
    shop: str | None
    country: str | None
    language: str | None
    quantity_max: int | None
    stock: int | None
    ask_above_minor: int | None
    expires_in_s: int | None
    external_id: str | None
    recipients: tuple[str, ...] | None  # as the shop wrote them; not yet MSISDNs
    audience: str | None
    fields: dict[str, str]


@lru_cache(PATHS_KEPT)
def parse_path(path: str, pointer: str = "") -> tuple[str | int, ...]:
    """
    Return the steps of a path such as `$.items[0].name`.

    Raises:
        Invalid: code `mapping_invalid`.
    """
    if not path.startswith("$") or len(path) > PATH_CHARACTERS_MAX:
        raise _broken(
            f"{path[:40]!r} is no path: it begins with $ and has at most {PATH_CHARACTERS_MAX} characters",
            pointer,
        )
    steps: list[str | int] = []
    position = 1
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise _broken(f"path {path!r} is broken at character {position + 1}", pointer)
        name, index, quoted = match.groups()
        steps.append(int(index) if index is not None else name if name is not None else quoted)
        position = match.end()
    if len(steps) > PATH_STEPS_MAX:
        raise _broken(f"path {path!r} has more than {PATH_STEPS_MAX} steps", pointer)
    return tuple(steps)


def check_mapping(mapping: Mapping[str, Any]) -> None:
    """
    Refuse a mapping that could never work; call it when one is stored.

    Raises:
        Invalid: code `mapping_invalid`, pointer into the mapping.
    """
    for name in mapping:
        if name not in REQUIRED and name not in OPTIONAL:
            raise _broken(f"unknown target field {name!r}", f"/{_escape(name)}")
    for name in REQUIRED:
        if name not in mapping:
            raise _broken(f"{name} has no source", f"/{name}")
    if ("recipients" in mapping) == ("audience" in mapping):
        raise _broken("name either recipients or audience", "/recipients")
    fields = mapping.get("fields", {})
    if not isinstance(fields, Mapping) or len(fields) > FIELDS_MAX:
        raise _broken(f"fields is an object with at most {FIELDS_MAX} names", "/fields")
    for name, expression in mapping.items():
        if name != "fields":
            _check_expression(expression, f"/{name}")
    for name, expression in fields.items():
        _check_expression(expression, f"/fields/{_escape(name)}")


def apply_mapping(mapping: Mapping[str, Any], document: Any) -> MappedOffer:
    """
    Return the offer that `document` (the shop's parsed JSON) asks for; `check_mapping` took the mapping.

    Raises:
        Invalid: code `trigger_unmapped`: the document lacks what the mapping needs or has it in another type;
            the pointer says where in the document.
    """
    currency = (_text(mapping, document, "currency") or "").upper()
    check_currency(currency)
    has = mapping.__contains__  # most mappings name few of the targets
    return MappedOffer(
        item=_text(mapping, document, "item") or "",
        price_minor=_amount(mapping, document, "price", currency) or 0,
        currency=currency,
        text=_text(mapping, document, "text") if has("text") else None,
        shop=_text(mapping, document, "shop") if has("shop") else None,
        country=_text(mapping, document, "country") if has("country") else None,
        language=_text(mapping, document, "language") if has("language") else None,
        quantity_max=_whole(mapping, document, "quantity_max") if has("quantity_max") else None,
        stock=_whole(mapping, document, "stock") if has("stock") else None,
        ask_above_minor=_amount(mapping, document, "ask_above", currency) if has("ask_above") else None,
        expires_in_s=_whole(mapping, document, "expires_in_s") if has("expires_in_s") else None,
        external_id=external_id_of(mapping, document),
        recipients=recipients_of(mapping, document),
        audience=_text(mapping, document, "audience") if has("audience") else None,
        fields={
            name: _as_text(_evaluate(expression, document), expression, f"/fields/{name}")
            for name, expression in mapping.get("fields", {}).items()
        },
    )


def external_id_of(mapping: Mapping[str, Any], document: Any) -> str | None:
    """As `apply_mapping`, for the one target."""
    return _text(mapping, document, "external_id") if "external_id" in mapping else None


def recipients_of(mapping: Mapping[str, Any], document: Any) -> tuple[str, ...] | None:
    """As `apply_mapping`, for the one target."""
    return _recipients(mapping, document) if "recipients" in mapping else None


def offer_paths(mapping: Mapping[str, Any]) -> tuple[tuple[str | int, ...], ...]:
    """
    Return where the mapping looks in a document for all but `external_id` and `recipients`.

    Documents that have the same there (`values_at`) ask for the same offer.
    """
    fields = mapping.get("fields", {})
    expressions = [mapping[name] for name in mapping if name not in {"external_id", "recipients", "fields"}]
    paths = (path for expression in (*expressions, *fields.values()) for path in _paths(expression))
    return tuple(dict.fromkeys(paths))


def values_at(paths: Sequence[tuple[str | int, ...]], document: Any) -> list[Any]:
    """Return what a document has at each path; None for what is missing."""
    found = [_follow(path, document) for path in paths]
    return [None if value is _MISSING else value for value in found]


def _paths(expression: Any) -> list[tuple[str | int, ...]]:
    if isinstance(expression, str):
        return [parse_path(expression)] if expression.startswith("$") else []
    if isinstance(expression, Mapping):
        parts = [expression["path"]] if "path" in expression else expression.get("join", ())
        return [path for part in parts for path in _paths(part)]
    return []


def _check_expression(expression: Any, pointer: str, *, inside_join: bool = False) -> None:
    if isinstance(expression, str):
        if expression.startswith("$"):
            parse_path(expression, pointer)
        elif len(expression) > TEXT_CHARACTERS_MAX:
            raise _broken(f"longer than {TEXT_CHARACTERS_MAX} characters", pointer)
    elif isinstance(expression, Mapping):
        keys = set(expression)
        if "path" in keys and keys <= {"path", "default"} and isinstance(expression["path"], str):
            parse_path(expression["path"], pointer)
        elif keys == {"join"} and isinstance(expression["join"], list) and not inside_join:
            if len(expression["join"]) > JOIN_PARTS_MAX:
                raise _broken(f"more than {JOIN_PARTS_MAX} parts", pointer)
            for part in expression["join"]:
                _check_expression(part, pointer, inside_join=True)
        elif keys != {"literal"}:
            raise _broken("an object here is {path, default}, {literal} or {join}", pointer)
    elif isinstance(expression, list):
        raise _broken("a list is no expression", pointer)


def _evaluate(expression: Any, document: Any) -> Any:
    """Return the value, or `_MISSING` for what the document does not have (null counts as missing)."""
    if isinstance(expression, str) and expression.startswith("$"):
        return _follow(parse_path(expression), document)
    if isinstance(expression, Mapping):
        if "literal" in expression:
            return expression["literal"]
        if "path" in expression:
            value = _follow(parse_path(expression["path"]), document)
            return expression.get("default", _MISSING) if value is _MISSING else value
        return "".join(_as_text(_evaluate(part, document), part, "/join") for part in expression["join"])
    return expression


def _follow(steps: Sequence[str | int], document: Any) -> Any:
    value = document
    for step in steps:
        found = (isinstance(step, int) and isinstance(value, list) and step < len(value)) or (
            isinstance(step, str) and isinstance(value, dict) and step in value
        )
        if found:
            value = value[step]
        else:
            return _MISSING
    return _MISSING if value is None else value


def _value(mapping: Mapping[str, Any], document: Any, name: str) -> Any:
    """
    Return the value of a target.

    None when the mapping leaves it out or a source that is not required is missing.
    """
    if name not in mapping:
        return None
    value = _evaluate(mapping[name], document)
    if value is _MISSING or value is None:
        if name in REQUIRED:
            raise _unmapped(f"{name} is missing", mapping[name])
        return None
    return value


def _text(mapping: Mapping[str, Any], document: Any, name: str) -> str | None:
    value = _value(mapping, document, name)
    return None if value is None else _as_text(value, mapping[name], f"/{name}")


def _as_text(value: Any, expression: Any, pointer: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        what = "missing" if value is _MISSING else "no text"
        raise _unmapped(f"{pointer.rsplit('/', 1)[-1]} is {what}", expression)
    text = str(value).strip() if not isinstance(expression, str) or expression.startswith("$") else str(value)
    if not text or len(text) > TEXT_CHARACTERS_MAX:
        raise _unmapped(
            f"{pointer.rsplit('/', 1)[-1]} is empty or longer than {TEXT_CHARACTERS_MAX}", expression
        )
    return text


def _whole(mapping: Mapping[str, Any], document: Any, name: str) -> int | None:
    value = _value(mapping, document, name)
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 9:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 999_999_999:
        raise _unmapped(f"{name} is no whole number", mapping[name])
    return value


def _amount(mapping: Mapping[str, Any], document: Any, name: str, currency: str) -> int | None:
    """
    Return minor units.

    `price_unit` "minor" reads cents; otherwise 19.9, "19.90" and "19,90" are major units.
    """
    value = _value(mapping, document, name)
    if value is None:
        return None
    unit = _text(mapping, document, "price_unit") or "major"
    if unit == "minor":
        minor = _whole(mapping, document, name)
        assert minor is not None
    else:
        # repr gives the shortest decimal of a JSON number, the digits that the shop wrote; no float
        # arithmetic.
        written = format(Decimal(repr(value)), "f") if isinstance(value, float) else str(value).strip()
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise _unmapped(f"{name} is no amount", mapping[name])
        try:
            micros = micros_from_text(
                written.replace(",", ".") if written.count(",") == 1 and "." not in written else written
            )
        except Invalid:
            raise _unmapped(f"{name} {written[:30]!r} is no amount", mapping[name]) from None
        scale = MICROS_PER_UNIT // 10 ** MINOR_DIGITS[currency]
        minor, rest = divmod(micros, scale)
        if rest:
            raise _unmapped(f"{name} {written!r} has more decimals than {currency}", mapping[name])
    if not 0 < minor <= 100_000_000:
        raise _unmapped(f"{name} is not above zero and below a million", mapping[name])
    return minor


def _recipients(mapping: Mapping[str, Any], document: Any) -> tuple[str, ...] | None:
    value = _value(mapping, document, "recipients")
    if value is None:
        if "recipients" in mapping:
            raise _unmapped("recipients are missing", mapping["recipients"])
        return None
    numbers = value if isinstance(value, list) else [value]
    if not 0 < len(numbers) <= RECIPIENTS_MAX:
        raise _unmapped(f"{len(numbers)} recipients; 1 to {RECIPIENTS_MAX} are taken", mapping["recipients"])
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, str | int) or len(str(number)) > 40:
            raise _unmapped("a recipient is no phone number", mapping["recipients"])
    return tuple(str(number) for number in numbers)


def _broken(message: str, pointer: str) -> Invalid:
    return Invalid(message, code="mapping_invalid", pointer=pointer)


def _unmapped(message: str, expression: Any) -> Invalid:
    """Return the refusal with the JSON pointer of the document that the expression looked at."""
    path = expression.get("path") if isinstance(expression, Mapping) else expression
    if isinstance(path, str) and path.startswith("$"):
        pointer = "".join(f"/{_escape(str(step))}" for step in parse_path(path))
        return Invalid(f"{message} (looked at {path})", code="trigger_unmapped", pointer=pointer)
    return Invalid(message, code="trigger_unmapped", pointer="")


def _escape(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")
