"""Phrases in a trie: nested dictionaries of words, which end in `END`."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

GAP_WORDS_MAX: Final = 3  # what "_" stands for
END: Final = ""
GAP: Final = "_"

Node = dict[str, Any]
Words = tuple[str, ...]


class Begin(NamedTuple):
    """What begins with one word: the meanings of entries of that word alone, and the nodes of longer ones."""

    ends: tuple[Any, ...]
    deeper: tuple[Node, ...]
    gaps: tuple[Node, ...]  # those of the nodes that go on after a gap


Begins = tuple[Begin, ...]
NOTHING: Final = Begin((), (), ())


def insert(node: Node, entry: Words, meaning: object) -> None:
    """Put an entry in; one that is there already keeps its meaning."""
    for word in entry:
        node = node.setdefault(word, {})
    node.setdefault(END, meaning)


def shrunk(tree: Node) -> Node:
    """
    Return a trie with each of its equal parts once; nothing may be put into it any more.

    Phrases that are written as choices end alike: of 140,000 there are some 10,000 different ends.
    """
    parts: dict[frozenset[tuple[str, Any]], Node] = {}

    def once(node: Node) -> Node:
        found = {word: deeper if word == END else once(deeper) for word, deeper in node.items()}
        kept = frozenset((word, deeper if word == END else id(deeper)) for word, deeper in found.items())
        return parts.setdefault(kept, found)

    return once(tree)


def begin(tree: Node, spelling: Words) -> Begin:
    """Return what begins with a word, which may be spelled in several ways; `NOTHING` when nothing does."""
    nodes = [tree[form] for form in spelling if form in tree]
    if not nodes:
        return NOTHING
    return Begin(
        tuple(node[END] for node in nodes if END in node),
        tuple(node for node in nodes if len(node) > (END in node)),
        tuple(node for node in nodes if GAP in node),
    )


def matches(first: Begin, spellings: list[Words], start: int) -> list[tuple[int, Any]]:
    """Return the end and the meaning of every entry that begins at `start`, where `first` stands."""
    ends, nodes, gaps = first
    second, count = start + 1, len(spellings)
    found = [(second, meaning) for meaning in ends] if ends else []
    if not nodes or second == count:
        return found
    # Most entries end at their second word: it is looked at before anything waits.
    third, forms = second + 1, spellings[second]
    waiting: list[tuple[Node, int]] = []
    for node in nodes:
        for form in forms:
            if form in node:
                waiting.append((node[form], third))  # noqa: PERF401  # a list each time took longer than this
    for node in gaps:
        waiting += _beyond_gap(node, second, count)
    while waiting:
        node, place = waiting.pop()
        if END in node:
            found.append((place, node[END]))
        if place < count:
            for form in spellings[place]:
                deeper = node.get(form)
                if deeper is not None:
                    waiting.append((deeper, place + 1))
            if GAP in node:
                waiting += _beyond_gap(node, place, count)
    return found


def _beyond_gap(node: Node, place: int, count: int) -> list[tuple[Node, int]]:
    """Return where an entry goes on after one to `GAP_WORDS_MAX` words of any kind."""
    last = min(place + GAP_WORDS_MAX, count)
    return [(node[GAP], end) for end in range(place + 1, last + 1)]


def longest(first: Begin, spellings: list[Words], start: int) -> tuple[int, Any]:
    """Return the end of the longest entry that begins at `start` and its meaning; `start` when none does."""
    if not first.deeper and first.ends:
        return start + 1, first.ends[0]
    best_end, best = start, None
    for end, meaning in matches(first, spellings, start):
        if end > best_end:
            best_end, best = end, meaning
    return best_end, best
