"""New orders as a group of MOs writes them, in the columns of store/sql/order_proof.sql."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import orjson

from smsgate.campaigns.orders import OrderState
from smsgate.flows.order_entries import ProofRows
from smsgate.ids import made_at
from smsgate.security.public_ids import Kind

if TYPE_CHECKING:
    from smsgate.flows.inbound_records import InboundRow, InboundWrites, OrderRow, OrderStepRow
    from smsgate.flows.order_entries import Row
    from smsgate.security.public_ids import PublicIds


def written_orders(writes: InboundWrites, public_ids: PublicIds) -> dict[int, dict[int, ProofRows]]:
    """
    Return what a group writes about the orders that it makes, by merchant and order.

    The offer, its message and consent were there before, and are left out. So are orders that a second step,
    reply or consent of the same group is about: the database knows what is left of them.
    """
    steps = Counter(step.order_id for step in writes.order_steps)
    replies: defaultdict[int, list[InboundRow]] = defaultdict(list)
    for reply in writes.rows:
        if reply.order_id is not None:
            replies[reply.order_id].append(reply)
    agreed = {(row.merchant_id, row.subscriber_id) for row in writes.consents}
    new = {
        order.order_id: order
        for order in writes.orders
        if steps[order.order_id] == 1
        and [reply.inbound_id for reply in replies[order.order_id]] == [order.inbound_id]
        and (order.merchant_id, order.subscriber_id) not in agreed
    }
    found: dict[int, dict[int, ProofRows]] = defaultdict(dict)
    subjects: dict[str, ProofRows] = {}
    for order_id, order in new.items():
        rows = ProofRows([_order(order)], reply=[_reply(replies[order_id][0])])
        found[order.merchant_id][order_id] = subjects[public_ids.encode(Kind.ORDER, order_id)] = rows
    for step in writes.order_steps:
        if step.order_id in new:
            found[step.merchant_id][step.order_id].order_step.append(_step(step))
    told = writes.messages
    for place, text_of in enumerate(told.order_ids):
        if text_of is not None and text_of in new:
            found[told.merchant_ids[place]][text_of].text.append({
                "message_id": told.message_ids[place], "kind": told.kinds[place],
                "sender": told.senders[place], "body": told.bodies[place],
                "inbound_id": told.inbound_ids[place], "at": made_at(told.message_ids[place]),
            })  # fmt: skip
    events = writes.events
    for place, subject in enumerate(events.subjects):
        if subject in subjects:
            subjects[subject].event.append({
                "event_id": events.event_ids[place], "type": events.types[place], "data": events.data[place],
                "created_at": events.created_at[place],
            })  # fmt: skip
    return dict(found)


def _order(order: OrderRow) -> Row:
    offer = order.offer
    return {
        "order_id": order.order_id, "number": order.number, "state": order.state, "quantity": order.quantity,
        "unit_price_minor": offer.unit_price_minor, "total_minor": order.total_minor,
        "currency": offer.currency, "msisdn": order.msisdn, "sender": order.sender,
        "subscriber_id": order.subscriber_id, "order_ref": "", "created_at": order.at,
        "placed_at": order.at if order.state == OrderState.PLACED else None, "delivered_at": None,
        "offer_id": offer.offer_id, "offer_version": offer.version, "message_id": order.message_id,
        "inbound_id": order.inbound_id,
    }  # fmt: skip


def _reply(reply: InboundRow) -> Row:
    mo = reply.mo
    return {
        "inbound_id": reply.inbound_id, "carrier_id": mo.carrier_id, "destination": mo.destination,
        "text": mo.text, "raw": mo.raw, "data_coding": mo.data_coding, "label": reply.label,
        "quantity": reply.quantity, "outcome": reply.outcome, "reason": reply.reason,
        "rules_version": reply.rules_version, "received_at": mo.received_at, **mo.header._asdict(),
    }  # fmt: skip


def _step(step: OrderStepRow) -> Row:
    return {
        "sequence": step.seq, "event": step.event, "state": step.state, "actor": step.actor,
        "detail": orjson.dumps(step.detail).decode(), "at": step.at,
    }  # fmt: skip
