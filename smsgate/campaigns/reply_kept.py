"""
The compiled tables of reply reading as octets, and back: who reads replies need not compile them.

What is kept is `marshal`, as in compiled modules: it holds numbers, words, tuples, sets and dictionaries and
runs nothing when it is read. It is not made for octets of strangers (`kept_tables` says whose are taken), and
another version of Python may write it otherwise.
"""

from __future__ import annotations

import marshal
from typing import Any, Final

from smsgate.campaigns.reply_abroad import Meaning, Request
from smsgate.campaigns.reply_tables import Shared, Signing, StopRule, Variants, Vocabulary
from smsgate.campaigns.reply_tries import END, Node

# Of a vocabulary: words seen so far, which are no tables.
_SEEN: Final = ("openings", "seen", "written", "slips")
_TREES: Final = ("tree", "reactions", "signatures")
_SAID: Final = (Meaning, Request)


def packed_shared(tables: Shared) -> bytes:
    fields = tables._asdict() | {name: _packed_tree(getattr(tables, name)) for name in _TREES}
    fields["rules"] = tuple(map(tuple, tables.rules))
    fields["variants"], fields["signing"] = tuple(tables.variants), tuple(tables.signing)
    return marshal.dumps(fields)


def packed_vocabulary(tables: Vocabulary) -> bytes:
    fields = tables._asdict() | {"tree": _packed_tree(tables.tree)} | dict.fromkeys(_SEEN)
    return marshal.dumps(fields)


def unpacked_shared(octets: bytes) -> Shared:
    fields = _fields(octets)
    fields |= {name: _tree(*fields[name]) for name in _TREES}
    fields["rules"] = tuple(StopRule(*rule) for rule in fields["rules"])
    fields["variants"], fields["signing"] = Variants(*fields["variants"]), Signing(*fields["signing"])
    return Shared(**fields)


def unpacked_vocabulary(octets: bytes) -> Vocabulary:
    fields = _fields(octets)
    seen: dict[str, dict[str, Any]] = {name: {} for name in _SEEN}
    return Vocabulary(**(fields | {"tree": _tree(*fields["tree"])} | seen))


def _fields(octets: bytes) -> dict[str, Any]:
    found: dict[str, Any] = marshal.loads(octets)  # noqa: S302  # our own, and it runs nothing
    return found


def _packed_tree(tree: Node) -> tuple[Node, list[Node], list[object]]:
    """
    Return a trie with numbers in the place of what its entries say, the nodes where one ends, and what the
    numbers stand for.

    Parts that the trie has once stay one: `marshal` writes an object that it met before as a reference.
    """
    copies: dict[int, Node] = {}
    ending: list[Node] = []
    said: dict[tuple[tuple[int, object], ...], int] = {}

    def copy(node: Node) -> Node:
        found = copies.get(id(node))
        if found is None:
            found = {word: copy(deeper) for word, deeper in node.items() if word != END}
            if END in node:
                found[END] = said.setdefault(node[END], len(said))
                ending.append(found)
            copies[id(node)] = found
        return found

    return copy(tree), ending, [tuple(_packed_end(*each) for each in end) for end in said]


def _packed_end(table: int, what: object) -> tuple[int, int | None, object]:
    """Return what an entry says in one table, with the place of its type in `_SAID`."""
    if isinstance(what, _SAID):
        return table, _SAID.index(type(what)), tuple(what)
    return table, None, what


def _tree(tree: Node, ending: list[Node], said: list[Any]) -> Node:
    ends = [
        tuple((table, what if kind is None else _SAID[kind](*what)) for table, kind, what in end)
        for end in said
    ]
    for node in ending:
        node[END] = ends[node[END]]
    return tree
