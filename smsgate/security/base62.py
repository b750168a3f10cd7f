"""Base 62 of fixed width (0-9 A-Z a-z, most significant first): one double click picks the whole word."""

from __future__ import annotations

from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Two characters a step halve the divisions of big integers: 128 bits take about 1 us.
_PAIRS: Final = tuple(a + b for a in ALPHABET for b in ALPHABET)
_PAIR_VALUES: Final = {pair: value for value, pair in enumerate(_PAIRS)}
_PAIR_BASE: Final = 62 * 62
_LIMB_PAIRS: Final = 5  # 62**10 is below 2**60: divisions of two digits of Python's own, not of five
_LIMB_BASE: Final = _PAIR_BASE**_LIMB_PAIRS


def encode(value: int, width: int) -> str:
    """Return `value` in exactly `width` characters; `width` is even."""
    assert width % 2 == 0
    assert 0 <= value < 62**width
    pairs = []
    for left in range(width // 2, 0, -_LIMB_PAIRS):
        value, limb = divmod(value, _LIMB_BASE)
        for _ in range(min(left, _LIMB_PAIRS)):
            limb, rest = divmod(limb, _PAIR_BASE)
            pairs.append(_PAIRS[rest])
    pairs.reverse()
    return "".join(pairs)


def decode(text: str) -> int | None:
    """Return the value, or None when the length is odd or a character is not of the alphabet."""
    value = 0
    for start in range(0, len(text), 2):
        pair = _PAIR_VALUES.get(text[start : start + 2])
        if pair is None:
            return None
        value = value * _PAIR_BASE + pair
    return value
