"""
Hash trees over usage records: one root for all records of a price and month, and paths for samples.

As RFC 6962 2.1 has it (Certificate Transparency): leaf 0x00 and the record, node 0x01 and its two children.
Memory grows with the logarithm of the records.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from smsgate.billing.usage_rows import COLUMNS
from smsgate.money import micros_to_text
from smsgate.security.hash_tree import leaf, node

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from smsgate.billing.usage_rows import UsageRow

LEFT, RIGHT = "left", "right"
# What of an exported row never changes: an outcome may still come, and a person may be erased.
RECORD_COLUMNS: Final = (
    "message", "part", "direction", "accepted_at", "segments", "unit_price", "amount", "currency",
    "price_item",
)  # fmt: skip
assert set(RECORD_COLUMNS) <= set(COLUMNS)

Path = list[tuple[str, str]]  # on which side the neighbour stands, and its hash in hex; from the leaf upwards


def record_of_row(row: UsageRow) -> str:
    return ",".join((
        row.message, str(row.part), row.direction, row.accepted_at.isoformat(), str(row.segments),
        micros_to_text(row.unit_micros), micros_to_text(row.amount_micros), row.currency, row.price_item,
    ))  # fmt: skip


def record_of_cells(cells: Mapping[str, str]) -> str:
    """Return the record of a row of an exported CSV, by the names of its columns."""
    return ",".join(cells[name] for name in RECORD_COLUMNS)


@dataclass(slots=True)
class _Subtree:
    size: int
    digest: bytes
    paths: list[Path]


class RecordTree:
    """Records of one price and month, in the order of their export."""

    def __init__(self) -> None:
        self._subtrees: list[_Subtree] = []
        self.rows = 0
        self.segments = 0

    def add(self, record: str, segments: int, path: Path | None = None) -> None:
        """Add a record; `path` is filled as the tree grows, and whole after `root`."""
        self.rows += 1
        self.segments += segments
        digest = leaf(record.encode())
        self._subtrees.append(_Subtree(1, digest, [] if path is None else [path]))
        while len(self._subtrees) > 1 and self._subtrees[-1].size == self._subtrees[-2].size:
            self._join()

    def root(self) -> str:
        """Return the root in hex; nothing is added any more."""
        while len(self._subtrees) > 1:
            self._join()
        return self._subtrees[0].digest.hex() if self._subtrees else hashlib.sha256().hexdigest()

    def _join(self) -> None:
        right, left = self._subtrees.pop(), self._subtrees.pop()
        for path in left.paths:
            path.append((RIGHT, right.digest.hex()))
        for path in right.paths:
            path.append((LEFT, left.digest.hex()))
        digest = node(left.digest, right.digest)
        self._subtrees.append(_Subtree(left.size + right.size, digest, left.paths + right.paths))


def root_of_path(record: str, path: Sequence[Sequence[str]]) -> str:
    """
    Return the root that a record and its path lead to, in hex.

    Raises:
        ValueError: a path that is none.
    """
    digest = leaf(record.encode())
    for side, neighbour in path:
        other = bytes.fromhex(neighbour)
        if side not in {LEFT, RIGHT} or len(other) != len(digest):
            raise ValueError("no step of a path")
        digest = node(other, digest) if side == LEFT else node(digest, other)
    return digest.hex()


@dataclass(slots=True)
class Sample:
    """One record of a message, with its path to the root of its price."""

    price_item: str
    record: str
    path: Path = field(default_factory=list)


class RecordTrees:
    """A tree for each price; `messages` are those whose paths are wanted."""

    def __init__(self, messages: Collection[str] = ()) -> None:
        self._messages = frozenset(messages)
        self.trees: dict[str, RecordTree] = {}
        self.samples: list[Sample] = []

    def add(self, message: str, price_item: str, segments: int, record: str) -> None:
        tree = self.trees.get(price_item)
        if tree is None:
            tree = self.trees[price_item] = RecordTree()
        path = None
        if message in self._messages:
            self.samples.append(sample := Sample(price_item, record))
            path = sample.path
        tree.add(record, segments, path)

    def add_rows(self, rows: Sequence[UsageRow]) -> None:
        for row in rows:
            self.add(row.message, row.price_item, row.segments, record_of_row(row))
