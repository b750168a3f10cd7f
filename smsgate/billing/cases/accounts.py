"""Cases of accounts: prepaid with caps, and a carrier's month against ours."""

from __future__ import annotations

from typing import Any, Final

from smsgate.billing.cases.fields import Fields
from smsgate.billing.cases.terms import ZONE_NAMES
from smsgate.billing.periods import local_date
from smsgate.billing.prepaid import Caps, Outcome, PrepaidAccount
from smsgate.billing.reconciliation import (
    Reconciliation,
    RowClass,
    Tolerance,
    TrafficRow,
    reconcile,
)
from smsgate.billing.segments import segments_of
from smsgate.money import micros_per_minor, micros_to_text, minor_to_text

INVOICED_NAMES: Final = (
    "invoice", "carrier_invoice", "invoiced", "invoice_amount", "invoice_total", "invoice_net",
    "invoiced_amount",
)  # fmt: skip
CAPTURES: Final = frozenset({"carrier_ok", "carrier_accept", "carrier_accepted", "capture", "ok"})
RELEASES: Final = frozenset({
    "carrier_reject", "carrier_rejected", "carrier_refuse", "carrier_refused", "release", "reject",
})  # fmt: skip


def prepaid_case(case: Fields) -> dict[str, Any]:
    zone_name = case.text(*ZONE_NAMES, default=case.record("merchant").text(*ZONE_NAMES, default="UTC"))
    account = PrepaidAccount(_account_caps(case))
    opening = case.optional_micros("balance", "opening_balance", "available")
    if opening:
        account.topup(opening)
    steps = []
    for number, event in enumerate(_events(case), 1):
        outcome = _apply(account, event, zone_name)
        steps.append(
            {
                "event": event.find("n", "event") or number,
                "result": outcome.value,
                "available_micro": account.available_micros,
                "held_micro": account.held_micros,
                "spent_micro": account.spent_micros,
            }
        )
    days = {str(day): micros for day, micros in sorted(account.days.items())}
    return {"steps": steps, "day_totals_micro": days}


def _account_caps(case: Fields) -> Caps:
    """Read the caps that hold from the beginning, beside the events or at whom they are for."""
    for source in (case, case.record("account"), case.record("merchant")):
        caps = _caps(source)
        if caps != Caps(None, None):
            return caps
    return Caps(None, None)


def _caps(case: Fields) -> Caps:
    """Read caps by day and month, beside the events or in an object; a bare amount is a day's."""
    found = case.find("caps", "cap", "limits")
    day: int | None = None
    month: int | None = None
    if isinstance(found, list):
        for record in case.records("caps", "cap", "limits"):
            amount = record.micros("amount", "cap", "limit", "value")
            if record.text("per", "period", "interval", "kind", "type", default="day").startswith("month"):
                month = amount
            else:
                day = amount
    else:
        inner = Fields(found if isinstance(found, dict) else {"day": found}, "input.caps")
        day = inner.optional_micros("day", "daily", "per_day", "day_cap", "daily_cap", "amount")
        month = inner.optional_micros("month", "monthly", "per_month", "month_cap", "monthly_cap")
    if day is None:
        day = case.optional_micros("day_cap", "daily_cap", "cap_per_day", "cap_day")
    if day is None and found is None:
        day = case.optional_micros("cap")  # cap_micro
    if month is None:
        month = case.optional_micros("month_cap", "monthly_cap", "cap_per_month", "cap_month")
    return Caps(day, month)


def _events(case: Fields) -> list[Fields]:
    """Return the events by their numbers, each number once; without numbers as they stand."""
    events = case.records("events")
    if any(event.find("n") is None for event in events):
        return events
    numbered: dict[int, Fields] = {}
    for event in events:
        first = numbered.setdefault(event.whole("n"), event)
        if first.values != event.values:
            event.refuse("n", f"{event.whole('n')} is another event's too")
    return [numbered[number] for number in sorted(numbered)]


def _apply(account: PrepaidAccount, event: Fields, zone_name: str) -> Outcome:
    kind = event.text("type", "kind")
    if kind in {"topup", "top_up", "payment"}:
        return account.topup(event.micros("amount"), event.text("id", default="") or None)
    if kind in {"cap", "set_cap"}:
        account.caps = _caps(event)
        return Outcome.OK
    message_id = event.text("id", "message_id", "message")
    if kind in CAPTURES:
        return account.capture(message_id)
    if kind in RELEASES:
        return account.release(message_id)
    if kind not in {"submit", "accept", "message"}:
        event.refuse("type", f"{kind[:40]!r} is no event of an account")
    text = event.find("text")
    segments = event.whole("segments", default=1 if text is None else segments_of(event.text("text")))
    price = event.micros("unit_price", "price") * segments * event.whole("count", default=1)
    if price < 0:
        event.refuse("unit_price", "is below zero")
    return account.submit(message_id, price, local_date(event.instant("at", zone_name=zone_name), zone_name))


def reconciliation_case(case: Fields) -> dict[str, Any]:
    named = case.find("carrier")
    carrier = Fields({"id": named}, "input.carrier") if isinstance(named, str) else case.record("carrier")
    zone_name = carrier.text(*ZONE_NAMES, default=case.text("carrier_timezone", *ZONE_NAMES, default="UTC"))
    currency = carrier.currency("currency", default=case.text("currency", default="EUR"))
    unit = case.optional_micros("unit_cost", "unit_price", "price")
    month = (
        case.month("month", "period") if case.find("month", "period") else carrier.month("month", "period")
    )
    done = reconcile(
        _traffic(case, unit, zone_name, "ours", "our_messages", "our_rows", "messages", "our"),
        _traffic(
            case,
            unit,
            zone_name,
            "carrier_rows",
            "carrier_messages",
            "carrier_cdrs",
            "cdrs",
            "cdr",
            "theirs",
            "rows",
        ),
        month=month,
        carrier_zone=zone_name,
        tolerance=_tolerance(case),
        invoiced_micros=_invoiced(case),
    )
    return _reconciled(done, currency)


def _traffic(case: Fields, unit: int | None, zone_name: str, *names: str) -> list[TrafficRow]:
    rows = []
    for record in case.records(*names):
        segments = record.whole("segments", "parts", "quantity", default=1)
        cost = record.optional_micros("cost", "amount", "total")
        price = record.optional_micros("unit_cost", "unit_price", "price", "rate")
        if cost is None and (price is not None or unit is not None):
            cost = (unit or 0 if price is None else price) * segments
        message_id = record.text("carrier_message_id", "message_id", "smsc_id", "id")
        at = record.instant(
            "at", "submitted_at", "accepted_at", "sent_at", "time", "timestamp", zone_name=zone_name
        )
        rows.append(TrafficRow(message_id, at, segments, cost))
    return rows


def _tolerance(case: Fields) -> Tolerance:
    found = case.record("tolerance", "tolerances")
    share = found.percent(
        "percent", "relative", "share", "pct", default=case.percent("tolerance_percent", default=0)
    )
    amount = found.optional_micros("amount", "absolute", "fixed", "abs")
    return Tolerance(share, amount if amount is not None else case.micros("tolerance_amount", default=0))


def _invoiced(case: Fields) -> int | None:
    found = case.find(*INVOICED_NAMES)
    if isinstance(found, dict):
        return Fields(found, "input.invoice").micros("amount", "net", "total")
    return case.optional_micros(*INVOICED_NAMES)


def _reconciled(done: Reconciliation, currency: str) -> dict[str, Any]:
    def named(*classes: RowClass) -> list[str]:
        return [row.message_id for row in done.rows if row.row_class in classes]

    return {
        "result": done.verdict.value,
        "matched": done.counts[RowClass.MATCHED],
        "only_ours": named(RowClass.ONLY_OURS),
        "only_carrier": named(RowClass.ONLY_CARRIER),
        "cut_off": named(RowClass.CUT_OFF),
        "duplicates": named(RowClass.DUPLICATE),
        "differing": named(RowClass.PRICE_DIFFERS, RowClass.SEGMENTS_DIFFER),
        "our_cost": amount_text(done.our_micros, currency),
        "invoiced": amount_text(done.invoiced_micros, currency),
        "difference": amount_text(done.difference_micros, currency),
        "tolerance": amount_text(done.allowed_micros, currency),
    }


def amount_text(micros: int, currency: str) -> str:
    """Return an amount in the currency's decimals; exact with six where it is finer than that."""
    scale = micros_per_minor(currency)
    if micros % scale:
        return micros_to_text(micros, 6)
    return minor_to_text(micros // scale, currency)
