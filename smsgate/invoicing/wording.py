"""The words of documents, by language: `wording.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

DEFAULT_LANGUAGE: Final = "en"


@dataclass(frozen=True, slots=True)
class Wording:
    """Texts with {places} are for str.format."""

    decimal_point: str
    invoice: str
    credit_note: str
    prepayment: str
    prepayment_credit: str
    self_billed: str
    number: str
    issued: str
    due: str
    period: str
    seller: str
    buyer: str
    registered: str
    vat_number: str
    item: str
    quantity: str
    pieces: str
    unit_price: str
    net: str
    vat: str
    basis: str
    rate: str
    no_rate: str
    total_net: str
    total_vat: str
    total_gross: str
    paid: str
    advance: str
    to_pay: str
    to_receive: str
    other_vat: str
    credits: str
    month: str
    month_number: str  # of documents without days in words
    payment: str
    payment_terms: str
    nothing_due: str
    deducted: str
    recovery_fee: str
    late_penalty: str
    no_discount: str
    exact: str
    trace: str
    results: str
    campaign: str
    messages: str
    delivered: str
    orders: str
    orders_value: str
    cost: str
    page: str


@cache
def _tables() -> dict[str, Wording]:
    text = files("smsgate.invoicing").joinpath("wording.toml").read_text(encoding="utf-8")
    return {language: Wording(**table) for language, table in tomllib.loads(text).items()}


def wording(language: str) -> Wording:
    """Return the words of a language (ISO 639-1), English for one that has no table."""
    tables = _tables()
    return tables.get(language, tables[DEFAULT_LANGUAGE])
