from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from smsgate.api.import_rows import ROW_OCTETS_MAX, LineCutter, RowReader
from smsgate.flows.ports_imports import ImportRows, RowErrors

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HEADER = b"msisdn,consent_at,consent_source,wording_version"
GOOD = b"+33639980001,2026-05-01T12:00:00Z,form,1"


def cut(pieces: list[bytes]) -> list[bytes | None]:
    cutter = LineCutter()
    lines = [line for piece in pieces for line in cutter.feed(piece)]
    return [*lines, *cutter.end()]


@given(st.lists(st.binary(max_size=12), max_size=20), st.integers(1, 7))
def test_lines_survive_any_cut_of_the_stream(lines: list[bytes], step: int) -> None:
    lines = [line.replace(b"\n", b"") for line in lines]
    stream = b"\n".join(lines)
    pieces = [stream[start : start + step] for start in range(0, len(stream), step)]
    expected = stream.split(b"\n")
    assert cut(pieces) == (expected if expected[-1] else expected[:-1])


@given(st.integers(ROW_OCTETS_MAX + 2, 3 * ROW_OCTETS_MAX), st.integers(1, 2_000))
def test_a_long_line_comes_as_none_whatever_the_cut(size: int, step: int) -> None:
    stream = b"a\n" + b"x" * size + b"\nb"
    pieces = [stream[start : start + step] for start in range(0, len(stream), step)]
    assert cut(pieces) == [b"a", None, b"b"]


@given(st.lists(st.binary(max_size=60), max_size=20), st.booleans())
def test_any_rows_are_taken_or_told_and_good_ones_stay(odd: list[bytes], is_csv: bool) -> None:
    lines = [line.replace(b"\n", b"") for line in odd]
    good = GOOD if is_csv else (
        b'{"msisdn":"+33639980001","consent_at":"2026-05-01T12:00:00Z","consent_source":"f","wording_version":"1"}'
    )  # fmt: skip
    reader = RowReader(is_csv=is_csv, now=NOW)
    rows, errors = read(reader, [*([HEADER] if is_csv else []), *lines, good])
    assert rows.msisdns == [33639980001]
    assert len(rows) + len(errors) == reader.row_no
    assert all("\0" not in detail for detail in errors.details)


def read(reader: RowReader, lines: Sequence[bytes]) -> tuple[ImportRows, RowErrors]:
    rows, errors = ImportRows(), RowErrors()
    reader.read(lines, rows, errors)
    return rows, errors


def test_semicolons_are_seen_by_the_header() -> None:
    reader = RowReader(is_csv=True, now=NOW)
    rows, errors = read(reader, [HEADER.replace(b",", b";"), GOOD.replace(b",", b";")])
    assert (rows.msisdns, len(errors)) == ([33639980001], 0)


def test_national_numbers_are_read_by_their_country() -> None:
    reader = RowReader(is_csv=True, now=NOW)
    line = b"06 39 98 00 01,2026-05-01T12:00:00Z,form,1,"
    rows, errors = read(reader, [HEADER + b",country", line + b"FR", line])
    assert rows.msisdns == [33639980001]
    assert errors.codes == ["msisdn_invalid"]
