"""
One hash for many: trees of SHA-256, so that one signature serves a whole group.

Each member has a path, the hashes beside it on the way to the root: with it anybody finds the root again from
the member alone, and learns nothing of the others. Leaves and inner nodes are hashed apart, so that no node
is taken for a member (RFC 6962, 2.1). In `tree` the smaller of two nodes stands first, so that a path needs
no sides; `billing.record_trees` has the order of RFC 6962.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

NODE_OCTETS: Final = 32
DEPTH_MAX: Final = 16  # of 65,536 members
_LEAF: Final = b"\0"
_NODE: Final = b"\1"


def tree(members: Sequence[bytes]) -> tuple[bytes, list[bytes]]:
    """Return the root, and the path of each member: its nodes one after the other, `NODE_OCTETS` each."""
    assert 0 < len(members) <= 1 << DEPTH_MAX
    level = [leaf(member) for member in members]
    paths: list[list[bytes]] = [[] for _ in members]
    height = 0
    while len(level) > 1:
        for place, path in enumerate(paths):
            beside = (place >> height) ^ 1
            if beside < len(level):  # the last of an odd number goes up alone
                path.append(level[beside])
        last = [level[-1]] if len(level) % 2 else []
        level = [*map(_sorted_node, level[::2], level[1::2]), *last]
        height += 1
    return level[0], [b"".join(path) for path in paths]


def root_of(member: bytes, path: bytes) -> bytes:
    """
    Return the root that a member comes to by its path.

    Raises:
        ValueError: it is no path.
    """
    if len(path) % NODE_OCTETS or len(path) > DEPTH_MAX * NODE_OCTETS:
        raise ValueError("no path in a tree")
    digest = leaf(member)
    for start in range(0, len(path), NODE_OCTETS):
        digest = _sorted_node(digest, path[start : start + NODE_OCTETS])
    return digest


def leaf(member: bytes) -> bytes:
    return hashlib.sha256(_LEAF + member).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()


def _sorted_node(one: bytes, other: bytes) -> bytes:
    return node(one, other) if one < other else node(other, one)
