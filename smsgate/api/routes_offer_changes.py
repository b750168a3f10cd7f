"""What changes of an offer that may be out: its stock, a new version, its end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from pydantic import Field

from smsgate.api.commerce import commerce, minor_from_text
from smsgate.api.models import (
    Amount,
    CountryCode,
    CurrencyCode,
    Instant,
    LanguageCode,
    Page,
    RequestModel,
)
from smsgate.api.order_terms import CancelWindow, ConfirmBySms, ShopAnswer
from smsgate.api.problems import ProblemType
from smsgate.api.routes_offers import (
    OFFER_ERRORS,
    SENDER_POOL_MAX,
    Name,
    Offer,
    OfferText,
    Sender,
    as_offer,
)
from smsgate.api.routes_prices import check_known_currency
from smsgate.api.routing import Answer, Call, Route
from smsgate.api.tlvs import TlvsOfText, tlvs_of
from smsgate.campaigns.offers import QUANTITY_MAX
from smsgate.campaigns.orders import OrderTerms
from smsgate.errors import Invalid
from smsgate.flows.offers import STOCK_MAX
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

PROBLEMS: Final = (
    ProblemType(
        "stock_sold", 409, "More pieces are sold", "`sold` says how many; the stock is at least these."
    ),
    ProblemType("stock_not_counted", 409, "The stock is not counted", "Make another offer with a stock."),
    ProblemType("version_unchanged", 422, "Nothing of the offer changes", "Say what is new of it."),
)
# Members of the request that are the version's own, as they stand.
_AS_THEY_STAND: Final = (
    "text",
    "item",
    "sender",
    "shop_name",
    "language",
    "country",
    "quantity_max",
    "withdrawal",
)


class ChangeOffer(RequestModel):
    stock: int = Field(
        ge=0, le=STOCK_MAX, description="Pieces in all, sold ones included; never under what is sold."
    )


class PublishVersion(RequestModel):
    """What is left out stays as it is in the newest version."""

    text: OfferText | None = None
    item: Name | None = None
    price: Amount | None = Field(default=None, description="Total price of one piece.")
    currency: CurrencyCode | None = None
    sender: Sender | None = None
    sender_pool: list[Sender] | None = Field(default=None, max_length=SENDER_POOL_MAX)
    tlvs: TlvsOfText | None = None
    expires_at: Instant | None = Field(default=None, description="This, or expires_in_s, or neither.")
    expires_in_s: int | None = Field(default=None, ge=1, le=366 * 86_400)
    shop_name: Name | None = None
    language: LanguageCode | None = None
    country: CountryCode | None = None
    quantity_max: int | None = Field(default=None, ge=1, le=QUANTITY_MAX)
    ask_above: Amount | None = Field(default=None, description="null asks for no second yes.")
    withdrawal: bool | None = None
    cancel_window_s: CancelWindow | None = None
    shop_answer_s: ShopAnswer | None = None
    confirm_by_sms: ConfirmBySms | None = None
    replace: bool = Field(default=False, description="As of a new offer.")


async def change_offer(call: Call) -> Answer:
    body = call.body_as(ChangeOffer)
    changes, offer_id = commerce(call).offer_changes, call.path_id(Kind.OFFER)
    return as_offer(call, await changes.set_stock(call.merchant_id, offer_id, body.stock))


async def withdraw_offer(call: Call) -> Answer:
    changes, offer_id = commerce(call).offer_changes, call.path_id(Kind.OFFER)
    return as_offer(call, await changes.withdraw(call.merchant_id, offer_id))


async def publish_version(call: Call) -> Answer:
    offer_id = call.path_id(Kind.OFFER)
    newest = await commerce(call).offers.get(call.merchant_id, offer_id)
    wishes = _wishes(call, call.body_as(PublishVersion), newest.offer.currency, newest.offer.terms)
    return as_offer(call, await commerce(call).offer_changes.publish(call.merchant_id, offer_id, wishes))


async def list_versions(call: Call) -> Answer:
    versions = await commerce(call).offer_changes.versions(call.merchant_id, call.path_id(Kind.OFFER))
    return Page[Offer](data=[as_offer(call, version) for version in versions], has_more=False)


def _wishes(call: Call, body: PublishVersion, currency: str, before: OrderTerms) -> dict[str, Any]:
    """Return what is to change, by the names of `flows.commerce_records.OfferDraft`."""
    wishes: dict[str, Any] = {
        name: getattr(body, name) for name in _AS_THEY_STAND if getattr(body, name) is not None
    }
    if body.currency is not None and body.currency != currency:
        check_known_currency(body.currency, "/currency")
        if body.price is None:
            raise Invalid("say the price in the new currency", code="amount_invalid", pointer="/price")
        currency = body.currency
    if body.price is not None:
        wishes |= {"unit_price_minor": minor_from_text(body.price, currency), "currency": currency}
    if "ask_above" in body.model_fields_set:
        above = body.ask_above
        wishes["ask_above_minor"] = None if above is None else minor_from_text(above, currency, "/ask_above")
    if body.sender_pool is not None:
        wishes["sender_pool"] = tuple(body.sender_pool)
    if body.tlvs is not None:
        wishes["tlvs"] = tlvs_of(body.tlvs)
    if body.expires_at is not None and body.expires_in_s is not None:
        raise Invalid(
            "give either expires_at or expires_in_s", code="expires_at_invalid", pointer="/expires_at"
        )
    if body.expires_in_s is not None:
        wishes["expires_at"] = call.context.clock.now() + timedelta(seconds=body.expires_in_s)
    elif body.expires_at is not None:
        wishes["expires_at"] = body.expires_at
    terms = {name: value for name in OrderTerms._fields if (value := getattr(body, name)) is not None}
    return wishes | {"replace": body.replace} | ({"terms": before._replace(**terms)} if terms else {})


ROUTES: Final = (
    Route(
        "PATCH",
        "/v1/offers/{id}",
        change_offer,
        "Change an offer's stock",
        Scope.SEND,
        request=ChangeOffer,
        response=Offer,
        errors=("offer_closed", "stock_sold", "stock_not_counted"),
    ),
    Route(
        "POST",
        "/v1/offers/{id}/withdraw",
        withdraw_offer,
        "Withdraw an offer",
        Scope.SEND,
        response=Offer,
    ),
    Route(
        "POST",
        "/v1/offers/{id}/versions",
        publish_version,
        "Publish a new version of an offer",
        Scope.SEND,
        request=PublishVersion,
        response=Offer,
        status=201,
        errors=(
            "offer_closed",
            "version_unchanged",
            "conflict",
            *(e for e in OFFER_ERRORS if e != "external_id_taken"),
        ),
    ),
    Route(
        "GET",
        "/v1/offers/{id}/versions",
        list_versions,
        "List an offer's versions",
        Scope.READ,
        response=Page[Offer],
    ),
)
