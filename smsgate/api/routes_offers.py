"""Offers: what is sold by SMS, frozen with its text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from smsgate.api.commerce import commerce, minor_from_text
from smsgate.api.models import (
    Amount,
    AnswerModel,
    CountryCode,
    CurrencyCode,
    ExternalId,
    Instant,
    LanguageCode,
    Line,
    Page,
    PageQuery,
    RequestModel,
)
from smsgate.api.order_terms import CancelWindow, ConfirmBySms, ShopAnswer
from smsgate.api.problems import ProblemType
from smsgate.api.routes_prices import check_known_currency
from smsgate.api.routing import Answer, Call, Route
from smsgate.api.text_choices import PricedChoice, ReplacementAnswer, as_priced_choices, as_replacements
from smsgate.api.tlvs import TLV_PROBLEM, ShownTlv, TlvsOfText, shown_tlvs, tlvs_of
from smsgate.campaigns.offer_states import OfferState
from smsgate.campaigns.offers import QUANTITY_MAX, Finding
from smsgate.campaigns.orders import USUAL_TERMS, OrderTerms
from smsgate.errors import Invalid
from smsgate.flows.offer_records import OfferDraft, OfferRecord
from smsgate.flows.offers import NAME_CHARACTERS_MAX, STOCK_MAX
from smsgate.flows.text_choices import text_choices
from smsgate.money import minor_to_text
from smsgate.protocol.replacements import replace_for_segment
from smsgate.protocol.segmentation import measure
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

OfferText = Annotated[str, StringConstraints(min_length=1, max_length=1600)]
Sender = Annotated[str, StringConstraints(min_length=1, max_length=20)]
Name = Annotated[Line, StringConstraints(max_length=NAME_CHARACTERS_MAX)]

# What the linter says of text and senders: of an offer, and again when a campaign begins.
LINT_ERRORS: Final = (
    "text_too_long",
    "charset_ucs2",
    "mandatory_info_missing",
    "withdrawal_mismatch",
    "sender_not_reply_capable",
    "sender_not_allowed",
    "sender_unknown",
    "tlv_not_allowed",
)
OFFER_ERRORS: Final = (
    *LINT_ERRORS,
    "expires_at_invalid",
    "external_id_taken",
    "currency_unknown",
    "amount_invalid",
    "field_unknown",
)

SENDER_POOL_MAX: Final = 10  # more open offers at once is more than a person answers

PROBLEMS: Final = (
    ProblemType(
        "text_too_long",
        422,
        "The text is too long",
        "An offer has 160 septets, a transactional message eight segments.",
    ),
    ProblemType(
        "charset_ucs2",
        422,
        "Characters that would cost 16 bits each",
        "`errors[].what` names the characters, `errors[].detail` what to write instead.",
    ),
    ProblemType(
        "mandatory_info_missing",
        422,
        "The text lacks what the law asks",
        "`errors[].what` names what is missing: identity, item, price, ok_meaning, withdrawal, stop.",
    ),
    ProblemType(
        "withdrawal_mismatch",
        422,
        "The text contradicts the right of withdrawal",
        "Text and `withdrawal` must say the same, and no fewer days than the law gives.",
    ),
    ProblemType(
        "sender_not_reply_capable", 422, "Nobody can answer this sender", "Use a short code that receives."
    ),
    ProblemType(
        "sender_not_allowed",
        422,
        "This country refuses this sender",
        "Use a short code for marketing; `detail` says which rule it is, and whether it is certain.",
    ),
    ProblemType("sender_unknown", 422, "Not one of your sender numbers", "Ask the operator for one."),
    ProblemType("expires_at_invalid", 422, "Too short or too long a life", "30 minutes to 366 days ahead."),
    ProblemType("external_id_taken", 409, "The external_id exists already", "Read the object that has it."),
    ProblemType("currency_unknown", 422, "Currency unknown", "Currencies are codes of ISO 4217."),
    ProblemType("amount_invalid", 422, "Not an amount of this currency", "Write it as decimal text: 19.90."),
    TLV_PROBLEM,
    ProblemType("field_unknown", 422, "Too many places in the text", "A text has at most 20 {fields}."),
)


class CreateOffer(RequestModel):
    text: OfferText = Field(description="One GSM segment; {field} is filled from the subscriber's fields.")
    item: Name
    price: Amount = Field(description="Total price of one piece, taxes and delivery included.")
    sender: Sender
    sender_pool: list[Sender] = Field(
        default_factory=list,
        max_length=SENDER_POOL_MAX,
        description="Other numbers of yours, tried in order where another offer waits for an answer.",
    )
    tlvs: TlvsOfText = Field(default_factory=list)
    expires_at: Instant | None = Field(default=None, description="This, or expires_in_s.")
    expires_in_s: int | None = Field(
        default=None, ge=1, le=366 * 86_400, description="From now: at least 1,800, at most 366 days."
    )
    currency: CurrencyCode | None = Field(default=None, description="The merchant's own when left out.")
    shop_name: Name | None = None
    language: LanguageCode | None = None
    country: CountryCode | None = None
    quantity_max: int = Field(default=1, ge=1, le=QUANTITY_MAX)
    stock: int | None = Field(default=None, ge=1, le=STOCK_MAX, description="Left out: not counted here.")
    ask_above: Amount | None = Field(
        default=None,
        description="An order of a larger total is asked about once more before it is placed.",
    )
    withdrawal: bool = Field(
        default=True,
        description="The buyer may withdraw; false for what the law excepts, such as perishable goods.",
    )
    cancel_window_s: CancelWindow = USUAL_TERMS.cancel_window_s
    shop_answer_s: ShopAnswer = USUAL_TERMS.shop_answer_s
    confirm_by_sms: ConfirmBySms = False
    external_id: ExternalId | None = None
    replace: bool = Field(
        default=False,
        description="Replace what keeps the text from one segment; the answer names each replacement.",
    )


class Offer(AnswerModel):
    id: str
    external_id: str | None
    version: int
    state: OfferState = Field(
        description="sold_out and expired may be live again: by pieces that come back, by a new version."
    )
    text: str
    septets: int
    shop_name: str
    item: str
    price: str
    currency: str
    quantity_max: int
    stock: int | None = Field(description="Pieces in all, sold ones included; null: not counted.")
    stock_remaining: int | None
    ask_above: str | None
    withdrawal: bool
    cancel_window_s: int
    shop_answer_s: int
    confirm_by_sms: bool
    language: str
    country: str
    sender: str
    sender_pool: list[str]
    tlvs: list[ShownTlv]
    expires_at: datetime
    created_at: datetime
    replacements: list[ReplacementAnswer] | None = Field(
        description="What `replace` changed; only in the answer to the request that asked for it."
    )


class FindingAnswer(AnswerModel):
    code: str
    what: str
    detail: str
    source: str
    pointer: str
    country: str | None = Field(description="Of the recipients whose rule it is; null: the offer's own.")


class OfferCheck(AnswerModel):
    ok: bool = Field(description="It would be stored as it stands.")
    findings: list[FindingAnswer]
    replacements: list[ReplacementAnswer] = Field(description="What `replace` would change.")
    replaced_text: str
    not_replaceable: list[str] = Field(description="Characters that nothing can stand for.")
    currency: str = Field(description="Of the alternatives' costs.")
    alternatives: list[PricedChoice] = Field(description="Every way to write the text, with its price.")


class OfferQuery(PageQuery):
    external_id: str | None = Field(default=None, max_length=100)


async def create_offer(call: Call) -> Answer:
    draft = await offer_draft(call, call.body_as(CreateOffer))
    return as_offer(call, await commerce(call).offers.create(call.merchant_id, draft))


async def check_offer(call: Call) -> Answer:
    """Say what would keep an offer from being stored, what could be replaced, and what each way costs."""
    use_cases = commerce(call)
    draft = await offer_draft(call, call.body_as(CreateOffer))
    offer, findings = await use_cases.offers.findings(call.merchant_id, draft)
    alphabets = use_cases.offers.alphabets(draft.sender)
    replaced = replace_for_segment(draft.text, alphabets)
    currency, prices = await use_cases.campaigns.segment_price(call.merchant_id, offer.country)
    return OfferCheck(
        ok=not findings,
        findings=as_findings(findings),
        replacements=as_replacements(replaced.replacements),
        replaced_text=replaced.text,
        not_replaceable=list(replaced.left),
        currency=currency,
        alternatives=as_priced_choices(text_choices(draft.text, alphabets, prices)),
    )


def as_findings(findings: Sequence[Finding]) -> list[FindingAnswer]:
    return [
        FindingAnswer(
            code=finding.code,
            what=finding.what,
            detail=finding.message,
            source=finding.source,
            pointer=finding.pointer,
            country=finding.country or None,
        )
        for finding in findings
    ]


async def offer_draft(call: Call, body: CreateOffer, pointer: str = "") -> OfferDraft:
    """Return what `body` asks for; `pointer` leads to it when it is a part of another request."""
    if (body.expires_at is None) == (body.expires_in_s is None):
        raise Invalid(
            "give either expires_at or expires_in_s",
            code="expires_at_invalid",
            pointer=f"{pointer}/expires_at",
        )
    expires_at = body.expires_at or call.context.clock.now() + timedelta(seconds=body.expires_in_s or 0)
    currency = body.currency or (await call.context.merchants.get(call.merchant_id)).currency
    check_known_currency(currency, f"{pointer}/currency")
    return OfferDraft(
        text=body.text,
        item=body.item,
        unit_price_minor=minor_from_text(body.price, currency, f"{pointer}/price"),
        sender=body.sender,
        sender_pool=tuple(body.sender_pool),
        tlvs=tlvs_of(body.tlvs, pointer),
        expires_at=expires_at,
        currency=currency,
        shop_name=body.shop_name,
        language=body.language,
        country=body.country,
        quantity_max=body.quantity_max,
        stock=body.stock,
        ask_above_minor=None
        if body.ask_above is None
        else minor_from_text(body.ask_above, currency, f"{pointer}/ask_above"),
        withdrawal=body.withdrawal,
        terms=OrderTerms(body.cancel_window_s, body.shop_answer_s, body.confirm_by_sms),
        external_id=body.external_id,
        replace=body.replace,
    )


async def get_offer(call: Call) -> Answer:
    return as_offer(call, await commerce(call).offers.get(call.merchant_id, call.path_id(Kind.OFFER)))


async def list_offers(call: Call) -> Answer:
    query = call.query_as(OfferQuery)
    page = await commerce(call).offers.page(call.merchant_id, call.page_ask(Kind.OFFER), query.external_id)
    return call.page_answer(Page[Offer], [as_offer(call, row) for row in page.rows], page.has_more)


def as_offer(call: Call, record: OfferRecord) -> Offer:
    offer = record.offer
    return Offer(
        id=call.public(Kind.OFFER, offer.offer_id),
        external_id=record.external_id,
        version=offer.version,
        state=record.state_at(call.context.clock.now()),
        text=offer.text,
        septets=measure(offer.text).units,
        shop_name=offer.shop_name,
        item=offer.item,
        price=minor_to_text(offer.unit_price_minor, offer.currency),
        currency=offer.currency,
        quantity_max=offer.quantity_max,
        stock=record.stock,
        stock_remaining=record.stock_remaining,
        ask_above=None
        if offer.ask_above_minor is None
        else minor_to_text(offer.ask_above_minor, offer.currency),
        withdrawal=offer.withdrawal,
        cancel_window_s=offer.terms.cancel_window_s,
        shop_answer_s=offer.terms.shop_answer_s,
        confirm_by_sms=offer.terms.confirm_by_sms,
        language=offer.language,
        country=offer.country,
        sender=offer.sender,
        sender_pool=list(offer.sender_pool),
        tlvs=shown_tlvs(offer.tlvs),
        expires_at=offer.expires_at,
        created_at=record.created_at,
        replacements=as_replacements(record.replacements) or None,
    )


ROUTES: Final = (
    Route(
        "POST",
        "/v1/offers",
        create_offer,
        "Create an offer",
        Scope.SEND,
        request=CreateOffer,
        response=Offer,
        status=201,
        errors=OFFER_ERRORS,
    ),
    Route(
        "POST",
        "/v1/offers/check",
        check_offer,
        "Check an offer without storing it",
        Scope.READ,
        request=CreateOffer,
        response=OfferCheck,
        errors=("expires_at_invalid", "currency_unknown", "amount_invalid"),
    ),
    Route(
        "GET", "/v1/offers", list_offers, "List offers", Scope.READ, query=OfferQuery, response=Page[Offer]
    ),
    Route("GET", "/v1/offers/{id}", get_offer, "Read an offer", Scope.READ, response=Offer),
)
