"""Parts of a long MO become one text: octets first, characters after."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smsgate.flows.inbound_records import MISSING, PartOctets, joined_text, storable
from smsgate.protocol.mo_text import ConcatPart


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.data())
def test_a_text_survives_any_cut_of_its_octets(text: str, data: st.DataObject) -> None:
    octets = text.encode("utf-16-be")
    cuts = sorted(data.draw(st.sets(st.integers(1, len(octets) - 1), max_size=5)))
    pieces = [octets[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(octets)], strict=True)]
    parts = {place: PartOctets(piece, "utf-16-be") for place, piece in enumerate(pieces, 1)}
    assert joined_text(parts, len(pieces)) == storable(text)


def test_an_escape_pair_cut_in_two_is_one_character() -> None:
    parts = {1: PartOctets(b"19\x1b", "gsm7"), 2: PartOctets(b"e", "gsm7")}
    assert joined_text(parts, 2) == "19€"


def test_parts_in_two_alphabets_are_read_each_in_its_own() -> None:
    parts = {1: PartOctets(b"\x05", "gsm7"), 2: PartOctets("ж".encode("utf-16-be"), "utf-16-be")}
    assert joined_text(parts, 2) == "éж"


def test_what_is_missing_is_told_once_for_each_gap() -> None:
    parts = {2: PartOctets(b"b", "gsm7"), 5: PartOctets(b"e", "gsm7")}
    assert joined_text(parts, 6) == f"{MISSING}b{MISSING}e{MISSING}"


def test_references_of_two_widths_are_never_the_same() -> None:
    assert ConcatPart(7, 2, 1, 8).reference != ConcatPart(7, 2, 1, 16).reference
    assert ConcatPart(255, 2, 1, 8).reference != ConcatPart(255, 2, 1, 16).reference
