"""Results go to standard output, sentences to standard error; nothing stored can move the cursor."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence
from typing import Annotated, Any, Final

import orjson
import typer

# Controls move the cursor, format characters turn text round (U+202E), the others are no text at all.
_ESCAPED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINER: Final = "\u200d"  # zero width joiner: families and flags of emoji are made with it

JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON to standard output, for programs.")]


def printable(text: str) -> str:
    """Return `text` with everything escaped that a terminal would obey rather than show."""
    if text.isprintable():
        return text
    return "".join(_escape(character) for character in text)


def _escape(character: str) -> str:
    if character == _JOINER or unicodedata.category(character) not in _ESCAPED:
        return character
    return character.encode("unicode_escape").decode("ascii")


def say(sentence: str) -> None:
    """Tell a person; programs read standard output."""
    sys.stderr.write(f"{printable(sentence)}\n")
    sys.stderr.flush()


def show(line: str) -> None:
    sys.stdout.write(f"{printable(line)}\n")
    sys.stdout.flush()


def show_json(value: Any) -> None:
    """Write one JSON document on one line."""
    sys.stdout.write(f"{orjson.dumps(value).decode()}\n")
    sys.stdout.flush()


def show_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write columns as wide as their widest cell; the last one is not padded."""
    cells = [[printable(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        sys.stdout.write(f"{'  '.join(padded).rstrip()}\n")
    sys.stdout.flush()
