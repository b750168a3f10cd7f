"""Hash trees over records: the root of RFC 6962, whatever their number, and a path for each."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.billing.record_trees import RecordTree, root_of_path


def by_the_rfc(records: list[str]) -> bytes:
    """MTH of RFC 6962 2.1, as it is written there."""
    if not records:
        return hashlib.sha256().digest()
    if len(records) == 1:
        return hashlib.sha256(b"\x00" + records[0].encode()).digest()
    half = 1
    while half * 2 < len(records):
        half *= 2
    pair = by_the_rfc(records[:half]) + by_the_rfc(records[half:])
    return hashlib.sha256(b"\x01" + pair).digest()


@given(st.lists(st.text(max_size=5), max_size=40))
def test_the_root_is_that_of_the_rfc_and_every_path_leads_to_it(records: list[str]) -> None:
    tree = RecordTree()
    paths: list[list[tuple[str, str]]] = [[] for _ in records]
    for record, path in zip(records, paths, strict=True):
        tree.add(record, 2, path)
    root = tree.root()
    assert root == by_the_rfc(records).hex()
    assert [root_of_path(record, path) for record, path in zip(records, paths, strict=True)] == [
        root for _ in records
    ]
    assert (tree.rows, tree.segments) == (len(records), 2 * len(records))


def test_another_record_or_a_step_that_is_none_does_not_lead_to_the_root() -> None:
    tree = RecordTree()
    path: list[tuple[str, str]] = []
    tree.add("a", 1, path)
    tree.add("b", 1)
    root = tree.root()
    assert root_of_path("c", path) != root
    for step in (("up", path[0][1]), ("left", "ff"), ("left", "none")):
        with pytest.raises(ValueError, match=r"step of a path|hexadecimal"):
            root_of_path("a", [step])
