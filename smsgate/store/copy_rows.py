"""
Rows for COPY in PostgreSQL's binary format, built from columns. Source: PostgreSQL documentation, COPY,
"Binary Format".

All that happens per row happens in C. Where a field is as long in each row, the rows are made at once: a
template of a row as often as there are rows, into which each octet that is not the same in all of them is put
for all rows by one assignment to a slice with a step.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from enum import Enum
from itertools import chain, repeat
from operator import itemgetter
from typing import Any, Final, cast

from smsgate.alike import is_same, made_of_each
from smsgate.compiled import COMPILED, pump

SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)  # no flags, no extension
TRAILER: Final = struct.pack(">h", -1)
NULL_LENGTH: Final = -1
_LENGTH: Final = struct.Struct(">i")
_NULL: Final = _LENGTH.pack(NULL_LENGTH)
_COUNT: Final = struct.Struct(">h")  # of a row's columns
_COMPILED_FORMATS: Final = frozenset("qih")
POSTGRES_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
STEPPED_MAX: Final = (
    64  # octets of a field: each costs a row 2 ns by a step, and a longer field 100 by itself
)
_CONSTANT: Final = (int, str, bytes, type(None))  # of a column: one value for all rows


class Kind(Enum):
    """A column's type and, when its width is fixed, its struct format."""

    INT2 = ("int2", "h")
    INT4 = ("int4", "i")
    INT8 = ("int8", "q")
    TIMESTAMPTZ = ("timestamptz", "q")  # values are ints: see `micros_since_2000`
    BYTEA = ("bytea", "")
    TEXT = ("text", "")
    ARRAY = ("array", "")  # values are octets: see `array_octets`

    @property
    def format(self) -> str:
        """Empty for a kind that brings its own length."""
        return self.value[1]


def micros_since_2000(at: datetime) -> int:
    """Return an aware instant as PostgreSQL stores it; before 2000 it is negative."""
    assert at.tzinfo is not None
    delta = at - POSTGRES_EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


class RowFormat:
    """
    The rows of one table: `RowFormat(merchant_id=Kind.INT8, body=(Kind.TEXT, None))`.

    A kind in a tuple with None may hold None.

    `ascending`: the rows are written in the order of their first column, whatever the order of the columns'
    values. PostgreSQL goes down an index for each row, but not where the row belongs to its last page.
    """

    def __init__(self, *, ascending: bool = False, **columns: Kind | tuple[Kind, None]) -> None:
        self._ascending = ascending
        self.columns: Final = tuple(columns)
        self._kinds = [spec[0] if isinstance(spec, tuple) else spec for spec in columns.values()]
        self._nullable = [isinstance(spec, tuple) for spec in columns.values()]
        self._head = _COUNT.pack(len(columns))

    def pack(self, *columns: Sequence[Any] | int | str | bytes | None) -> bytes:
        """
        Return the whole COPY stream for these columns, in the order of the format.

        A number, text, octets or None instead of a sequence stands for the same value in every row; at least
        one is a sequence.

        Raises:
            ValueError: the columns differ in length.
            struct.error: a value is out of its type's range, or of another type.
        """
        assert len(columns) == len(self.columns), "one column for each of the format"
        lengths = {len(column) for column in columns if not isinstance(column, _CONSTANT)}
        if len(lengths) != 1:
            raise ValueError(f"columns of different length: {sorted(lengths)}")
        count = lengths.pop()
        if not count:
            return SIGNATURE + TRAILER
        try:
            order, constants = self._order(columns), self._constants(columns)
            if COMPILED:
                return self._packed(columns, constants, order, count)
            return self._joined(columns, constants, order, count)
        except (OverflowError, TypeError) as exc:
            raise struct.error(str(exc)) from exc

    def _constants(self, columns: Sequence[Any]) -> list[bytes | None]:
        """Return the fields that are the same in all rows, by column; None: the rows differ."""
        return [*map(_constant, self._kinds, self._nullable, columns)]

    def _joined(
        self, columns: Sequence[Any], constants: Sequence[bytes | None], order: list[int] | None, count: int
    ) -> bytes:
        arranged = itemgetter(*order) if order else _as_they_are
        pieces: list[Iterable[bytes]] = []
        rows = _Rows(count, self._head)
        for kind, nullable, column, constant in zip(
            self._kinds, self._nullable, columns, constants, strict=True
        ):
            if constant is not None:
                rows.add_constant(constant)
            elif (octets := rows.add(kind, nullable, arranged(column))) is not None:
                pieces += (rows.cut(), octets)
                rows = _Rows(count, b"")
        if not pieces:
            return b"".join((SIGNATURE, rows.made(), TRAILER))
        pieces.append(rows.cut())
        return b"".join(chain((SIGNATURE,), chain.from_iterable(zip(*pieces, strict=True)), (TRAILER,)))

    def _order(self, columns: Sequence[Any]) -> list[int] | None:
        """Return the places of the rows in the order of their first column; None: as they come."""
        first = columns[0]
        if not self._ascending or isinstance(first, _CONSTANT) or len(first) == 1:
            return None
        return sorted(range(len(first)), key=first.__getitem__)

    def _packed(
        self, columns: Sequence[Any], constants: Sequence[bytes | None], order: list[int] | None, count: int
    ) -> bytes:
        """Do the same by the compiled pump; neighbours that are the same in all rows are one field to it."""
        letters: list[str] = []
        lists: list[Sequence[Any]] = []
        same = b""
        for kind, nullable, column, constant in zip(
            self._kinds, self._nullable, columns, constants, strict=True
        ):
            if constant is not None:
                same += constant
                continue
            if same:
                letters.append("r")
                lists.append([same] * count)
                same = b""
            number = kind.format in _COMPILED_FORMATS and not nullable
            letters.append(kind.format if number else "v")
            lists.append(column if number else _octets(kind, column))
        if same:
            letters.append("r")
            lists.append([same] * count)
        kinds = "".join(letters).encode()
        return pump.pack_rows(SIGNATURE, self._head, TRAILER, kinds, lists, count, order)


class _Rows:
    """Rows of equal width, or such a part of each: what is the same in all of them, and where the rest is."""

    __slots__ = ("_blocks", "_count", "_template")

    def __init__(self, count: int, template: bytes) -> None:
        self._count = count
        self._template = bytearray(template)
        self._blocks: list[tuple[int, int, bytes]] = []  # where in a row, how wide, its octets in all rows

    def add_constant(self, octets: bytes) -> None:
        self._template += octets

    def add(self, kind: Kind, nullable: bool, column: Sequence[Any]) -> list[bytes] | None:
        """Add a column; return the octets that are to follow each row's part, where they differ in length."""
        if kind.format and not (nullable and None in column):
            octets = struct.pack(f">{self._count}{kind.format}", *column)
            self._add_block(_LENGTH.pack(len(octets) // self._count), octets)
            return None
        values = _octets(kind, column)
        if None not in values:
            sizes = [*map(len, cast("list[bytes]", values))]
            if sizes[0] <= STEPPED_MAX and sizes.count(sizes[0]) == self._count:
                self._add_block(_LENGTH.pack(sizes[0]), b"".join(cast("list[bytes]", values)))
                return None
        else:
            sizes = [NULL_LENGTH if value is None else len(value) for value in values]
        self._add_block(b"", struct.pack(f">{self._count}i", *sizes))
        return [value or b"" for value in values]

    def _add_block(self, head: bytes, octets: bytes) -> None:
        width = len(octets) // self._count
        self._template += head
        self._blocks.append((len(self._template), width, octets))
        self._template += octets[:width]

    def made(self) -> bytearray:
        """Return the rows one after the other."""
        count, stride = self._count, len(self._template)
        rows = self._template * count
        for start, width, octets in self._blocks:
            for at in range(width):
                of_all = octets[at::width]
                if of_all.count(of_all[0]) != count:
                    rows[start + at :: stride] = of_all
        return rows

    def cut(self) -> Iterable[bytes]:
        """Return the part of each row."""
        if not self._blocks:
            return repeat(bytes(self._template), self._count)
        return chain.from_iterable(struct.iter_unpack(f"{len(self._template)}s", self.made()))


def _as_they_are(column: Sequence[Any]) -> Sequence[Any]:
    return column


def _octets(kind: Kind, column: Sequence[Any]) -> Sequence[bytes | None]:
    """Return a column's values as octets; a text that several rows have is encoded once."""
    if kind in {Kind.BYTEA, Kind.ARRAY}:
        return column
    encode = _encoder(kind)
    return made_of_each(column, lambda value: None if value is None else encode(value))


def _constant(kind: Kind, nullable: bool, column: Any) -> bytes | None:
    """Return the field that all rows have; None: they differ."""
    if isinstance(column, _CONSTANT):
        return _field(kind, nullable, column)
    return _field(kind, nullable, column[0]) if is_same(column) else None


def _field(kind: Kind, nullable: bool, value: Any) -> bytes:
    """Return a field as it stands in a row, its length before it."""
    if value is None and nullable:
        return _NULL
    octets = _encoder(kind)(value)
    return _LENGTH.pack(len(octets)) + octets


def _as_octets(value: Any) -> bytes:
    """Raises TypeError: a number, of which `bytes` would make as many zeros."""
    return b"".join((value,))


def _encoder(kind: Kind) -> Callable[[Any], bytes]:
    if kind is Kind.TEXT:
        return str.encode
    if kind in {Kind.BYTEA, Kind.ARRAY}:
        return _as_octets
    return struct.Struct(f">{kind.format}").pack
