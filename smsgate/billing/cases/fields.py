"""
One JSON object of a case, read field by field.

Cases come from many hands, so a field may have several names; the first one that is there counts, and null is
as good as absent. Every refusal says where in the case it is.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn

from smsgate.billing.periods import Month, zone
from smsgate.billing.vat import NO_RATE, Vat
from smsgate.errors import Invalid
from smsgate.money import HUNDRED_PERCENT, check_currency, micros_from_text, minor_from_text

if TYPE_CHECKING:
    from collections.abc import Callable

WHOLE_DIGITS_MAX: Final = 18  # fits into 64 bits, as all amounts of the database do
MICRO_ENDS: Final = ("_micro", "_micros")
PERCENT: Final = HUNDRED_PERCENT // 100
YES: Final = frozenset({"yes", "true", "valid", "1", "business", "b2b"})
NO: Final = frozenset({"no", "false", "invalid", "0", "unknown", "consumer", "b2c", "private"})


class Fields:
    __slots__ = ("values", "where")

    def __init__(self, values: object, where: str) -> None:
        self.where = where
        if not isinstance(values, dict):
            raise Invalid(f"{where} is no object", code="case_invalid")
        self.values: dict[str, Any] = values

    def refuse(self, name: str, what: str) -> NoReturn:
        raise Invalid(f"{self.where}.{name} {what}", code="case_invalid")

    def find(self, *names: str) -> Any:
        """Return the first of these that is there, None when none is."""
        for name in names:
            if self.values.get(name) is not None:
                return self.values[name]
        return None

    def need(self, *names: str) -> Any:
        found = self.find(*names)
        if found is None:
            self.refuse(names[0], "is missing")
        return found

    def text(self, *names: str, default: str | None = None) -> str:
        """Return a text; a number is as good as its digits."""
        found = self.find(*names) if default is not None else self.need(*names)
        if found is None:
            assert default is not None
            return default
        if isinstance(found, bool) or not isinstance(found, str | int):
            self.refuse(names[0], "is no text")
        return str(found)

    def whole(self, *names: str, default: int | None = None) -> int:
        text = self.text(*names, default=None if default is None else str(default))
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= WHOLE_DIGITS_MAX):
            self.refuse(names[0], f"is no whole number: {text[:40]!r}")
        return int(text)

    def flag(self, *names: str, default: bool = False) -> bool:
        found = self.find(*names)
        if found is None:
            return default
        word = str(found).lower()
        if word not in YES | NO:
            self.refuse(names[0], f"is neither true nor false: {word[:40]!r}")
        return word in YES

    def micros(self, *names: str, default: int | None = None) -> int:
        """Return an amount: a decimal in major units, or whole micros where the name ends in _micro."""
        for name in names:
            if self.find(*(name + end for end in MICRO_ENDS)) is not None:
                return self.whole(*(name + end for end in MICRO_ENDS))
        if default is not None and self.find(*names) is None:
            return default
        return self._by(micros_from_text, *names)

    def optional_micros(self, *names: str) -> int | None:
        every = [name + end for name in names for end in ("", *MICRO_ENDS)]
        return None if self.find(*every) is None else self.micros(*names)

    def minor(self, currency: str, *names: str) -> int:
        return self._by(lambda text: minor_from_text(text, currency), *names)

    def percent(self, *names: str, default: int | None = None) -> int:
        """Return a percentage, such as "20" or "5.5 %", in millionths of a percent."""
        if default is not None and self.find(*names) is None:
            return default
        return self._by(lambda text: micros_from_text(text.rstrip("% ")), *names)

    def share(self, *names: str) -> int:
        """Return a percentage, such as "60" or "60 %"; under a name with `share` 0.6 is as good."""
        name = next((name for name in names if self.find(name) is not None), names[0])
        found = self.percent(name)
        fraction = "share" in name and 0 <= found <= PERCENT and not self.text(name).endswith("%")
        return found * 100 if fraction else found

    def currency(self, *names: str, default: str | None = None) -> str:
        return check_currency(self.text(*names, default=default))

    def month(self, *names: str) -> Month:
        return Month.parse(self.text(*names))

    def instant(self, *names: str, zone_name: str) -> datetime:
        """Return an instant; a plain date starts at 00:00 in the zone, as a time without offset is in it."""
        text = self.text(*names)
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            self.refuse(names[0], f"is no ISO 8601 time: {text[:40]!r}")
        if not date.min.year < found.year < date.max.year:  # it has a local day in every zone
            self.refuse(names[0], f"is out of the calendar: {text[:40]!r}")
        return found if found.tzinfo is not None else found.replace(tzinfo=zone(zone_name))

    def optional_instant(self, *names: str, zone_name: str) -> datetime | None:
        return None if self.find(*names) is None else self.instant(*names, zone_name=zone_name)

    def day(self, *names: str, default: date | None = None) -> date:
        if default is not None and self.find(*names) is None:
            return default
        text = self.text(*names)
        try:
            return datetime.fromisoformat(text).date()
        except ValueError:
            self.refuse(names[0], f"is no date: {text[:40]!r}")

    def record(self, *names: str) -> Fields:
        """Return an object; an empty one when it is absent."""
        found = self.find(*names)
        return Fields({} if found is None else found, f"{self.where}.{names[0]}")

    def many(self, *names: str) -> list[Any]:
        """Return a list; empty when it is absent, of one when it is a single object."""
        found = self.find(*names)
        if found is None:
            return []
        if isinstance(found, dict):
            return [found]
        if not isinstance(found, list):
            self.refuse(names[0], "is no list")
        return found

    def records(self, *names: str) -> list[Fields]:
        return [
            Fields(value, f"{self.where}.{names[0]}[{number}]")
            for number, value in enumerate(self.many(*names))
        ]

    def named_records(self, *names: str) -> list[Fields]:
        """Return a list of objects, or an object of them: its keys are their ids."""
        found = self.find(*names)
        if isinstance(found, dict) and all(isinstance(value, dict) for value in found.values()):
            return [
                Fields({"id": name, **value}, f"{self.where}.{names[0]}.{name}")
                for name, value in found.items()
            ]
        return self.records(*names)

    def vat(self, category: str = "S", rate_micros: int | None = None) -> Vat:
        """Return `vat_category` and `vat_rate`; O has no rate, others than S zero where none is given."""
        letter = self.text("vat_category", "category", default=category)
        if letter == "O":
            return Vat(letter, NO_RATE)
        fallback = 0 if letter != "S" else rate_micros
        return Vat(letter, self.percent("vat_rate", "rate", default=fallback))

    def _by(self, read: Callable[[str], int], *names: str) -> int:
        try:
            return read(self.text(*names))
        except Invalid as exc:
            self.refuse(names[0], f"cannot be read: {exc}")
