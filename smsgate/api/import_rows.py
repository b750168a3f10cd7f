"""
Rows of an import: cut out of a stream in constant memory, read without a model per row.

A row is one line, also in CSV: a quoted line break is refused with its row, so that one lost quote cannot
swallow the good rows after it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from smsgate.campaigns.places import check_place, place_key
from smsgate.errors import Invalid
from smsgate.flows.ports_imports import ImportRows, RowErrors
from smsgate.flows.test_mode import PhoneBlock, check_phone
from smsgate.msisdn import number_and_region

ROW_OCTETS_MAX: Final = 4_096  # a number, its evidence and 20 fields of 100 characters
PIECE_ROWS: Final = 50  # rows read in one turn of the loop: some 1 ms, 5 where no number is written plainly
BATCH_ROWS: Final = 2_000  # rows a transaction, some 50 ms; two ids each, and a block has 4,096
ROWS_MAX: Final = 10_000_000  # of one import
CLOCK_SKEW: Final = timedelta(minutes=5)
DETAIL_MAX: Final = 400  # characters of one row's error
TAGS_MAX: Final = 20
FIELDS_MAX: Final = 20
FIELD_PREFIX: Final = "field."  # CSV columns of values for an offer's placeholders

REQUIRED: Final = ("msisdn", "consent_at", "consent_source", "wording_version")
OPTIONAL: Final = ("external_id", "language", "country", "region", "timezone", "tags")
KNOWN: Final = frozenset((*REQUIRED, *OPTIONAL, "fields"))
_LIMITS: Final = {"consent_source": 100, "wording_version": 60, "external_id": 100}
_LANGUAGE: Final = re.compile(r"[a-z]{2}", re.ASCII)
_COUNTRY: Final = re.compile(r"[A-Z]{2}", re.ASCII)
_TAG: Final = re.compile(r"[A-Za-z0-9_.:-]{1,40}", re.ASCII)
_FIELD_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,29}", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class LineCutter:
    """Cut octets into lines of at most ROW_OCTETS_MAX; a longer one comes as None, its octets are dropped."""

    def __init__(self) -> None:
        self._rest = b""
        self._skipping = False

    def feed(self, octets: bytes) -> Iterator[bytes | None]:
        lines = (self._rest + octets).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if self._skipping:
                self._skipping = False
                yield None
            else:
                yield line if len(line) <= ROW_OCTETS_MAX + 1 else None
        if len(self._rest) > ROW_OCTETS_MAX + 1:
            self._rest, self._skipping = b"", True

    def end(self) -> Iterator[bytes | None]:
        if self._skipping:
            yield None
        elif self._rest:
            yield self._rest


class RowReader:
    """Read lines of one import, NDJSON or CSV, into columns."""

    def __init__(self, *, is_csv: bool, now: datetime, phones: PhoneBlock | None = None) -> None:
        """`phones` are the only ones that a test key may import."""
        self._is_csv = is_csv
        self._phones = phones
        self._latest = now + CLOCK_SKEW
        self._header: list[str] | None = None
        self._delimiter = ","
        self.row_no = 0  # lines after the header, empty ones not counted
        self.has_more_rows = False  # than ROWS_MAX; they are not read

    def read(self, lines: Sequence[bytes | None], rows: ImportRows, errors: RowErrors) -> None:
        """
        Append the rows that are in order, and what is wrong with the others.

        Raises:
            Invalid: code `import_header_invalid`; without its header nothing of a CSV can be read.
        """
        for line in lines:
            if line is not None:
                line = line.rstrip(b"\r")  # noqa: PLW2901
                if not line.strip():
                    continue
            if self._is_csv and self._header is None:
                self._read_header(line)
                continue
            if self.row_no == ROWS_MAX:
                self.has_more_rows = True
                return
            self.row_no += 1
            try:
                self._take(rows, self._values(line))
            except Invalid as exc:
                errors.add(self.row_no, exc.code, printable(str(exc)))

    def _read_header(self, line: bytes | None) -> None:
        text = (line or b"").decode("utf-8", "replace").removeprefix("\ufeff")
        self._delimiter = ";" if text.count(";") > text.count(",") else ","
        header = [name.strip(' "').lower() for name in text.split(self._delimiter)]
        unknown = [
            name for name in header if name not in KNOWN - {"fields"} and not name.startswith(FIELD_PREFIX)
        ]
        missing = [name for name in REQUIRED if name not in header]
        if unknown or missing or len(set(header)) != len(header):
            raise Invalid(
                f"The first line must name the columns {', '.join(REQUIRED)}, and may name "
                f"{', '.join(OPTIONAL)} and {FIELD_PREFIX}<name>, each once. "
                f"Missing: {', '.join(missing) or 'none'}; "
                f"unknown: {printable(', '.join(unknown))[:200] or 'none'}.",
                code="import_header_invalid",
            )
        self._header = header

    def _values(self, line: bytes | None) -> Mapping[str, object]:
        if line is None or len(line) > ROW_OCTETS_MAX:
            raise Invalid(f"The row has more than {ROW_OCTETS_MAX} octets.", code="row_too_long")
        if b"\0" in line:
            raise Invalid("The row holds the octet 0.", code="row_invalid")
        if self._header is not None:
            return self._csv_values(_text(line), self._header)
        try:
            values = orjson.loads(line)
        except orjson.JSONDecodeError as exc:
            raise Invalid(f"The row is not JSON: {exc}.", code="row_invalid") from None
        if not isinstance(values, dict):
            raise Invalid("The row is not a JSON object.", code="row_invalid")
        if unknown := [name for name in values if name not in KNOWN]:
            raise Invalid(f"Unknown: {', '.join(unknown)[:200]}.", code="row_invalid")
        return values

    def _csv_values(self, text: str, header: list[str]) -> Mapping[str, object]:
        cells = _cells(text, self._delimiter)
        if len(cells) != len(header):
            raise Invalid(f"{len(cells)} cells for {len(header)} columns.", code="row_invalid")
        values: dict[str, object] = {}
        fields: dict[str, str] = {}
        for name, cell in zip(header, cells, strict=True):
            if name.startswith(FIELD_PREFIX):
                if cell:
                    fields[name.removeprefix(FIELD_PREFIX)] = cell
            elif cell:
                values[name] = cell
        if "tags" in values:
            values["tags"] = [tag.strip() for tag in str(values["tags"]).split("|") if tag.strip()]
        values["fields"] = fields
        return values

    def _take(self, rows: ImportRows, values: Mapping[str, object]) -> None:
        """Check one row whole, then append it to every column."""
        country = _optional(values, "country", _COUNTRY)
        msisdn, at_home = number_and_region(_required(values, "msisdn"), country)
        check_phone(int(msisdn), self._phones)
        if self._phones is not None:
            at_home = self._phones.country
        occurred_at = self._instant(_required(values, "consent_at"))
        source, wording = _required(values, "consent_source"), _required(values, "wording_version")
        external_id = _required(values, "external_id") if values.get("external_id") is not None else None
        language = _optional(values, "language", _LANGUAGE)
        region, timezone = _place(values, at_home)
        tags, fields = _tags(values.get("tags")), _fields(values.get("fields"))
        rows.row_nos.append(self.row_no)
        rows.msisdns.append(int(msisdn))
        rows.external_ids.append(external_id)
        rows.languages.append(language)
        rows.countries.append(at_home)
        rows.regions.append(region)
        rows.timezones.append(timezone)
        rows.places.append(place_key(at_home, region, timezone, msisdn))
        rows.tags.append(tags)
        rows.fields.append(fields)
        rows.wording_versions.append(wording)
        rows.sources.append(source)
        rows.occurred_at.append(occurred_at)

    def _instant(self, text: str) -> datetime:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise Invalid(
                "consent_at is no instant such as 2026-05-01T12:00:00Z.", code="row_invalid"
            ) from None
        if at.tzinfo is None or not 2000 <= at.year <= 2199:
            raise Invalid("consent_at needs its offset from UTC, and a year from 2000.", code="row_invalid")
        at = at.astimezone(UTC)
        if at > self._latest:
            raise Invalid("consent_at is yet to come.", code="occurred_in_future")
        return at


def printable(text: str) -> str:
    """Return `text` as a row of our own tables can hold it: strangers' characters may be in it."""
    return _CONTROL.sub("?", text)[:DETAIL_MAX]


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise Invalid(f"The row is not UTF-8 (octet {exc.start + 1}).", code="row_invalid") from None


def _cells(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error as exc:
        raise Invalid(f"The row is not CSV: {exc}.", code="row_invalid") from None


def _required(values: Mapping[str, object], name: str) -> str:
    value = values.get(name)
    if value is None or value == "":
        code = "row_invalid" if name in {"msisdn", "external_id"} else "consent_missing"
        raise Invalid(f"{name} is missing.", code=code)
    if not isinstance(value, str) or len(value) > _LIMITS.get(name, 60) or _CONTROL.search(value):
        raise Invalid(
            f"{name} is no text of one line with at most {_LIMITS.get(name, 60)} characters.",
            code="row_invalid",
        )
    return value


def _optional(values: Mapping[str, object], name: str, form: re.Pattern[str]) -> str | None:
    value = values.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not form.fullmatch(value):
        raise Invalid(f"{name} is no {name} code of two letters.", code="row_invalid")
    return value


def _place(values: Mapping[str, object], country: str) -> tuple[str, str]:
    """Return region and time zone, "" where the row has none."""
    region, timezone = values.get("region") or "", values.get("timezone") or ""
    if not (isinstance(region, str) and isinstance(timezone, str)):
        raise Invalid("region and timezone are texts.", code="row_invalid")
    check_place(country, region, timezone)
    return region, timezone


def _tags(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > TAGS_MAX:
        raise Invalid(f"tags is no list of at most {TAGS_MAX}.", code="row_invalid")
    if not all(isinstance(tag, str) and _TAG.fullmatch(tag) for tag in value):
        raise Invalid("A tag has 1 to 40 letters, digits or _.:-", code="row_invalid")
    quoted = ",".join([f'"{tag}"' for tag in dict.fromkeys(value)])  # no tag holds a quote itself
    return "{" + quoted + "}"


def _fields(value: object) -> str:
    if not value and (value is None or isinstance(value, dict)):
        return "{}"
    if not isinstance(value, dict) or len(value) > FIELDS_MAX:
        raise Invalid(f"fields is no object with at most {FIELDS_MAX} members.", code="row_invalid")
    for name, text in value.items():
        if not _FIELD_NAME.fullmatch(name):
            raise Invalid("The name of a field has 1 to 30 small letters, digits or _.", code="row_invalid")
        if not isinstance(text, str) or not 1 <= len(text) <= 100 or _CONTROL.search(text):
            raise Invalid(f"The field {name} is no line of 1 to 100 characters.", code="row_invalid")
    return orjson.dumps(value).decode()
