"""What an invoice case says before any message: merchant, VAT, months, price lists, minimums."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from smsgate.billing.cases.fields import Fields
from smsgate.billing.closing import ItemTerms
from smsgate.billing.commitments import Commitment
from smsgate.billing.periods import FIRST_YEAR, LAST_YEAR, Closes, Month
from smsgate.billing.prices import Basis, Direction, PriceBook, PriceItem, PriceVersion
from smsgate.billing.tiers import Ladder, LadderMode, Step
from smsgate.billing.vat import NO_RATE, Vat, VatHistory
from smsgate.errors import Invalid
from smsgate.money import check_currency

if TYPE_CHECKING:
    from collections.abc import Iterator

ALWAYS: Final = datetime(1, 1, 2, tzinfo=UTC)  # a day after the first there is: it has a local date anywhere
ZONE_NAMES: Final = ("timezone", "time_zone", "zone", "tz")
FROM_NAMES: Final = ("from", "effective_from", "starts_at", "start", "since")
COMMITMENT_NAMES: Final = (
    "commitments", "commitment", "minimum_commitments", "minimum_commitment", "minimums", "minimum",
)  # fmt: skip
AMOUNT_NAMES: Final = ("amount", "minimum", "net", "value", "minimum_net", "monthly", "per_month")
LADDER_NAMES: Final = ("tiers", "ladder", "tier")
MODE_NAMES: Final = (
    "mode", "type", "kind", "model", "pricing", "tier_mode", "tier_type", "tier_kind", "tiers_mode",
    "tiers_type",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Terms:
    """`lists` are by the case's own ids; `names` are how documents call an item and its list."""

    zone_name: str
    currency: str
    closes: Closes
    periods: tuple[Month, ...]
    vat: VatHistory
    rate_texts: dict[int, str]
    lists: dict[str, PriceBook]
    items: dict[int, ItemTerms]
    names: dict[int, tuple[str, str]]
    commitments: tuple[Commitment, ...]


def read_terms(case: Fields) -> Terms:
    merchant = case.record("merchant")
    zone_name = merchant.text(*ZONE_NAMES, default=case.text(*ZONE_NAMES, default="UTC"))
    currency = merchant.currency("currency", default=case.text("currency", default="EUR"))
    instants, periods = _periods(case, zone_name)
    rate_texts: dict[int, str] = {}
    vat = VatHistory(_vat_entries(case, rate_texts))
    reader = _Lists(currency, zone_name)
    lists = case.named_records("price_lists", "price_list", "lists")
    for record in sorted(lists, key=lambda record: record.text("id", "name", default="")):
        reader.read(record)
    commitments = tuple(
        sorted(
            (each for source in (case, merchant) for each in _commitments(source, currency, periods)),
            key=_rank,
        )
    )
    return Terms(
        zone_name, currency, Closes(zone_name, instants), tuple(periods), vat, rate_texts,
        reader.lists, reader.items, reader.names, commitments,
    )  # fmt: skip


def _periods(case: Fields, zone_name: str) -> tuple[dict[Month, datetime], list[Month]]:
    instants: dict[Month, datetime] = {}
    months: set[Month] = set()
    for number, value in enumerate(case.many("periods", "months", "period")):
        whole = value if isinstance(value, dict) else {"period": value}
        record = Fields(whole, f"{case.where}.periods[{number}]")
        month = record.month("period", "month", "id")
        close_at = record.optional_instant("close_at", "closed_at", "closes_at", zone_name=zone_name)
        if close_at is not None and instants.setdefault(month, close_at) != close_at:
            record.refuse("close_at", f"differs from another one of {month}")
        months.add(month)
    return instants, sorted(months)


def _vat_entries(case: Fields, rate_texts: dict[int, str]) -> Iterator[tuple[date, Vat]]:
    """Yield what holds from which day; without VAT in the case nothing is taxed."""
    found = case.find("vat", "vat_rates", "tax")
    head = Fields(found if isinstance(found, dict) else {}, f"{case.where}.vat")
    category = head.text("category", "vat_category", default="S" if found is not None else "O")
    values = found if isinstance(found, list) else head.many("rates", "history", "periods")
    if not values:
        values = [{"rate": found} if isinstance(found, str | int) else head.values]
    for number, value in enumerate(values):
        record = Fields(value, f"{case.where}.vat.rates[{number}]")
        vat = record.vat(category)
        if vat.rate_micros != NO_RATE:
            rate_texts.setdefault(vat.rate_micros, record.text("rate", "vat_rate", default="0"))
        yield record.day(*FROM_NAMES, default=ALWAYS.date()), vat


def _commitments(source: Fields, currency: str, periods: list[Month]) -> Iterator[Commitment]:
    found = source.find(*COMMITMENT_NAMES)
    where = f"{source.where}.commitments"
    if found is None:
        return
    for value in found if isinstance(found, list) else _by_currency(found, currency):
        record = Fields(value, where)
        code = record.currency("currency", default=currency)
        minimum = record.minor(code, *AMOUNT_NAMES)
        if minimum < 0:
            record.refuse("amount", "is below zero")
        first: Month | None = None
        last: Month | None = None
        if record.find("period", "month") is not None:
            first = last = record.month("period", "month")
        else:
            first = record.month(*FROM_NAMES) if record.find(*FROM_NAMES) is not None else None
            last = record.month("until", "to", "last") if record.find("until", "to", "last") else None
            first = first or min(periods, default=None)
            last = last or max(periods, default=None)
        yield Commitment(code, minimum, first, last)


def _rank(commitment: Commitment) -> tuple[str, Month, Month, int]:
    """The order of a case does not matter: of minimums of one month that which begins last holds."""
    first, last = commitment.first or Month(FIRST_YEAR, 1), commitment.last or Month(LAST_YEAR, 12)
    return commitment.currency, first, last, commitment.minimum_minor


def _by_currency(found: Any, currency: str) -> list[dict[str, Any]]:
    """Read a bare amount, one object, or an object of amounts by currency."""
    if not isinstance(found, dict):
        return [{"currency": currency, "amount": found}]
    if any(name in found for name in AMOUNT_NAMES):
        return [found]
    return [{"currency": check_currency(code), "amount": amount} for code, amount in found.items()]


class _Lists:
    """Price lists as the daemon holds them, with numbers for the case's names."""

    def __init__(self, currency: str, zone_name: str) -> None:
        self._currency = currency
        self._zone_name = zone_name
        self.lists: dict[str, PriceBook] = {}
        self.items: dict[int, ItemTerms] = {}
        self.names: dict[int, tuple[str, str]] = {}

    def read(self, record: Fields) -> None:
        name = record.text("id", "name", default="")
        if name in self.lists:
            record.refuse("id", f"{name!r} stands twice")
        currency = record.currency("currency", default=self._currency)
        zone_name = record.text(*ZONE_NAMES, default=self._zone_name)
        list_id = len(self.lists) + 1
        sources = record.records("versions") or [record]
        versions = []
        numbered = enumerate(sources, 1)
        for number, source in sorted(numbered, key=lambda pair: pair[1].whole("version", default=pair[0])):
            version = source.whole("version", "number", default=number)
            start = source.optional_instant("effective_from", "from", "starts_at", zone_name=zone_name)
            items = [
                self._item(item, (name, list_id, version, currency))
                for item in sorted(source.records("items", "prices"), key=_place_of)
            ]
            versions.append(PriceVersion(version, start or ALWAYS, items))
        self.lists[name] = PriceBook(list_id, currency, versions)

    def _item(self, record: Fields, place: tuple[str, int, int, str]) -> PriceItem:
        list_name, list_id, version, currency = place
        direction = direction_of(record)
        network = network_of(record)
        ladder = _ladder(record)
        unit = record.micros("unit_price", "price", default=ladder.steps[0].unit_micros if ladder else None)
        item_id = len(self.items) + 1
        word = record.text("basis", "charge_basis", default=Basis.SUBMIT.value).lower()
        try:
            basis = Basis({"delivery": "delivered", "submitted": "submit"}.get(word, word))
        except ValueError:
            record.refuse("basis", f"{word[:40]!r} is neither submit nor delivered")
        item = PriceItem(item_id, direction, network, unit, basis, ladder)
        self.items[item_id] = ItemTerms(list_id, item_id, version, currency, unit, ladder)
        self.names[item_id] = list_name, f"{direction.upper()}/{network}"
        return item


def direction_of(record: Fields) -> Direction:
    word = record.text("direction", default="MT").lower()
    try:
        return Direction(word)
    except ValueError:
        record.refuse("direction", f"{word[:40]!r} is neither MT nor MO")


def network_of(record: Fields) -> str:
    """Return MCC and MNC, an MCC, or *."""
    if record.find("network", "mccmnc", "destination") is None and record.find("mcc") is not None:
        return record.text("mcc") + record.text("mnc", default="")
    network = record.text("network", "mccmnc", "destination", default="*")
    return "*" if network.lower() in {"", "default", "any"} else network


def _place_of(record: Fields) -> tuple[str, str]:
    return direction_of(record), network_of(record)


def _ladder(record: Fields) -> Ladder | None:
    found = record.find(*LADDER_NAMES)
    if found is None:
        return None
    inner = Fields(found if isinstance(found, dict) else {"steps": found}, f"{record.where}.tiers")
    word = inner.text(*MODE_NAMES, default=record.text(*MODE_NAMES, default="graduated")).lower()
    try:
        mode = LadderMode(word)
    except ValueError:
        inner.refuse("mode", f"{word[:40]!r} is neither graduated nor volume")
    steps = sorted(
        Step(max(step.whole("from", "from_unit", "first", "start"), 1), step.micros("unit_price", "price"))
        for step in inner.records("steps", "tiers", "ladder")
    )
    try:
        return Ladder(mode, tuple(steps))
    except Invalid as exc:
        inner.refuse("steps", f"cannot be read: {exc}")
