"""The words of documents, by language: `wording.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Final

from smsgate.billing.invoices import EDITION

DEFAULT_LANGUAGE: Final = "en"
OLDER: Final = (
    "first",
    "second",
    "third",
    "fourth",
)  # editions 0, 1, ...: the tables of what each said otherwise than the next


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
    credit_due: str  # the same of a credit note; empty: no such head
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
    credit_terms: str  # in their place, of a credit note
    nothing_due: str
    deducted: str
    recovery_fee: str
    late_penalty: str
    no_discount: str
    not_owed: str  # of a credit note, in the place of these three; empty: it has them, too
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
    not_shown: str  # of letters that the page has no glyphs for


@cache
def _tables() -> tuple[dict[str, Wording], ...]:
    """Return the words by language, of each edition in its place."""
    text = files("smsgate.invoicing").joinpath("wording.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    older = [{language: table.pop(name, {}) for language, table in tables.items()} for name in OLDER]
    editions = [{language: Wording(**table) for language, table in tables.items()}]
    for changes in reversed(older):
        newer = editions[0]
        editions.insert(0, {language: replace(newer[language], **changes[language]) for language in newer})
    return tuple(editions)


def wording(language: str, edition: int = EDITION) -> Wording:
    """Return the words of a language (ISO 639-1) and of `Invoice.edition`; English where it has no table."""
    tables = _tables()[edition]
    return tables.get(language, tables[DEFAULT_LANGUAGE])
