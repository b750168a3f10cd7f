"""The operator's routes: merchants and their keys."""

from __future__ import annotations

from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints

from smsgate.api.app_keys import AUTHENTICATOR
from smsgate.api.models import (
    AnswerModel,
    CountryCode,
    CurrencyCode,
    Instant,
    LanguageCode,
    Line,
    Page,
    PageQuery,
    RequestModel,
    written_as,
)
from smsgate.api.problems import ProblemType
from smsgate.api.routes_prices import check_sold_currency
from smsgate.api.routing import Answer, Call, Route
from smsgate.campaigns.shares import WEIGHT_MAX
from smsgate.campaigns.texts import FIELD_CHARACTERS_MAX
from smsgate.errors import Invalid
from smsgate.flows.api_keys import AskedKey, add_key
from smsgate.flows.ports_api import (
    MerchantChange,
    MerchantDraft,
    MerchantRow,
    Principal,
)
from smsgate.security.api_keys import MERCHANT_SCOPES, Mode, Scope
from smsgate.security.public_ids import Kind

PROBLEMS: Final = (
    ProblemType("name_taken", 409, "The name is taken", "Choose another, or use the object that has it."),
    ProblemType("keys_of_name_max", 409, "Enough keys of this name", "Revoke one of them first."),
    ProblemType("currency_unknown", 422, "Currency unknown", "Currencies are codes of ISO 4217."),
    ProblemType("price_list_side", 409, "The list holds costs", "Give the merchant a list of side `sell`."),
    ProblemType(
        "price_list_currency", 409, "Other currency than the merchant's", "Use a list in its currency."
    ),
)


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found, or no file name at all
        raise ValueError("no time zone of the IANA database") from None
    return name


Slug = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,39}$"),
    written_as("write 2 to 40 small letters, digits and dashes, a letter first"),
]
TimeZone = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,50}$"),
    written_as("write a name of the IANA database: Europe/Paris"),
    AfterValidator(_timezone),
]


MerchantName = Annotated[Line, StringConstraints(max_length=60)]


# As long as every text has room for; what is longer could not be told to anybody who asks.
Contact = Annotated[str, StringConstraints(max_length=FIELD_CHARACTERS_MAX["contact"])]


class CreateMerchant(RequestModel):
    name: MerchantName = Field(description="As buyers know it.")
    slug: Slug = Field(description="The operator's handle, unique.")
    country: CountryCode
    language: LanguageCode
    timezone: TimeZone
    currency: CurrencyCode
    contact: Contact = Field(default="", description="What CONTACT by SMS is answered with.")


class ChangeMerchant(RequestModel):
    """What is left out or null stays as it is."""

    name: MerchantName | None = None
    contact: Contact | None = None
    state: Literal["active", "suspended"] | None = Field(
        default=None, description="`suspended`: its keys are refused with `merchant_suspended`."
    )
    sending_weight: int | None = Field(
        default=None,
        ge=1,
        le=WEIGHT_MAX,
        description="Its share, in messages, where several merchants send by one carrier; 1 at first.",
    )


class Merchant(AnswerModel):
    id: str
    name: str
    slug: str
    country: str
    language: str
    timezone: str
    currency: str
    contact: str
    price_list: str | None
    state: str
    sending_weight: int
    offers_wait_since: Instant | None = Field(
        description="No endpoint of its shop takes orders since: its offers wait. null: they do not."
    )
    created_at: Instant


class CreateApiKey(RequestModel):
    name: Line
    mode: Mode = Field(
        default=Mode.LIVE, strict=False, description="A test key has data of its own and simulated phones."
    )
    scopes: list[str] = Field(min_length=1, max_length=len(MERCHANT_SCOPES))
    expires_at: Instant | None = None


class ApiKey(AnswerModel):
    id: str
    public_id: str = Field(description="The part of the key that may be shown.")
    name: str
    mode: str
    scopes: list[str]
    created_at: Instant
    expires_at: Instant | None
    revoked_at: Instant | None
    last_used_at: Instant | None


class NewApiKey(ApiKey):
    key: str = Field(description="Shown this once.")


class SetPriceList(RequestModel):
    price_list: str = Field(max_length=64)


# ---------------------------------------------------------------------- merchants and keys


async def create_merchant(call: Call) -> Answer:
    body = call.body_as(CreateMerchant)
    check_sold_currency(body.currency)
    draft = MerchantDraft(
        merchant_id=call.context.ids.next(),
        name=body.name,
        slug=body.slug,
        country=body.country,
        language=body.language,
        timezone=body.timezone,
        currency=body.currency,
        contact=body.contact,
    )
    return _merchant(call, await call.context.merchants.add(draft))


async def list_merchants(call: Call) -> Answer:
    page = await call.context.merchants.list(call.page_ask(Kind.MERCHANT))
    return call.page_answer(Page[Merchant], [_merchant(call, row) for row in page.rows], page.has_more)


async def get_merchant(call: Call) -> Answer:
    return _merchant(call, await call.context.merchants.operated(call.path_id(Kind.MERCHANT)))


async def change_merchant(call: Call) -> Answer:
    body = call.body_as(ChangeMerchant)
    change = MerchantChange(
        name=body.name, contact=body.contact, state=body.state, sending_weight=body.sending_weight
    )
    row = await call.context.merchants.change(call.path_id(Kind.MERCHANT), change)
    if body.state is not None:
        call.request.app[AUTHENTICATOR].forget_all()  # its keys; the others are looked up once more
    return _merchant(call, row)


async def set_price_list(call: Call) -> Answer:
    price_list_id = call.decode(Kind.PRICE_LIST, call.body_as(SetPriceList).price_list)
    return _merchant(
        call, await call.context.merchants.set_price_list(call.path_id(Kind.MERCHANT), price_list_id)
    )


async def create_api_key(call: Call) -> Answer:
    body = call.body_as(CreateApiKey)
    context = call.context
    if unknown := sorted(set(body.scopes) - {scope.value for scope in MERCHANT_SCOPES}):
        known = ", ".join(sorted(MERCHANT_SCOPES))
        raise Invalid(f"{', '.join(unknown)[:100]}: a merchant's key may have {known}.", pointer="/scopes")
    if body.expires_at is not None and body.expires_at <= context.clock.now():
        raise Invalid("expires_at is past.", pointer="/expires_at")
    asked = AskedKey(call.path_id(Kind.MERCHANT), body.name, body.mode, body.scopes, body.expires_at)
    row, text = await add_key(context.api_keys, context.ids, context.clock, context.key_mac_key, asked)
    return NewApiKey(**_key(call, row).model_dump(), key=text)


async def list_api_keys(call: Call) -> Answer:
    page = await call.context.api_keys.list(call.path_id(Kind.MERCHANT), call.page_ask(Kind.API_KEY))
    return call.page_answer(Page[ApiKey], [_key(call, row) for row in page.rows], page.has_more)


async def revoke_api_key(call: Call) -> Answer:
    row = await call.context.api_keys.revoke(call.path_id(Kind.API_KEY), call.context.clock.now())
    call.request.app[AUTHENTICATOR].forget(row.public_id)
    return _key(call, row)


# ---------------------------------------------------------------------- rows to answers


def _merchant(call: Call, row: MerchantRow) -> Merchant:
    price_list = None if row.price_list_id is None else call.public(Kind.PRICE_LIST, row.price_list_id)
    return Merchant(
        id=call.public(Kind.MERCHANT, row.merchant_id),
        name=row.name,
        slug=row.slug,
        country=row.country,
        language=row.language,
        timezone=row.timezone,
        currency=row.currency,
        contact=row.contact,
        price_list=price_list,
        state=row.state,
        sending_weight=row.sending_weight,
        offers_wait_since=row.shop_lost_at,
        created_at=row.created_at,
    )


def _key(call: Call, row: Principal) -> ApiKey:
    return ApiKey(
        id=call.public(Kind.API_KEY, row.key_id),
        public_id=row.public_id,
        name=row.name,
        mode=row.mode,
        scopes=sorted(row.scopes),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )


_OPERATOR: Final = Scope.OPERATOR

ROUTES: Final = (
    Route("POST", "/v1/merchants", create_merchant, "Create a merchant", _OPERATOR,
          request=CreateMerchant, response=Merchant, status=201,
          errors=("name_taken", "currency_unknown", "currency_not_invoiced")),
    Route("GET", "/v1/merchants", list_merchants, "List merchants", _OPERATOR,
          query=PageQuery, response=Page[Merchant]),
    Route("GET", "/v1/merchants/{id}", get_merchant, "Read a merchant", _OPERATOR, response=Merchant),
    Route("PATCH", "/v1/merchants/{id}", change_merchant, "Change, suspend or resume a merchant", _OPERATOR,
          request=ChangeMerchant, response=Merchant),
    Route("PUT", "/v1/merchants/{id}/price_list", set_price_list, "Give a merchant its prices", _OPERATOR,
          request=SetPriceList, response=Merchant, errors=("price_list_side", "price_list_currency")),
    # Not idempotent by key: the answer holds a secret, which is kept nowhere.
    Route("POST", "/v1/merchants/{id}/api_keys", create_api_key, "Create an API key; it is shown this once",
          _OPERATOR, request=CreateApiKey, response=NewApiKey, status=201, errors=("keys_of_name_max",),
          idempotent=False),
    Route("GET", "/v1/merchants/{id}/api_keys", list_api_keys, "List a merchant's API keys", _OPERATOR,
          query=PageQuery, response=Page[ApiKey]),
    Route("DELETE", "/v1/api_keys/{id}", revoke_api_key, "Revoke an API key", _OPERATOR, response=ApiKey),
)  # fmt: skip
