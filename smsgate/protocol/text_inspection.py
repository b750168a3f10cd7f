"""A text as SMS sees it, as plain values for people on call and for acceptance: `smsgate text`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from smsgate.errors import Invalid, TextError
from smsgate.protocol.gsm0338 import DATA_CODING, Encoding, decode_gsm, encode_gsm
from smsgate.protocol.mo_text import codec_of, decode_text, read_mo
from smsgate.protocol.packing import pack, unpack
from smsgate.protocol.segmentation import Concat, capacity, header_octets, measure, segment
from smsgate.protocol.shift_tables import DEFAULT, LANGUAGE_IDS, Shift, encode_shifted, shift_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

UNITS: Final[dict[Encoding, str]] = {"gsm7": "septets", "ucs2": "units", "latin1": "octets"}
_CONCAT_OF_BITS: Final[dict[int, Concat]] = {8: "udh8", 16: "udh16"}
_ENCODING_OF_CODING: Final[dict[int, Encoding]] = {code: name for name, code in DATA_CODING.items()}

_CONCATS: Final[tuple[Concat, ...]] = ("udh8", "udh16", "sar", "payload")
_SHOWN_MAX: Final = 40  # characters of a wrong value that are said again

Row = dict[str, Any]
Name = TypeVar("Name", bound=str)


def inspect_text(row: Mapping[str, Any]) -> Row:
    """
    Return what `row` asks for, by its `kind`; expected values in it are not looked at.

    `segment`, `shift` and `shift-segment` cut `text` by `options` (language, single_shift, locking_shift,
    concat_ref_bits, force); `pack` packs `text` after `fill_bits`; `unpack` and `decode` read `hex`.

    Raises:
        Invalid: a kind, key or value that has no meaning here.
        TextError: the text cannot be written so.
    """
    kind = row.get("kind")
    if kind is None:
        kind = "segment" if "text" in row else "decode"
    answer = _KINDS[_one_of("kind", kind, _KINDS)]
    options = row.get("options", {})
    if not isinstance(options, dict):
        raise Invalid("options is no object")
    return answer(row, options)


def _segment(row: Mapping[str, Any], options: Row) -> Row:
    text, concat = _text(row), _concat(options)
    encoding = _forced(options)
    shift = _shift(options) or DEFAULT
    answer = _measured(text, encoding, shift, concat)
    if answer["segments"] > 1:
        parts = segment(text, concat=concat, encoding=encoding, shift=shift)
        answer["parts"] = [octets.hex() for octets in parts.short_messages]
    return answer


def _shifted(row: Mapping[str, Any], options: Row) -> Row:
    """Answer in the language tables that `options` name, else in UCS-2, which carries everything."""
    text, concat = _text(row), _concat(options)
    shift = _shift(options)
    if shift is None:
        return _measured(text, "ucs2", DEFAULT, concat) | {"note": "this language has no such table: UCS-2"}
    try:
        octets = encode_shifted(text, shift)
    except TextError as exc:
        return _measured(text, "ucs2", DEFAULT, concat) | {"note": f"{exc}: UCS-2"}
    air = measure(text, encoding="gsm7", shift=shift, concat=concat)
    elements = shift.elements
    return {
        "encoding": "shift" if elements else "gsm7",
        "udh": (bytes((len(elements),)) + elements).hex() if elements else "",
        "hex": octets.hex(),
        "septets": air.units,
        "segments": air.segments,
        "segment_sizes": list(air.segment_units),
        "single_segment_capacity": capacity("gsm7", header_octets(shift)),
        "per_segment_capacity": capacity("gsm7", header_octets(shift, concat)),
    }


def _measured(text: str, encoding: Encoding | None, shift: Shift, concat: Concat) -> Row:
    air = measure(text, encoding=encoding, shift=shift, concat=concat)
    if air.encoding == "gsm7":
        octets = encode_shifted(text, shift) if shift != DEFAULT else encode_gsm(text)
    else:
        octets = text.encode("utf-16-be" if air.encoding == "ucs2" else "latin-1")
    return {
        "encoding": air.encoding,
        UNITS[air.encoding]: air.units,
        "hex": octets.hex(),
        "segments": air.segments,
        "segment_sizes": list(air.segment_units),
    }


def _pack(row: Mapping[str, Any], options: Row) -> Row:
    if "text" not in row:
        return _unpack(row, options)
    septets = encode_shifted(_text(row), _shift(options) or DEFAULT)
    return {
        "packed_hex": pack(septets, _fill_bits(row, options)).hex(),
        "septets": len(septets),
        "hex": septets.hex(),
    }


def _unpack(row: Mapping[str, Any], options: Row) -> Row:
    octets = _octets(row, "packed_hex" if "packed_hex" in row else "hex")
    fill_bits = _fill_bits(row, options)
    count = row.get("septets", options.get("septets"))
    if count is not None:
        count = _number({"septets": count}, "septets", max(0, 8 * len(octets) - fill_bits) // 7)
    septets = unpack(octets, fill_bits, count)
    return {"text": decode_gsm(septets), "hex": septets.hex(), "septets": len(septets)}


def _decode(row: Mapping[str, Any], options: Row) -> Row:
    octets = _octets(row, "hex")
    data_coding = _number({"data_coding": 0} | options | dict(row), "data_coding", 0xFF)
    alphabet = _one_of("default_alphabet", options.get("default_alphabet", "gsm7"), DATA_CODING)
    esm_class = _number({"esm_class": 0} | options | dict(row), "esm_class", 0xFF)
    mo = read_mo(
        octets, data_coding, esm_class, default_alphabet=alphabet, packed=bool(options.get("packed"))
    )
    codec = codec_of(data_coding, alphabet)
    text = mo.text if esm_class else decode_text(mo.user_data, codec)
    return {"text": text, "encoding": mo.codec, "data_coding": data_coding}


_KINDS: Final[dict[str, Callable[[Mapping[str, Any], Row], Row]]] = {
    "segment": _segment,
    "shift": _shifted,
    "shift-segment": _shifted,
    "pack": _pack,
    "unpack": _unpack,
    "decode": _decode,
}


def _one_of(name: str, value: object, known: Iterable[Name]) -> Name:
    """Return the one of `known` that `value` is."""
    for each in known:
        if isinstance(value, str) and value == each:
            return each
    shown = f" {value[:_SHOWN_MAX]!r}" if isinstance(value, str) else ""
    raise Invalid(f"{name}{shown} is none of {', '.join(known)}")


def _text(row: Mapping[str, Any]) -> str:
    text = row.get("text")
    if not isinstance(text, str):
        raise Invalid("text is missing or no text")
    return text


def _octets(row: Mapping[str, Any], key: str) -> bytes:
    try:
        return bytes.fromhex(row[key])
    except (KeyError, TypeError, ValueError):
        raise Invalid(f"{key} is missing or not hexadecimal") from None


def _number(row: Mapping[str, Any], key: str, largest: int) -> int:
    number = row[key]
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= largest:
        raise Invalid(f"{key} is no number from 0 to {largest}")
    return number


def _fill_bits(row: Mapping[str, Any], options: Row) -> int:
    return _number({"fill_bits": 0} | options | dict(row), "fill_bits", 6)


def _concat(options: Row) -> Concat:
    if (named := options.get("concat")) is not None:
        return _one_of("concat", named, _CONCATS)
    bits = _number({"concat_ref_bits": 8} | options, "concat_ref_bits", 16)
    if bits not in _CONCAT_OF_BITS:
        raise Invalid("concat_ref_bits is 8 or 16")
    return _CONCAT_OF_BITS[bits]


def _forced(options: Row) -> Encoding | None:
    if (forced := options.get("force")) is not None:
        return _one_of("force", forced, DATA_CODING)
    if options.get("data_coding") is None:
        return None
    coding = _number(options, "data_coding", 0xFF)
    return _ENCODING_OF_CODING.get(coding) if coding else None


def _shift(options: Row) -> Shift | None:
    """Return the tables that the options ask for; None when the language has no such table."""
    single, locking = bool(options.get("single_shift")), bool(options.get("locking_shift"))
    if not (single or locking):
        return DEFAULT
    language = _one_of("language", options.get("language"), LANGUAGE_IDS)
    return shift_of(language, single=single, locking=locking)
