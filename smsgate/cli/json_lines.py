"""JSON lines in, JSON lines out: one answer per line, in order, whatever the line holds."""

from __future__ import annotations

import json
import os
import sys
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson
import typer

from smsgate.cli.exits import Exit, UsageRefused
from smsgate.cli.files import unreadable
from smsgate.errors import Invalid, SmsgateError

LINE_OCTETS_MAX: Final = 1_048_576  # a PDU of 66,000 octets is 132,000 digits; the rest is for its fields
STDIN: Final = "-"
NAME_OCTETS_MAX: Final = 255  # of one step of a path, for every file system in use

Row = dict[str, Any]


def answer_lines(sources: list[str], bare: str, answer: Callable[[Row], Row]) -> bool:
    """
    Write one answer per line of the files (`-` is standard input); say whether every line could be read.

    A line is a JSON object, or the bare value of its key `bare`. The answer begins with the line's `id`, or
    its number when it has none; what `answer` raises as SmsgateError becomes an `error`. Blank lines have no
    answer.

    Raises:
        UsageRefused: a file cannot be opened; the answers of those before it are written.
    """
    all_read = True
    for source in sources:
        with _opened(source) as file:
            for found in answers(_lines(file), bare, answer):
                all_read = all_read and found.keys() != {"id", "error"}
                sys.stdout.buffer.write(written(found) + b"\n")
                sys.stdout.buffer.flush()  # who writes a line and waits gets its answer
    return all_read


def answers(lines: Iterable[bytes], bare: str, answer: Callable[[Row], Row]) -> Iterator[Row]:
    """Yield the answer to each line of one file, as `answer_lines` writes them; never raises."""
    for number, line in enumerate(lines, 1):
        stripped = (line.removeprefix(BOM_UTF8) if number == 1 else line).strip()
        if stripped:
            yield _answered(stripped, number, bare, answer)


def text_or_lines(words: str | None, answer: Callable[[Row], Row]) -> str:
    """
    Return `words` if they are a text to show; else answer the lines that they name and end the command.

    Without words, lines come from standard input. Hardly a text is the name of a file that is there.

    Raises:
        Exit: the lines are answered.
        UsageRefused: the file cannot be opened, or the text is not UTF-8.
    """
    if words is not None and not _names_file(words):
        if _undecoded(words):
            raise UsageRefused("The text is not UTF-8, and no file has this name.")
        return words
    answered = answer_lines([words or STDIN], "text", answer)
    raise typer.Exit(Exit.OK if answered else Exit.FAILED)


def _names_file(words: str) -> bool:
    if words == STDIN or len(os.fsencode(words)) > NAME_OCTETS_MAX:
        return words == STDIN
    try:
        return Path(words).is_file()
    except PermissionError:
        return True  # in a directory that is there and closed: opening it says so


def _undecoded(words: str) -> bool:
    """Say whether octets of an argument were no text: Python keeps each as half of a surrogate pair."""
    return any("\ud800" <= character <= "\udfff" for character in words)


def _answered(line: bytes, number: int, bare: str, answer: Callable[[Row], Row]) -> Row:
    row: Row = {}
    try:
        row = _row(line, bare)
        if "id" in row:
            row["id"] = _id(row.pop("id"), line)
        return {"id": row.get("id", number), **answer(row)}
    except SmsgateError as exc:
        return {"id": row.get("id", number), "error": str(exc)}


def _id(read: object, line: bytes) -> object:
    """
    Return a line's id with all of its digits: orjson makes a float of what exceeds 64 bits.

    Raises:
        Invalid: it cannot be written again as it stands.
    """
    try:
        orjson.dumps({"id": read})
        return json.loads(line)["id"] if isinstance(read, float) else read
    except orjson.JSONEncodeError:
        raise Invalid("the id is nested too deep") from None
    except (ValueError, RecursionError) as exc:
        raise Invalid(f"the id cannot be read: {exc}") from None


def written(found: Row) -> bytes:
    try:
        return orjson.dumps(found)
    except orjson.JSONEncodeError:  # an id of more than 64 bits
        return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()


def _row(line: bytes, bare: str) -> Row:
    if len(line) > LINE_OCTETS_MAX:
        raise Invalid(f"the line is longer than {LINE_OCTETS_MAX} octets")
    try:
        row = orjson.loads(line) if line.startswith((b"{", b"[", b'"')) else {bare: line.decode()}
    except ValueError as exc:
        raise Invalid(f"the line is no JSON: {exc}") from None
    if not isinstance(row, dict):
        raise Invalid("the line is no JSON object")
    return row


def _opened(source: str) -> BinaryIO:
    if source == STDIN:
        return sys.stdin.buffer
    try:
        return Path(source).open("rb")
    except OSError as exc:
        raise unreadable(source, exc) from None


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines, of one too long only its beginning; no more than that is held."""
    while line := file.readline(LINE_OCTETS_MAX + 2):
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(LINE_OCTETS_MAX + 2)
        yield line
