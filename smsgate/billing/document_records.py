"""
What one document is made of, row by row: an accountant adds the rows up to its net, to the last micro.

Usage stands as the ledger has it, late units included, by quarter of an hour of acceptance, campaign and
price; then come what steps add or take, other lines, and what each line rounds. Amounts have the signs of the
document.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.billing.csv_text import count_rows, csv_table
from smsgate.billing.documents import LineKind
from smsgate.errors import Invalid
from smsgate.money import micros_from_text, micros_per_minor, micros_to_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from smsgate.billing.documents import Line
    from smsgate.billing.periods import Month

COLUMNS: Final = (
    "document", "lines", "kind", "for_month", "accepted_at", "recorded_from", "recorded_to", "direction",
    "campaign", "network", "price_item", "messages", "segments", "unit_price", "amount", "currency",
)  # fmt: skip
TEXT_COLUMNS: Final = frozenset({"campaign"})  # what people wrote
STEPS: Final = "steps"
ROUNDING: Final = "rounding"


class Booked(NamedTuple):
    """
    Charges less what was given back, of one quarter of an hour of acceptance; signs of the ledger.

    `tiered`: the item has prices by quantity, so its lines need not be segments x unit price.
    """

    item_id: int
    origin: Month
    accepted_at: datetime
    recorded_from: datetime
    recorded_to: datetime
    direction: str
    campaign: str
    network: str
    price_item: str
    messages: int
    segments: int
    unit_micros: int
    amount_micros: int
    tiered: bool


class Record(NamedTuple):
    """One row without its document and currency."""

    lines: str
    kind: str
    origin: str
    accepted_at: str
    recorded_from: str
    recorded_to: str
    direction: str
    campaign: str
    network: str
    price_item: str
    messages: int
    segments: int
    unit_price: str
    amount_micros: int


@dataclass(slots=True)
class KindSum:
    rows: int = 0
    messages: int = 0
    segments: int = 0
    amount_micros: int = 0


@dataclass(slots=True)
class _Used:
    segments: int = 0
    micros: int = 0
    tiered: bool = False


@dataclass(slots=True)
class DocumentRecords:
    """
    Make the rows of one document.

    `sign` is -1 for one whose signs are swapped (a credit note). `booked`: it comes of a close, so its usage
    is in the ledger; lines of others stand for themselves.
    """

    number: str
    currency: str
    lines: Sequence[Line]
    sign: int
    booked: bool
    sums: dict[str, KindSum] = field(default_factory=dict)
    _used: defaultdict[tuple[int, Month], _Used] = field(default_factory=lambda: defaultdict(_Used))

    def usage(self, booked: Iterable[Booked]) -> list[Record]:
        """Return a batch of usage."""
        numbers = {key: " ".join(map(str, found)) for key, found in self._booked_lines().items()}
        sign, rows = self.sign, []
        for each in booked:
            key = each.item_id, each.origin
            used = self._used[key]
            used.segments += sign * each.segments
            used.micros += sign * each.amount_micros
            used.tiered = each.tiered
            rows.append(
                Record(
                    numbers.get(key, ""), LineKind.USAGE.value, str(each.origin),
                    each.accepted_at.isoformat(), each.recorded_from.isoformat(),
                    each.recorded_to.isoformat(), each.direction, each.campaign, each.network,
                    each.price_item, sign * each.messages, sign * each.segments,
                    micros_to_text(each.unit_micros), sign * each.amount_micros,
                )
            )  # fmt: skip
        return self._counted(rows)

    def rest(self) -> list[Record]:
        """Return what no usage makes, after all of it: steps, other lines, roundings."""
        rows = []
        for key, lines in self._booked_lines().items():
            used = self._used[key]
            more = sum(line.exact_micros for line in lines.values()) - used.micros
            if more and used.tiered:
                rows.append(_row(" ".join(map(str, lines)), STEPS, str(key[1]), more))
        scale = micros_per_minor(self.currency)
        for number, line in enumerate(self.lines, 1):
            terms = line.terms
            if not self._is_booked(line):
                rows.append(
                    _row(str(number), terms.kind.value, str(terms.origin), line.exact_micros)._replace(
                        segments=line.quantity if terms.kind is LineKind.USAGE else 0,
                        unit_price=micros_to_text(terms.unit_micros),
                    )
                )
            if rounded := line.net_minor * scale - line.exact_micros:
                rows.append(_row(str(number), ROUNDING, str(terms.origin), rounded))
        return self._counted(rows)

    def equal(self, net_minor: int) -> bool:
        """Return whether the rows are what the lines say, price by price, and add up to the net."""
        booked = self._booked_lines()
        for key in booked.keys() | self._used.keys():
            used, lines = self._used[key], booked.get(key, {}).values()
            if used.segments != sum(line.quantity for line in lines):
                return False
            if not used.tiered and used.micros != sum(line.exact_micros for line in lines):
                return False
        return self.total_micros == net_minor * micros_per_minor(self.currency)

    @property
    def total_micros(self) -> int:
        return sum(each.amount_micros for each in self.sums.values())

    def csv(self, rows: Iterable[Record], *, header: bool) -> bytes:
        """Return rows as CSV (R20)."""
        text = csv_table(
            COLUMNS, TEXT_COLUMNS,
            ([self.number, *row[:-1], micros_to_text(row.amount_micros), self.currency] for row in rows),
        )  # fmt: skip
        return (text if header else text.split("\r\n", 1)[1]).encode()

    def _is_booked(self, line: Line) -> bool:
        return line.terms.kind is LineKind.USAGE and self.booked

    def _booked_lines(self) -> dict[tuple[int, Month], dict[int, Line]]:
        """Return the lines of usage by their numbers, of each price and month."""
        found: defaultdict[tuple[int, Month], dict[int, Line]] = defaultdict(dict)
        for number, line in enumerate(self.lines, 1):
            if self._is_booked(line):
                found[line.terms.item_id, line.terms.origin][number] = line
        return dict(found)

    def _counted(self, rows: list[Record]) -> list[Record]:
        for row in rows:
            _add(self.sums.setdefault(row.kind, KindSum()), row.messages, row.segments, row.amount_micros)
        return rows


@dataclass(slots=True)
class RecordSums:
    """
    What a file of a document's records comes to, read again: by kind, and by the lines that its rows name.

    `by_lines` is segments of usage, and micros of all rows but roundings; `rounded` is micros by line.
    """

    document: str = ""
    currency: str = ""
    by_kind: defaultdict[str, KindSum] = field(default_factory=lambda: defaultdict(KindSum))
    by_lines: defaultdict[tuple[int, ...], _Used] = field(default_factory=lambda: defaultdict(_Used))
    rounded: Counter[int] = field(default_factory=Counter)

    @property
    def total_micros(self) -> int:
        return sum(each.amount_micros for each in self.by_kind.values())

    def unlike(self, lines: Sequence[Line]) -> str:
        """Return the first line that bills something else than its rows say, in words; "" when none does."""
        scale, named = micros_per_minor(self.currency), set[int]()
        for numbers, used in sorted(self.by_lines.items()):
            segments, micros = used.segments, used.micros
            if not numbers and not segments and not micros:
                continue  # charged and given back before the cut
            found = [lines[number - 1] for number in numbers if 1 <= number <= len(lines)]
            if len(found) != len(numbers) or not numbers:
                return f"it has rows of line {_shown(numbers)}, and the document {len(lines)} lines"
            named.update(numbers)
            usage = sum(line.quantity for line in found if line.terms.kind is LineKind.USAGE)
            net = sum(line.net_minor for line in found) * scale
            rounded = sum(self.rounded[number] for number in numbers)
            if (segments, micros + rounded) != (usage, net):
                return (
                    f"line {_shown(numbers)} has {usage} segments and {micros_to_text(net)}, its rows "
                    f"{segments} and {micros_to_text(micros + rounded)}"
                )
        missing = sorted(set(range(1, len(lines) + 1)) - named)
        return f"no row is of line {missing[0]}" if missing else ""


def record_sums(text: Iterable[str]) -> RecordSums:
    """
    Add up a file that `DocumentRecords.csv` wrote, row by row.

    Raises:
        Invalid: code `export_invalid`: another header, a row that is none, or usage that is not its price x
            segments.
    """
    sums = RecordSums()
    count_rows(text, COLUMNS, partial(_count, sums))
    return sums


def _count(sums: RecordSums, row: dict[str, str]) -> None:
    sums.document, sums.currency = sums.document or row["document"], sums.currency or row["currency"]
    if (row["document"], row["currency"]) != (sums.document, sums.currency):
        raise Invalid(f"it is of {row['document']} in {row['currency']}, not of {sums.document}")
    kind, segments, amount = row["kind"], int(row["segments"]), micros_from_text(row["amount"])
    if kind == LineKind.USAGE and micros_from_text(row["unit_price"]) * segments != amount:
        raise Invalid(f"{row['unit_price']} x {segments} is not {row['amount']}")
    numbers = tuple(int(number) for number in row["lines"].split())
    if kind == ROUNDING:
        sums.rounded[numbers[0]] += amount
    else:
        found = sums.by_lines[numbers]
        found.segments += segments
        found.micros += amount
    _add(sums.by_kind[kind], int(row["messages"]), segments, amount)


def _add(found: KindSum, messages: int, segments: int, amount_micros: int) -> None:
    found.rows += 1
    found.messages += messages
    found.segments += segments
    found.amount_micros += amount_micros


def _shown(numbers: Sequence[int]) -> str:
    return " and ".join(map(str, numbers)) or "none"


def _row(lines: str, kind: str, origin: str, amount_micros: int) -> Record:
    return Record(lines, kind, origin, "", "", "", "", "", "", "", 0, 0, "", amount_micros)
