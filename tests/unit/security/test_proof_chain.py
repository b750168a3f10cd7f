from __future__ import annotations

import hashlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.security.proof_chain import FIRST, FORMAT, Entry, ProofKey, Verdict, verify

KEY, OTHER = ProofKey(bytes(range(32))), ProofKey(bytes(32))
ENTRIES = [
    Entry("consent", "2026-11-23T12:00:00+00:00", {"source": "form", "wording_version": "w1"}),
    Entry("reply", "2026-11-23T12:01:00+00:00", {"text": "OK merci ☺", "quantity": None}),
    Entry("order", "2026-11-23T12:01:00+00:00", {"total": "19.90", "number": "74170963"}),
]
FILE = KEY.sealed(ENTRIES, "2026-11-26T12:00:00+00:00")
LINES = FILE.splitlines(keepends=True)


def test_a_file_holds_and_says_who_signed_it() -> None:
    assert verify(FILE) == Verdict(4, key=KEY.public, format=FORMAT)
    assert verify(FILE, KEY.public).wrong is None


def test_each_entry_holds_the_hash_of_the_one_before() -> None:
    before = FIRST
    for line in LINES:
        entry = orjson.loads(line)
        assert entry["previous"] == before
        before = entry.pop("sha256")
        assert hashlib.sha256(orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)).hexdigest() == before


def test_every_single_bit_that_changes_is_found_in_its_entry() -> None:
    line_of = [no for no, line in enumerate(LINES, 1) for _ in line]
    for place in range(len(FILE)):
        for bit in range(8):
            changed = bytearray(FILE)
            changed[place] ^= 1 << bit
            verdict = verify(bytes(changed), KEY.public)
            assert verdict.wrong is not None, (place, bit)
            assert verdict.wrong <= line_of[place], (place, bit)
            assert verdict.wrong >= line_of[place] - (changed[place] == 0x0A), (place, bit)


@pytest.mark.parametrize("no", range(1, len(LINES) + 1))
def test_an_entry_that_is_taken_out_doubled_or_moved_is_found(no: int) -> None:
    without = LINES[: no - 1] + LINES[no:]
    doubled = LINES[:no] + LINES[no - 1 :]
    assert verify(b"".join(without)).wrong in {no, len(without), 1}
    assert verify(b"".join(doubled)).wrong in {no, no + 1}
    if no < len(LINES):
        moved = [*LINES[: no - 1], LINES[no], LINES[no - 1], *LINES[no + 1 :]]
        assert verify(b"".join(moved)).wrong == no


CUT_OR_ADDED = [b"", b"\n", FILE[:-1], FILE + b"\n", FILE + LINES[0], b"".join(LINES[:-1])]


@pytest.mark.parametrize("octets", CUT_OR_ADDED)
def test_what_is_cut_off_or_added_is_found(octets: bytes) -> None:
    assert verify(octets).wrong is not None


def test_a_chain_that_was_computed_anew_is_found_by_its_signature() -> None:
    forged = OTHER.sealed(
        [*ENTRIES[:-1], ENTRIES[-1]._replace(body={"total": "0.01", "number": "74170963"})],
        "2026-11-26T12:00:00+00:00",
    )
    assert verify(forged).key == OTHER.public  # whole, but signed by somebody else
    verdict = verify(forged, KEY.public)
    assert (verdict.wrong, "somebody else" in verdict.reason) == (4, True)
    seal = orjson.loads(forged.splitlines()[-1])
    seal["body"]["public_key"] = KEY.public  # and one that claims to be ours has no signature for it
    del seal["sha256"]
    seal["sha256"] = hashlib.sha256(orjson.dumps(seal, option=orjson.OPT_SORT_KEYS)).hexdigest()
    last = orjson.dumps(seal, option=orjson.OPT_SORT_KEYS) + b"\n"
    claimed = verify(b"".join([*forged.splitlines(keepends=True)[:-1], last]), KEY.public)
    assert (claimed.wrong, "computed anew" in claimed.reason) == (4, True)


bodies = st.dictionaries(
    st.text(max_size=8), st.one_of(st.none(), st.integers(-(2**53), 2**53), st.text(max_size=20)), max_size=4
)


@given(st.lists(bodies, max_size=6), st.data())
def test_whatever_the_entries_hold_they_verify_and_any_cut_is_found(
    held: list[dict[str, object]], data: st.DataObject
) -> None:
    file = KEY.sealed([Entry("reply", "t", body) for body in held], "t")
    assert verify(file, KEY.public) == Verdict(len(held) + 1, key=KEY.public, format=FORMAT)
    cut = data.draw(st.integers(0, len(file) - 1))
    assert verify(file[:cut]).wrong is not None
