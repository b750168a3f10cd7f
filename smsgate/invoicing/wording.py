"""The words of documents, by language: `wording.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from smsgate.billing.invoices import EDITION

DEFAULT_LANGUAGE: Final = "en"


@dataclass(frozen=True, slots=True)
class Wording:
    """Texts with {places} are for str.format."""

    decimal_point: str
    colon: str  # after a head, with what goes before it
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
    registered: str  # in the register of France (SIREN)
    registered_elsewhere: str
    vat_number: str
    item: str
    quantity: str
    pieces: str
    payout_pieces: str
    unit_price: str
    net: str
    vat: str
    basis: str
    rate: str
    no_rate: str  # in the place of a rate, where no VAT can be
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
def _tables() -> tuple[dict[str, Wording], dict[str, Wording]]:
    """Return the words by language, those of before editions and those of today."""
    text = files("smsgate.invoicing").joinpath("wording.toml").read_text(encoding="utf-8")
    before, today = {}, {}
    for language, table in tomllib.loads(text).items():
        first = table.pop("first")
        before[language], today[language] = Wording(**{**table, **first}), Wording(**table)
    return before, today


def wording(language: str, edition: int = EDITION) -> Wording:
    """Return the words of a language (ISO 639-1) and of `Invoice.edition`; English where it has no table."""
    tables = _tables()[edition]
    return tables.get(language, tables[DEFAULT_LANGUAGE])
