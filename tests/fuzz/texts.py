"""Random texts cut into parts: joined they are the text, and no cut goes through what people take for one."""

from __future__ import annotations

from random import Random
from typing import Final

import regex

from smsgate.protocol.encodings import ALL_SHIFTS
from smsgate.protocol.mo_text import read_mo
from smsgate.protocol.segmentation import Concat, Segments, measure, segment
from smsgate.protocol.shift_tables import DEFAULT, Shift

CLUSTER: Final = regex.compile(r"\X")
CONCATS: Final[list[Concat]] = ["udh8", "udh16", "sar"]
# Plain letters, what takes an escape, letters of the tables, surrogate pairs, clusters of many code points.
PIECES: Final = (
    *("a", "é", "€", "{", "\n", "\r\n", "@", "ç", "ş", "ã", "я", "😀", "🇫🇷", "e\u0301", "\u0301"),
    *("👨\u200d👩\u200d👧\u200d👦", "क्षि", "বাং", "각", "a" * 60, "я" * 30, "€" * 40, "Z" + "\u0300" * 90),
)
PIECES_MAX: Final = 40


def texts_of(segments: Segments) -> list[str]:
    return [read_mo(m, segments.data_coding, segments.esm_class).text for m in segments.short_messages]


def check_cut(text: str, concat: Concat, shift: Shift) -> None:
    """Cut a text and see that it is whole, and whole wherever a part ends."""
    segments = segment(text, concat=concat, shift=shift)
    parts = texts_of(segments)
    assert "".join(parts) == text
    room = max(segments.units) if len(parts) > 1 else 0
    clusters = [match.span() for match in CLUSTER.finditer(text)]
    place = 0
    for part in parts[:-1]:
        place += len(part)
        for start, end in clusters:
            if start < place < end:  # only one that fills a part by itself may be cut
                assert measure(text[start:end], shift=shift).units > room


def cut_texts(seed: int, count: int) -> None:
    """Try so many texts; an AssertionError names the one that breaks a rule."""
    rnd = Random(seed)
    for _ in range(count):
        text = "".join(rnd.choices(PIECES, k=rnd.randrange(PIECES_MAX + 1)))
        concat, shift = rnd.choice(CONCATS), rnd.choice([DEFAULT, *ALL_SHIFTS])
        try:
            check_cut(text, concat, shift)
        except Exception as exc:
            raise AssertionError(f"seed {seed}: {text!r} by {concat} in {shift}") from exc
