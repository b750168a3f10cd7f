"""The operator's price lists."""

from __future__ import annotations

import hashlib
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from smsgate.api.commerce import commerce
from smsgate.api.models import (
    Amount,
    AnswerModel,
    CurrencyCode,
    Instant,
    Line,
    Page,
    PageQuery,
    RequestModel,
    written_as,
)
from smsgate.api.problems import ProblemType
from smsgate.api.routing import Answer, Call, Route, missing
from smsgate.billing.issuable import check_invoiced_currency
from smsgate.billing.networks import default_table
from smsgate.billing.price_changes import ChangeKind
from smsgate.billing.prices import PriceVersion as BillingVersion
from smsgate.billing.rate_sheets import RateSheet, SheetRow
from smsgate.billing.tier_cells import STEPS_MAX
from smsgate.billing.tiers import Ladder, LadderMode, Step, ladder_from_json, ladder_to_json
from smsgate.errors import Invalid
from smsgate.flows.ports_api import NewPrices, PriceItem, PriceListRow, PriceVersionRow
from smsgate.flows.publishing import (
    AHEAD_MIN,
    ITEMS_MAX,
    Publication,
    billable,
    change_view,
    check_margins,
    plan,
)
from smsgate.flows.usage_records import PriceListData
from smsgate.money import check_currency, micros_from_text, micros_to_text
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

UNITS_MAX: Final = 10**12  # segments of a month: more than all phones there are get
VERSIONS_MAX: Final = 24  # two years of monthly sheets in one answer

PROBLEMS: Final = (
    ProblemType(
        "currency_not_invoiced",
        422,
        "No invoice can be in this currency",
        "Sell in one of at most two decimals.",
    ),
    ProblemType(
        "amount_invalid", 422, "Not an amount", "Decimal text with at most 6 decimals, such as 0.045."
    ),
    ProblemType(
        "price_invalid",
        422,
        "Not a price",
        "A network once per direction, 0 to 1000 units, steps that rise; sell lists alone have steps.",
    ),
    ProblemType(
        "sheet_invalid", 422, "Prices that cannot be read", "The sentence names the line or the network."
    ),
    ProblemType(
        "effective_from_past",
        422,
        "Prices cannot change in the past",
        "Choose an instant a minute ahead or more, so that every node knows of it in time.",
    ),
    ProblemType(
        "below_cost", 409, "Sells below cost", "Change the prices, or publish them with allow_below_cost."
    ),
    ProblemType("prices_changed", 409, "Published meanwhile", "Look at the differences again."),
    ProblemType("effective_from_taken", 409, "A version starts there already", "Choose another instant."),
)

Network = Annotated[
    str,
    StringConstraints(pattern=r"^(\*|[0-9]{3}|[0-9]{5,6})$"),
    written_as("write MCC and MNC (20801), MCC alone (208), or *"),
]


class CreatePriceList(RequestModel):
    name: Line
    side: Literal["sell", "cost"] = "sell"
    currency: CurrencyCode


class PriceList(AnswerModel):
    id: str
    name: str
    side: str
    currency: str
    created_at: Instant


class TierStepIn(RequestModel):
    first: int = Field(ge=2, le=UNITS_MAX, description="The first segment of the step, counted by month.")
    unit_price: Amount


class TiersIn(RequestModel):
    mode: Literal["graduated", "volume"] = Field(
        description="graduated: each segment at the price of its step; volume: all at the total's."
    )
    steps: list[TierStepIn] = Field(
        min_length=1, max_length=STEPS_MAX - 1, description="After the first one."
    )


class PriceItemIn(RequestModel):
    direction: Literal["mt", "mo"]
    network: Network = Field(description="MCC+MNC, MCC, or * for all others.")
    unit_price: Amount = Field(description="Per segment, decimal text in the list's currency.")
    basis: Literal["submit", "delivered"] = "submit"
    tiers: TiersIn | None = Field(
        default=None, description="Prices by quantity; `unit_price` is the first step's."
    )


class PublishPrices(RequestModel):
    effective_from: Instant = Field(description="A minute ahead or more, but for a list's first version.")
    items: list[PriceItemIn] = Field(min_length=1, max_length=ITEMS_MAX)
    allow_below_cost: bool = Field(
        default=False, description="Without it prices that earn less than they cost are refused."
    )


class TierStepOut(AnswerModel):
    first: int
    unit_price: str


class TiersOut(AnswerModel):
    mode: str
    steps: list[TierStepOut]


class PriceItemOut(AnswerModel):
    direction: str
    network: str
    unit_price: str
    basis: str
    tiers: TiersOut | None


class PriceVersion(AnswerModel):
    price_list: str
    version: int
    effective_from: Instant
    published_at: Instant
    items: list[PriceItemOut]


class PriceVersions(AnswerModel):
    data: list[PriceVersion] = Field(description="Newest first.")


class PriceDifference(AnswerModel):
    direction: str
    network: str
    old: str | None
    new: str | None
    old_tiers: str | None = Field(
        description="Such as `graduated 101=0.04`: first segment and price of later steps."
    )
    new_tiers: str | None
    change: str = Field(description="increase, decrease, new, removed or terms.")


class SoldBelowCost(AnswerModel):
    """A message to this network would earn less than it costs."""

    network: str
    sell: str
    cost: str
    sell_list: str
    cost_list: str


class PriceDifferences(AnswerModel):
    price_list: str
    effective_from: Instant
    changes: list[PriceDifference]
    unchanged: int
    below_cost: list[SoldBelowCost]


async def create_price_list(call: Call) -> Answer:
    body = call.body_as(CreatePriceList)
    if body.side == "sell":
        check_sold_currency(body.currency)
    else:  # what carriers ask for stands on no document of ours
        check_known_currency(body.currency)
    context = call.context
    row = await context.prices.add_list(
        context.ids.next(), body.name, body.side, body.currency, context.clock.now()
    )
    return _price_list(call, row)


async def list_price_lists(call: Call) -> Answer:
    page = await call.context.prices.lists(call.page_ask(Kind.PRICE_LIST))
    return call.page_answer(Page[PriceList], [_price_list(call, row) for row in page.rows], page.has_more)


async def publish_prices(call: Call) -> Answer:
    body = call.body_as(PublishPrices)
    context = call.context
    now = context.clock.now()
    items = [_item_in(item) for item in body.items]
    _check_items(items, body)
    prices, publication = await _planned(call, items, body)
    if not body.allow_below_cost:
        check_margins(prices, publication.below_cost, "publish them with allow_below_cost to sell at a loss")
    [row] = await context.prices.publish(
        prices.price_list_id,
        [NewPrices(body.effective_from, items, context.ids.block(len(items)))],
        source_sha256=hashlib.sha256(call.octets).digest(),
        now=now,
        not_before=now + AHEAD_MIN,
    )
    return _price_version(call, row)


async def list_price_versions(call: Call) -> Answer:
    rows = await call.context.prices.versions(call.path_id(Kind.PRICE_LIST), VERSIONS_MAX)
    return PriceVersions(data=[_price_version(call, row) for row in rows])


async def compare_prices(call: Call) -> Answer:
    """Say what `publish_prices` with this body would change; nothing is written."""
    body = call.body_as(PublishPrices)
    items = [_item_in(item) for item in body.items]
    _check_items(items, body)
    prices, publication = await _planned(call, items, body)
    return _differences(call, prices, publication)


async def _planned(
    call: Call, items: list[PriceItem], body: PublishPrices
) -> tuple[PriceListData, Publication]:
    """Return the list, and what publishing the body would do to it."""
    list_id, pricing = call.path_id(Kind.PRICE_LIST), commerce(call).pricing
    pricing.invalidate()
    await pricing.refresh()
    prices = pricing.price_list(list_id)
    if prices is None:
        raise missing()
    rows = [
        SheetRow(
            place,
            item.direction,
            item.network,
            item.unit_micros,
            item.basis,
            body.effective_from,
            None,
            item.ladder,
        )
        for place, item in enumerate(billable(items))
    ]
    sheet = RateSheet(tuple(rows), by_prefix=False, currency=None, ignored=())
    return prices, plan(sheet, prices, pricing, default_table(), effective_from=body.effective_from)


def _item_in(item: PriceItemIn) -> PriceItem:
    micros = micros_from_text(item.unit_price)
    ladder = None
    if item.tiers is not None:
        later = [Step(step.first, micros_from_text(step.unit_price)) for step in item.tiers.steps]
        ladder = ladder_to_json(Ladder(LadderMode(item.tiers.mode), (Step(1, micros), *later)))
    return PriceItem(item.direction, item.network, micros, item.basis, ladder)


def _tiers_out(text: str | None) -> TiersOut | None:
    if text is None:
        return None
    ladder = ladder_from_json(text)
    steps = [
        TierStepOut(first=step.first, unit_price=micros_to_text(step.unit_micros))
        for step in ladder.steps[1:]
    ]
    return TiersOut(mode=ladder.mode.value, steps=steps)


def _check_items(items: list[PriceItem], body: PublishPrices) -> None:
    """Let billing judge what it would read: a price it refuses must never be published."""
    BillingVersion(1, body.effective_from, billable(items))


def _differences(call: Call, prices: PriceListData, publication: Publication) -> PriceDifferences:
    [version] = publication.versions
    return PriceDifferences(
        price_list=call.public(Kind.PRICE_LIST, prices.price_list_id),
        effective_from=version.effective_from,
        changes=[
            PriceDifference(
                direction=change.direction.value,
                network=change.network,
                **change_view(change),
                change=change.kind.value,
            )
            for change in version.changes
            if change.kind is not ChangeKind.UNCHANGED
        ],
        unchanged=sum(change.kind is ChangeKind.UNCHANGED for change in version.changes),
        below_cost=[
            SoldBelowCost(
                network=found.network,
                sell=micros_to_text(found.sell_micros),
                cost=micros_to_text(found.cost_micros),
                sell_list=found.sell_list,
                cost_list=found.cost_list,
            )
            for _at, found in publication.below_cost
        ],
    )


def check_known_currency(currency: str, pointer: str = "/currency") -> None:
    """
    Check a currency of a body.

    Raises:
        Invalid: code `currency_unknown`, with its pointer.
    """
    try:
        check_currency(currency)
    except Invalid as exc:
        raise Invalid(str(exc), code=exc.code, pointer=pointer) from None


def check_sold_currency(currency: str, pointer: str = "/currency") -> None:
    """
    Check the currency of a body in which something is to be sold.

    Raises:
        Invalid: code `currency_unknown` or `currency_not_invoiced`, with its pointer.
    """
    try:
        check_invoiced_currency(currency)
    except Invalid as exc:
        raise Invalid(str(exc), code=exc.code, pointer=pointer) from None


def _price_list(call: Call, row: PriceListRow) -> PriceList:
    return PriceList(
        id=call.public(Kind.PRICE_LIST, row.price_list_id),
        name=row.name,
        side=row.side,
        currency=row.currency,
        created_at=row.created_at,
    )


def _price_version(call: Call, row: PriceVersionRow) -> PriceVersion:
    items = [
        PriceItemOut(
            direction=item.direction,
            network=item.network,
            unit_price=micros_to_text(item.unit_micros),
            basis=item.basis,
            tiers=_tiers_out(item.ladder),
        )
        for item in row.items
    ]
    return PriceVersion(
        price_list=call.public(Kind.PRICE_LIST, row.price_list_id),
        version=row.version,
        effective_from=row.effective_from,
        published_at=row.published_at,
        items=items,
    )


_OPERATOR: Final = Scope.OPERATOR

ROUTES: Final = (
    Route("POST", "/v1/price_lists", create_price_list, "Create a price list", _OPERATOR,
          request=CreatePriceList, response=PriceList, status=201,
          errors=("name_taken", "currency_unknown", "currency_not_invoiced")),
    Route("GET", "/v1/price_lists", list_price_lists, "List price lists", _OPERATOR,
          query=PageQuery, response=Page[PriceList]),
    Route("POST", "/v1/price_lists/{id}/versions", publish_prices, "Publish prices", _OPERATOR,
          request=PublishPrices, response=PriceVersion, status=201,
          errors=("amount_invalid", "price_invalid", "effective_from_past", "effective_from_taken",
                  "below_cost")),
    Route("GET", "/v1/price_lists/{id}/versions", list_price_versions, "Read the newest versions", _OPERATOR,
          response=PriceVersions),
    Route("POST", "/v1/price_lists/{id}/differences", compare_prices, "What that would change", _OPERATOR,
          request=PublishPrices, response=PriceDifferences, idempotent=False,
          errors=("amount_invalid", "price_invalid", "sheet_invalid")),
)  # fmt: skip
