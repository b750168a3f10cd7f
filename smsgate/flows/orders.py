"""Orders after the customer's OK: what the shop answers, and what the buyer is told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from smsgate.campaigns.orders import OrderEvent, OrderState, Step, advance
from smsgate.campaigns.texts import system_text
from smsgate.clock import Clock
from smsgate.errors import Conflict, DomainError, Invalid
from smsgate.flows.commerce_records import (
    EventColumns,
    MessageCost,
    OrderChange,
    OrderRecord,
    OrderStep,
    Page,
    PageAsk,
    SystemMessage,
    SystemMessageColumns,
)
from smsgate.flows.events import add_event, order_data
from smsgate.flows.ports import Ids, Wakeups
from smsgate.flows.ports_commerce import OrdersStore
from smsgate.flows.system_messages import SYSTEM_MESSAGE_LIFE, columns_of
from smsgate.security.public_ids import Kind, PublicIds

CHANGE_ATTEMPTS_MAX: Final = 5
REF_CHARACTERS_MAX: Final = 100
REASON_CHARACTERS_MAX: Final = 500  # kept with the order; the buyer's text has room for 30
REASON_TOLD_MAX: Final = 30
# The buyer's receipt said that the order was passed on; the durable confirmation is the shop's own.
TOLD: Final = frozenset({"order_rejected", "order_cancelled"})


class ShopAnswer(StrEnum):
    """What became of a decision that a shop put in its answer to an event."""

    APPLIED = "applied"
    NONE = "none"  # no decision in it: the shop will call the API
    REFUSED = "refused"  # not possible in the order's state, or not readable


@dataclass(frozen=True, slots=True)
class OrderDetails:
    order: OrderRecord
    steps: Sequence[OrderStep]
    offer_costs: Sequence[MessageCost]
    system_micros: int
    system_messages: int


class Orders:
    def __init__(
        self, store: OrdersStore, ids: Ids, clock: Clock, public_ids: PublicIds, wakeups: Wakeups
    ) -> None:
        self._store = store
        self._ids = ids
        self._clock = clock
        self._public_ids = public_ids
        self._wakeups = wakeups

    async def details(self, merchant_id: int, order_id: int) -> OrderDetails:
        order = await self._store.get(merchant_id, order_id)
        steps = await self._store.steps(merchant_id, order_id)
        costs = await self._store.message_costs(merchant_id, order.message_id)
        micros, messages = await self._store.system_message_costs(merchant_id, order_id)
        return OrderDetails(order, steps, costs, micros, messages)

    async def page(
        self,
        merchant_id: int,
        ask: PageAsk,
        state: str | None = None,
        campaign_id: int | None = None,
        number: str | None = None,
    ) -> Page[OrderRecord]:
        return await self._store.page(merchant_id, ask, state, campaign_id, number)

    async def confirm(self, merchant_id: int, order_id: int, order_ref: str = "") -> OrderRecord:
        """
        Take the shop's word that it delivers; a repetition changes nothing.

        Raises:
            TransitionRefused: code `order_state`.
            Conflict: code `order_state`; it was confirmed under another `order_ref`.
        """
        return await self._step(merchant_id, order_id, OrderEvent.SHOP_CONFIRM, order_ref, "")

    async def reject(self, merchant_id: int, order_id: int, reason: str = "") -> OrderRecord:
        """Take the shop's no: stock goes back, the buyer is told that nothing is charged."""
        return await self._step(merchant_id, order_id, OrderEvent.SHOP_REJECT, "", reason)

    async def cancel(self, merchant_id: int, order_id: int, reason: str = "") -> OrderRecord:
        """Take back an order by the shop: stock goes back, the buyer is told."""
        return await self._step(merchant_id, order_id, OrderEvent.SHOP_CANCEL, "", reason)

    async def apply_shop_answer(self, merchant_id: int, order: int | str, answer: object) -> ShopAnswer:
        """
        Apply `{"decision": "confirm" | "reject", "order_ref": ..., "reason": ...}` from a webhook's answer.

        `order` is the order's id, or its public id (the event's subject). Never raises for what the shop
        wrote: the delivery of the event succeeded either way.
        """
        if not isinstance(answer, Mapping) or "decision" not in answer:
            return ShopAnswer.NONE
        try:
            order_id = self._public_ids.decode(Kind.ORDER, order) if isinstance(order, str) else order
            match answer["decision"]:
                case "confirm":
                    ref = _text(answer.get("order_ref"), REF_CHARACTERS_MAX)
                    await self.confirm(merchant_id, order_id, ref)
                case "reject":
                    reason = _text(answer.get("reason"), REASON_CHARACTERS_MAX)
                    await self.reject(merchant_id, order_id, reason)
                case _:
                    return ShopAnswer.REFUSED
        except DomainError:
            return ShopAnswer.REFUSED
        return ShopAnswer.APPLIED

    async def _step(
        self, merchant_id: int, order_id: int, event: OrderEvent, order_ref: str, reason: str
    ) -> OrderRecord:
        for _ in range(CHANGE_ATTEMPTS_MAX):
            order = await self._store.get(merchant_id, order_id)
            now = self._clock.now()
            step = advance(OrderState(order.state), event, at=now)
            if order_ref and order.shop_ref and order_ref != order.shop_ref:
                raise Conflict(
                    f"the order is confirmed as {order.shop_ref!r}", code="order_state", pointer="/order_ref"
                )
            changed = replace(
                order,
                state=step.state.value,
                shop_ref=order_ref or order.shop_ref,
                seq=order.seq + 1,
                changed_at=now,
            )
            if (changed.state, changed.shop_ref) == (order.state, order.shop_ref):
                return order
            change = _change(order, changed, step, event, reason)
            messages = columns_of(self._messages(order, step, reason, now))
            if await self._store.change(change, messages, self._events(changed, step, now)):
                self._wake(messages)
                return changed
        raise Conflict("the order is being changed by others; read it, then decide")

    def _messages(
        self, order: OrderRecord, step: Step, reason: str, now: datetime
    ) -> Sequence[SystemMessage]:
        if step.tell is None or step.tell not in TOLD:
            return []
        message = SystemMessage(
            merchant_id=order.merchant_id,
            message_id=self._ids.next(),
            msisdn=order.msisdn,
            kind=step.tell,
            sender=order.sender,
            body=_told(order, step.tell, reason),
            expires_at=now + SYSTEM_MESSAGE_LIFE,
            subscriber_id=order.subscriber_id,
            order_id=order.order_id,
        )
        return [message]

    def _events(self, order: OrderRecord, step: Step, now: datetime) -> EventColumns:
        columns = EventColumns()
        if step.notify is not None:
            add_event(
                columns,
                merchant_id=order.merchant_id,
                event_id=self._ids.next(),
                type_=step.notify,
                subject=self._public_ids.encode(Kind.ORDER, order.order_id),
                data=order_data(order, self._public_ids),
                at=now,
            )
        return columns

    def _wake(self, messages: SystemMessageColumns) -> None:
        if len(messages):
            self._wakeups.interactive()
        self._wakeups.deliveries()


def _change(
    before: OrderRecord, after: OrderRecord, step: Step, event: OrderEvent, reason: str
) -> OrderChange:
    detail = {"reason": reason} if reason else {}
    if after.shop_ref != before.shop_ref:
        detail["order_ref"] = after.shop_ref
    return OrderChange(
        merchant_id=before.merchant_id,
        order_id=before.order_id,
        seq_before=before.seq,
        event=event.value,
        state=after.state,
        actor="shop",
        shop_ref=after.shop_ref,
        detail=detail,
        at=after.changed_at,
        stock_back=before.quantity if step.stock_back else 0,
        offer_id=before.offer_id,
    )


def _told(order: OrderRecord, kind: str, reason: str) -> str:
    """Return the text for the buyer; a reason that does not fit stays with the order."""
    fields = {"shop": order.shop_name, "item": order.item, "order": order.number}
    if reason and len(reason) <= REASON_TOLD_MAX and kind == "order_rejected":
        try:
            return system_text(kind, order.language, **fields, reason=reason)
        except Invalid:  # longer once its characters were replaced
            pass
    return system_text(kind, order.language, **fields)


def _text(value: object, characters_max: int) -> str:
    """Read an optional text or number of the shop's answer."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Invalid("neither text nor number")
    text = str(value)
    if len(text) > characters_max or not text.isprintable():
        raise Invalid(f"over {characters_max} characters, or not printable")
    return text
