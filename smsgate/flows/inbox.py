"""
The merchant's inbox: replies that no rule could read, decided by a person of the merchant.

A decision goes the way of a reply that says it plainly, at the time of the decision: what is late or sold out
by then is told so. It concerns this merchant alone, and consents to nothing in the customer's name.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

import structlog

from smsgate.campaigns.orders import ENDED
from smsgate.campaigns.replies import Label, Reading
from smsgate.clock import Clock
from smsgate.errors import Conflict, DomainError, NotFound, StoreError, StoreUnavailable
from smsgate.flows.commerce_records import InboundRecord, Page, PageAsk
from smsgate.flows.heard import in_force
from smsgate.flows.inbound_case import DeskTools, HumanDecided
from smsgate.flows.inbound_desk import Desk
from smsgate.flows.inbound_records import InboundContext, InboundWrites
from smsgate.flows.inbound_wishes import ORDERED_WITHIN
from smsgate.flows.order_texts import order_numbers_in
from smsgate.flows.ports import StopSet, Wakeups
from smsgate.flows.ports_inbound import InboundGroup
from smsgate.flows.records import MobileOriginated

log = structlog.get_logger(__name__)

ATTEMPTS: Final = 3  # a deadlock, or an order number that is taken
NO_CARRIER: Final = 0


class Verdict(StrEnum):
    ACCEPT = "accept"
    DECLINE = "decline"
    STOP = "stop"
    IGNORE = "ignore"


_LABELS: Final = {Verdict.ACCEPT: Label.ACCEPT, Verdict.DECLINE: Label.DECLINE, Verdict.STOP: Label.STOP}


@dataclass(frozen=True, slots=True)
class Ruling:
    """`decided_by` is the person, as the merchant names it; `key_id` the public id of the key."""

    verdict: Verdict
    decided_by: str
    key_id: str
    reason: str
    quantity: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """`outcome` is what came of it, in the words of a reply's outcome."""

    ruling: Ruling
    outcome: str
    order_id: int | None
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class InboxItem:
    reply: InboundRecord
    state: str  # open | settled: the person said something plain since | decided
    decision: Decision | None


class InboxGroup(InboundGroup, Protocol):
    """One transaction for one decision."""

    async def item(self, merchant_id: int, inbound_id: int) -> InboxItem | None: ...

    async def decide(self, merchant_id: int, reply: InboundRecord, decision: Decision) -> None:
        """
        Write the decision, and end the doubt that the reply held marketing by.

        At other merchants too, unless it was read as a stop: to them it is none, and no reason to go on.
        """
        ...


class InboxStore(Protocol):
    async def page(self, merchant_id: int, ask: PageAsk, state: str | None) -> Page[InboxItem]: ...

    async def get(self, merchant_id: int, inbound_id: int) -> InboxItem:
        """
        Return a reply that is, or was, for a person to decide about.

        Raises:
            NotFound: no such reply of this merchant, or one that was read.
        """
        ...

    def group(self) -> AbstractAsyncContextManager[InboxGroup]: ...


class Inbox:
    def __init__(
        self, store: InboxStore, tools: DeskTools, stops: StopSet, wakeups: Wakeups, clock: Clock
    ) -> None:
        self._store = store
        self._tools = tools
        self._stops = stops
        self._wakeups = wakeups
        self._clock = clock

    async def page(self, merchant_id: int, ask: PageAsk, state: str | None) -> Page[InboxItem]:
        return await self._store.page(merchant_id, ask, state)

    async def get(self, merchant_id: int, inbound_id: int) -> InboxItem:
        return await self._store.get(merchant_id, inbound_id)

    async def decide(self, merchant_id: int, inbound_id: int, ruling: Ruling) -> InboxItem:
        """
        Carry out what a person decided about a reply, once.

        Raises:
            NotFound: no such reply in this merchant's inbox.
            Conflict: code `decided_already`; or `settled_already`: against what its person said since.
            DomainError: code `offer_closed`: there is nothing that the reply could still order.
        """
        for attempt in range(ATTEMPTS):
            try:
                decision, writes = await self._decide(merchant_id, inbound_id, ruling, attempt)
                break
            except StoreUnavailable as exc:  # a deadlock: the other one has gone on
                if not exc.sqlstate.startswith("40") or attempt + 1 == ATTEMPTS:
                    raise
            except StoreError as exc:
                if not exc.is_duplicate or attempt + 1 == ATTEMPTS:
                    raise  # the next attempt finds the other's decision, or takes another order number
        in_force(writes, self._stops, self._wakeups, self._clock.monotonic())
        log.info("inbox_decided", verdict=ruling.verdict.value, outcome=decision.outcome)
        return await self._store.get(merchant_id, inbound_id)

    async def _decide(
        self, merchant_id: int, inbound_id: int, ruling: Ruling, attempt: int
    ) -> tuple[Decision, InboundWrites]:
        now = self._clock.now()
        async with self._store.group() as group:
            item = await group.item(merchant_id, inbound_id)
            if item is None:
                raise NotFound
            if item.decision is not None:
                raise Conflict("A person has decided about this reply already.", code="decided_already")
            if ruling.verdict is Verdict.IGNORE:
                decision = Decision(ruling, "ignored", None, now)
                await group.decide(merchant_id, item.reply, decision)
                return decision, InboundWrites()
            mo = _as_said(item.reply, ruling, now)
            numbers = [(mo.msisdn, number) for number in order_numbers_in(mo.text)]
            about = [] if item.reply.order_id is None else [mo.msisdn]
            strangers = [mo] if ruling.verdict is Verdict.STOP else []  # a stop is told to them, too
            users = {mo.destination: self._tools.users(mo.destination)}
            context = await group.context(
                [mo], numbers, about, now - ORDERED_WITHIN, of_anybody=strangers, users=users
            )
            _keep_only(context, merchant_id, item.reply)
            # Read again under the person's lock: what was said meanwhile is there.
            item = await group.item(merchant_id, inbound_id) or item
            _check_last_word(merchant_id, ruling.verdict, item, context)
            desk = Desk(context, self._tools, attempt=attempt)
            by = {"decided_by": ruling.decided_by, "key": ruling.key_id, "reason": ruling.reason}
            decided = HumanDecided(merchant_id, inbound_id, by, item.reply.order_id)
            row = desk.rule(mo, _reading(ruling), decided)
            decision = Decision(ruling, row.outcome, row.order_id, now)
            await group.write(desk.writes)
            await group.decide(merchant_id, item.reply, decision)
        return decision, desk.writes


def _check_last_word(merchant_id: int, verdict: Verdict, item: InboxItem, context: InboundContext) -> None:
    """
    Refuse what goes against what the person has said plainly since: an order, or the end of a later one.

    An order is refused, too, where the person has another offer by now. A stop is taken whatever was said.
    """
    ordering = verdict is Verdict.ACCEPT
    if item.state == "settled":
        later = verdict is Verdict.DECLINE and _ordered_since(merchant_id, item.reply, context)
        if ordering or later:
            raise Conflict("The person has said something plain since.", code="settled_already")
    if ordering and not context.open_offers:
        raise DomainError(
            "The offer that this reply answered is not open any more.", code="offer_closed", http_status=409
        )


def _ordered_since(merchant_id: int, reply: InboundRecord, context: InboundContext) -> bool:
    """Return whether a reply that is about no order was followed by one to the same offer, which stands."""
    orders = context.orders.get((merchant_id, reply.message_id or 0), [])
    return reply.order_id is None and any(
        order.placed_at > reply.received_at and order.state not in ENDED for order in orders
    )


def _as_said(reply: InboundRecord, ruling: Ruling, now: datetime) -> MobileOriginated:
    """Return the reply as if it came now; of a stop only the word, so that it is about everything."""
    return MobileOriginated(
        carrier_id=NO_CARRIER,
        msisdn=reply.msisdn,
        source=str(reply.msisdn),
        destination=reply.destination,
        text="STOP" if ruling.verdict is Verdict.STOP else reply.text,
        raw=b"",
        data_coding=0,
        received_at=now,
    )


def _reading(ruling: Ruling) -> Reading:
    label = _LABELS[ruling.verdict]
    if label is Label.ACCEPT and ruling.quantity is not None:
        label = Label.QUANTITY
    quantity = ruling.quantity or 1 if label in {Label.ACCEPT, Label.QUANTITY} else None
    return Reading(label, "human", f"A person of the merchant decided: {ruling.verdict.value}.", quantity)


def _keep_only(context: InboundContext, merchant_id: int, reply: InboundRecord) -> None:
    """Leave what is this merchant's, and of open offers the one that the reply answered."""
    people = context.people.get(reply.msisdn, [])
    context.people = {reply.msisdn: [person for person in people if person.merchant_id == merchant_id]}
    context.open_offers = {
        key: found
        for key, found in context.open_offers.items()
        if (found.offer.merchant_id, found.message_id) == (merchant_id, reply.message_id)
    }
    context.sender_merchants = {
        sender: [each for each in found if each.card.merchant_id == merchant_id]
        for sender, found in context.sender_merchants.items()
    }
    context.named = {
        key: (found, order)
        for key, (found, order) in context.named.items()
        if found.offer.merchant_id == merchant_id
    }
    context.questions.clear()  # nobody but the person consents
