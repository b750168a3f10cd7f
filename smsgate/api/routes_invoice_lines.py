"""An invoice's line down to its messages."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from smsgate.api.document_files import document_of, invoicing_in
from smsgate.api.models import AnswerModel, Instant, Page, PageQuery
from smsgate.api.problems import ProblemType
from smsgate.api.routing import Answer, Call, Route, missing
from smsgate.billing.documents import DocumentType
from smsgate.billing.prices import Direction
from smsgate.flows.documents import StoredDocument
from smsgate.flows.line_messages import LineOfMessages
from smsgate.money import micros_to_text
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

PROBLEMS: Final[tuple[ProblemType, ...]] = ()


class BilledOn(AnswerModel):
    invoice: str = Field(description="Its number.")
    segments: int


class InvoiceLine(AnswerModel):
    """
    What is charged at a line's price in its month: all that is billed, and what is not yet.

    Steps of prices by quantity share their messages, and so do lines of what came late.
    """

    line: int
    price_item: str
    direction: str
    for_month: str
    quantity: int = Field(description="Segments on this line.")
    segments: int = Field(description="Of all messages of this price and month that are charged.")
    billed: list[BilledOn]
    not_billed: int


class LineMessage(AnswerModel):
    id: str = Field(description="Of the message, or of the reply.")
    accepted_at: Instant
    parts: int
    segments: int
    amount: str


async def _line(call: Call) -> tuple[StoredDocument, int, LineOfMessages]:
    document = await document_of(call, DocumentType.INVOICE)
    text = call.path_text("line")
    if not (text.isascii() and text.isdecimal() and len(text) <= 6):
        raise missing()
    number = int(text)
    return document, number, await invoicing_in(call.context).lines.line(document, number)


async def get_invoice_line(call: Call) -> Answer:
    _document, number, line = await _line(call)
    terms = line.line.terms
    return InvoiceLine(
        line=number,
        price_item=call.public(Kind.PRICE_ITEM, terms.item_id),
        direction=line.item.direction,
        for_month=str(terms.origin),
        quantity=line.line.quantity,
        segments=line.charged,
        billed=[BilledOn(invoice=name, segments=count) for name, count in line.billed.items()],
        not_billed=line.not_billed,
    )


async def list_line_messages(call: Call) -> Answer:
    document, _number, line = await _line(call)
    kind = Kind.INBOUND_MESSAGE if line.item.direction == Direction.MO.value else Kind.MESSAGE
    page = await invoicing_in(call.context).lines.messages(document, line, call.page_ask(kind))
    data = [
        LineMessage(
            id=call.public(kind, row.id_),
            accepted_at=row.accepted_at,
            parts=row.parts,
            segments=row.segments,
            amount=micros_to_text(row.micros),
        )
        for row in page.rows
    ]
    return call.page_answer(Page[LineMessage], data, page.has_more)


ROUTES: Final = (
    Route("GET", "/v1/invoices/{id}/lines/{line}", get_invoice_line, "What a line of an invoice counts",
          Scope.BILLING_READ, response=InvoiceLine),
    Route("GET", "/v1/invoices/{id}/lines/{line}/messages", list_line_messages, "List a line's messages",
          Scope.BILLING_READ, query=PageQuery, response=Page[LineMessage]),
)  # fmt: skip
