"""
A second calculation of invoice cases, by fractions and by snapshots; it shares no code with the product.

The product routes each event to the month that takes it. Here, for each close, everything that was known
until then is counted from the beginning and its bill is made as if for the first time; a month's document is
what that bill has more than the one before.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

Case = dict[str, Any]
DIGITS: Final = {"EUR": 2, "JPY": 0, "TND": 3}
FINAL: Final = ("DELIVRD", "UNDELIV", "EXPIRED", "REJECTD", "DELETED")
HALF: Final = Fraction(1, 2)


class Key(NamedTuple):
    """Where a segment is counted: list, item, version, month of origin, VAT category and rate."""

    price_list: str
    item: str
    version: int
    origin: str
    category: str
    rate: str


class Known(NamedTuple):
    key: Key
    segments: int
    counts_from: datetime
    until: datetime | None
    currency: str
    item: Case


def half_away(amount: Fraction, digits: int) -> Fraction:
    scaled = abs(amount) * 10**digits
    whole = (scaled + HALF).__floor__()
    return Fraction(whole if amount >= 0 else -whole, 10**digits)


def shown(amount: Fraction, digits: int) -> str:
    return f"{Decimal(amount.numerator) / Decimal(amount.denominator):.{digits}f}"


def instant(text: str, zone: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))


def price_of(message: Case, case: Case) -> tuple[Case, Case, Case] | None:
    """Return (list, version, item) by looking at everything there is."""
    price_list = next(each for each in case["price_lists"] if each["id"] == message["price_list"])
    at = instant(message["accepted_at"], "UTC")
    started = [
        (start, version)
        for version in price_list["versions"]
        if (start := instant(version["effective_from"], price_list["timezone"])) <= at
    ]
    if not started:
        return None
    version = max(started, key=lambda pair: pair[0])[1]
    network = message["network"]
    fitting = [
        item
        for item in version["items"]
        if item["direction"] == message["direction"] and item["network"] in {network, network[:3], "*"}
    ]
    if not fitting:
        return None
    return price_list, version, max(fitting, key=lambda item: (item["network"] != "*", len(item["network"])))


def charge_instant(message: Case, item: Case) -> datetime | None:
    accepted = instant(message["accepted_at"], "UTC")
    if message["direction"] == "MO":
        return accepted
    if message.get("submit") == "rejected":
        return None
    if item["basis"] == "submit":
        return accepted
    for receipt in sorted(message["receipts"], key=lambda receipt: instant(receipt["received_at"], "UTC")):
        if receipt["state"] in FINAL:
            came = instant(receipt["received_at"], "UTC")
            return max(came, accepted) if receipt["state"] == "DELIVRD" else None
    return None


def rate_on(day: date, case: Case) -> str:
    holding = [rate for rate in case["vat"]["rates"] if date.fromisoformat(rate["from"]) <= day]
    return str(max(holding, key=lambda rate: rate["from"])["rate"])


def known_of(case: Case) -> tuple[list[Known], list[str]]:
    zone = ZoneInfo(case["merchant"]["timezone"])
    known, refused = [], []
    for message in {message["id"]: message for message in case["messages"]}.values():
        found = price_of(message, case)
        if found is None:
            refused.append(message["id"])
            continue
        price_list, version, item = found
        charged = charge_instant(message, item)
        if charged is None:
            continue
        local = instant(message["accepted_at"], "UTC").astimezone(zone)
        key = Key(
            price_list["id"],
            f"{item['direction']}/{item['network']}",
            version["version"],
            f"{local:%Y-%m}",
            case["vat"]["category"],
            rate_on(local.date(), case),
        )
        reversed_at = message.get("reversed_at")
        until = None if reversed_at is None else max(charged, instant(reversed_at, "UTC"))
        segments = message["count"] * message["segments"]
        known.append(Known(key, segments, charged, until, price_list["currency"], item))
    return known, sorted(refused)


def bill_of(counts: Counter[Key], items: dict[Key, Case]) -> Counter[tuple[Key, Fraction]]:
    """Return how many segments at which price, for counts of one close, unit by unit."""
    bill: Counter[tuple[Key, Fraction]] = Counter()
    for key, count in counts.items():
        tiers = items[key].get("tiers")
        if tiers is None:
            bill[key, Fraction(items[key]["unit_price"])] += count
            continue
        steps = [(step["from"], Fraction(step["unit_price"])) for step in tiers["steps"]]
        for unit in range(1, count + 1):
            reached = count if tiers["mode"] == "volume" else unit
            bill[key, max(step for step in steps if step[0] <= reached)[1]] += 1
    return bill


def answer(case: Case) -> Case:
    known, refused = known_of(case)
    items = {each.key: each.item for each in known}
    invoices = []
    for currency in sorted({each["currency"] for each in case["price_lists"]}):
        rows = [each for each in known if each.currency == currency]
        invoices += invoices_of(case, currency, rows, items)
    return {"invoices": invoices, "refused": refused}


def invoices_of(case: Case, currency: str, known: list[Known], items: dict[Key, Case]) -> list[Case]:
    digits, minimum = DIGITS[currency], case.get("commitments", {}).get(currency)
    before: Counter[tuple[Key, Fraction]] = Counter()
    nets: dict[str, Fraction] = {}
    shortfalls: dict[str, Fraction] = {}
    invoices = []
    for period in sorted(case["periods"], key=lambda each: each["period"]):
        name, close_at = period["period"], instant(period["close_at"], "UTC")
        counts: Counter[Key] = Counter()
        for each in known:
            if each.key.origin <= name and each.counts_from < close_at:
                counts[each.key] += each.segments
                if each.until is not None and each.until < close_at:
                    counts[each.key] -= each.segments
        bill = bill_of(counts, items)
        lines = []
        for key, unit in {*bill, *before}:
            quantity = bill[key, unit] - before[key, unit]
            if quantity:
                net = half_away(quantity * unit, digits)
                nets[key.origin] = nets.get(key.origin, Fraction(0)) + net
                lines.append(("usage", key, quantity, unit, net))
        before = bill
        if minimum is not None:
            for each in case["periods"]:
                month = each["period"]
                if month <= name:
                    lacking = max(Fraction(0), Fraction(minimum) - nets.get(month, Fraction(0)))
                    change = lacking - shortfalls.get(month, Fraction(0))
                    shortfalls[month] = lacking
                    if change:
                        last = (date.fromisoformat(f"{month}-28") + timedelta(days=4)).replace(day=1)
                        rate = rate_on(last - timedelta(days=1), case)
                        key = Key("", "", 0, month, case["vat"]["category"], rate)
                        sign = 1 if change > 0 else -1
                        lines.append(("commitment", key, sign, abs(change), change))
        if lines:
            invoices.append(invoice_of(name, currency, lines))
    return invoices


def invoice_of(period: str, currency: str, lines: list[tuple[str, Key, int, Fraction, Fraction]]) -> Case:
    digits = DIGITS[currency]
    sign = -1 if sum(line[4] for line in lines) < 0 else 1
    net = sign * sum((line[4] for line in lines), Fraction(0))
    exact = sign * sum((quantity * unit for _, _, quantity, unit, _ in lines), Fraction(0))
    groups: dict[tuple[str, str], Fraction] = {}
    for _, key, _, _, amount in lines:
        group = key.category, key.rate
        groups[group] = groups.get(group, Fraction(0)) + sign * amount
    vat = {group: half_away(basis * Fraction(group[1]) / 100, digits) for group, basis in groups.items()}
    total = sum(vat.values(), Fraction(0))
    return {
        "period": period,
        "currency": currency,
        "doc_type": "380" if sign > 0 else "381",
        "lines": [
            {
                "kind": kind,
                "price_list": key.price_list or None,
                "item": key.item or None,
                "version": key.version or None,
                "quantity": sign * quantity,
                "unit_price": shown(unit, 6),
                "for_period": key.origin,
                "vat_category": key.category,
                "vat_rate": key.rate,
                "net": shown(sign * amount, digits),
            }
            for kind, key, quantity, unit, amount in lines
        ],
        "net": shown(net, digits),
        "vat": [
            {
                "category": category,
                "rate": rate,
                "basis": shown(basis, digits),
                "amount": shown(vat[category, rate], digits),
            }
            for (category, rate), basis in groups.items()
        ],
        "vat_total": shown(total, digits),
        "gross": shown(net + total, digits),
        "ledger_exact_micro": int(exact * 1_000_000),
        "rounding_difference_micro": int((exact - net) * 1_000_000),
    }
