from __future__ import annotations

from itertools import permutations

import pytest

from smsgate.protocol.mo_text import MoText, read_mo
from smsgate.protocol.segmentation import segment
from smsgate.simulator.reassembly import Reassembly

TEXT = "STOP " * 70


def parts_of(text: str, reference: int = 1) -> list[MoText]:
    segments = segment(text, reference=reference)
    return [read_mo(m, segments.data_coding, segments.esm_class) for m in segments.short_messages]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_parts_in_any_order_give_the_text_and_their_tokens_in_order(order: tuple[int, ...]) -> None:
    parts = parts_of(TEXT)
    reassembly: Reassembly[int] = Reassembly()
    out = [joined for i in order for joined in reassembly.add("33612345678", "36111", parts[i], i, now=0.0)]
    assert [(j.text, j.tokens, j.complete) for j in out] == [(TEXT, (0, 1, 2), True)]
    assert len(reassembly) == 0
    assert reassembly.octets == 0
    assert reassembly.deadline() is None


def test_a_text_of_one_part_passes_at_once() -> None:
    reassembly: Reassembly[str] = Reassembly()
    [joined] = reassembly.add("a", "b", read_mo(b"OK", 0, 0), "t", now=0.0)
    assert (joined.text, joined.tokens, joined.complete) == ("OK", ("t",), True)


def test_time_out_gives_what_came_and_not_before() -> None:
    first, second, _third = parts_of(TEXT)
    reassembly: Reassembly[int] = Reassembly(timeout_s=30.0)
    reassembly.add("a", "b", second, 2, now=5.0)
    reassembly.add("a", "b", first, 1, now=6.0)
    assert reassembly.deadline() == 35.0
    assert reassembly.handle_deadline(34.9) == []
    [joined] = reassembly.handle_deadline(35.0)
    assert joined.text == TEXT[:306]
    assert joined.missing == (3,)
    assert joined.tokens == (1, 2)
    assert reassembly.octets == 0


def test_sender_destination_and_width_keep_texts_apart() -> None:
    first, second, third = parts_of(TEXT)
    reassembly: Reassembly[int] = Reassembly()
    reassembly.add("a", "x", first, 1, now=0.0)
    reassembly.add("b", "x", second, 2, now=0.0)
    assert reassembly.add("a", "y", third, 3, now=0.0) == []
    assert len(reassembly) == 3


def test_a_repeated_part_changes_nothing_and_a_used_again_reference_starts_anew() -> None:
    first, *_ = parts_of(TEXT)
    other, *_ = parts_of("ok " * 120)
    reassembly: Reassembly[int] = Reassembly()
    reassembly.add("a", "x", first, 1, now=0.0)
    assert reassembly.add("a", "x", first, 2, now=1.0) == []
    [joined] = reassembly.add("a", "x", other, 3, now=2.0)
    assert joined.tokens == (1,)
    assert not joined.complete
    assert len(reassembly) == 1


def test_one_sender_loses_its_own_oldest_set_and_others_keep_theirs() -> None:
    reassembly: Reassembly[int] = Reassembly(sets_per_source_max=2)
    reassembly.add("quiet", "x", parts_of(TEXT)[0], 0, now=0.0)
    out = [
        joined
        for reference in range(1, 5)
        for joined in reassembly.add("loud", "x", parts_of(TEXT, reference)[0], reference, now=1.0)
    ]
    assert [j.tokens for j in out] == [(1,), (2,)]
    assert {j.source for j in out} == {"loud"}
    assert len(reassembly) == 3


def test_sets_and_octets_of_an_account_are_bounded() -> None:
    few: Reassembly[int] = Reassembly(sets_max=3)
    small: Reassembly[int] = Reassembly(octets_max=1_000)
    for i in range(10):
        few.add(str(i), "x", parts_of(TEXT)[0], i, now=0.0)
        small.add(str(i), "x", parts_of(TEXT)[0], i, now=0.0)
    assert len(few) == 3
    assert small.octets <= 1_000
    assert [j.tokens for j in few.drain()] == [(7,), (8,), (9,)]


def test_a_surrogate_pair_that_the_peer_cut_comes_out_whole() -> None:
    octets = "яя😀".encode("utf-16-be")
    reassembly: Reassembly[int] = Reassembly()
    reassembly.add("a", "x", read_mo(b"\x05\x00\x03\x01\x02\x01" + octets[:6], 8, 0x40), 1, now=0.0)
    [joined] = reassembly.add(
        "a", "x", read_mo(b"\x05\x00\x03\x01\x02\x02" + octets[6:], 8, 0x40), 2, now=0.0
    )
    assert joined.text == "яя😀"
