"""
Rate sheets as carriers send them, read to the last cell or refused: nothing about a price is guessed.

Columns are found by their names, in any order: a network as MCC-MNC (`MCCMNC`, `network`, or `MCC` and
`MNC`) or a number's `prefix`; a price (`price`, `rate`, `unit_price`), or `PriceSubmit` and
`PriceDelivered`; and, where they are there, `direction`, `currency`, `effective`, `basis`, `change`
(increase, decrease, new, unchanged, closed) and `tiers` (`tier_cells`).
Encodings: UTF-8, UTF-16 with its mark, else Windows-1252. Separators: comma, semicolon, tab, bar.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.billing.prices import ANY_NETWORK, Basis, Direction, PriceItem
from smsgate.billing.sheet_cells import Dates, instant_from_cell, micros_from_cell
from smsgate.billing.tier_cells import ladder_from_cell
from smsgate.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from smsgate.billing.tiers import Ladder

ROWS_MAX: Final = 50_000  # all prefixes of the world
CELL_SHOWN: Final = 40  # characters of a bad cell that a sentence repeats
SEPARATORS: Final = ",;\t|"

_NAMES: Final[dict[str, str]] = {
    name: column
    for column, names in {
        "direction": "direction",
        "mccmnc": "mccmnc mccandmnc plmn",
        "network": "network",
        "mcc": "mcc",
        "mnc": "mnc",
        "prefix": "prefix prefixes dialcode areacode destinationcode",
        "price": "price rate unitprice newprice newrate ratepersms pricepersms",
        "submit": "pricesubmit submitprice ratesubmit",
        "delivered": "pricedelivered deliveredprice ratedelivered",
        "currency": "currency cur ccy",
        "effective": "effective effectivefrom effectivedate effectiveon validfrom startdate",
        "basis": "basis chargebasis",
        "change": "change ratechange pricechange status",
        "tiers": "tiers ladder",
    }.items()
    for name in names.split()
}


class Claim(StrEnum):
    """What the sheet itself says of a row; it is compared with what the row really changes."""

    INCREASE = "increase"
    DECREASE = "decrease"
    NEW = "new"
    UNCHANGED = "unchanged"
    CLOSED = "closed"  # the network is served no more


_CLAIMS: Final[dict[str, Claim]] = {
    word: claim
    for claim, words in {
        Claim.INCREASE: "increase increased up +",
        Claim.DECREASE: "decrease decreased down -",
        Claim.NEW: "new added",
        Claim.UNCHANGED: "unchanged same nochange current =",
        Claim.CLOSED: "closed removed deleted blocked discontinued",
    }.items()
    for word in words.split()
}


class SheetRow(NamedTuple):
    """`network` is MCC+MNC, MCC or "*", or digits of a `prefix`; `unit_micros` None: served no more."""

    line: int
    direction: Direction
    network: str
    unit_micros: int | None
    basis: Basis
    effective_from: datetime | None  # None: the sheet does not say
    claim: Claim | None
    ladder: Ladder | None = None


@dataclass(frozen=True, slots=True)
class RateSheet:
    rows: tuple[SheetRow, ...]
    by_prefix: bool
    currency: str | None  # None: the sheet does not say
    ignored: tuple[str, ...]  # columns that nobody read


@dataclass(frozen=True, slots=True)
class SheetTerms:
    """
    What a sheet leaves open: `cents` prices, the zone of plain dates (None: refused), how dates are
    written.
    """

    cents: bool = False
    zone_name: str | None = None
    dates: Dates = Dates.ISO


def read_rate_sheet(octets: bytes, where: str, terms: SheetTerms | None = None) -> RateSheet:
    """
    Return the rows of a sheet.

    Raises:
        Invalid: code `sheet_invalid`; `where` and the line stand in the sentence.
    """
    text = _decoded(octets, where)
    header, rows = _cells(text, where)
    columns, cents_columns, ignored = _columns(header, where)
    used = terms or SheetTerms()
    if not 1 <= len(rows) <= ROWS_MAX:
        raise Invalid(f"{where} has {len(rows)} prices: 1 to {ROWS_MAX} are possible", code="sheet_invalid")
    by_prefix = "prefix" in columns
    cents = used.cents or bool(cents_columns)
    found: list[SheetRow] = []
    currencies: set[str] = set()
    for line, cells in rows:
        place = f"{where}, line {line}"
        if len(cells) != len(header):  # "0,045" is two cells: the price would be read as 0
            raise Invalid(
                f"{place}: it has {len(cells)} cells, the header has {len(header)}; quote cells that "
                "hold a comma",
                code="sheet_invalid",
            )
        values = {name: cells[column].strip() for name, column in columns.items()}
        try:
            found.append(_row(line, values, used, cents=cents))
        except Invalid as exc:
            raise Invalid(f"{place}: {exc}", code="sheet_invalid") from None
        if values.get("currency"):
            currencies.add(values["currency"].upper())
    if len(currencies) > 1:
        raise Invalid(f"{where} holds prices in {' and '.join(sorted(currencies))}", code="sheet_invalid")
    _refuse_repeats(found, where)
    return RateSheet(tuple(found), by_prefix, next(iter(currencies), None), ignored)


def _decoded(octets: bytes, where: str) -> str:
    if octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings: tuple[str, ...] = ("utf-16",)
    else:
        encodings = ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            text = octets.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise Invalid(f"{where} is no text: write it as CSV in UTF-8", code="sheet_invalid")


def _cells(text: str, where: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header, and the rows that hold anything, each with its line from 1."""
    first = text.lstrip("\r\n").splitlines()[:1]
    separator = max(SEPARATORS, key=first[0].count) if first else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header: list[str] | None = None
    rows: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = cells
            else:
                rows.append((reader.line_num, cells))
    except csv.Error as exc:
        raise Invalid(f"{where}, line {reader.line_num}: no CSV: {exc}", code="sheet_invalid") from None
    if header is None:
        raise Invalid(f"{where} is empty", code="sheet_invalid")
    return header, rows


def _columns(header: Sequence[str], where: str) -> tuple[dict[str, int], list[str], tuple[str, ...]]:
    """Return the place of each known column, those that hold cents, and the names of the others."""
    columns: dict[str, int] = {}
    cents: list[str] = []
    ignored: list[str] = []
    for place, title in enumerate(header):
        plain = re.sub(r"[^a-z0-9]", "", title.lower())
        name = re.sub(r"(in)?cents?$", "", plain)
        column = _NAMES.get(name)
        if column is None:
            ignored.append(title.strip())
            continue
        if column in columns:
            raise Invalid(f"{where} has two columns for the {column}", code="sheet_invalid")
        if name != plain:
            cents.append(column)
        columns[column] = place
    if "network" in columns and columns.keys() & {"mccmnc", "mcc", "prefix"}:
        ignored.append(header[columns.pop("network")].strip())  # a network's name, beside its code
    keys = [set(key) <= columns.keys() for key in (("mccmnc",), ("network",), ("mcc", "mnc"), ("prefix",))]
    priced = "price" in columns or {"submit", "delivered"} <= columns.keys()
    if sum(keys) != 1 or not priced or len({name in cents for name in _priced(columns)}) != 1:
        raise Invalid(
            f"{where} must name one network column (MCCMNC, MCC and MNC, or prefix) and a price; it has "
            f"{', '.join(header)[:200]!r}",
            code="sheet_invalid",
        )
    return columns, cents, tuple(ignored)


def _priced(columns: Mapping[str, int]) -> list[str]:
    return [name for name in ("price", "submit", "delivered") if name in columns]


def _row(line: int, values: Mapping[str, str], terms: SheetTerms, *, cents: bool) -> SheetRow:
    word = values.get("direction", "").lower() or Direction.MT.value
    if word not in set(Direction):
        raise Invalid(f"direction {word[:CELL_SHOWN]!r} is neither mt nor mo")
    claim = _CLAIMS.get(values.get("change", "").lower().replace(" ", ""))
    network = _network(values)
    unit_micros, basis = _price(values, cents=cents, closed=claim is Claim.CLOSED)
    ladder = None
    if unit_micros is not None:
        ladder = ladder_from_cell(values.get("tiers", ""), unit_micros, cents=cents)
        PriceItem(
            1, Direction(word), ANY_NETWORK if "prefix" in values else network, unit_micros, basis, ladder
        )
    effective = values.get("effective", "")
    at = instant_from_cell(effective, terms.dates, terms.zone_name) if effective else None
    return SheetRow(line, Direction(word), network, unit_micros, basis, at, claim, ladder)


def _network(values: Mapping[str, str]) -> str:
    if "prefix" in values:
        prefix = values["prefix"].removeprefix("+").removeprefix("00")
        if not (prefix.isascii() and prefix.isdecimal() and len(prefix) <= 15):
            raise Invalid(f"{values['prefix'][:CELL_SHOWN]!r} is no prefix of a number")
        return prefix
    if "mcc" in values:
        mcc, mnc = values["mcc"], values["mnc"].upper()
        if mcc in {ANY_NETWORK, "default"} and mnc in {"", ANY_NETWORK}:
            return ANY_NETWORK
        country = mnc in {"", ANY_NETWORK, "X", "XX", "XXX", "ALL"}
        if len(mcc) != 3 or not mcc.isdecimal():
            raise Invalid(f"MCC {mcc[:CELL_SHOWN]!r} has not three digits: was a leading zero lost?")
        if not country and len(mnc) not in {2, 3}:
            raise Invalid(f"MNC {mnc[:CELL_SHOWN]!r} has not two or three digits: was a leading zero lost?")
        code = mcc if country else mcc + mnc
    else:
        given = values.get("mccmnc", values.get("network", ""))
        code = (
            ANY_NETWORK if given.lower() == "default" else re.sub(r"^(\d{3})[-/ ](\d{2,3})$", r"\1\2", given)
        )
    if code.isdecimal() and len(code) not in {3, 5, 6}:
        raise Invalid(f"{code[:CELL_SHOWN]!r} is no MCC and MNC: was a leading zero lost?")
    return code


def _price(values: Mapping[str, str], *, cents: bool, closed: bool) -> tuple[int | None, Basis]:
    given = {name: values[name] for name in ("price", "submit", "delivered") if values.get(name)}
    if closed and not given:
        return None, Basis.SUBMIT
    if not given:
        raise Invalid("there is no price")
    amounts = {name: micros_from_cell(text, cents=cents) for name, text in given.items()}
    if closed:
        return None, Basis.SUBMIT
    if "price" in amounts:
        word = values.get("basis", "").lower() or Basis.SUBMIT.value
        if word not in set(Basis):
            raise Invalid(f"basis {word[:CELL_SHOWN]!r} is neither submit nor delivered")
        return amounts["price"], Basis(word)
    submit, delivered = amounts.get("submit", 0), amounts.get("delivered", 0)
    if submit and delivered:
        raise Invalid("it is charged when submitted and once more when delivered, which no item can say")
    return (delivered, Basis.DELIVERED) if delivered else (submit, Basis.SUBMIT)


def _refuse_repeats(rows: Sequence[SheetRow], where: str) -> None:
    seen: dict[tuple[Direction, str, datetime | None], int] = {}
    for row in rows:
        first = seen.setdefault((row.direction, row.network, row.effective_from), row.line)
        if first != row.line:
            raise Invalid(
                f"{where}, line {row.line}: {row.direction} {row.network} is priced twice, first in line "
                f"{first}",
                code="sheet_invalid",
            )
