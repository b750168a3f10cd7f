"""
Offer texts with `{field}` places, rendered by columns.

The alphabet is chosen once for all, the fixed parts are encoded once, the values once each. There is no
template engine: whatever is not a known `{field}` stays as typed, and values are never read again.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.alike import of_each
from smsgate.errors import Invalid, TextError
from smsgate.protocol.encodings import GSM, Alphabet
from smsgate.protocol.gsm0338 import encode_gsm

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

FIELDS_MAX: Final = 20  # distinct fields in one text; 160 septets cannot say more
TEXT_CHARACTERS_MAX: Final = 1_600  # longer is no offer; bounds the work before anything is measured
TEXTS_KEPT: Final = (
    1_000  # encoded, some 4 kB each at most: a shop's webhooks make many campaigns of one text
)

_CHARSET: Final = "charset_ucs2"
_PLACE: Final = re.compile(r"\{([a-z][a-z0-9_]{0,31})\}", re.ASCII)


class Parts(NamedTuple):
    """
    `literals` has one more entry than `names`.

    Literal, field, literal, field, literal; octets of `alphabet`, its header not among them.
    """

    literals: tuple[bytes, ...]
    names: tuple[str, ...]
    alphabet: Alphabet = GSM

    @property
    def fixed_octets(self) -> int:
        return sum(map(len, self.literals))


class Rendered(NamedTuple):
    """
    Two columns of one length.

    `texts[i]` is b"" exactly when `reasons[i]` says why row i cannot be sent; else the short_message in
    `alphabet`, header included.
    """

    texts: list[bytes]
    reasons: list[str | None]
    alphabet: Alphabet = GSM


def field_names(text: str) -> tuple[str, ...]:
    """Return the names in `{...}`, in order, each once."""
    return tuple(dict.fromkeys(_PLACE.findall(text)))


def filled(text: str, fields: Mapping[str, object]) -> str:
    """Return the text for one person; an unknown field stays as written, and no value is read again."""
    return _PLACE.sub(lambda place: str(fields.get(place[1], place[0])), text)


def compile_text(text: str, known_fields: Collection[str], alphabets: Sequence[Alphabet] = (GSM,)) -> Parts:
    """
    Split an offer text and encode it in the first of `alphabets` whose segment holds the fixed part.

    Raises:
        Invalid: `field_unknown` for a `{name}` that no column will fill, `text_too_long` when the fixed
            part alone is over one segment.
        TextError: `charset_ucs2`, with the characters that the first alphabet lacks.
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
    first: Invalid | TextError | None = None
    for alphabet in alphabets:
        try:
            return _parts(tuple(pieces[::2]), names, alphabet)
        except (Invalid, TextError) as exc:
            first = first or exc
    assert first is not None
    raise first


@lru_cache(maxsize=TEXTS_KEPT)
def _parts(literals: tuple[str, ...], names: tuple[str, ...], alphabet: Alphabet) -> Parts:
    parts = Parts(tuple(alphabet.encode(piece) for piece in literals), names, alphabet)
    if parts.fixed_octets > alphabet.octets_max:
        width = alphabet.unit_octets
        unit = "words of 16 bits" if alphabet.encoding == "ucs2" else "septets"
        raise Invalid(
            f"{parts.fixed_octets // width} {unit}, one message holds {alphabet.octets_max // width}",
            code="text_too_long",
            pointer="/text",
        )
    return parts


def worst_case_septets(parts: Parts, septets_max: Mapping[str, int]) -> int:
    """Return the septets of the longest text that values of at most `septets_max` each can make."""
    return parts.fixed_octets + sum(septets_max.get(name, 0) for name in parts.names)


def render(parts: Parts, columns: Mapping[str, Sequence[str]], count: int) -> Rendered:
    """
    Return the texts of `count` recipients as octets, septets unpacked.

    `columns` has one value per recipient for every field of the text. A value that the alphabet cannot carry
    (`charset_ucs2`), an empty one (`field_empty`), or a text over one segment (`text_too_long`) refuses that
    recipient; nothing is cut or replaced.
    """
    alphabet = parts.alphabet
    header = alphabet.header
    if not parts.names:
        return Rendered([header + parts.literals[0]] * count, [None] * count, alphabet)
    encode = encode_gsm if alphabet == GSM else alphabet.encode
    reasons: list[str | None] = [None] * count
    encoded = {name: _encode_column(columns[name], reasons, encode) for name in dict.fromkeys(parts.names)}
    assert all(len(column) == count for column in encoded.values())
    texts: list[bytes]
    if len(parts.names) == 1:
        head, tail = header + parts.literals[0], parts.literals[1]
        texts = [head + value + tail for value in encoded[parts.names[0]]]
    else:
        head, *tails = header + parts.literals[0], *parts.literals[1:]
        rows = zip(*(encoded[name] for name in parts.names), strict=True)
        texts = [
            head + b"".join([value + tail for value, tail in zip(row, tails, strict=True)]) for row in rows
        ]
    octets_max = len(header) + alphabet.octets_max
    if max(map(len, texts), default=0) <= octets_max and reasons.count(None) == count:
        return Rendered(texts, reasons, alphabet)
    for row, text in enumerate(texts):
        if reasons[row] is None and len(text) > octets_max:
            reasons[row] = "text_too_long"
        if reasons[row] is not None:
            texts[row] = b""
    return Rendered(texts, reasons, alphabet)


def render_cheapest(
    text: str,
    columns: Mapping[str, Sequence[str]],
    count: int,
    alphabets: Sequence[Alphabet],
) -> Rendered:
    """
    Render in the first of `alphabets` that has every character, else in the one that refuses fewest.

    All of them cost one segment. The first one decides nearly always; the others are tried only when it lacks
    a character of the text or of somebody's field.

    Raises:
        Invalid, TextError: none of them can carry the text; see `compile_text`.
    """
    best: Rendered | None = None
    first: Invalid | TextError | None = None
    for alphabet in alphabets:
        try:
            rendered = render(compile_text(text, columns, (alphabet,)), columns, count)
        except (Invalid, TextError) as exc:
            first = first or exc
            continue
        if best is None or rendered.reasons.count(None) > best.reasons.count(None):
            best = rendered
        if _CHARSET not in rendered.reasons:
            break
    if best is None:
        assert first is not None
        raise first
    return best


class Segment(NamedTuple):
    """One text as one short_message, header included; `reason` says why it is none, and then it is empty."""

    alphabet: Alphabet
    octets: bytes
    reason: str | None = None


def one_segment(text: str, alphabets: Sequence[Alphabet]) -> Segment:
    """Write `text` in the first of `alphabets` whose segment holds it; the first one says why none does."""
    reason: str | None = None
    for alphabet in alphabets:
        try:
            octets = alphabet.encode(text)
        except TextError as exc:
            reason = reason or exc.code
            continue
        if len(octets) <= alphabet.octets_max:
            return Segment(alphabet, alphabet.header + octets)
        reason = reason or "text_too_long"
    return Segment(GSM, b"", reason)


def _encode_column(
    values: Sequence[str], reasons: list[str | None], encode: Callable[[str], bytes]
) -> list[bytes]:
    known = {value: _encoded(value, encode) for value in set(values)}
    if any(reason is not None for _, reason in known.values()):
        for row, value in enumerate(values):
            reason = known[value][1]
            if reason is not None and (reasons[row] is None or reason == _CHARSET):
                reasons[row] = reason
    return of_each(values, {value: octets for value, (octets, _) in known.items()})


def _encoded(value: str, encode: Callable[[str], bytes]) -> tuple[bytes, str | None]:
    """Return one value's octets and why it refuses its recipient."""
    try:
        octets = encode(value)
    except TextError:
        return b"", _CHARSET
    return octets, None if value else "field_empty"
