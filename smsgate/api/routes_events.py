"""Events: everything that webhooks tell, to be read for 90 days."""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field

from smsgate.api.commerce import commerce
from smsgate.api.models import AnswerModel, Page, PageQuery
from smsgate.api.routing import Answer, Call, Route
from smsgate.flows.commerce_records import EventRecord
from smsgate.flows.events import cloud_event
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

PROBLEMS: Final = ()


class Event(AnswerModel):
    """A CloudEvents 1.0 event, as it is delivered; `timestamp` is `time`, for Standard Webhooks."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    timestamp: str
    datacontenttype: str
    data: dict[str, Any]


class EventQuery(PageQuery):
    type: str | None = Field(default=None, max_length=60)
    subject: str | None = Field(default=None, max_length=64, description="Public id of what it is about.")


async def list_events(call: Call) -> Answer:
    query = call.query_as(EventQuery)
    ask = call.page_ask(Kind.EVENT)
    page = await commerce(call).events.page(call.merchant_id, ask, query.type, query.subject)
    return call.page_answer(Page[Event], [as_event(call, row) for row in page.rows], page.has_more)


async def get_event(call: Call) -> Answer:
    return as_event(call, await commerce(call).events.get(call.merchant_id, call.path_id(Kind.EVENT)))


def as_event(call: Call, record: EventRecord) -> Event:
    return Event.model_validate(cloud_event(record, call.merchant_id, call.context.public_ids))


ROUTES: Final = (
    Route(
        "GET", "/v1/events", list_events, "List events", Scope.READ, query=EventQuery, response=Page[Event]
    ),
    Route("GET", "/v1/events/{id}", get_event, "Read an event", Scope.READ, response=Event),
)
