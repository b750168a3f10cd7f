"""Phrases in a trie: nested dictionaries of words. Tables share one, so that a text is looked up once."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

GAP_WORDS_MAX: Final = 3  # what "_" stands for
END: Final = ""
GAP: Final = "_"
# The tables of entries, in the order of `Found`.
MEANING, FOREIGN_MEANING, STOP, FOREIGN_STOP, MACHINE = TABLES = range(5)

Node = dict[Any, Any]  # by word, below END what ends here by table: ((STOP, Request), ...)
Words = tuple[str, ...]
Said = tuple[tuple[int, Any], ...]  # entries: their number of words and what they say
Found = tuple[Said, ...]  # what begins at one word of a text, by table

NO_FOUND: Final[Found] = ((),) * len(TABLES)


@dataclass(frozen=True, slots=True)
class Begin:
    """What begins with one word, whatever stands behind it."""

    alone: Found  # entries of that word alone
    deeper: tuple[Node, ...]  # nodes of longer ones
    gaps: tuple[Node, ...]  # those of the nodes that go on after a gap
    second: AbstractSet[str]  # with which words the longer ones go on


NOTHING: Final = Begin(NO_FOUND, (), (), frozenset())


def grown(entries: Iterable[tuple[Words, int, object]]) -> Node:
    """
    Return a trie of entries, each with its table and what it says there; of two that are the same the first
    holds.

    Each of its equal parts is kept once: phrases that are written as choices end alike, and of 140,000 there
    are some 10,000 different ends. What begins with one word is grown at a time, so that little waits for it.
    """
    beds: dict[str, list[tuple[Words, int, object]]] = {}
    for entry in entries:
        beds.setdefault(entry[0][0], []).append(entry)
    parts: dict[frozenset[tuple[str, object]], Node] = {}
    return {word: _once(_bed(bed), parts) for word, bed in beds.items()}


def _bed(entries: list[tuple[Words, int, object]]) -> Node:
    """Return what stands behind the first word of entries, which they share."""
    bed: Node = {}
    for words, table, meaning in entries:
        node = bed
        for word in words[1:]:
            node = node.setdefault(word, {})
        node.setdefault(table, meaning)
    return bed


def _once(node: Node, parts: dict[frozenset[tuple[str, object]], Node]) -> Node:
    found: Node = {word: _once(deeper, parts) for word, deeper in node.items() if isinstance(word, str)}
    kept: list[tuple[str, object]] = [(word, id(deeper)) for word, deeper in found.items()]
    if len(found) < len(node):
        found[END] = tuple((table, node[table]) for table in TABLES if table in node)
        kept.append((END, found[END]))
    return parts.setdefault(frozenset(kept), found)


def begin(trees: tuple[Node, ...], spelling: Words) -> Begin:
    """Return what begins with a word, which may be spelled in several ways; `NOTHING` when nothing does."""
    nodes = [tree[form] for tree in trees for form in spelling if form in tree]
    if not nodes:
        return NOTHING
    deeper = tuple(node for node in nodes if len(node) > (END in node))
    if len(deeper) == 1:
        second: AbstractSet[str] = deeper[0].keys()
    else:
        second = frozenset().union(*deeper)
    return Begin(
        _with(NO_FOUND, [(1, node[END]) for node in nodes if END in node]),
        deeper,
        tuple(node for node in deeper if GAP in node),
        second,
    )


def _with(found: Found, ends: list[tuple[int, tuple[tuple[int, Any], ...]]]) -> Found:
    """Return what begins at a word with entries that end after so many words."""
    said = list(found)
    for length, end in ends:
        for table, what in end:
            said[table] = (*said[table], (length, what))
    return tuple(said)


def found_at(first: Begin, spellings: list[Words], start: int) -> Found:
    """Return every entry that begins at `start`, where `first` stands: `first.alone` when none is longer."""
    second, count = start + 1, len(spellings)
    if second >= count:
        return first.alone
    waiting = [
        (node[form], second + 1) for node in first.deeper for form in spellings[second] if form in node
    ]
    for node in first.gaps:
        waiting += _beyond_gap(node, second, count)
    longer: list[tuple[int, tuple[tuple[int, Any], ...]]] = []
    while waiting:
        node, place = waiting.pop()
        if END in node:
            longer.append((place - start, node[END]))
            if len(node) == 1:
                continue
        if place < count:
            for form in spellings[place]:
                deeper = node.get(form)
                if deeper is not None:
                    waiting.append((deeper, place + 1))
            if GAP in node:
                waiting += _beyond_gap(node, place, count)
    return _with(first.alone, longer) if longer else first.alone


def _beyond_gap(node: Node, place: int, count: int) -> list[tuple[Node, int]]:
    """Return where an entry goes on after one to `GAP_WORDS_MAX` words of any kind."""
    last = min(place + GAP_WORDS_MAX, count)
    return [(node[GAP], end) for end in range(place + 1, last + 1)]


def longest(said: Said) -> tuple[int, Any]:
    """Return the words of the longest entry and its meaning; 0 when there is none."""
    best, meaning = 0, None
    for length, each in said:
        if length > best:
            best, meaning = length, each
    return best, meaning


def prefix(tree: Node, words: list[str]) -> tuple[int, Any]:
    """Return with how many words `words` begin an entry of a trie of one table, and what it means."""
    spellings: list[Words] = [(word,) for word in words]
    return longest(found_at(begin((tree,), spellings[0]), spellings, 0)[MEANING])
