"""Cases of documents that are there already: credits, payouts, numbers, entries for the auditors."""

from __future__ import annotations

from typing import Any, Final

from smsgate.billing.cases.fields import Fields
from smsgate.billing.cases.invoices import PRICE_DIGITS, rate_text
from smsgate.billing.credit_notes import Credit, Creditable, CreditRefused, OriginalLine
from smsgate.billing.documents import DocumentType
from smsgate.billing.fec import Accounts, BookedDocument, fec_name, fec_rows
from smsgate.billing.numbering import Series
from smsgate.billing.payouts import PremiumUse, payout_of
from smsgate.billing.vat import Vat, VatRow, vat_amount
from smsgate.money import HUNDRED_PERCENT, micros_per_minor, micros_to_text, minor_to_text, round_half_away

STANDARD_RATE: Final = 20 * HUNDRED_PERCENT // 100
CARRIER_SHARE_NAMES: Final = (
    "carrier_percent", "carrier_percentage", "carrier_payout_percent", "carrier_share",
)  # fmt: skip
MERCHANT_SHARE_NAMES: Final = (
    "merchant_percent", "merchant_percentage", "merchant_payout_percent", "merchant_share",
)  # fmt: skip
COMMITS: Final = frozenset({"commit", "committed", "ok", "issue", "issued"})
ROLLBACKS: Final = frozenset({"rollback", "rolled_back", "abort", "aborted", "fail", "failed"})
STEPS: Final = frozenset({"begin", "take", "start", "reserve", "number", "insert"})


def credit_notes_case(case: Fields) -> list[dict[str, Any]]:
    invoice = case.record("invoice", "document")
    currency = case.currency("currency", default=invoice.text("currency", default="EUR"))
    lines = [_original(line, number, currency) for number, line in enumerate(invoice.records("lines"), 1)]
    left = Creditable(currency, lines)
    answers: dict[str, dict[str, Any]] = {}
    shown = []
    for number, request in enumerate(case.records("credits", "requests"), 1):
        name = request.text("request", "id", default=str(number))
        if name not in answers:  # the same request again changes nothing
            answers[name] = _credited(left, request, currency)
        shown.append({"request": request.find("request", "id") or number, **answers[name]})
    return shown


def _original(record: Fields, number: int, currency: str) -> OriginalLine:
    quantity, unit = record.whole("quantity"), record.micros("unit_price", "price")
    net = round_half_away(quantity * unit, micros_per_minor(currency))
    if record.find("net") is not None:
        net = record.minor(currency, "net")
    return OriginalLine(
        record.whole("line", "number", "id", default=number),
        quantity,
        unit,
        net,
        record.vat("S", STANDARD_RATE),
    )


def _credited(left: Creditable, request: Fields, currency: str) -> dict[str, Any]:
    if not request.many("lines", "line"):
        request.refuse("lines", "names no line")
    asked = [
        (line.whole("line", "number"), line.whole("quantity")) for line in request.records("lines", "line")
    ]
    try:
        made = left.credit(asked)
    except CreditRefused as exc:
        return {"accepted": False, "reason": str(exc)}
    return {"accepted": True, **_credit(made, currency)}


def _credit(made: Credit, currency: str) -> dict[str, Any]:
    return {
        "lines": [
            {"line": line.line, "quantity": line.quantity, "net": minor_to_text(line.net_minor, currency)}
            for line in made.lines
        ],
        "net": minor_to_text(made.net_minor, currency),
        "vat": [_vat_row(row, currency) for row in made.vat_rows],
        "gross": minor_to_text(made.gross_minor, currency),
    }


def _vat_row(row: VatRow, currency: str) -> dict[str, Any]:
    return {
        "category": row.vat.category,
        "rate": rate_text(row.vat),
        "basis": minor_to_text(row.basis_minor, currency),
        "amount": minor_to_text(row.amount_minor, currency),
    }


def payout_case(case: Fields) -> dict[str, Any]:
    currency = case.currency("currency", default=case.record("merchant").text("currency", default="EUR"))
    vat = case.find("vat")
    head = Fields(vat, "input.vat") if isinstance(vat, dict) else case
    if len(rates := head.records("rates")) > 1:
        head.refuse("rates", "are several: a payout has one rate")
    head = rates[0] if rates else head
    vat_rate = head.percent("vat_rate", "vat", "rate", default=STANDARD_RATE)
    category = head.text("vat_category", "category", default="S")
    uses = []
    for record in case.records("lines", "short_codes", "codes", "items", "usage"):
        carrier, merchant = (
            (record if record.find(*names) is not None else case).share(*names)
            for names in (CARRIER_SHARE_NAMES, MERCHANT_SHARE_NAMES)
        )
        uses.append(
            PremiumUse(
                record.text("short_code", "code", "id"),
                record.micros("retail_price", "price", "retail"),
                record.percent("vat_rate", "retail_vat_rate", "vat", default=vat_rate),
                carrier,
                merchant,
                record.whole("billed_count", "billed", "count", "quantity"),
            )
        )
    paid = payout_of(uses, currency, Vat(category, vat_rate if category == "S" else 0))
    return {
        "lines": [
            {
                "short_code": line.use.short_code,
                "count": line.use.billed,
                "retail_price": micros_to_text(line.use.retail_micros, PRICE_DIGITS),
                "net": minor_to_text(line.net_minor, currency),
            }
            for line in paid.lines
        ],
        "net": minor_to_text(paid.net_minor, currency),
        "vat": [_vat_row(VatRow(paid.vat, paid.net_minor, paid.vat_minor), currency)],
        "vat_total": minor_to_text(paid.vat_minor, currency),
        "gross": minor_to_text(paid.gross_minor, currency),
    }


def numbering_case(case: Fields) -> dict[str, Any]:
    """Give numbers in the order of commits; a document without a commit has none."""
    series = Series()
    last = case.find("last", "start")
    known = case.find("series")
    if isinstance(known, dict):  # the last number of each
        last, known = known, list(known)
    if isinstance(known, list):
        known = known[0] if known else None
    default = Fields({"series": known}, case.where).text("series", default="F")
    if isinstance(last, dict):
        series.last.update({name: Fields(last, "input.last").whole(name) for name in last})
    elif last is not None:
        series.last[default] = case.whole("last", "start")
    numbers: dict[str, str | None] = {}
    opened: dict[str, str] = {}
    for record in _commit_order(case):
        name = record.text("document", "tx", "transaction", "id", "request", "session", "name")
        step = record.text("op", "action", "type", "event", "outcome", "result", default="commit").lower()
        if step not in COMMITS | ROLLBACKS | STEPS:
            record.refuse("op", f"{step[:40]!r} is no step of a transaction")
        if numbers.setdefault(name, None) is None:
            opened[name] = record.text("series", default=opened.get(name, default))
            if step in COMMITS:
                numbers[name] = series.commit(opened[name])
    return {"numbers": numbers, "last": series.last}


def _commit_order(case: Fields) -> list[Fields]:
    records = case.records(
        "events",
        "steps",
        "operations",
        "transactions",
        "documents",
        "attempts",
        "issues",
        "requests",
        "commits",
    )
    for names in (("n",), ("committed_at", "at"), ("commit_order", "order")):
        if records and all(record.find(*names) is not None for record in records):
            if names == ("committed_at", "at"):
                return sorted(records, key=lambda each: each.instant(*names, zone_name="UTC"))
            return sorted(records, key=lambda each: each.whole(*names))
    return records


def fec_case(case: Fields) -> dict[str, Any]:
    documents = [
        _booked(record, case) for record in case.records("documents", "invoices", "document", "invoice")
    ]
    rows = fec_rows(documents, _accounts(case))
    answer: dict[str, Any] = {}
    if case.find("siren") is not None:
        closing = case.day("closing_date", "closing", "closes_on", "year_end")
        answer["file_name"] = fec_name(case.text("siren"), closing)
    return {**answer, "rows": [row._asdict() for row in rows]}


def _booked(record: Fields, case: Fields) -> BookedDocument:
    currency = record.currency("currency", default=case.text("currency", default="EUR"))
    rows = [_booked_vat(each, currency) for each in record.records("vat", "vat_rows")]
    if not rows and record.find("vat_total", "vat_amount") is not None:
        vat = record.vat("S", STANDARD_RATE)
        rows = [VatRow(vat, 0, record.minor(currency, "vat_total", "vat_amount"))]
    net = record.minor(currency, "net")
    gross = net + sum(row.amount_minor for row in rows)
    if record.find("gross") is not None and record.minor(currency, "gross") != gross:
        record.refuse("gross", "is not net and VAT together")
    customer = record.find("customer", "merchant")
    who = Fields(customer if isinstance(customer, dict) else {"name": customer}, f"{record.where}.customer")
    return BookedDocument(
        number=record.text("number", "piece_ref", "id"),
        doc_type=DocumentType(_doc_type(record)),
        issued_on=record.day("issue_date", "issued_on", "date", "issued_at"),
        currency=currency,
        customer_id=who.text("account", "id", "code", default=record.text("customer_id", default="")),
        customer_name=who.text("name", default=record.text("customer_name", default="")),
        net_minor=net,
        vat_rows=tuple(rows),
        gross_minor=gross,
    )


def _doc_type(record: Fields) -> str:
    word = record.text("doc_type", "type", "kind", default="380").lower()
    if word in {"380", "invoice", "facture"}:
        return "380"
    if word not in {"381", "credit_note", "credit", "avoir"}:
        record.refuse("doc_type", f"{word[:40]!r} is neither 380 nor 381")
    return "381"


def _booked_vat(record: Fields, currency: str) -> VatRow:
    vat = record.vat("S", STANDARD_RATE)
    basis = record.minor(currency, "basis") if record.find("basis") is not None else 0
    if record.find("amount") is None:
        return VatRow(vat, basis, vat_amount(basis, vat))
    return VatRow(vat, basis, record.minor(currency, "amount"))


def _accounts(case: Fields) -> Accounts:
    given, usual = case.record("accounts"), Accounts()

    def pair(name: str, default: tuple[str, str]) -> tuple[str, str]:
        found = given.find(name)
        if isinstance(found, dict):
            record = given.record(name)
            return record.text("number", "account", "code"), record.text("label", "name", default=default[1])
        return given.text(name, default=default[0]), default[1]

    return Accounts(
        pair("journal", usual.journal), pair("customer", usual.customer), pair("sales", usual.sales),
        pair("vat", usual.vat),
    )  # fmt: skip
