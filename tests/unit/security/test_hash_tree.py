"""A path leads from a member to the root, and from nothing else."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.security.hash_tree import DEPTH_MAX, NODE_OCTETS, root_of, tree


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40))
def test_each_member_comes_to_the_root_by_its_path(members: list[bytes]) -> None:
    root, paths = tree(members)
    assert len(paths) == len(members)
    assert {root_of(member, path) for member, path in zip(members, paths, strict=True)} == {root}
    assert max(len(path) for path in paths) <= NODE_OCTETS * (len(members) - 1).bit_length()


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=2, max_size=20, unique=True), st.data())
def test_no_other_octets_come_to_it(members: list[bytes], data: st.DataObject) -> None:
    root, paths = tree(members)
    place = data.draw(st.integers(0, len(members) - 1))
    other = data.draw(st.binary(max_size=65).filter(lambda octets: octets != members[place]))
    assert root_of(other, paths[place]) != root
    step = data.draw(st.integers(0, len(paths[place]) - 1))
    path = bytearray(paths[place])
    path[step] ^= data.draw(st.integers(1, 255))
    assert root_of(members[place], bytes(path)) != root


def test_an_inner_node_is_no_member() -> None:
    root, _ = tree([b"a" * 32, b"b" * 32])
    leaves = sorted(hashlib.sha256(b"\0" + member).digest() for member in (b"a" * 32, b"b" * 32))
    assert root == hashlib.sha256(b"\1" + b"".join(leaves)).digest()
    assert root_of(b"".join(leaves), b"") != root
    assert root_of(root, b"") != root


@pytest.mark.parametrize("octets", [1, NODE_OCTETS - 1, NODE_OCTETS + 1, NODE_OCTETS * (DEPTH_MAX + 1)])
def test_what_is_no_path_is_refused(octets: int) -> None:
    with pytest.raises(ValueError, match="no path"):
        root_of(b"a", bytes(octets))
