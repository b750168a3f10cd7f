"""Reply reading for people and programs who look into it: rows of plain values in, plain values out."""

from __future__ import annotations

from typing import Any, Final

from smsgate.campaigns.replies import Context, Label, Reading, read_reply
from smsgate.errors import Invalid

# The offer that a row answers when it names none: "The latest Madonna record is on sale at Boxman."
EXAMPLE_NAMES: Final = ("Boxman", "Madonna")
_SHOWN_MAX: Final = 40  # characters of a wrong value that are said again
LANGUAGE_UNKNOWN: Final = "und"  # ISO 639-2: undetermined


def inspect_reply(row: dict[str, Any]) -> dict[str, object]:
    """
    Return how the reply in `row` is read: its label, language, reason and rule, and a quantity where one was
    stated.

    `row` holds `text`, and maybe `lang` (of the subscriber's profile), `context` (what is open for the
    person) and `names` (of the shop and the item). What else it holds is not looked at.

    Raises:
        Invalid: a value is missing or has the wrong type, or the context is unknown.
    """
    text, language = row.get("text"), row.get("lang") or LANGUAGE_UNKNOWN
    names, context = row.get("names", EXAMPLE_NAMES), row.get("context") or Context.OFFER
    if not isinstance(text, str) or not isinstance(language, str):
        raise Invalid('write {"text":"ok merci","lang":"fr"}, or the text alone')
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise Invalid('names is a list of texts: {"text":"ok boxman","names":["Boxman"]}')
    if not isinstance(context, str) or context not in set(Context):
        shown = f" {context[:_SHOWN_MAX]!r}" if isinstance(context, str) else ""
        raise Invalid(f"context{shown} is none of {', '.join(Context)}")
    return as_values(read_reply(text, language, names=names, context=Context(context)))


def as_values(reading: Reading) -> dict[str, object]:
    found: dict[str, object] = {"label": reading.label.value}
    if reading.label is Label.QUANTITY:
        found["quantity"] = reading.quantity
    for name in ("choice", "reference"):
        if (value := getattr(reading, name)) is not None:
            found[name] = value
    return found | {
        "language": reading.language,
        "reason": reading.reason,
        "rule": reading.rule,
        "rules_version": reading.rules_version,
    }
