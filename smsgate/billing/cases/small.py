"""Cases of single rules: CSV, VAT category, other currencies, segments."""

from __future__ import annotations

from typing import Any, Final

from smsgate.billing.cases.documents import STANDARD_RATE
from smsgate.billing.cases.fields import Fields
from smsgate.billing.cases.invoices import DIVISOR_NAMES, RATE_NAMES, rate_of
from smsgate.billing.csv_text import csv_table
from smsgate.billing.currencies import converted
from smsgate.billing.segments import segments_of
from smsgate.billing.vat import category_of
from smsgate.errors import Invalid
from smsgate.money import micros_per_minor, micros_to_text, minor_to_text, round_half_away

CUSTOMER_NAMES: Final = ("customers", "cases", "merchants", "customer", "buyers", "buyer", "parties")


def csv_case(case: Fields) -> dict[str, Any]:
    columns = [_cell(name, case) for name in case.many("columns", "header")]
    rows = [_row(row, columns, case) for row in case.many("rows")]
    text_columns = [_cell(name, case) for name in case.many("text_columns")]
    return {"utf8_text": csv_table(columns, text_columns, rows)}


def _row(row: object, columns: list[str], case: Fields) -> list[str]:
    if isinstance(row, dict):
        row = [row.get(name, "") for name in columns]
    if not isinstance(row, list):
        case.refuse("rows", "has a row that is no list")
    return [_cell(cell, case) for cell in row]


def _cell(cell: object, case: Fields) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool) or not isinstance(cell, str | int):
        case.refuse("rows", "has a cell that is neither text nor number")
    return str(cell)


def vat_category_case(case: Fields) -> Any:
    """Answer for each customer, or for the one that the input is."""
    rate = case.text("rate", "vat_rate", "standard_rate", default=micros_to_text(STANDARD_RATE, 0))
    if case.find(*CUSTOMER_NAMES) is None:
        return _category(case, rate)
    answers = []
    for number, customer in enumerate(case.records(*CUSTOMER_NAMES), 1):
        name = next((name for name in ("id", "customer", "name", "request") if name in customer.values), "id")
        answers.append({name: customer.values.get(name, number), **_category(customer, rate)})
    return answers


def _category(customer: Fields, rate: str) -> dict[str, Any]:
    kind = customer.text("type", "kind", "customer_type", default="")
    if customer.flag("consumer", "is_consumer", "private"):
        kind = "consumer"
    business = customer.flag(
        "business", "is_business", default=kind.lower() in {"", "business", "b2b", "company"}
    )
    valid = customer.flag(
        "vat_number_valid", "vat_id_valid", "vat_valid", "valid", "vat_number_status", "vies"
    )
    try:
        decided = category_of(customer.text("country").upper(), business=business, number_valid=valid)
    except Invalid as exc:
        if exc.code != "vat_refused":
            raise
        return {"accepted": False, "reason": str(exc)}
    rates = {"S": rate, "AE": "0", "O": None}
    return {
        "accepted": True,
        "category": decided.category,
        "rate": rates[decided.category],
        "exemption": decided.exemption or None,
    }


def conversion_case(case: Fields) -> Any:
    """Convert amounts: francs to euros where nothing else is said, else by the rate that is given."""
    values = case.many("conversions", "amounts", "items")
    if not values:
        return {"amount": _converted(case, case)}
    answers = []
    for number, value in enumerate(values):
        record = Fields(value if isinstance(value, dict) else {"amount": value}, f"input.amounts[{number}]")
        name = {"id": record.find("id")} if record.find("id") is not None else {}
        answers.append({**name, "amount": _converted(record, case)})
    return answers


def _converted(record: Fields, case: Fields) -> str:
    source = record.currency("from", "currency", "source", default=case.text("from", "source", default="FRF"))
    other = record.currency("to", "target", default=case.text("to", "target", default="EUR"))
    amount = record.micros("amount", "value", "vat_total", "francs", f"amount_{source.lower()}")
    given = next((each for each in (record, case) if each.find(*DIVISOR_NAMES, *RATE_NAMES)), record)
    rate = rate_of(given, source, other)
    if amount % micros_per_minor(source) == 0:
        return minor_to_text(converted(amount // micros_per_minor(source), source, other, rate), other)
    scale = rate.denominator * micros_per_minor(other)
    return minor_to_text(round_half_away(amount * rate.numerator, scale), other)


def segments_case(case: Fields) -> list[dict[str, Any]]:
    answers = []
    for number, value in enumerate(case.many("texts", "messages", "text"), 1):
        record = Fields(value if isinstance(value, dict) else {"text": value}, f"input.texts[{number - 1}]")
        answers.append(
            {"id": record.find("id") or number, "segments": segments_of(record.text("text", default=""))}
        )
    return answers
