"""Stamps: what was changed after them is named, by a file alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.security.proof_chain import Entry, ProofKey, Verdict
from smsgate.security.proof_stamps import (
    SIGNATURE_OCTETS,
    Held,
    Stamp,
    content_of,
    entry_of,
    fact_sha256,
    signed,
    unsigned,
    verify,
)
from tests.unit.security.stamping import made

KEY, OTHER = ProofKey(bytes(range(32))), ProofKey(bytes(32))
ORDER = "ord_1"
MADE = [
    Entry("reply", "2026-11-23T12:01:00+00:00", {"text": "OK"}, "inb_1"),
    Entry("order", "2026-11-23T12:01:00+00:00", {"state": "placed"}, ORDER),
    Entry("order_step", "2026-11-23T12:01:00+00:00", {"event": "customer_ok"}, "1"),
]
CONFIRMED = [
    MADE[1]._replace(body={"state": "confirmed"}),
    Entry("order_step", "2026-11-23T12:05:00+00:00", {"event": "shop_confirm"}, "2"),
]
FIRST = made(KEY, ORDER, None, "2026-11-23T12:01:00+00:00", MADE)
SECOND = made(KEY, ORDER, FIRST, "2026-11-23T12:05:00+00:00", CONFIRMED)
NOW = [MADE[0], CONFIRMED[0], MADE[2], CONFIRMED[1]]
LATE = Entry("receipt", "2026-11-23T13:00:00+00:00", {"state": "delivrd"}, "msg_1/1")


def checked(entries: Sequence[Entry], *stamps: Stamp) -> tuple[Verdict, Held]:
    return verify(KEY.sealed([*entries, *map(entry_of, stamps)], "2026-11-26T12:00:00+00:00"), KEY.public)


def test_rows_that_nobody_changed_hold_and_what_came_after_the_last_stamp_is_told_apart() -> None:
    verdict, held = checked([*NOW, LATE], FIRST, SECOND)
    assert (verdict.wrong, held) == (None, Held(4, "2026-11-23T12:01:00+00:00"))


@pytest.mark.parametrize("place", range(len(NOW)))
def test_a_row_that_was_changed_is_named(place: int) -> None:
    changed = [*NOW]
    changed[place] = changed[place]._replace(body={"text": "OK 9"})
    verdict, _ = checked(changed, FIRST, SECOND)
    assert (verdict.wrong, "it was changed after" in verdict.reason) == (place + 1, True)
    changed[place] = NOW[place]._replace(at="2026-11-20T12:00:00+00:00")
    assert checked(changed, FIRST, SECOND)[0].wrong == place + 1


@pytest.mark.parametrize(("place", "by"), [(0, 4), (2, 4), (3, 5)])
def test_a_row_that_is_gone_is_named_by_the_stamp_that_held_it(place: int, by: int) -> None:
    verdict, _ = checked([*NOW[:place], *NOW[place + 1 :]], FIRST, SECOND)
    assert (verdict.wrong, "not there any more" in verdict.reason) == (by, True)


def test_an_older_state_of_the_order_is_not_its_state() -> None:
    assert checked([MADE[0], MADE[1], MADE[2], CONFIRMED[1]], FIRST, SECOND)[0].wrong == 2


def test_a_step_that_nobody_stamped_was_put_in() -> None:
    verdict, _ = checked([*NOW, CONFIRMED[1]._replace(id="3")], FIRST, SECOND)
    assert (verdict.wrong, "it was put in" in verdict.reason) == (5, True)
    assert checked([*NOW], FIRST)[0].wrong == 2  # the second stamp was taken out


def test_stamps_that_are_gone_moved_of_something_else_or_of_somebody_else_are_named() -> None:
    forged = made(OTHER, ORDER, FIRST, SECOND.at, CONFIRMED)
    foreign = made(KEY, "ord_2", None, FIRST.at, MADE)
    assert "there is no stamp" in checked(NOW)[0].reason
    assert [checked(NOW, *stamps)[0].wrong for stamps in ([SECOND], [SECOND, FIRST])] == [5, 5]
    for stamps, wrong, reason in (
        ([FIRST, forged], 6, "did not sign it"),
        ([foreign, SECOND], 5, "of something else"),
        ([FIRST._replace(facts=[]), SECOND], 5, "does not have its hash"),
        ([FIRST, SECOND._replace(at="2026-11-23T12:06:00+00:00")], 6, "does not have its hash"),
        ([FIRST, SECOND._replace(erases=True)], 6, "does not have its hash"),
        ([FIRST._replace(salt=""), SECOND], 5, "its salt is gone"),
        ([FIRST, SECOND._replace(signature="zz")], 6, "no stamp any more"),
    ):
        verdict, _ = checked(NOW, *stamps)
        assert (verdict.wrong, reason in verdict.reason) == (wrong, True), verdict


@pytest.mark.parametrize("many", [1, 2, 3, 8, 200])
def test_stamps_that_are_signed_together_each_hold_alone_and_in_nobody_elses_place(many: int) -> None:
    contents = [*map(content_of, MADE)]
    drafts = [
        *(unsigned(f"ord_{n}", None, FIRST.at, contents) for n in range(2, many + 1)),
        unsigned(ORDER, None, FIRST.at, contents),
    ]
    stamps = signed(KEY, drafts)
    assert [stamp._replace(signature="") for stamp in stamps] == drafts
    assert len({stamp.signature[: 2 * SIGNATURE_OCTETS] for stamp in stamps}) == 1
    mine = stamps[-1]
    verdict, held = checked(MADE, mine)
    assert (verdict.wrong, held.stamped) == (None, 3)
    cut = mine._replace(signature=mine.signature[:-2])
    other = mine._replace(signature=signed(KEY, [unsigned("ord_0", None, FIRST.at, contents)])[0].signature)
    by_other = signed(OTHER, drafts)[-1]
    longer = mine._replace(signature=f"{mine.signature}{'00' * 32}")
    for wrong in (cut, other, by_other, longer):
        assert checked(MADE, wrong)[0].wrong == 4, wrong


def test_an_erasure_leaves_a_file_that_holds_and_no_hash_that_could_be_tried() -> None:
    left = [MADE[0]._replace(body={"text": ""}), CONFIRMED[0], *NOW[2:], MADE[2]._replace(id="3")]
    erasure = made(KEY, ORDER, SECOND, "2027-01-01T00:00:00+00:00", left, erases=True)
    before = [stamp._replace(salt="") for stamp in (FIRST, SECOND)]
    assert checked(left, *before, erasure)[0].wrong is None
    (fact,) = [fact for fact in FIRST.facts if fact.kind == "reply"]
    assert fact.sha256 != fact_sha256(b"", MADE[0])
    assert checked(NOW, *before)[0].wrong == 5  # salts that are gone without an erasure
    assert checked([*left[1:]], *before, erasure)[0].wrong == 7


def test_files_without_an_order_need_no_stamp() -> None:
    verdict, held = verify(KEY.sealed([LATE], "2026-11-26T12:00:00+00:00"))
    assert (verdict.wrong, held) == (None, Held(0))


values = st.one_of(st.none(), st.text(max_size=5), st.integers(0, 9), st.lists(st.integers(0, 2), max_size=2))


@given(st.dictionaries(st.sampled_from([*Stamp._fields, "x"]), values), st.text(max_size=3))
def test_whatever_stands_in_the_place_of_a_stamp_is_named_and_breaks_nothing(
    body: dict[str, object], id_: str
) -> None:
    odd = Entry("stamp", FIRST.at, {**entry_of(FIRST).body, **body}, id_)
    verdict, _ = verify(KEY.sealed([*NOW, odd, entry_of(SECOND)], "t"))
    assert verdict.wrong == 5 or (odd == entry_of(FIRST) and verdict.wrong is None)
