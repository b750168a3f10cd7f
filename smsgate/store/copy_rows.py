"""
Rows for COPY in PostgreSQL's binary format, built from columns. Source: PostgreSQL documentation, COPY,
"Binary Format".

All that happens per row happens in C: precompiled structs, `zip`, one `join`. Against the driver's own
copy_records_to_table this takes a third of the time.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from enum import Enum
from itertools import chain, repeat, starmap
from typing import Any, Final, cast

from smsgate.compiled import COMPILED, pump

SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)  # no flags, no extension
TRAILER: Final = struct.pack(">h", -1)
NULL_LENGTH: Final = -1
_LENGTH: Final = struct.Struct(">i")
_COUNT: Final = struct.Struct(">h")  # of a row's columns
_COMPILED_FORMATS: Final = frozenset("qih")
POSTGRES_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_CONSTANT: Final = (int, str, bytes, type(None))  # of a column: one value for all rows


class Kind(Enum):
    """A column's type and, when its width is fixed, its struct format."""

    INT2 = ("int2", "h")
    INT4 = ("int4", "i")
    INT8 = ("int8", "q")
    BOOL = ("bool", "?")
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

    A kind in a tuple with None may hold None. A nullable column of fixed width costs about twice one that is
    not. The last `repeated` columns are the same in most rows: each combination of them is built once.

    `ascending`: the rows are written in the order of their first column, whatever the order of the columns'
    values. PostgreSQL goes down an index for each row, but not where the row belongs to its last page.
    """

    def __init__(
        self, *, repeated: int = 0, ascending: bool = False, **columns: Kind | tuple[Kind, None]
    ) -> None:
        assert 0 <= repeated < len(columns)
        self._ascending = ascending
        self.columns: Final = tuple(columns)
        kinds = [spec if isinstance(spec, tuple) else (spec,) for spec in columns.values()]
        self._kinds = kinds[: len(kinds) - repeated]
        self._tail_kinds = kinds[len(kinds) - repeated :]
        # A row is pieces: a struct of fixed fields and of the next field's length, that field's octets, and
        # so on.
        self._structs: list[struct.Struct] = []
        piece = ">h"
        for kind in self._kinds:
            if not kind[0].format or len(kind) == 2:
                self._structs.append(struct.Struct(piece + "i"))
                piece = ">"
            else:
                piece += "i" + kind[0].format
        self._structs.append(struct.Struct(piece))

    def pack(self, *columns: Sequence[object] | int | str | bytes | None) -> bytes:
        """
        Return the whole COPY stream for these columns, in the order of the format.

        A number, text, octets or None instead of a sequence stands for the same value in every row; at least
        one is a sequence.

        Raises:
            ValueError: the columns differ in length.
            struct.error: a value is out of its type's range.
        """
        assert len(columns) == len(self.columns), "one column for each of the format"
        lengths = {len(column) for column in columns if not isinstance(column, _CONSTANT)}
        if len(lengths) != 1:
            raise ValueError(f"columns of different length: {sorted(lengths)}")
        endless: list[Iterable[object]] = [repeat(c) if isinstance(c, _CONSTANT) else c for c in columns]
        width = len(self._kinds)
        if COMPILED:
            return self._packed(columns, max(lengths))
        pieces = self._pieces(endless[:width])
        if self._tail_kinds:
            tails = _Tails(self._tail_kinds)
            if all(isinstance(column, _CONSTANT) for column in columns[width:]):
                pieces.append(repeat(tails[columns[width:]]))
            else:
                pieces.append(map(tails.__getitem__, zip(*endless[width:], strict=False)))
        rows: Iterable[tuple[bytes, ...]] = zip(*pieces, strict=False)
        if (order := self._order(columns)) is not None:
            rows = map(list(rows).__getitem__, order)
        return b"".join(chain((SIGNATURE,), chain.from_iterable(rows), (TRAILER,)))

    def _order(self, columns: Sequence[Any]) -> list[int] | None:
        """Return the places of the rows in the order of their first column; None: as they come."""
        first = columns[0]
        if not self._ascending or isinstance(first, _CONSTANT):
            return None
        return sorted(range(len(first)), key=first.__getitem__)

    def _packed(self, columns: Sequence[Any], count: int) -> bytes:
        """Do the same by the compiled pump."""
        width, letters = len(self._kinds), []
        lists: list[Sequence[object]] = []
        for kind, column in zip(self._kinds, columns[:width], strict=True):
            values = [column] * count if isinstance(column, _CONSTANT) else column
            if len(kind) == 1 and kind[0].format in _COMPILED_FORMATS:
                letters.append(kind[0].format)
            else:
                letters.append("v")
                if kind[0] not in {Kind.BYTEA, Kind.ARRAY}:
                    encode = _encoder(kind[0])
                    values = [None if value is None else encode(value) for value in values]
            lists.append(values)
        if self._tail_kinds:
            tails = _Tails(self._tail_kinds)
            letters.append("r")
            if all(isinstance(column, _CONSTANT) for column in columns[width:]):
                lists.append([tails[tuple(columns[width:])]] * count)
            else:
                rest = [repeat(c) if isinstance(c, _CONSTANT) else c for c in columns[width:]]
                lists.append([*map(tails.__getitem__, zip(*rest, strict=False))])
        head = _COUNT.pack(len(self.columns))
        try:
            order = self._order(columns)
            return pump.pack_rows(SIGNATURE, head, TRAILER, "".join(letters).encode(), lists, count, order)
        except (OverflowError, TypeError) as exc:
            raise struct.error(str(exc)) from exc

    def _pieces(self, columns: list[Iterable[object]]) -> list[Iterable[bytes]]:
        """Return one iterator of octets for each piece of a row; constants make some of them endless."""
        pieces: list[Iterable[bytes]] = []
        fields: list[Iterable[object]] = [repeat(len(self.columns))]
        structs = iter(self._structs)
        for kind, column in zip(self._kinds, columns, strict=True):
            if not kind[0].format or len(kind) == 2:
                octets, sizes = _variable(kind[0], column)
                pieces += [starmap(next(structs).pack, zip(*fields, sizes, strict=False)), octets]
                fields = []
            else:
                fields += [repeat(struct.calcsize(">" + kind[0].format)), column]
        last = next(structs)
        if fields:
            pieces.append(starmap(last.pack, zip(*fields, strict=False)))
        return pieces


class _Tails(dict[tuple[object, ...], bytes]):
    """The octets of repeated columns by their values."""

    def __init__(self, kinds: Sequence[tuple[Kind] | tuple[Kind, None]]) -> None:
        super().__init__()
        self._encoders = [_encoder(kind[0]) for kind in kinds]

    def __missing__(self, row: tuple[object, ...]) -> bytes:
        fields = [
            None if value is None else encode(value)
            for encode, value in zip(self._encoders, row, strict=True)
        ]
        octets = b"".join(
            _LENGTH.pack(NULL_LENGTH) if field is None else _LENGTH.pack(len(field)) + field
            for field in fields
        )
        self[row] = octets
        return octets


def _variable(kind: Kind, column: Iterable[object]) -> tuple[Iterable[bytes], Iterable[int]]:
    """Return a column's octets and their lengths; None is length -1 without octets."""
    encode = _encoder(kind)
    if isinstance(column, repeat):
        value = next(column)
        octets = None if value is None else encode(value)
        return repeat(octets or b""), repeat(NULL_LENGTH if octets is None else len(octets))
    values: list[bytes | None]
    if kind in {Kind.BYTEA, Kind.ARRAY}:
        values = cast("list[bytes | None]", list(column))
    else:
        values = [None if value is None else encode(value) for value in column]
    if None not in values:
        return cast("list[bytes]", values), map(len, cast("list[bytes]", values))
    return [value or b"" for value in values], [NULL_LENGTH if v is None else len(v) for v in values]


def _encoder(kind: Kind) -> Callable[[Any], bytes]:
    if kind is Kind.TEXT:
        return str.encode
    if kind in {Kind.BYTEA, Kind.ARRAY}:
        return bytes
    return struct.Struct(f">{kind.format}").pack
