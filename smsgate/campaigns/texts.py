"""
Every text that the gateway itself sends to a customer: one segment, whatever the fields hold.

A segment holds 160 septets of GSM 03.38, or 70 UTF-16 units in the languages of other alphabets.

The templates are data (`texts.toml`). Names give way when there is no room, amounts and numbers never.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from typing import Final, NamedTuple

from smsgate.campaigns.short_texts import once_if_short
from smsgate.campaigns.tables import table
from smsgate.errors import Invalid
from smsgate.protocol.gsm0338 import encode_gsm, is_gsm, suggest
from smsgate.protocol.segmentation import SINGLE_SEPTETS

UCS2_LANGUAGES: Final = ("ru", "ar")
LANGUAGES: Final = (
    "fr", "en", "sv", "de", "es", "it", "pt", "nl", "da", "nb", "fi", "pl", "tr", *UCS2_LANGUAGES,
)  # fmt: skip
FALLBACK_LANGUAGE: Final = "en"
SINGLE_UNITS: Final = 70  # UTF-16 units of a segment in UCS-2 (3GPP TS 23.038)
# Characters a field may have; these are printed whole or refused, so every text can be planned for its worst
# case.
FIELD_CHARACTERS_MAX: Final[dict[str, int]] = {
    "quantity": 4, "maximum": 4, "total": 14, "order": 12, "until": 14, "at": 20, "contact": 40, "link": 30,
    "reason": 30, "topic": 44, "orders": 44, "word": 14, "often": 34, "days": 3,
}  # fmt: skip
# The same where a segment is UCS-2, of what the gateway itself fills in: its words there are no longer.
UCS2_CHARACTERS_MAX: Final[dict[str, int]] = {"topic": 30, "word": 7, "often": 20}
# Names are cut down to these septets or units before anything optional is left out, and never below.
NAME_SEPTETS_MIN: Final[dict[str, int]] = {"shop": 8, "item": 10, "names": 20}
NAME_UNITS_MIN: Final[dict[str, int]] = {"shop": 3, "item": 6, "names": 20}

# What a START that nobody asked for agrees to: the text `start_welcome`, which answers it. Other words of it
# are another version (a test holds it).
START_WORDING: Final = "smsgate/start-1"

VALUES_KEPT: Final = 4_096  # of fields and languages: shops, items and amounts come again and again

_PLACE: Final = re.compile(r"\{(\w+)\}")
_OPTIONAL: Final = re.compile(r"\[([^\]]*)\]")


def spoken(*languages: str | None, ucs2: bool = True) -> str:
    """
    Return the first of the languages, such as "pt-BR", that the texts are written in, else English.

    `ucs2`: whether the carrier writes it; without it no text goes in a language of another alphabet.
    """
    return _spoken(languages, ucs2=ucs2)


@lru_cache(VALUES_KEPT)
def _spoken(languages: tuple[str | None, ...], *, ucs2: bool) -> str:
    codes = (_code(language) for language in languages if language)
    written = (code for code in codes if code in LANGUAGES and (ucs2 or code not in UCS2_LANGUAGES))
    return next(written, FALLBACK_LANGUAGE)


def kinds() -> tuple[str, ...]:
    """Return the kinds of system texts, such as "order_receipt"."""
    return tuple(table("texts.toml")[FALLBACK_LANGUAGE])


def topic_text(purposes: Iterable[str], language: str) -> str:
    """Return purposes of consent (smsgate.campaigns.consent.Purpose) as a text names them."""
    words = _of_language(table("texts.toml")["topics"], language)
    return ", ".join(words[purpose] for purpose in purposes)


def often_text(week_max: int | None, language: str) -> str:
    """Return how often messages come, as a welcome says it: at most so many a week, or that it varies."""
    words = _of_language(table("texts.toml")["often"], language)
    return words["varies"] if week_max is None else words["most"].format(maximum=week_max)


def told_word(name: str, language: str) -> str:
    """Return what a text tells to write: "yes", or before an order's number "cancel" or "withdraw"."""
    return _of_language(table("texts.toml")["words"], language)[name]


@once_if_short
def other_yes(said: str, quantity: int, language: str) -> str:
    """Return a yes in other letters than `said`: the carrier's repetition of an answer answers nothing."""
    words = set(re.findall(r"\w+", said.casefold()))
    for word in (told_word("yes", language), "OK"):
        if word.casefold() not in words:
            return word
    return f"OK {quantity}"


def contact_text(contact: str, name: str) -> str:
    """Return whom a text names for questions: a merchant's contact, or its name if none fits."""
    limit = FIELD_CHARACTERS_MAX["contact"]
    if contact and len(_gsm(contact)) <= limit:
        return contact
    kept = _flat(name)[:limit]
    while len(_gsm(kept)) > limit:  # a character of another alphabet may be written as several
        kept = kept[:-1]
    return kept


def system_text(kind: str, language: str, **fields: str | int) -> str:
    """
    Return the text of `kind` in `language` (English when we have no other), in one segment.

    Characters outside GSM 03.38 in names are replaced (`suggest`) or left out where the language is written
    in them: a receipt must go out.

    Raises:
        Invalid: `field_missing` or `field_too_long`; what stands in no name is never cut.
    """
    written_in = spoken(language)
    air = _UCS2 if written_in in UCS2_LANGUAGES else _GSM
    values, most = dict[str, str](), air.characters_max
    for name, field in fields.items():
        if value := str(field):
            if not (value.isalnum() and value.isascii()):  # what every alphabet has, and is on one line
                value = air.written(value)
            if name in most and len(value) > most[name]:
                raise Invalid(f"{name} has over {most[name]} characters", code="field_too_long")
            values[name] = value
    for chosen in _choices(kind, written_in, frozenset(values)):
        text = _fit(chosen, values, air)
        if text is not None:
            return text
    raise AssertionError(f"{kind}/{language} is too long even without its optional parts")


@cache  # as many as there are kinds, languages and ways to call them
def _choices(kind: str, language: str, given: frozenset[str]) -> tuple[str, ...]:
    """Return the templates to try for these fields: with all optional pieces, then with ever fewer."""
    template = _template(kind, language)
    missing = _names(_OPTIONAL.sub("", template)) - given
    if missing:
        raise Invalid(f"{kind} needs {', '.join(sorted(missing))}", code="field_missing")
    optional = [piece for piece in _OPTIONAL.findall(template) if _names(piece) <= given]
    return tuple(_keeping(template, optional[:count]) for count in range(len(optional), -1, -1))


def _keeping(template: str, optional: list[str]) -> str:
    return _OPTIONAL.sub(lambda match: match[1] if match[1] in optional else "", template)


def field_characters_max(name: str, language: str) -> int:
    """Return how many characters a field may have; names have no limit, they are cut."""
    air = _UCS2 if spoken(language) in UCS2_LANGUAGES else _GSM
    return air.characters_max.get(name, 10_000)


@cache
def _template(kind: str, language: str) -> str:
    return _of_language(table("texts.toml"), language)[kind]


def _of_language(texts: Mapping[str, dict[str, str]], language: str) -> dict[str, str]:
    return texts[spoken(language)]


def _code(language: str) -> str:
    code = language.replace("_", "-").split("-", maxsplit=1)[0].casefold()
    return "nb" if code in {"no", "nn"} else code


def _names(piece: str) -> set[str]:
    return set(_PLACE.findall(piece))


class _Air(NamedTuple):
    """How one alphabet is measured: the units of a segment, of a text, and those that a name keeps."""

    units_max: int
    units: Callable[[str], int]
    names_min: dict[str, int]
    written: Callable[[str], str]
    characters_max: dict[str, int]


def _fit(template: str, values: dict[str, str], air: _Air) -> str | None:
    """Return the filled template, names cut as far as needed; None when that is not enough."""
    text = _fill(template, values)
    if air.units(text) <= air.units_max:
        return text
    used = dict(values)
    for name in ("item", "shop", "names"):
        over = air.units(_fill(template, used)) - air.units_max
        if over <= 0:
            break
        places = template.count(f"{{{name}}}")
        if places:
            room = max(air.units(used[name]) - -(-over // places), air.names_min[name])
            used[name] = _cut(used[name], room, air)
    text = _fill(template, used)
    return text if air.units(text) <= air.units_max else None


def _fill(template: str, values: dict[str, str]) -> str:
    """Templates have no braces but those of places (a test holds it), and what fills one is not read."""
    return template.format_map(values)


def _cut(name: str, units_max: int, air: _Air) -> str:
    """Return the name in at most `units_max` units, its cut shown by a dot."""
    if air.units(name) <= units_max:
        return name
    kept = name
    while air.units(kept) > units_max - 1:
        kept = kept[:-1]
    return f"{kept.rstrip()}."


def _septets(text: str) -> int:
    return len(encode_gsm(text))


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-be")) // 2


@lru_cache(VALUES_KEPT)
def _gsm(value: str) -> str:
    flat = _flat(value)
    return flat if is_gsm(flat) else "".join(suggest(char) or "" for char in flat)


def _flat(value: str) -> str:
    return " ".join(value.split())


_GSM: Final = _Air(SINGLE_SEPTETS, _septets, NAME_SEPTETS_MIN, _gsm, FIELD_CHARACTERS_MAX)
_UCS2: Final = _Air(
    SINGLE_UNITS, _utf16_units, NAME_UNITS_MIN, _flat, FIELD_CHARACTERS_MAX | UCS2_CHARACTERS_MAX
)
