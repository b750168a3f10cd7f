"""Invoices, credit notes and prepayment invoices: lists, contents, files; closes, credits, profiles."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from smsgate.api.document_files import document_of, file_routes, invoicing_in
from smsgate.api.models import AnswerModel, CountryCode, Instant, Line, Page, PageQuery, RequestModel
from smsgate.api.problems import ProblemType
from smsgate.api.routing import Answer, Call, Route
from smsgate.billing.documents import CREDITS, DocumentType
from smsgate.billing.invoices import Party
from smsgate.billing.issuing import PAYMENT_DAYS_MAX
from smsgate.billing.periods import Month
from smsgate.errors import NotFound
from smsgate.flows.billing_records import BillingProfile, DocumentRow
from smsgate.flows.documents import StoredDocument
from smsgate.flows.invoicing import Invoicing
from smsgate.money import micros_to_text, minor_to_text
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

LINES_MAX: Final = 10_000  # of one credit note

PROBLEMS: Final = (
    ProblemType(
        "credit_refused",
        409,
        "Not creditable",
        "Credit lines that exist, and at most what is left and was not given back by message; "
        "a minimum when no month is being closed.",
    ),
    ProblemType(
        "billing_incomplete",
        422,
        "Billing is not set up",
        "Set seller and vat_rates in [billing], and the merchant's billing profile.",
    ),
    ProblemType(
        "document_refused", 409, "No document can say it", "The sentence says what its forms refuse."
    ),
    ProblemType("month_running", 409, "The month is not over", "Wait for its end in the merchant's zone."),
    ProblemType("close_order", 409, "Another month comes first", "Close months in their order."),
    ProblemType("rate_unknown", 422, "No exchange rate", "Set [billing] exchange_rates."),
    ProblemType("vat_refused", 422, "Not served", "Consumers outside France and Monaco are not served."),
    ProblemType("siren_invalid", 422, "SIREN missing", "Set legal_id to the SIREN, legal_scheme to 0002."),
)

Short = Annotated[Line, StringConstraints(max_length=60)]
Code = Annotated[str, StringConstraints(max_length=60, pattern=r"^[A-Za-z0-9 .:/_-]*$")]


class DocumentSummary(AnswerModel):
    """Amounts are decimal text in the document's currency."""

    id: str
    number: str
    month: str
    currency: str
    issued_on: date
    net: str
    vat: str
    gross: str
    paid: str = Field(description="In advance: what an invoice deducts; all of a prepayment invoice.")
    created_at: Instant


class DocumentLine(AnswerModel):
    line: int
    name: str
    note: str
    for_month: str = Field(description="In which the messages were accepted.")
    quantity: int = Field(description="Segments; below zero what is given back.")
    unit_price: str
    vat_category: str
    net: str


class DocumentVat(AnswerModel):
    category: str
    rate: str | None = Field(description="Per cent; null where the category has none.")
    basis: str
    amount: str


class DocumentPrepayment(AnswerModel):
    """A prepayment invoice that an invoice deducts; `vat` stands in `gross`."""

    number: str
    issued_on: date
    gross: str
    vat: str


class DocumentDetail(DocumentSummary):
    due_on: date
    due: str = Field(description="gross - paid")
    seller: str
    buyer: str
    credits: str | None = Field(description="The number of the invoice that a credit note is about.")
    lines: list[DocumentLine]
    vats: list[DocumentVat]
    prepayments: list[DocumentPrepayment]


class CreditLine(RequestModel):
    line: int = Field(ge=1, le=LINES_MAX)
    quantity: int = Field(description="Of the line's segments; below zero for a line that gives back.")


class CreateCreditNote(RequestModel):
    invoice: str = Field(max_length=64)
    lines: list[CreditLine] | None = Field(
        default=None, min_length=1, max_length=LINES_MAX, description="null: all that is left."
    )


class CloseMonth(RequestModel):
    month: str = Field(max_length=7, description="Such as 2026-11, of the merchant's time zone.")


class Documents(AnswerModel):
    data: list[DocumentSummary]


class Profile(RequestModel):
    """Whom documents are written to. What changes holds for documents to come."""

    legal_name: Annotated[Line, StringConstraints(max_length=200)]
    street: Annotated[Line, StringConstraints(max_length=200)]
    postcode: Short
    city: Annotated[Line, StringConstraints(max_length=100)]
    country: CountryCode
    legal_id: Code = Field(default="", description="SIREN in France.")
    legal_scheme: Code = Field(default="0002", description="ISO 6523; 0002 is SIREN.")
    vat_number: Code = ""
    business: bool = Field(description="false: a consumer.")
    einvoicing_id: Code = Field(default="", description="On the e-invoicing network; empty: legal_id.")
    einvoicing_scheme: Code = "0225"
    payment_days: int = Field(default=30, ge=0, le=PAYMENT_DAYS_MAX)


class ProfileAnswer(AnswerModel):
    legal_name: str
    street: str
    postcode: str
    city: str
    country: str
    legal_id: str
    legal_scheme: str
    vat_number: str
    business: bool
    einvoicing_id: str
    einvoicing_scheme: str
    payment_days: int


class ProfileSet(ProfileAnswer):
    vat_category: str = Field(description="S, AE or O: how services are taxed from today on.")
    vat_reason: str


def invoicing(call: Call) -> Invoicing:
    return invoicing_in(call.context)


async def document_page(call: Call, *doc_types: DocumentType) -> Answer:
    page = await invoicing(call).documents.page(
        call.merchant_id, call.page_ask(Kind.DOCUMENT), [doc_type.value for doc_type in doc_types]
    )
    return call.page_answer(
        Page[DocumentSummary], [document_summary(call, row) for row in page.rows], page.has_more
    )


async def list_invoices(call: Call) -> Answer:
    return await document_page(call, DocumentType.INVOICE)


async def list_credit_notes(call: Call) -> Answer:
    return await document_page(call, *CREDITS)


async def list_prepayments(call: Call) -> Answer:
    return await document_page(call, DocumentType.PREPAYMENT)


async def document_detail(call: Call, *doc_types: DocumentType) -> Answer:
    return _detail(call, await document_of(call, *doc_types))


async def get_invoice(call: Call) -> Answer:
    return await document_detail(call, DocumentType.INVOICE)


async def get_credit_note(call: Call) -> Answer:
    return await document_detail(call, *CREDITS)


async def get_prepayment(call: Call) -> Answer:
    return await document_detail(call, DocumentType.PREPAYMENT)


async def create_credit_note(call: Call) -> Answer:
    body = call.body_as(CreateCreditNote)
    documents = invoicing(call).documents
    document = await documents.by_id(call.decode(Kind.DOCUMENT, body.invoice))
    asked = None if body.lines is None else [(line.line, line.quantity) for line in body.lines]
    return document_summary(call, await documents.credit(document, asked))


async def close_month(call: Call) -> Answer:
    month = Month.parse(call.body_as(CloseMonth).month)
    rows = await invoicing(call).closing.close(call.path_id(Kind.MERCHANT), month)
    return Documents(data=[document_summary(call, row) for row in rows])


async def get_profile(call: Call) -> Answer:
    profile = await invoicing(call).documents.profile(call.path_id(Kind.MERCHANT))
    if profile is None:
        raise NotFound("This merchant has no billing profile.")
    return ProfileAnswer(**_profile(profile))


async def set_profile(call: Call) -> Answer:
    body = call.body_as(Profile)
    party = Party(
        body.legal_name, body.street, body.postcode, body.city, body.country, body.legal_id,
        body.legal_scheme, body.vat_number, body.einvoicing_id or body.legal_id, body.einvoicing_scheme,
    )  # fmt: skip
    profile = BillingProfile(party, body.business, body.payment_days)
    decision = await invoicing(call).documents.set_profile(call.path_id(Kind.MERCHANT), profile)
    return ProfileSet(**_profile(profile), vat_category=decision.category, vat_reason=decision.reason)


def _profile(profile: BillingProfile) -> dict[str, object]:
    party = profile.party
    return {
        "legal_name": party.name, "street": party.street, "postcode": party.postcode, "city": party.city,
        "country": party.country, "legal_id": party.legal_id, "legal_scheme": party.legal_scheme,
        "vat_number": party.vat_number, "business": profile.business, "einvoicing_id": party.einvoicing_id,
        "einvoicing_scheme": party.einvoicing_scheme, "payment_days": profile.payment_days,
    }  # fmt: skip


def _summary_fields(call: Call, row: DocumentRow) -> dict[str, object]:
    return {
        "id": call.public(Kind.DOCUMENT, row.document_id),
        "number": row.number,
        "month": str(row.month),
        "currency": row.currency,
        "issued_on": row.issued_on,
        "net": minor_to_text(row.net_minor, row.currency),
        "vat": minor_to_text(row.vat_minor, row.currency),
        "gross": minor_to_text(row.gross_minor, row.currency),
        "paid": minor_to_text(row.paid_minor, row.currency),
        "created_at": row.created_at,
    }


def document_summary(call: Call, row: DocumentRow) -> DocumentSummary:
    return DocumentSummary.model_validate(_summary_fields(call, row))


def _detail(call: Call, document: StoredDocument) -> DocumentDetail:
    invoice = document.invoice
    return DocumentDetail.model_validate({
        **_summary_fields(call, document.row),
        "due_on": invoice.due_on,
        "due": minor_to_text(invoice.due_minor, invoice.currency),
        "seller": invoice.seller.name,
        "buyer": invoice.buyer.name,
        "credits": invoice.preceding_number or None,
        "lines": [
            DocumentLine(
                line=number,
                name=line.name,
                note=line.note,
                for_month=line.origin,
                quantity=line.quantity,
                unit_price=micros_to_text(line.unit_micros),
                vat_category=line.vat_category,
                net=minor_to_text(line.net_minor, invoice.currency),
            )
            for number, line in enumerate(invoice.lines, 1)
        ],
        "vats": [
            DocumentVat(
                category=vat.category,
                rate=None if vat.rate_micros < 0 else micros_to_text(vat.rate_micros, 0),
                basis=minor_to_text(vat.basis_minor, invoice.currency),
                amount=minor_to_text(vat.amount_minor, invoice.currency),
            )
            for vat in invoice.vats
        ],
        "prepayments": [
            DocumentPrepayment(
                number=advance.number,
                issued_on=advance.issued_on,
                gross=minor_to_text(advance.gross_minor, invoice.currency),
                vat=minor_to_text(advance.vat_minor, invoice.currency),
            )
            for advance in invoice.advances
        ],
    })  # fmt: skip


_READ: Final = Scope.BILLING_READ
_OPERATOR: Final = Scope.OPERATOR
_CLOSE_ERRORS: Final = (
    "month_invalid",
    "month_running",
    "close_order",
    "billing_incomplete",
    "rate_unknown",
    "document_refused",
)

ROUTES: Final = (
    Route("GET", "/v1/invoices", list_invoices, "List invoices", _READ,
          query=PageQuery, response=Page[DocumentSummary]),
    *file_routes("/v1/invoices", "invoice", "An invoice", DocumentType.INVOICE),
    Route("GET", "/v1/invoices/{id}", get_invoice, "Read an invoice", _READ, response=DocumentDetail),
    Route("GET", "/v1/credit_notes", list_credit_notes, "List credit notes", _READ,
          query=PageQuery, response=Page[DocumentSummary]),
    *file_routes("/v1/credit_notes", "credit_note", "A credit note", *CREDITS),
    Route("GET", "/v1/credit_notes/{id}", get_credit_note, "Read a credit note", _READ,
          response=DocumentDetail),
    Route("GET", "/v1/prepayments", list_prepayments, "List prepayment invoices", _READ,
          query=PageQuery, response=Page[DocumentSummary]),
    *file_routes("/v1/prepayments", "prepayment", "A prepayment invoice", DocumentType.PREPAYMENT),
    Route("GET", "/v1/prepayments/{id}", get_prepayment, "Read a prepayment invoice", _READ,
          response=DocumentDetail),
    Route("POST", "/v1/credit_notes", create_credit_note, "Credit lines of an invoice", _OPERATOR,
          request=CreateCreditNote, response=DocumentSummary, status=201,
          errors=("credit_refused", "billing_incomplete")),
    Route("POST", "/v1/merchants/{id}/closes", close_month, "Close a month", _OPERATOR,
          request=CloseMonth, response=Documents, errors=_CLOSE_ERRORS),
    Route("GET", "/v1/merchants/{id}/billing_profile", get_profile, "Whom documents are written to",
          _OPERATOR, response=ProfileAnswer),
    Route("PUT", "/v1/merchants/{id}/billing_profile", set_profile, "Say whom documents are written to",
          _OPERATOR, request=Profile, response=ProfileSet, errors=("vat_refused", "siren_invalid")),
)  # fmt: skip
