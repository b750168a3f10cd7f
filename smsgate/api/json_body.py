"""
JSON from strangers: what RFC 8259 allows, less what has two readings or breaks what comes after.

Python's own reader takes NaN, duplicate names and lone surrogates, and fails with errors of its own on deep
or long input. PostgreSQL holds no NUL in a text.
"""

from __future__ import annotations

import json
from typing import Final, NoReturn

import orjson

from smsgate.errors import DomainError

BODY_OCTETS_MAX: Final = (
    1_048_576  # 1 MiB: a thousand times an ordinary request; imports are streamed instead
)
DEPTH_MAX: Final = 32  # no document of ours is deeper than 6; shops' own webhooks stay below 12
# Octets that part values: 1 MiB of empty lists would hold the event loop for half a second, these for 30 ms.
SEPARATORS_MAX: Final = 50_000
DIGITS_MAX: Final = 20  # a 64-bit integer has 19


class JsonRefused(DomainError):
    code = "json_invalid"
    http_status = 400


def parse_json(body: bytes) -> object:
    """
    Return the document in `body`.

    Raises:
        JsonRefused: code `json_invalid`; the sentence says where (line, column) or which name or number.
    """
    if body.count(b",") + body.count(b"[") + body.count(b"{") > SEPARATORS_MAX:
        raise JsonRefused(f"The body has more than {SEPARATORS_MAX} values.")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise JsonRefused(f"The body is not JSON: {exc}.") from None
    # No text holds a NUL unless it is written as its escape; nothing is deeper than it has brackets.
    if body.count(b"[") + body.count(b"{") > DEPTH_MAX or b"\\u0000" in body:
        _check_depth_and_nul(document)
    try:
        return _decode(body.decode())
    except (ValueError, RecursionError):  # what orjson took and json does not: nothing known, and never a 500
        raise JsonRefused("The body is not JSON.") from None


def _check_depth_and_nul(document: object) -> None:
    level: list[object] = [document]
    for _ in range(DEPTH_MAX + 1):
        below: list[object] = []
        for value in level:
            if isinstance(value, str):
                _check_text(value)
            elif isinstance(value, list):
                below.extend(value)
            elif isinstance(value, dict):
                below.extend(value.values())
                for name in value:
                    _check_text(name)
        if not below:
            return
        level = below
    raise JsonRefused(f"The body is nested deeper than {DEPTH_MAX} levels.")


def _check_text(text: str) -> None:
    if "\0" in text:
        raise JsonRefused("A text holds the character U+0000, which cannot be stored.")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise JsonRefused(f"The name {name[:60]!r} stands twice in one object.")
            seen.add(name)
    return found


def _integer(text: str) -> int:
    if len(text) > DIGITS_MAX + 1:
        _too_long()
    if sum(map(str.isdigit, text)) > DIGITS_MAX:
        _too_long()
    return int(text)


def _decimal(text: str) -> float:
    if sum(map(str.isdigit, text)) > DIGITS_MAX:
        _too_long()
    return float(text)


def _too_long() -> NoReturn:
    raise JsonRefused(f"A number has more than {DIGITS_MAX} digits.")


_decode: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_decimal
).decode  # made once: it costs as much as a short document
