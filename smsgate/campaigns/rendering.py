"""
Offer texts with `{field}` places, rendered by columns.

The fixed parts are encoded once, the values once each. There is no template engine: whatever is not a known
`{field}` stays as typed, and values are never read again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.errors import Invalid, TextError
from smsgate.protocol.gsm0338 import encode_gsm
from smsgate.protocol.segmentation import SINGLE_SEPTETS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

FIELDS_MAX: Final = 20  # distinct fields in one text; 160 septets cannot say more
TEXT_CHARACTERS_MAX: Final = 1_600  # longer is no offer; bounds the work before anything is measured

_PLACE: Final = re.compile(r"\{([a-z][a-z0-9_]{0,31})\}", re.ASCII)


class Parts(NamedTuple):
    """
    `literals` has one more entry than `names`.

    Literal, field, literal, field, literal; octets are septets.
    """

    literals: tuple[bytes, ...]
    names: tuple[str, ...]

    @property
    def fixed_septets(self) -> int:
        return sum(map(len, self.literals))


class Rendered(NamedTuple):
    """
    Two columns of one length.

    `texts[i]` is b"" exactly when `reasons[i]` says why row i cannot be sent.
    """

    texts: list[bytes]
    reasons: list[str | None]


def field_names(text: str) -> tuple[str, ...]:
    """Return the names in `{...}`, in order, each once."""
    return tuple(dict.fromkeys(_PLACE.findall(text)))


def compile_text(text: str, known_fields: Collection[str]) -> Parts:
    """
    Split and encode an offer text.

    Raises:
        Invalid: `field_unknown` for a `{name}` that no column will fill, `text_too_long` when the fixed
        part alone
            is over one segment.
        TextError: `charset_ucs2`, with the characters that GSM 03.38 lacks.
    """
    if len(text) > TEXT_CHARACTERS_MAX:
        raise Invalid(f"{len(text)} characters are no offer text", code="text_too_long", pointer="/text")
    pieces = _PLACE.split(text)
    names = tuple(pieces[1::2])
    unknown = [name for name in dict.fromkeys(names) if name not in known_fields]
    if unknown:
        known = ", ".join(sorted(known_fields)) or "none"
        raise Invalid(f"unknown field {unknown[0]!r}; known: {known}", code="field_unknown", pointer="/text")
    if len(set(names)) > FIELDS_MAX:
        raise Invalid(f"more than {FIELDS_MAX} fields", code="field_unknown", pointer="/text")
    parts = Parts(tuple(encode_gsm(piece) for piece in pieces[::2]), names)
    if parts.fixed_septets > SINGLE_SEPTETS:
        raise Invalid(
            f"{parts.fixed_septets} septets, one message holds {SINGLE_SEPTETS}",
            code="text_too_long",
            pointer="/text",
        )
    return parts


def worst_case_septets(parts: Parts, septets_max: Mapping[str, int]) -> int:
    """Return the septets of the longest text that values of at most `septets_max` each can make."""
    return parts.fixed_septets + sum(septets_max.get(name, 0) for name in parts.names)


def render(parts: Parts, columns: Mapping[str, Sequence[str]], count: int) -> Rendered:
    """
    Return the texts of `count` recipients as unpacked septets.

    `columns` has one value per recipient for every field of the text. A value that GSM 03.38 cannot carry
    (`charset_ucs2`), an empty one (`field_empty`), or a text over 160 septets (`text_too_long`) refuses that
    recipient; nothing is cut or replaced.
    """
    if not parts.names:
        return Rendered([parts.literals[0]] * count, [None] * count)
    reasons: list[str | None] = [None] * count
    encoded = {name: _encode_column(columns[name], reasons) for name in dict.fromkeys(parts.names)}
    assert all(len(column) == count for column in encoded.values())
    texts: list[bytes]
    if len(parts.names) == 1:
        head, tail = parts.literals
        texts = [head + value + tail for value in encoded[parts.names[0]]]
    else:
        head, *tails = parts.literals
        rows = zip(*(encoded[name] for name in parts.names), strict=True)
        texts = [
            head + b"".join([value + tail for value, tail in zip(row, tails, strict=True)]) for row in rows
        ]
    for row, text in enumerate(texts):
        if reasons[row] is None and len(text) > SINGLE_SEPTETS:
            reasons[row] = "text_too_long"
        if reasons[row] is not None:
            texts[row] = b""
    return Rendered(texts, reasons)


def _encode_column(values: Sequence[str], reasons: list[str | None]) -> list[bytes]:
    encoded: list[bytes] = []
    for row, value in enumerate(values):
        try:
            encoded.append(encode_gsm(value))
        except TextError:
            encoded.append(b"")
            reasons[row] = "charset_ucs2"
        else:
            if not value:
                reasons[row] = reasons[row] or "field_empty"
    return encoded
