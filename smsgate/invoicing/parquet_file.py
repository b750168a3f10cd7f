"""
Apache Parquet, written: flat tables of columns that are never null, group of rows by group of rows.

Sources: apache/parquet-format (README.md, Encodings.md, LogicalTypes.md, parquet.thrift) and the compact
protocol of Apache Thrift. A library for it costs 40 MB of memory before its first row; this costs the group
that is being filled and some 2 kB for each that was written. Its files are read by pyarrow in the tests.

Texts, small integers and decimals are written as a dictionary of the group's values and an index of one or
two octets each, which the hybrid encoding calls bit-packed with 8 or 16 bits; what never comes again is
written plain.
"""

from __future__ import annotations

import gzip
from array import array
from enum import Enum
from sys import byteorder
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC: Final = b"PAR1"
GROUP_ROWS_MAX: Final = 1 << 16  # an index into the group's values has two octets
_INT32, _INT64, _BYTES = 1, 2, 6  # Type
_PLAIN, _RLE, _RLE_DICTIONARY = 0, 3, 8  # Encoding
_GZIP: Final = 2  # CompressionCodec
_LEVEL: Final = 1  # of gzip: level 6 makes files a tenth smaller and takes three times as long
_DATA_PAGE, _DICTIONARY_PAGE = 0, 2  # PageType


class Kind(Enum):
    """What a column holds: its physical type, its converted type, and its logical one as a Thrift union."""

    TEXT = (_BYTES, 0)
    INT16 = (_INT32, 16)
    INT64 = (_INT64, 18)
    MICROS = (_INT64, 5)  # decimal(18, 6)
    INSTANT = (_INT64, 10)  # microseconds since 1970-01-01T00:00Z


class Column(NamedTuple):
    """`distinct`: no value comes again; `bounds`: the least and the most of a group are told."""

    name: str
    kind: Kind
    distinct: bool = False
    bounds: bool = False


class _Struct:
    """One Thrift struct in the compact protocol; fields are added in the order of their numbers."""

    __slots__ = ("_last", "octets")

    def __init__(self) -> None:
        self.octets = bytearray()
        self._last = 0

    def _field(self, number: int, kind: int) -> bytearray:
        self.octets.append((number - self._last) << 4 | kind)
        self._last = number
        return self.octets

    def flag(self, number: int, *, value: bool) -> _Struct:
        self._field(number, 1 if value else 2)
        return self

    def octet(self, number: int, value: int) -> _Struct:
        self._field(number, 3).append(value)
        return self

    def i32(self, number: int, value: int) -> _Struct:
        self._field(number, 5).extend(_varint(value << 1))
        return self

    def i64(self, number: int, value: int) -> _Struct:
        self._field(number, 6).extend(_varint(value << 1))
        return self

    def text(self, number: int, value: bytes) -> _Struct:
        self._field(number, 8).extend(_varint(len(value)) + value)
        return self

    def each(self, number: int, kind: int, values: Sequence[bytes]) -> _Struct:
        """Add a list, whose `values` are encoded already; `kind` 5: i32, 8: texts, 12: structs."""
        octets = self._field(number, 9)
        octets.extend(bytes([len(values) << 4 | kind]) if len(values) < 15 else bytes([0xF0 | kind]))
        if len(values) >= 15:
            octets.extend(_varint(len(values)))
        octets.extend(b"".join(values))
        return self

    def struct(self, number: int, value: _Struct) -> _Struct:
        self._field(number, 12).extend(value.end())
        return self

    def end(self) -> bytes:
        return bytes(self.octets) + b"\0"


def _varint(value: int) -> bytes:
    octets = bytearray()
    while value > 0x7F:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    octets.append(value)
    return bytes(octets)


def _text(value: bytes) -> bytes:
    return _varint(len(value)) + value


class ParquetFile:
    """Writes to `file`, which the caller opens and closes; `close` writes the footer."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column]) -> None:
        self._file = file
        self._columns = columns
        self._offset = 0
        self._rows = 0
        self._groups: list[bytes] = []
        self._write(MAGIC)

    def group(self, values: Sequence[Sequence[str | int]]) -> None:
        """Write one group of at most `GROUP_ROWS_MAX` rows, column by column: texts, or integers."""
        rows = len(values[0])
        assert 0 < rows <= GROUP_ROWS_MAX
        begins = self._offset
        chunks = [self._chunk(column, held) for column, held in zip(self._columns, values, strict=True)]
        group = _Struct().each(1, 12, [chunk for chunk, _ in chunks])
        group.i64(2, sum(size for _, size in chunks)).i64(3, rows)
        self._groups.append(group.i64(5, begins).i64(6, self._offset - begins).end())
        self._rows += rows

    def close(self) -> None:
        root = _Struct().text(4, b"schema").i32(5, len(self._columns)).end()
        by_type = _Struct().struct(1, _Struct()).end()  # of bounds: the order of their type
        footer = _Struct().i32(1, 2).each(2, 12, [root, *map(_schema, self._columns)]).i64(3, self._rows)
        footer.each(4, 12, self._groups).text(6, b"smsgate").each(7, 12, [by_type] * len(self._columns))
        octets = footer.end()
        self._write(octets + len(octets).to_bytes(4, "little") + MAGIC)

    def _chunk(self, column: Column, values: Sequence[str | int]) -> tuple[bytes, int]:
        """Write one column of a group; return its ColumnChunk and its size before compression."""
        begins, size = self._offset, 0
        if column.distinct:
            dictionary, encoding, page = None, _PLAIN, _plain(column.kind, values)
        else:
            places: dict[str | int, int] = {}
            indices = [places.setdefault(value, len(places)) for value in values]
            size += self._page(_DICTIONARY_PAGE, _plain(column.kind, list(places)), len(places), _PLAIN)
            dictionary, encoding, page = begins, _RLE_DICTIONARY, _packed(indices, len(places))
        data = self._offset
        size += self._page(_DATA_PAGE, page, len(values), encoding)
        told = _Struct().i32(1, column.kind.value[0])
        told.each(2, 5, [_varint(used << 1) for used in (_PLAIN, _RLE, _RLE_DICTIONARY)])
        told.each(3, 8, [_text(column.name.encode())]).i32(4, _GZIP).i64(5, len(values)).i64(6, size)
        told.i64(7, self._offset - begins).i64(9, data)
        if dictionary is not None:
            told.i64(11, dictionary)
        if column.bounds:
            least, most = (_bound(column.kind, found) for found in (min(values), max(values)))
            told.struct(12, _Struct().text(5, most).text(6, least))
        return _Struct().i64(2, begins).struct(3, told).end(), size

    def _page(self, kind: int, octets: bytes, values: int, encoding: int) -> int:
        """Write a page, compressed; return what it and its header would take without."""
        packed = gzip.compress(octets, _LEVEL, mtime=0)
        header = _Struct().i32(1, kind).i32(2, len(octets)).i32(3, len(packed))
        about = _Struct().i32(1, values).i32(2, encoding)
        if kind == _DATA_PAGE:
            header.struct(5, about.i32(3, _RLE).i32(4, _RLE))
        else:
            header.struct(7, about)
        head = header.end()
        self._write(head + packed)
        return len(head) + len(octets)

    def _write(self, octets: bytes) -> None:
        self._file.write(octets)
        self._offset += len(octets)


def _schema(column: Column) -> bytes:
    kind = column.kind
    logical = _Struct()
    element = _Struct().i32(1, kind.value[0]).i32(3, 0).text(4, column.name.encode()).i32(6, kind.value[1])
    match kind:
        case Kind.TEXT:
            logical.struct(1, _Struct())
        case Kind.MICROS:
            logical.struct(5, _Struct().i32(1, 6).i32(2, 18))
            element.i32(7, 6).i32(8, 18)
        case Kind.INSTANT:
            logical.struct(8, _Struct().flag(1, value=True).struct(2, _Struct().struct(2, _Struct())))
        case Kind.INT16 | Kind.INT64:
            bits = 16 if kind is Kind.INT16 else 64
            logical.struct(10, _Struct().octet(1, bits).flag(2, value=True))
    return element.struct(10, logical).end()


def _plain(kind: Kind, values: Sequence[str | int]) -> bytes:
    if kind is Kind.TEXT:
        texts = [str(value).encode() for value in values]
        return b"".join([part for text in texts for part in (len(text).to_bytes(4, "little"), text)])
    return _little(array("i" if kind is Kind.INT16 else "q", cast("Sequence[int]", values)))


def _packed(indices: Sequence[int], distinct: int) -> bytes:
    """Return a dictionary's indices: their width, then one bit-packed run, filled up to eight values."""
    filled = [*indices, *[0] * (-len(indices) % 8)]
    head = _varint(len(filled) // 8 << 1 | 1)
    if distinct <= 1 << 8:
        return b"\x08" + head + bytes(filled)
    return b"\x10" + head + _little(array("H", filled))


def _bound(kind: Kind, value: str | int) -> bytes:
    return _plain(kind, [value])[4:] if kind is Kind.TEXT else _plain(kind, [value])


def _little(values: array[int]) -> bytes:
    if byteorder == "big":
        values.byteswap()
    return values.tobytes()
