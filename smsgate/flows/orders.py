"""Orders after the customer's OK: what the shop answers, and what the buyer is told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import structlog

from smsgate.campaigns.orders import (
    WHILE_UNREACHED,
    Due,
    OrderEvent,
    OrderState,
    Step,
    advance,
    due_after,
)
from smsgate.campaigns.texts import spoken, system_text
from smsgate.clock import Clock
from smsgate.errors import Conflict, DomainError, Invalid, TransitionRefused
from smsgate.flows.commerce_records import EventColumns, Page, PageAsk, SystemMessage, SystemMessageColumns
from smsgate.flows.events import add_event, order_data
from smsgate.flows.order_actions import LINK_CHARACTERS_MAX, Action, action_of, is_asked
from smsgate.flows.order_records import MessageCost, OrderChange, OrderRecord, OrderStep
from smsgate.flows.order_texts import price_text
from smsgate.flows.ports import Ids, Wakeups
from smsgate.flows.ports_commerce import OrdersStore
from smsgate.flows.system_messages import SYSTEM_MESSAGE_LIFE, columns_of
from smsgate.security.public_ids import Kind, PublicIds

log = structlog.get_logger(__name__)

CHANGE_ATTEMPTS_MAX: Final = 5
REF_CHARACTERS_MAX: Final = 100
REASON_CHARACTERS_MAX: Final = 500  # kept with the order; the buyer's text has room for 30
REASON_TOLD_MAX: Final = 30
DELIVERY_AHEAD: Final = timedelta(days=1)  # clocks and zones; a delivery has happened
SOLD_OUT: Final = "offer.sold_out"
DUE_MAX: Final = 200  # orders of one look


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
        self,
        store: OrdersStore,
        ids: Ids,
        clock: Clock,
        public_ids: PublicIds,
        wakeups: Wakeups,
        writes_ucs2: Callable[[str], bool] = lambda _sender: True,
    ) -> None:
        """`writes_ucs2`: whether the carrier of a sender number does."""
        self._store = store
        self._ids = ids
        self._clock = clock
        self._public_ids = public_ids
        self._wakeups = wakeups
        self._writes_ucs2 = writes_ucs2

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
            Conflict: code `order_state`; it was confirmed under another `order_ref`. Code `sold_out`; it had
                ended before it was disputed, and its pieces went to others.
        """
        return await self._step(merchant_id, order_id, OrderEvent.SHOP_CONFIRM, order_ref, "")

    async def reject(self, merchant_id: int, order_id: int, reason: str = "") -> OrderRecord:
        """Take the shop's no: stock goes back, the buyer is told that nothing is charged."""
        return await self._step(merchant_id, order_id, OrderEvent.SHOP_REJECT, "", reason)

    async def cancel(self, merchant_id: int, order_id: int, reason: str = "") -> OrderRecord:
        """Take back an order by the shop: stock goes back, the buyer is told."""
        return await self._step(merchant_id, order_id, OrderEvent.SHOP_CANCEL, "", reason)

    async def require_action(
        self, merchant_id: int, order_id: int, link: str, until: datetime
    ) -> OrderRecord:
        """
        Take the shop's word that the buyer has to do something first, such as to pay at `link`.

        Raises:
            Invalid: code `action_invalid`; no link to send, or the time is over, or too far ahead.
        """
        action = action_of(link, until, self._clock.now())
        return await self._step(merchant_id, order_id, OrderEvent.SHOP_REQUIRE_ACTION, action=action)

    async def fulfil(self, merchant_id: int, order_id: int, delivered_at: datetime) -> OrderRecord:
        """
        Take the shop's word that the goods are in the buyer's hands: the withdrawal period runs from there.

        Raises:
            Invalid: code `delivered_at_invalid`; it lies ahead, or before the order.
        """
        order = await self._store.get(merchant_id, order_id)
        if not order.created_at <= delivered_at <= self._clock.now() + DELIVERY_AHEAD:
            raise Invalid(
                "delivered_at must be between the order and now",
                code="delivered_at_invalid",
                pointer="/delivered_at",
            )
        return await self._step(merchant_id, order_id, OrderEvent.SHOP_FULFIL, delivered_at=delivered_at)

    async def apply_shop_answer(self, merchant_id: int, order: int | str, answer: object) -> ShopAnswer:
        """
        Apply `{"decision": "confirm" | "reject" | "require_action", ...}` from a webhook's answer.

        The other fields are those of the API's requests: `order_ref`; `reason`; `link` and `until`. `order`
        is the order's id, or its public id (the event's subject). What is a person's to decide (a disputed
        order) no answer decides. Never raises for what the shop wrote: the delivery of the event succeeded
        either way.
        """
        if not isinstance(answer, Mapping) or "decision" not in answer:
            return ShopAnswer.NONE
        try:
            order_id = self._public_ids.decode(Kind.ORDER, order) if isinstance(order, str) else order
            match answer["decision"]:
                case "confirm":
                    ref = _text(answer.get("order_ref"), REF_CHARACTERS_MAX)
                    await self._step(merchant_id, order_id, OrderEvent.SHOP_CONFIRM, ref, automatic=True)
                case "reject":
                    reason = _text(answer.get("reason"), REASON_CHARACTERS_MAX)
                    await self._step(
                        merchant_id, order_id, OrderEvent.SHOP_REJECT, reason=reason, automatic=True
                    )
                case "require_action":
                    link = _text(answer.get("link"), LINK_CHARACTERS_MAX)
                    action = action_of(link, _instant(answer.get("until")), self._clock.now())
                    await self._step(
                        merchant_id, order_id, OrderEvent.SHOP_REQUIRE_ACTION, action=action, automatic=True
                    )
                case _:
                    return ShopAnswer.REFUSED
        except DomainError:
            return ShopAnswer.REFUSED
        return ShopAnswer.APPLIED

    async def fire_due(self) -> bool:
        """One step of a loop: what happens to orders by time alone; True: there is more, go on."""
        due = await self._store.due(self._clock.now(), DUE_MAX)
        fired: Counter[str] = Counter()
        for merchant_id, order_id in due:
            fired[await self._fire(merchant_id, order_id)] += 1
        if fired:
            log.info("orders_due", **fired)
        return len(due) == DUE_MAX

    async def _fire(self, merchant_id: int, order_id: int) -> str:
        """Take the event that is due; the buyer is told at most once, whichever process is first."""
        order = await self._store.get(merchant_id, order_id)
        if order.due_event is None or order.due_at is None or order.due_at > self._clock.now():
            return "overtaken"
        event = OrderEvent(order.due_event)
        subject = self._public_ids.encode(Kind.ORDER, order_id)
        if event in WHILE_UNREACHED and await self._store.shop_has(order, subject):
            await self._store.end_wait(order)
            return "shop_has_order"
        try:
            await self._step(merchant_id, order_id, event, actor="gateway", due=Due(event, order.due_at))
        except DomainError:  # another step came between, and made something else of the order
            return "overtaken"
        return event.value

    async def _step(
        self,
        merchant_id: int,
        order_id: int,
        event: OrderEvent,
        order_ref: str = "",
        reason: str = "",
        *,
        actor: str = "shop",
        due: Due | None = None,
        action: Action | None = None,
        delivered_at: datetime | None = None,
        automatic: bool = False,
    ) -> OrderRecord:
        """
        Take one event; `due` is what must still be due, `automatic` that a program of the shop decided it.

        Raises:
            TransitionRefused: code `order_state`.
        """
        for _ in range(CHANGE_ATTEMPTS_MAX):
            order = await self._store.get(merchant_id, order_id)
            now = self._clock.now()
            if due is not None and _due_of(order) != due:
                raise TransitionRefused("something else is due by now", code="order_state")
            before = OrderState(order.state)
            delivered = order.delivered_at is not None
            step = advance(before, event, at=now, automatic=automatic, delivered=delivered)
            if order_ref and order.shop_ref and order_ref != order.shop_ref:
                raise Conflict(
                    f"the order is confirmed as {order.shop_ref!r}", code="order_state", pointer="/order_ref"
                )
            next_ = due_after(before, event, step, now, _due_of(order), order.shop_answer_s)
            if action is not None:
                next_ = Due(OrderEvent.ACTION_EXPIRED, action.until)
            changed = order._replace(
                state=step.state.value,
                shop_ref=order_ref or order.shop_ref,
                seq=order.seq + 1,
                changed_at=now,
                stock_held=(order.stock_held or step.takes_stock) and not step.stock_back,
                due_event=None if next_ is None else next_.event.value,
                due_at=None if next_ is None else next_.at,
                delivered_at=delivered_at or order.delivered_at,
            )
            unchanged = changed._replace(seq=order.seq, changed_at=order.changed_at) == order
            if action is not None:
                unchanged = await self._is_asked(order, action, automatic=automatic)
            if unchanged:
                return order
            detail = _detail(order, changed, reason, action)
            change = _change(order, changed, event, actor, detail)
            messages = columns_of(self._messages(changed, step, reason, action, now))
            events, sold_out = self._events(changed, step, now), self._sold_out(changed, now)
            if await self._store.change(change, messages, events, sold_out):
                self._wake(messages)
                return changed
        raise Conflict("the order is being changed by others; read it, then decide")

    async def _is_asked(self, order: OrderRecord, action: Action, *, automatic: bool) -> bool:
        steps = await self._store.steps(order.merchant_id, order.order_id)
        details = [step.detail for step in steps if step.event == OrderEvent.SHOP_REQUIRE_ACTION]
        return is_asked(action, details, automatic=automatic)

    def _messages(
        self, order: OrderRecord, step: Step, reason: str, action: Action | None, now: datetime
    ) -> Sequence[SystemMessage]:
        if step.tell is None or (step.tell == "order_confirmed" and not order.confirm_by_sms):
            return []  # the receipt went already; a confirmation is a text, or the shop's own e-mail
        message = SystemMessage(
            merchant_id=order.merchant_id,
            message_id=self._ids.next(),
            msisdn=order.msisdn,
            kind=step.tell,
            sender=order.sender,
            body=self._told(order, step.tell, reason, action),
            expires_at=now + SYSTEM_MESSAGE_LIFE,
            subscriber_id=order.subscriber_id,
            order_id=order.order_id,
        )
        return [message]

    def _events(self, order: OrderRecord, step: Step, now: datetime) -> EventColumns:
        if step.notify is None:
            return EventColumns()
        subject = self._public_ids.encode(Kind.ORDER, order.order_id)
        return self._event(order, step.notify, subject, order_data(order, self._public_ids), now)

    def _sold_out(self, order: OrderRecord, now: datetime) -> EventColumns:
        """Return what a shop is told should the order take the last piece."""
        return self._event(order, SOLD_OUT, self._public_ids.encode(Kind.OFFER, order.offer_id), {}, now)

    def _event(
        self, order: OrderRecord, type_: str, subject: str, data: Mapping[str, object], now: datetime
    ) -> EventColumns:
        columns = EventColumns()
        add_event(
            columns, merchant_id=order.merchant_id, event_id=self._ids.next(), type_=type_, subject=subject,
            data=data, at=now,
        )  # fmt: skip
        return columns

    def _wake(self, messages: SystemMessageColumns) -> None:
        if len(messages):
            self._wakeups.interactive()
        self._wakeups.deliveries()

    def _told(self, order: OrderRecord, kind: str, reason: str, action: Action | None) -> str:
        """Return the text for the buyer; a reason that does not fit stays with the order."""
        language = spoken(order.language, order.offer_language, ucs2=self._writes_ucs2(order.sender))
        fields: dict[str, str | int] = {
            "shop": order.shop_name,
            "item": order.item,
            "order": order.number,
            "quantity": order.quantity,
            "total": price_text(order.total_minor, order.currency, language),
        }
        if action is not None:
            fields |= action.fields(order.timezone)
        if reason and len(reason) <= REASON_TOLD_MAX and kind == "order_rejected":
            try:
                return system_text(kind, language, **fields, reason=reason)
            except Invalid:  # longer once its characters were replaced
                pass
        return system_text(kind, language, **fields)


def _due_of(order: OrderRecord) -> Due | None:
    if order.due_event is None or order.due_at is None:
        return None
    return Due(OrderEvent(order.due_event), order.due_at)


def _detail(before: OrderRecord, after: OrderRecord, reason: str, action: Action | None) -> dict[str, object]:
    detail: dict[str, object] = {"reason": reason} if reason else {}
    if after.shop_ref != before.shop_ref:
        detail["order_ref"] = after.shop_ref
    if after.delivered_at is not None and after.delivered_at != before.delivered_at:
        detail["delivered_at"] = after.delivered_at.isoformat()
    if action is not None:
        detail |= {"link": action.link, "until": action.until.isoformat()}
    return detail


def _change(
    before: OrderRecord, after: OrderRecord, event: OrderEvent, actor: str, detail: Mapping[str, object]
) -> OrderChange:
    return OrderChange(
        merchant_id=before.merchant_id,
        order_id=before.order_id,
        seq_before=before.seq,
        event=event.value,
        state=after.state,
        actor=actor,
        shop_ref=after.shop_ref,
        detail=detail,
        at=after.changed_at,
        stock_back=before.quantity if before.stock_held and not after.stock_held else 0,
        stock_taken=before.quantity if after.stock_held and not before.stock_held else 0,
        offer_id=before.offer_id,
        stock_held=after.stock_held,
        due_event=after.due_event,
        due_at=after.due_at,
        delivered_at=after.delivered_at,
    )


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


def _instant(value: object) -> datetime:
    """Read an instant of the shop's answer, as RFC 3339 has it."""
    try:
        at = datetime.fromisoformat(_text(value, REF_CHARACTERS_MAX))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Invalid("no instant with its zone", code="action_invalid", pointer="/until")
    return at
