"""
Files in which carriers bill: a row for each message, or a line for each network and price.

Columns are found by their names, in any order, or named by the configuration. What a file says is read
whole or refused with its line; nothing of an amount is guessed. Rows stream: nothing of them is kept.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.billing.bill_differences import BillLine
from smsgate.billing.sheet_cells import SHOWN, Dates, instant_from_cell, micros_from_cell
from smsgate.errors import Invalid
from smsgate.protocol.message_ids import IdForm, convert

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

ROWS_MAX: Final = 50_000_000  # of a file: a month of a carrier that takes 20 messages a second
SEGMENTS_MAX: Final = 1_000_000_000  # of one line
SEPARATORS: Final = ",;\t|"

NAMES: Final[dict[str, str]] = {
    name: column
    for column, names in {
        "message_id": (
            "messageid msgid smscmessageid smscid carriermessageid suppliermessageid providermessageid id"
        ),
        "at": "at time timestamp date datetime submittime submittedat submitted submitdate sentat sent",
        "network": "mccmnc network plmn mccandmnc",
        "mcc": "mcc",
        "mnc": "mnc",
        "segments": "segments parts numsegments messageparts quantity qty count messages units smscount",
        "unit_price": "unitprice price rate unitcost pricepersms costpersms ratepersms supplierprice",
        "amount": "amount cost total totalcost totalamount charge net linetotal suppliercost",
        "currency": "currency cur ccy",
    }.items()
    for name in names.split()
}
COLUMNS: Final = tuple(dict.fromkeys(NAMES.values()))


@dataclass(frozen=True, slots=True)
class FileTerms:
    """
    What a carrier's files leave open. `columns`: the title of one of COLUMNS, where it is another one.

    `keep`: of a column the texts whose rows count (a file may have a row for each operation); `ids` makes an
    id of the file one of the submit_sm_resp.
    """

    zone_name: str = "UTC"
    dates: Dates = Dates.ISO
    cents: bool = False
    ids: IdForm = IdForm.AS_IS
    columns: Mapping[str, str] = field(default_factory=dict)
    keep: Mapping[str, Sequence[str]] = field(default_factory=dict)


class CarrierRecord(NamedTuple):
    """A message that the carrier bills; `message_id` is folded as ours are, `cost_micros` None: not named."""

    line: int
    message_id: str
    at: datetime
    segments: int
    cost_micros: int | None
    network: str


class CarrierFile:
    """
    A file that is open: its header is read, its rows are not.

    Raises:
        Invalid: code `bill_invalid`: there is no column for what is needed; `where` stands in the sentence.
    """

    def __init__(self, lines: Iterable[str], where: str, terms: FileTerms, currency: str) -> None:
        self._where = where
        self._terms = terms
        self._currency = currency
        source = iter(lines)
        head = next((line for line in source if line.strip("\r\n\ufeff ")), "")
        separator = max(SEPARATORS, key=head.count)
        self._reader = csv.reader(source, delimiter=separator, strict=True)
        header = next(csv.reader([head.lstrip("\ufeff")], delimiter=separator), [])
        self._width = len(header)
        self._columns, self.ignored = _columns(header, where, terms)
        self._keep = _kept(header, where, terms)
        self.skipped = 0  # rows that `keep` leaves out
        self.rows = 0

    @property
    def by_message(self) -> bool:
        """Return whether it has a row for each message: read `records`, else `lines`."""
        return "message_id" in self._columns

    def records(self) -> Iterator[CarrierRecord]:
        assert self.by_message
        for number, values in self._values():
            with_line = f"{self._where}, line {number}"
            try:
                yield self._record(number, values)
            except Invalid as exc:
                raise Invalid(f"{with_line}: {exc}", code="bill_invalid") from None

    def lines(self) -> Iterator[BillLine]:
        assert not self.by_message
        for number, values in self._values():
            try:
                yield self._line(values)
            except Invalid as exc:
                raise Invalid(f"{self._where}, line {number}: {exc}", code="bill_invalid") from None

    def _values(self) -> Iterator[tuple[int, dict[str, str]]]:
        try:
            for cells in self._reader:
                if not any(cell.strip() for cell in cells):
                    continue
                number = self._reader.line_num + 1
                if len(cells) != self._width:
                    raise Invalid(
                        f"{self._where}, line {number}: it has {len(cells)} cells, the header has "
                        f"{self._width}",
                        code="bill_invalid",
                    )
                if any(cells[place].strip().lower() not in texts for place, texts in self._keep):
                    self.skipped += 1
                    continue
                self.rows += 1
                if self.rows > ROWS_MAX:
                    raise Invalid(f"{self._where} has more than {ROWS_MAX} rows", code="bill_invalid")
                yield number, {name: cells[place].strip() for name, place in self._columns.items()}
        except csv.Error as exc:
            number = self._reader.line_num + 1
            raise Invalid(f"{self._where}, line {number}: no CSV: {exc}", code="bill_invalid") from None

    def _record(self, number: int, values: Mapping[str, str]) -> CarrierRecord:
        given = values["message_id"]
        message_id = convert(given.encode(), self._terms.ids).decode() if given else ""
        if not message_id:
            raise Invalid(f"{given[:SHOWN]!r} is no message id of the form {self._terms.ids.value}")
        segments = _segments(values.get("segments", ""), default=1)
        at = instant_from_cell(values["at"], self._terms.dates, self._terms.zone_name)
        return CarrierRecord(
            number, message_id, at, segments, self._amount(values, segments), self._network(values)
        )

    def _line(self, values: Mapping[str, str]) -> BillLine:
        segments = _segments(values["segments"], default=None)
        amount = self._amount(values, segments)
        if amount is None:
            raise Invalid("it has neither a price nor an amount")
        unit = values.get("unit_price", "")
        unit_micros: int | None = None
        if unit:
            unit_micros = micros_from_cell(unit, cents=self._terms.cents)
        elif segments and amount % segments == 0:
            unit_micros = amount // segments
        return BillLine(self._network(values) or "*", unit_micros, segments, amount)

    def _amount(self, values: Mapping[str, str], segments: int) -> int | None:
        currency = values.get("currency", "")
        if currency and currency.upper() != self._currency:
            raise Invalid(f"it is in {currency[:SHOWN]!r}, and we count {self._currency}")
        if amount := values.get("amount", ""):
            return micros_from_cell(amount, cents=self._terms.cents)
        if unit := values.get("unit_price", ""):
            return micros_from_cell(unit, cents=self._terms.cents) * segments
        return None

    def _network(self, values: Mapping[str, str]) -> str:
        mcc, mnc = values.get("mcc", ""), values.get("mnc", "")
        given = values.get("network", "") or (f"{mcc}{mnc}" if mcc else "")
        code = re.sub(r"[-/ ]", "", given)
        if code in {"", "*"}:
            return code
        if not (code.isascii() and code.isdecimal() and len(code) in {3, 5, 6}):
            raise Invalid(f"{given[:SHOWN]!r} is no MCC and MNC: was a leading zero lost?")
        return code


def _segments(text: str, *, default: int | None) -> int:
    if not text and default is not None:
        return default
    whole = text.removesuffix(".0")
    if not (whole.isascii() and whole.isdecimal() and len(whole) <= 10 and int(whole) <= SEGMENTS_MAX):
        raise Invalid(f"{text[:SHOWN]!r} is no count of segments")
    return int(whole)


def _plain(title: str) -> str:
    return re.sub(r"[^a-z0-9]", "", title.lower())


def _columns(header: Sequence[str], where: str, terms: FileTerms) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the place of each known column, and the titles of those that nobody reads."""
    told = {title: name for name, title in terms.columns.items()}
    columns: dict[str, int] = {}
    ignored: list[str] = []
    for place, title in enumerate(header):
        name = told.get(title.strip())
        if name is None and (found := NAMES.get(_plain(title))) not in terms.columns:
            name = found
        if name is None:
            ignored.append(title.strip())
        elif name in columns:
            raise Invalid(f"{where} has two columns for {name}: name one in columns", code="bill_invalid")
        else:
            columns[name] = place
    if lost := sorted(name for name in terms.columns if name not in columns):
        raise Invalid(
            f"{where} has no column {terms.columns[lost[0]]!r}, which columns names for {lost[0]}",
            code="bill_invalid",
        )
    by_message = "message_id" in columns
    needed = ("at",) if by_message else ("segments",)
    priced = by_message or columns.keys() & {"amount", "unit_price"}
    if not all(name in columns for name in needed) or not priced:
        raise Invalid(
            f"{where} must have message_id and at, or segments and unit_price or amount; it has "
            f"{', '.join(header)[:200]!r}",
            code="bill_invalid",
        )
    return columns, tuple(ignored)


def _kept(header: Sequence[str], where: str, terms: FileTerms) -> list[tuple[int, frozenset[str]]]:
    titles = [title.strip() for title in header]
    kept = []
    for title, texts in terms.keep.items():
        if title not in titles:
            raise Invalid(f"{where} has no column {title!r}, which keep names", code="bill_invalid")
        kept.append((titles.index(title), frozenset(text.lower() for text in texts)))
    return kept
