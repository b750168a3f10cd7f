"""Lists of texts as PostgreSQL writes them, for statements that take one per row. Source: manual, 8.15.6."""

from __future__ import annotations

from collections.abc import Sequence


def array_texts(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the literal of a text[] for each row; rows that are equal are written once."""
    known: dict[tuple[str, ...], str] = {}
    texts: list[str] = []
    for row in rows:
        key = tuple(row)
        text = known.get(key)
        if text is None:
            text = known[key] = f"{{{','.join(map(_quoted, key))}}}"
        texts.append(text)
    return texts


def _quoted(value: str) -> str:
    """Return one element; in quotes nothing but these two is special, and NULL is a word."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
