"""Cursor pages: newest first, `starting_after` goes to older objects, `ending_before` back to newer ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smsgate.api.models import PageQuery
from smsgate.api.problems import Refusal
from smsgate.errors import NotFound
from smsgate.flows.commerce_records import PageAsk

if TYPE_CHECKING:
    from smsgate.api.routing import Call
    from smsgate.security.public_ids import Kind

NO_ROW = -1  # what a cursor that is no id decodes to: it matches nothing, as another merchant's id does


def page_ask(call: Call, kind: Kind) -> PageAsk:
    query = call.query_as(PageQuery)
    if query.starting_after is not None and query.ending_before is not None:
        raise Refusal("invalid", "starting_after and ending_before exclude each other.")
    text = query.starting_after if query.starting_after is not None else query.ending_before
    if text is None:
        return PageAsk(query.limit)
    try:
        cursor = call.context.public_ids.decode(kind, text)
    except NotFound:
        cursor = NO_ROW
    if query.ending_before is not None:
        return PageAsk(query.limit, before=cursor)
    return PageAsk(query.limit, after=cursor)


def link_header(call: Call, ids: list[str], has_more: bool) -> str:
    """Return RFC 8288 links to the neighbour pages; empty when there are none."""
    query = call.query_as(PageQuery)
    backward = query.ending_before is not None
    links = []
    if ids and (backward or has_more):
        links.append(_link(call, "starting_after", ids[-1], "next"))
    if ids and ((backward and has_more) or (not backward and query.starting_after is not None)):
        links.append(_link(call, "ending_before", ids[0], "prev"))
    return ", ".join(links)


def _link(call: Call, name: str, id_: str, relation: str) -> str:
    url = call.request.rel_url
    kept = {key: value for key, value in url.query.items() if key not in {"starting_after", "ending_before"}}
    return f'<{url.with_query({**kept, name: id_})}>; rel="{relation}"'
