"""A merchant's subscribers and their consents."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from smsgate.api import consent_texts
from smsgate.api.models import (
    AnswerModel,
    CountryCode,
    ExternalId,
    Instant,
    LanguageCode,
    Line,
    Page,
    PageQuery,
    RequestModel,
    Tag,
    written_as,
)
from smsgate.api.problems import ProblemType
from smsgate.api.routing import Answer, Call, Route
from smsgate.campaigns.consent import ConsentEvent, ConsentState, Purpose
from smsgate.campaigns.places import check_place
from smsgate.errors import Conflict, Invalid
from smsgate.flows.commerce_records import SystemMessage
from smsgate.flows.ports_api import ConsentDraft, ConsentRow, SubscriberChange, SubscriberDraft, SubscriberRow
from smsgate.flows.test_mode import PHONE_CODES, check_phone
from smsgate.msisdn import normalize, region_of
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

TAGS_MAX: Final = 20
FIELDS_MAX: Final = 20
CLOCK_SKEW: Final = timedelta(minutes=5)  # a shop's clock may be ahead of ours by this

FieldName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,29}$"),
    written_as("write 1 to 30 small letters, digits and underscores, a letter first"),
]
FieldValue = Annotated[Line, StringConstraints(max_length=100)]
Region = Annotated[
    str,
    StringConstraints(pattern=r"^([A-Z0-9]{1,3})?$"),
    written_as("write one to three capital letters or digits, such as TX"),
]
Zone = Annotated[str, StringConstraints(max_length=40)]
Written = Annotated[str, StringConstraints(min_length=1, max_length=40)]

PROBLEMS: Final = (
    ProblemType("msisdn_invalid", 422, "Not a mobile number", "Send it with its country: +33 6 39 98 00 01."),
    ProblemType(
        "subscriber_exists", 409, "The number is a subscriber", "`subscriber` in the answer is its id."
    ),
    ProblemType("stop_is_newer", 409, "That consent has ended", "Bring a newer one, after any STOP."),
    ProblemType(
        "consent_missing",
        422,
        "No consent, or no proof of it",
        "Send wording_version, source and occurred_at; offer nothing to who has not agreed.",
    ),
    ProblemType(
        "question_open", 409, "A question waits already", "One question at a time on a number; wait 7 days."
    ),
    ProblemType(
        "suppressed", 409, "The number may not be written to", "The person complained or was erased."
    ),
    ProblemType(
        "basis_not_allowed", 422, "Only a consent allows marketing there", "Ask the person for consent."
    ),
    ProblemType("order_no_sale", 422, "No order that you sold by", "Name an order that stands."),
    ProblemType("place_invalid", 422, "No such region or time zone", "Use ISO 3166-2 and IANA names."),
    ProblemType(
        "occurred_in_future", 422, "The instant is yet to come", "Check the clock and the time zone."
    ),
)


class CreateSubscriber(RequestModel):
    msisdn: Written = Field(description="International, or national together with `country`.")
    external_id: ExternalId | None = None
    country: CountryCode | None = Field(default=None, description="Whose national form `msisdn` is in.")
    language: LanguageCode | None = Field(default=None, description="The merchant's when left out.")
    region: Region = Field(
        default="", description="ISO 3166-2 without the country, by address: TX. For hours."
    )
    timezone: Zone = Field(default="", description="IANA, where you know it: America/Chicago.")
    tags: list[Tag] = Field(default_factory=list, max_length=TAGS_MAX)
    fields: dict[FieldName, FieldValue] = Field(
        default_factory=dict, max_length=FIELDS_MAX, description="Values for an offer's placeholders."
    )


class ChangeSubscriber(RequestModel):
    """What is left out or null stays as it is."""

    external_id: ExternalId | None = None
    language: LanguageCode | None = None
    region: Region | None = None
    timezone: Zone | None = None
    tags: list[Tag] | None = Field(default=None, max_length=TAGS_MAX)
    fields: dict[FieldName, FieldValue] | None = Field(default=None, max_length=FIELDS_MAX)


class Subscriber(AnswerModel):
    id: str
    msisdn: str
    external_id: str | None
    language: str
    country: str
    region: str
    timezone: str
    tags: list[str]
    fields: dict[str, str]
    offers_state: str
    offers_state_at: Instant | None
    consents: dict[str, str] = Field(description="Every purpose with its state.")
    paused_until: Instant | None
    fewer: bool = Field(description="Asked for fewer messages, and gets few until a START.")
    created_at: Instant
    updated_at: Instant


class SubscriberQuery(PageQuery):
    msisdn: str | None = Field(default=None, max_length=40, description="International form.")
    tag: Tag | None = None
    offers_state: ConsentState | None = None


class DoubleOptIn(RequestModel):
    sender: str = Field(
        max_length=20, description="One of your numbers that can receive: a yes to it agrees."
    )


class Welcome(RequestModel):
    sender: str = Field(max_length=20, description="One of your numbers that can receive: a STOP to it ends.")


class SimilarProducts(RequestModel):
    order: str = Field(max_length=64, description="By which the person became your customer.")


class CreateConsent(RequestModel):
    subscriber: str = Field(max_length=64)
    purpose: Purpose = Purpose.OFFERS
    event: Literal["granted", "revoked"]
    wording_version: str = Field(default="", max_length=60, description="Which text the person agreed to.")
    source: Line = Field(description="Where: a form, a till, a telephone call.")
    who: Line | None = Field(default=None, max_length=100, description="Your user, `person`; else the key.")
    occurred_at: Instant
    evidence: dict[FieldName, Annotated[str, StringConstraints(max_length=500)]] = Field(
        default_factory=dict, max_length=FIELDS_MAX
    )
    double_opt_in: DoubleOptIn | None = Field(
        default=None,
        description="Ask the person first: pending until a yes comes from the phone, 7 days at most.",
    )
    similar_products: SimilarProducts | None = Field(
        default=None,
        description="The basis is a sale: wording_version names the text by which the person could object.",
    )

    welcome: Welcome | None = Field(
        default=None,
        description="One text: what was agreed to, how often messages come, how to end it.",
    )

    def basis(self) -> dict[str, str]:
        """Return what evidence says of the sale, where there is one."""
        return {} if self.similar_products is None else {"order": self.similar_products.order}


class Consent(AnswerModel):
    id: str
    subscriber: str
    purpose: str
    event: str
    state_after: str
    wording_version: str
    source: str
    who: str = Field(description="A user or key of yours, `phone`: the person by SMS, `time`, or `carrier`.")
    evidence: dict[str, object]
    basis: Literal["consent", "similar_products"]
    occurred_at: Instant
    recorded_at: Instant


class ConsentQuery(PageQuery):
    subscriber: str | None = Field(default=None, max_length=64)


async def create_subscriber(call: Call) -> Answer:
    body = call.body_as(CreateSubscriber)
    msisdn, phones = _msisdn(body.msisdn, body.country), call.key.phones
    check_phone(int(msisdn), phones)
    country = region_of(msisdn) or "" if phones is None else phones.country
    check_place(country, body.region, body.timezone)
    draft = SubscriberDraft(
        subscriber_id=call.context.ids.next(),
        msisdn=int(msisdn),
        external_id=body.external_id,
        language=body.language,
        country=country,
        tags=tuple(dict.fromkeys(body.tags)),
        fields=body.fields,
        region=body.region,
        timezone=body.timezone,
    )
    try:
        row = await call.context.subscribers.add(call.merchant_id, draft, call.context.clock.now())
    except Conflict as exc:
        known = exc.extra.pop("subscriber_id", None)
        if isinstance(known, int):
            exc.extra["subscriber"] = call.public(Kind.SUBSCRIBER, known)
        raise
    return _subscriber(call, row)


async def get_subscriber(call: Call) -> Answer:
    row = await call.context.subscribers.get(call.merchant_id, call.path_id(Kind.SUBSCRIBER))
    return _subscriber(call, row)


async def list_subscribers(call: Call) -> Answer:
    query = call.query_as(SubscriberQuery)
    page = await call.context.subscribers.list(
        call.merchant_id,
        call.page_ask(Kind.SUBSCRIBER),
        msisdn=None if query.msisdn is None else int(_msisdn(query.msisdn, None)),
        tag=query.tag,
        state=None if query.offers_state is None else query.offers_state.value,
    )
    rows = [_subscriber(call, row) for row in page.rows]
    return call.page_answer(Page[Subscriber], rows, page.has_more)


async def change_subscriber(call: Call) -> Answer:
    body = call.body_as(ChangeSubscriber)
    change = SubscriberChange(
        external_id=body.external_id,
        language=body.language,
        region=body.region,
        timezone=body.timezone,
        tags=None if body.tags is None else tuple(dict.fromkeys(body.tags)),
        fields=body.fields,
    )
    row = await call.context.subscribers.change(
        call.merchant_id, call.path_id(Kind.SUBSCRIBER), change, call.context.clock.now()
    )
    return _subscriber(call, row)


async def create_consent(call: Call) -> Answer:
    """Append to the log; a revocation is in force before the answer leaves."""
    body = call.body_as(CreateConsent)
    context, now = call.context, call.context.clock.now()
    if body.occurred_at > now + CLOCK_SKEW:
        raise Invalid("occurred_at is yet to come.", code="occurred_in_future", pointer="/occurred_at")
    subscriber_id = call.decode(Kind.SUBSCRIBER, body.subscriber)
    granted, key = body.event == "granted", call.key.public_id
    question, welcome, order_id = None, None, _sale(call, body)
    if granted and body.double_opt_in is not None:
        question = await consent_texts.question(call, subscriber_id, body.purpose, body.double_opt_in.sender)
    if body.welcome is not None:
        welcome = await _welcome(call, subscriber_id, body)
    draft = ConsentDraft(
        consent_id=context.ids.next(),
        subscriber_id=subscriber_id,
        purpose=body.purpose,
        granted=granted,
        wording_version=body.wording_version,
        source=body.source,
        evidence=body.evidence | body.basis() | {"who": body.who or key, "key": key},
        occurred_at=body.occurred_at,
        event_id=context.ids.next(),
        event_subject=call.public(Kind.SUBSCRIBER, subscriber_id),
        event_data={"purpose": body.purpose.value, "source": body.source},
        question=question,
        welcome=welcome,
        order_id=order_id,
    )
    row, msisdn = await context.subscribers.consent(call.merchant_id, draft, now)
    if body.purpose is Purpose.OFFERS:
        if row.state_after != ConsentState.SUBSCRIBED:
            context.stops.add(call.merchant_id, msisdn, context.clock.monotonic())
    elif not granted:
        context.stops.add(call.merchant_id, msisdn, context.clock.monotonic(), marketing=False)
    context.wakeups.deliveries()
    if question is not None or welcome is not None:
        context.wakeups.interactive()
    return _consent(call, row)


async def _welcome(call: Call, subscriber_id: int, body: CreateConsent) -> SystemMessage:
    """Return the welcome that would be sent, of a consent that the person is not asked about first."""
    if body.event != "granted" or body.double_opt_in is not None or body.similar_products is not None:
        raise Invalid(
            "A welcome goes with a consent that begins at once; a yes to a question brings its own.",
            pointer="/welcome",
        )
    assert body.welcome is not None
    return await consent_texts.welcome(call, subscriber_id, body.purpose, body.welcome.sender)


def _sale(call: Call, body: CreateConsent) -> int | None:
    """Return the order that is named as the basis, in place of a consent."""
    if body.similar_products is None:
        return None
    if body.event != "granted" or body.purpose is not Purpose.OFFERS or body.double_opt_in is not None:
        raise Invalid(
            "A sale allows offers alone, and is no consent to be asked for or revoked.",
            pointer="/similar_products",
        )
    return call.decode(Kind.ORDER, body.similar_products.order)


async def list_consents(call: Call) -> Answer:
    text = call.query_as(ConsentQuery).subscriber
    page = await call.context.subscribers.consents(
        call.merchant_id,
        call.page_ask(Kind.CONSENT),
        subscriber_id=None if text is None else call.decode(Kind.SUBSCRIBER, text),
    )
    return call.page_answer(Page[Consent], [_consent(call, row) for row in page.rows], page.has_more)


def _msisdn(text: str, country: str | None) -> str:
    try:
        return normalize(text, country)
    except Invalid as exc:
        raise Invalid(str(exc), code=exc.code, pointer="/msisdn") from None


def _subscriber(call: Call, row: SubscriberRow) -> Subscriber:
    return Subscriber(
        id=call.public(Kind.SUBSCRIBER, row.subscriber_id),
        msisdn=f"+{row.msisdn}",
        external_id=row.external_id,
        language=row.language,
        country=row.country,
        region=row.region,
        timezone=row.timezone,
        tags=list(row.tags),
        fields=dict(row.fields),
        offers_state=row.offers_state,
        offers_state_at=row.offers_state_at,
        consents={**dict.fromkeys(Purpose, "none"), **row.other_states, "offers": row.offers_state},
        paused_until=row.paused_until,
        fewer=row.fewer,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _consent(call: Call, row: ConsentRow) -> Consent:
    return Consent(
        id=call.public(Kind.CONSENT, row.consent_id),
        subscriber=call.public(Kind.SUBSCRIBER, row.subscriber_id),
        purpose=row.purpose,
        event=row.event,
        state_after=row.state_after,
        wording_version=row.wording_version,
        source=row.source,
        who=str(row.evidence.get("who", "")),
        evidence=dict(row.evidence),
        basis="similar_products" if row.event == ConsentEvent.SIMILAR_PRODUCTS else "consent",
        occurred_at=row.occurred_at,
        recorded_at=row.recorded_at,
    )


ROUTES: Final = (
    Route("POST", "/v1/subscribers", create_subscriber, "Create a subscriber", Scope.SUBSCRIBERS,
          request=CreateSubscriber, response=Subscriber, status=201,
          errors=("msisdn_invalid", *PHONE_CODES, "subscriber_exists", "place_invalid")),
    Route("GET", "/v1/subscribers", list_subscribers, "List subscribers", Scope.READ,
          query=SubscriberQuery, response=Page[Subscriber], errors=("msisdn_invalid",)),
    Route("GET", "/v1/subscribers/{id}", get_subscriber, "Read a subscriber", Scope.READ,
          response=Subscriber),
    Route("PATCH", "/v1/subscribers/{id}", change_subscriber, "Change a subscriber", Scope.SUBSCRIBERS,
          request=ChangeSubscriber, response=Subscriber, errors=("place_invalid",)),
    Route("POST", "/v1/consents", create_consent, "Append a consent or a revocation", Scope.SUBSCRIBERS,
          request=CreateConsent, response=Consent, status=201,
          errors=("stop_is_newer", "consent_missing", "suppressed", "occurred_in_future", "question_open",
                  "sender_unknown", "sender_not_reply_capable", "basis_not_allowed", "order_no_sale"),
          description="Nothing is sent to the person, but for a double opt-in's question or a welcome. A "
                      "revocation holds before the answer leaves."),
    Route("GET", "/v1/consents", list_consents, "List consents", Scope.READ, query=ConsentQuery,
          response=Page[Consent]),
)  # fmt: skip
