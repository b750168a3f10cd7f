"""
The table of routes: the router, the scopes, the checks and the OpenAPI document all come from it.

How to declare routes. One module for each group of resources, `smsgate/api/routes_<group>.py`, with two
tables:

    PROBLEMS = (ProblemType("sold_out", 409, "Sold out", "Raise the stock, or close the offer."),)

    class CreateOffer(RequestModel):                 # strict, extra members refused
        text: Annotated[str, StringConstraints(min_length=1, max_length=480)]

    class Offer(AnswerModel):
        id: str
        text: str

    async def create_offer(call: Call) -> Answer:
        body = call.body_as(CreateOffer)             # validated; numbers, depth, NUL already checked
        offer_id = call.context.ids.next()
        await call.context.commerce.offers.insert(call.merchant_id, offer_id, body.text)
        return Offer(id=call.public(Kind.OFFER, offer_id), text=body.text)

    async def get_offer(call: Call) -> Answer:
        offer_id = call.path_id(Kind.OFFER)          # NotFound unless an id of this kind, as a missing row
        ...

    async def list_offers(call: Call) -> Answer:
        ask = call.page_ask(Kind.OFFER)              # limit, after, before; hand it to the store
        page = await call.context.commerce.offers.list(call.merchant_id, ask)
        return call.page_answer(Page[Offer], [as_offer(call, row) for row in page.rows], page.has_more)

    ROUTES = (
        Route("POST", "/v1/offers", create_offer, "Create an offer", Scope.SEND,
              request=CreateOffer, response=Offer, status=201, errors=("sold_out",)),
        Route("GET", "/v1/offers", list_offers, "List offers", Scope.READ,
              query=PageQuery, response=Page[Offer]),
        Route("GET", "/v1/offers/{id}", get_offer, "Read an offer", Scope.READ, response=Offer),
    )

and one line in `smsgate/api/table.py`. Raise errors of `smsgate.errors` (NotFound, Conflict, Invalid,
DomainError with `code=`, TextError): they are translated once. Other answers: `Reply(model, status=202)` for
another status (declare it in `more_statuses`), `Text(octets, "text/csv")`, None with `status=204`, or a
prepared `web.StreamResponse` (`media_type=` in the Route).

- `scope=Scope.OPERATOR`: keys of the operator (owner 0) only. `scope=None`: no key is asked (triggers).
- The merchant is `call.merchant_id`, from the key alone; no request names it.
- `body=Body.RAW`: `call.octets` holds up to 1 MiB as sent (signatures); then `parse_json(call.octets)`.
  `body=Body.STREAM`: `call.stream` is an async iterator of octets; pass `media_types`.
- POST is idempotent by `Idempotency-Key` unless `idempotent=False` or `scope=None`: the handler does nothing.
- Ids in a body: `call.decode(kind, text)`; raises the same NotFound as a missing row.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypeVar

from aiohttp import web
from pydantic import BaseModel

from smsgate.api.context import ApiContext
from smsgate.api.models import Page, PageQuery
from smsgate.api.paging import link_header, page_ask
from smsgate.errors import NotFound
from smsgate.flows.commerce_records import PageAsk
from smsgate.flows.ports_api import Principal
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

M = TypeVar("M", bound=BaseModel)
JSON_MEDIA_TYPE: Final = "application/json"
DIRECT_END: Final = "{id}"  # of the path of a direct route


class Body(Enum):
    NONE = "none"  # empty, or {}
    JSON = "json"
    RAW = "raw"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with another status than the route's."""

    model: BaseModel
    status: int


@dataclass(frozen=True, slots=True)
class Text:
    """An answer that is octets already and fits in memory."""

    octets: bytes
    content_type: str
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200


Answer = BaseModel | Reply | Text | web.StreamResponse | None


@dataclass(slots=True)
class Call:
    """One request, checked: what a handler sees of HTTP."""

    context: ApiContext
    request: web.Request
    request_id: str
    principal: Principal | None
    path: Mapping[str, str]  # what stands in the places of the route's path
    model: BaseModel | None = None
    query: BaseModel | None = None
    octets: bytes = b""
    stream: AsyncIterator[bytes] | None = None
    headers: dict[str, str] = field(default_factory=dict)  # to be sent with the answer

    @property
    def key(self) -> Principal:
        assert self.principal is not None, "a route without a key has no principal"
        return self.principal

    @property
    def merchant_id(self) -> int:
        return self.key.owner_id

    def body_as(self, model: type[M]) -> M:
        assert isinstance(self.model, model)
        return self.model

    def query_as(self, model: type[M]) -> M:
        assert isinstance(self.query, model)
        return self.query

    def path_text(self, name: str) -> str:
        return self.path[name]

    def path_id(self, kind: Kind, name: str = "id") -> int:
        """
        Return the id in the path.

        Raises:
            NotFound: the text is no id of this kind; a missing row gets the same answer.
        """
        return self.decode(kind, self.path[name])

    def decode(self, kind: Kind, text: str) -> int:
        """Like `PublicIds.decode`, with the sentence that `missing` gives."""
        try:
            return self.context.public_ids.decode(kind, text)
        except NotFound:
            raise missing() from None

    def public(self, kind: Kind, id_: int) -> str:
        return self.context.public_ids.encode(kind, id_)

    def page_ask(self, kind: Kind) -> PageAsk:
        """
        Return what page the query asks for; cursors are ids of `kind`.

        Raises:
            Refusal: both cursors are given.
        """
        return page_ask(self, kind)

    def page_answer(self, page: type[Page[Any]], data: Sequence[BaseModel], has_more: bool) -> Page[Any]:
        """Return the page, and put its `Link` header on the answer."""
        assert isinstance(self.query, PageQuery)
        if link := link_header(self, [str(getattr(item, "id", "")) for item in data], has_more):
            self.headers["Link"] = link
        return page(data=list(data), has_more=has_more)


def missing() -> NotFound:
    """Return the one 404 for objects: missing, of another merchant, or no id at all."""
    return NotFound()


Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table. `errors` are the codes beside those that every such route can answer."""

    method: str
    path: str
    handler: Handler
    summary: str
    scope: Scope | None
    request: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    response: type[BaseModel] | None = None
    status: int = 200
    more_statuses: tuple[int, ...] = ()  # other 2xx with the same body
    errors: tuple[str, ...] = ()
    body: Body | None = None  # None: JSON when there is a request model, else NONE
    media_types: tuple[str, ...] = (JSON_MEDIA_TYPE,)  # of the request's body
    media_type: str = JSON_MEDIA_TYPE  # of the answer
    idempotent: bool | None = None  # None: every POST with a key
    description: str = ""
    handler_s: float | None = None  # how long the work may take; None: `ApiSettings.handler_timeout_s`
    direct: bool = False  # POST, and its path ends in an id: found without the router (smsgate.api.app)

    def __post_init__(self) -> None:
        assert not self.direct or (self.method == "POST" and self.path.endswith(DIRECT_END)), self.path

    @property
    def takes(self) -> Body:
        if self.body is not None:
            return self.body
        return Body.JSON if self.request is not None else Body.NONE

    @property
    def by_key(self) -> bool:
        """Whether `Idempotency-Key` is honoured."""
        if self.idempotent is not None:
            return self.idempotent
        return self.method == "POST" and self.scope is not None

    @property
    def tag(self) -> str:
        parts = self.path.strip("/").split("/")
        return parts[1] if parts[0] == "v1" and len(parts) > 1 else "service"
