"""
A document as it is stored and handed out: one canonical JSON, from which XML and PDF are made again and
again.

Amounts are integers: minor units of the currency, or micros where the name says so. The payload holds
whatever the papers show, so a later change of a name, an address or a price changes no document.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final

from smsgate.billing.documents import DocumentType
from smsgate.billing.numbering import NUMBER_CHARACTERS_MAX
from smsgate.errors import Invalid
from smsgate.money import HUNDRED_PERCENT, micros_per_minor, round_half_away

NUMBER_CHARACTERS: Final = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-+_/"
)  # BR-FR-02


SIREN_SCHEME: Final = "0002"  # of ISO 6523
EDITION: Final = 4  # of what papers say beside the payload: smsgate/invoicing/wording.toml, pdf.py
_DAYS: Final = ("issued_on", "due_on", "first_day", "last_day")


@dataclass(frozen=True, slots=True)
class Party:
    """
    Seller or buyer. `legal_id` is in the register `legal_scheme` (ISO 6523; 0002 is SIREN); "" when there is
    none.

    `einvoicing_id` is the address on the e-invoicing network in `einvoicing_scheme` (0225 is the French one).
    `country_name` is what a paper calls the country, in its own language; empty: by its code.
    """

    name: str
    street: str
    postcode: str
    city: str
    country: str
    legal_id: str = ""
    legal_scheme: str = SIREN_SCHEME
    vat_number: str = ""
    einvoicing_id: str = ""
    einvoicing_scheme: str = "0225"
    country_name: str = ""


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """`origin` is the month of the messages, "2026-10"; quantity below zero gives back."""

    name: str
    note: str
    origin: str
    quantity: int
    unit_micros: int
    net_minor: int
    vat_category: str
    vat_rate_micros: int


@dataclass(frozen=True, slots=True)
class InvoiceVat:
    """`exemption` is a code of the VATEX list, `reason` the words that the law wants beside it."""

    category: str
    rate_micros: int
    basis_minor: int
    amount_minor: int
    exemption: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class InvoiceAdvance:
    """A prepayment invoice (386) that is deducted, or a part of it; `vat_minor` stands in `gross_minor`."""

    number: str
    issued_on: date
    gross_minor: int
    vat_minor: int


@dataclass(frozen=True, slots=True)
class CampaignResult:
    """What a campaign brought, for the page that a merchant likes to read; not part of the e-invoice."""

    name: str
    messages: int
    delivered: int
    orders: int
    orders_minor: int  # in the invoice's currency; orders in others are not added
    cost_minor: int


@dataclass(frozen=True, slots=True)
class Invoice:
    """
    A document, complete.

    `exact_micros` is what the ledger moves, `rounding_micros` that less the net. `preceding` is the number
    and the date of the invoice that a credit note credits, ("", None) elsewhere. `other_currency` and
    `other_vat_minor` tell the VAT in a second currency, ("", 0) without; `other_rate` is how many units of it
    one of `currency` gave, as decimal text, by which the document is booked. `paid_minor` is the sum of
    `advances`, or all of a prepayment invoice. `days_in` is the language that days and months are written in;
    empty: as numbers (2026-10-31), as on documents that were issued before there was any. `edition` tells by
    which words the papers are made (`EDITION`; 0: those of before), so that they stay the same octets.
    """

    number: str
    code: DocumentType
    issued_on: date
    due_on: date
    period: str
    first_day: date
    last_day: date
    currency: str
    language: str
    seller: Party
    buyer: Party
    lines: tuple[InvoiceLine, ...]
    vats: tuple[InvoiceVat, ...]
    net_minor: int
    vat_minor: int
    gross_minor: int
    exact_micros: int
    rounding_micros: int
    paid_minor: int = 0
    iban: str = ""
    preceding_number: str = ""
    preceding_on: date | None = None
    other_currency: str = ""
    other_vat_minor: int = 0
    results: tuple[CampaignResult, ...] = ()
    advances: tuple[InvoiceAdvance, ...] = ()
    other_rate: str = ""
    days_in: str = ""
    edition: int = 0

    @property
    def due_minor(self) -> int:
        return self.gross_minor - self.paid_minor


def check_invoice(invoice: Invoice, *, rests: bool = False) -> None:
    """
    Prove the amounts to the last minor unit, because validators of e-invoices tolerate wrong ones (I7, I8).

    With `rests` a line and a VAT amount may be what earlier credits left of the invoice's (R13, I11).

    Raises:
        Invalid: code `document_wrong`; the sentence names the first amount that does not follow from the
        others.
    """
    scale = micros_per_minor(invoice.currency)
    if (
        not invoice.number
        or len(invoice.number) > NUMBER_CHARACTERS_MAX
        or set(invoice.number) - NUMBER_CHARACTERS
    ):
        raise Invalid(f"{invoice.number!r} is not a number of a document", code="document_wrong")
    bases: dict[tuple[str, int], int] = {}
    for at, line in enumerate(invoice.lines, 1):
        if not rests and line.net_minor != round_half_away(line.quantity * line.unit_micros, scale):
            raise Invalid(f"line {at}: its net is not quantity x price, rounded", code="document_wrong")
        key = (line.vat_category, line.vat_rate_micros)
        bases[key] = bases.get(key, 0) + line.net_minor
    if bases != {(vat.category, vat.rate_micros): vat.basis_minor for vat in invoice.vats}:
        raise Invalid("a VAT basis is not the sum of its lines", code="document_wrong")
    for vat in invoice.vats:
        rate = max(vat.rate_micros, 0)
        if not rests and vat.amount_minor != round_half_away(vat.basis_minor * rate, HUNDRED_PERCENT):
            raise Invalid(
                f"VAT {vat.category}: the amount is not basis x rate, rounded", code="document_wrong"
            )
    sums = (
        ("net", invoice.net_minor, sum(line.net_minor for line in invoice.lines)),
        ("VAT", invoice.vat_minor, sum(vat.amount_minor for vat in invoice.vats)),
        ("gross", invoice.gross_minor, invoice.net_minor + invoice.vat_minor),
        ("rounding", invoice.rounding_micros, invoice.exact_micros - invoice.net_minor * scale),
    )
    for name, told, found in sums:
        if told != found:
            raise Invalid(f"{name} is {told}, the parts make {found}", code="document_wrong")
    _check_paid(invoice)


def _check_paid(invoice: Invoice) -> None:
    advances = sum(advance.gross_minor for advance in invoice.advances)
    if invoice.advances and invoice.paid_minor != advances:
        raise Invalid(f"paid is {invoice.paid_minor}, the advances make {advances}", code="document_wrong")
    if not 0 <= invoice.paid_minor <= max(0, invoice.gross_minor):
        raise Invalid(
            f"{invoice.paid_minor} are paid, {invoice.gross_minor} are asked for", code="document_wrong"
        )


def canonical_json(invoice: Invoice) -> bytes:
    """
    Return the payload: UTF-8, keys sorted, no spaces, integers and texts only.

    Documents without advances, a rate, days in words, an edition, or countries by name, do not speak of them:
    those of before there were any stay what they are.
    """
    told = asdict(invoice)
    places = [(told, name) for name in ("advances", "other_rate", "days_in", "edition")]
    for place, name in [*places, (told["seller"], "country_name"), (told["buyer"], "country_name")]:
        if not place[name]:
            del place[name]
    return json.dumps(
        told, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=date.isoformat
    ).encode()


def invoice_from_json(payload: bytes) -> Invoice:
    """
    Read a payload again.

    Raises:
        Invalid: code `document_wrong`, not a payload of this program.
    """
    try:
        told: dict[str, Any] = json.loads(payload)
        return Invoice(
            **{
                **told,
                "code": DocumentType(told["code"]),
                **{name: date.fromisoformat(told[name]) for name in _DAYS},
                "preceding_on": date.fromisoformat(told["preceding_on"]) if told["preceding_on"] else None,
                "seller": Party(**told["seller"]),
                "buyer": Party(**told["buyer"]),
                "lines": tuple(InvoiceLine(**line) for line in told["lines"]),
                "vats": tuple(InvoiceVat(**vat) for vat in told["vats"]),
                "results": tuple(CampaignResult(**result) for result in told["results"]),
                "advances": tuple(
                    InvoiceAdvance(**{**advance, "issued_on": date.fromisoformat(advance["issued_on"])})
                    for advance in told.get("advances", ())
                ),
            }
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise Invalid(f"this is not the payload of a document: {exc}", code="document_wrong") from exc
