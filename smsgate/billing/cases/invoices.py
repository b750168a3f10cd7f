"""Cases of kind `invoice`: messages become documents, closed in time order, as the daemon closes months."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from smsgate.billing.cases.fields import Fields
from smsgate.billing.cases.messages import Message, read_messages
from smsgate.billing.cases.terms import Terms, read_terms
from smsgate.billing.charging import charged_at
from smsgate.billing.closing import Billed, UsageRow, close_month
from smsgate.billing.currencies import EUR_PER_FRF, Ratio, converted, ratio_from_text
from smsgate.billing.documents import Document, Line, LineKind
from smsgate.billing.periods import Month, local_date, month_of
from smsgate.billing.vat import Vat
from smsgate.errors import Invalid
from smsgate.money import micros_to_text, minor_to_text

if TYPE_CHECKING:
    from smsgate.billing.prices import PriceBook, PriceItem

SECOND_CURRENCY_NAMES: Final = (
    "vat_second_currency", "second_currency", "second_vat_currency", "vat_currency", "tax_currency",
    "accounting_currency", "vat_accounting_currency", "exchange_rates", "exchange_rate",
)  # fmt: skip
DIVISOR_NAMES: Final = ("divide_by", "divisor", "divided_by")
RATE_NAMES: Final = ("rate", "exchange_rate", "factor")
PRICE_DIGITS: Final = 6


class Reckoned(NamedTuple):
    """`refused` are the ids of messages without a price, in order."""

    terms: Terms
    documents: list[Document]
    refused: list[Any]


def invoice_case(case: Fields) -> dict[str, Any]:
    reckoned = reckon(case)
    seconds = second_currencies(case)
    return {
        "invoices": [invoice_answer(document, reckoned.terms, seconds) for document in reckoned.documents],
        "refused": reckoned.refused,
    }


def reckon(case: Fields) -> Reckoned:
    """Rate every message, see when it is charged and given back, and close all months in their order."""
    terms = read_terms(case)
    usage: defaultdict[Month, list[UsageRow]] = defaultdict(list)
    refused: list[Any] = []
    for message in read_messages(case, terms.zone_name):
        book = _book_of(message, terms)
        item = book.lookup(message.accepted_at, message.direction, message.network)
        if item is None:
            refused.append(message.name)
        else:
            for period, row in charges_of(message, item, terms):
                usage[period].append(row)
    billed = Billed()
    documents: list[Document] = []
    for period in sorted({*terms.periods, *usage}):
        documents += close_month(
            period,
            usage[period],
            terms.items,
            billed,
            commitments=terms.commitments,
            vat_history=terms.vat,
        )
    return Reckoned(terms, documents, refused)


def _book_of(message: Message, terms: Terms) -> PriceBook:
    name = message.price_list
    if name is None and len(terms.lists) == 1:
        return next(iter(terms.lists.values()))
    if name is None or name not in terms.lists:
        raise Invalid(f"message {message.name} names no price list of the case", code="case_invalid")
    return terms.lists[name]


def charges_of(message: Message, item: PriceItem, terms: Terms) -> list[tuple[Month, UsageRow]]:
    """Return the charge and its reversals, each with the period that takes it."""
    charged = charged_at(message.direction, item.basis, message.taken_at, message.receipts)
    if charged is None:
        return []
    origin = month_of(message.accepted_at, terms.zone_name)
    vat = terms.vat.on(local_date(message.accepted_at, terms.zone_name))

    def row(messages: int) -> UsageRow:
        return UsageRow(item.item_id, origin, vat, messages * message.segments)

    rows = [(terms.closes.period_of(origin, charged), row(message.messages))]
    left = message.messages
    for reversal in message.reversals:
        back = left if reversal.messages is None else min(reversal.messages, left)
        left -= back
        # Nothing is given back before it was charged: an earlier reversal works from the charge on.
        period = terms.closes.period_of(origin, max(charged, reversal.recorded_at))
        rows.append((period, row(-back)))
    return rows


def invoice_answer(document: Document, terms: Terms, seconds: list[Fields]) -> dict[str, Any]:
    """Return a document as a case shows it, with the case's own names of lists and items."""
    currency = document.currency
    shown = {
        "period": str(document.period),
        "currency": currency,
        "doc_type": document.doc_type.value,
        "lines": [_line(line, currency, terms) for line in document.lines],
        "net": minor_to_text(document.net_minor, currency),
        "vat": [
            {
                "category": row.vat.category,
                "rate": rate_text(row.vat, terms.rate_texts),
                "basis": minor_to_text(row.basis_minor, currency),
                "amount": minor_to_text(row.amount_minor, currency),
            }
            for row in document.vat_rows
        ],
        "vat_total": minor_to_text(document.vat_minor, currency),
        "gross": minor_to_text(document.gross_minor, currency),
        "ledger_exact_micro": document.exact_micros,
        "rounding_difference_micro": document.rounding_micros,
    }
    return shown | _vat_elsewhere(document, seconds)


def _line(line: Line, currency: str, terms: Terms) -> dict[str, Any]:
    stated = line.terms
    usage = stated.kind is LineKind.USAGE
    price_list, item = terms.names[stated.item_id] if usage else (None, None)
    return {
        "kind": stated.kind.value,
        "price_list": price_list,
        "item": item,
        "version": stated.version if usage else None,
        "quantity": line.quantity,
        "unit_price": micros_to_text(stated.unit_micros, PRICE_DIGITS),
        "for_period": str(stated.origin),
        "vat_category": stated.vat.category,
        "vat_rate": rate_text(stated.vat, terms.rate_texts),
        "net": minor_to_text(line.net_minor, currency),
    }


def rate_text(vat: Vat, given: dict[int, str] | None = None) -> str | None:
    """Return a rate as the case wrote it, such as "20" or "5.5"; None when there is none."""
    if not vat.has_rate:
        return None
    return (given or {}).get(vat.rate_micros) or micros_to_text(vat.rate_micros, 0)


def second_currencies(case: Fields) -> list[Fields]:
    """Return what the case says of VAT in other currencies."""
    found: list[Fields] = []
    vat = case.find("vat")
    sources = [case, case.record("merchant"), *([Fields(vat, "input.vat")] if isinstance(vat, dict) else [])]
    for source in sources:
        value = source.find(*SECOND_CURRENCY_NAMES)
        if isinstance(value, dict | list):
            found += source.records(*SECOND_CURRENCY_NAMES)
    return found


def _vat_elsewhere(document: Document, seconds: list[Fields]) -> dict[str, Any]:
    """Return the VAT total in the second currency that the case gives for documents of this one."""
    for second in seconds:
        other = second.currency("currency", "to", "target")
        source = second.text("from", "source", "base", default=document.currency)
        if source == document.currency != other:
            amount = converted(document.vat_minor, source, other, rate_of(second, source, other))
            return {"vat_total_second": {"currency": other, "amount": minor_to_text(amount, other)}}
    return {}


def rate_of(record: Fields, source: str, other: str) -> Ratio:
    """
    Return the units of `other` for one unit of `source`: a factor, or a divisor, which is not inverted.

    Francs have one rate, which need not be given; no other one holds, its rounded inverse least of all (R12).
    """
    by_division = record.find(*DIVISOR_NAMES) is not None
    given = record.find(*DIVISOR_NAMES, *RATE_NAMES) is not None
    names = DIVISOR_NAMES if by_division else RATE_NAMES
    if source == "FRF" and other == "EUR":
        if given and not _is_franc_rate(ratio_from_text(record.text(*names))):
            record.refuse(
                names[0], "of francs is another than 6.55957 to one euro, by which they are divided"
            )
        return EUR_PER_FRF
    rate = ratio_from_text(record.text(*names))
    return rate.inverse if by_division else rate


def _is_franc_rate(rate: Ratio) -> bool:
    return rate.numerator * EUR_PER_FRF.numerator == rate.denominator * EUR_PER_FRF.denominator
