"""
What an MO says besides yes: no, a wish about an order, a question, or nothing that is understood.

What is answered is true for the offer and the order as they are: nobody who has ordered hears that nothing is
ordered, and nobody is told to say OK where OK orders nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from smsgate.campaigns.order_commands import OrderCommand, OrderWish, plain_no
from smsgate.campaigns.orders import ENDED, LIVE, OrderEvent, OrderState, in_time, orderable, takes
from smsgate.campaigns.replies import Label
from smsgate.campaigns.texts import field_characters_max, other_yes, told_word
from smsgate.flows.answer_limit import HELPS_A_DAY
from smsgate.flows.inbound_moves import OrderMoves, waiting
from smsgate.flows.inbound_records import Doubted, OpenOffer, Person, PlacedOrder
from smsgate.flows.inbound_stops import OPERATOR
from smsgate.flows.order_texts import order_numbers_in, price_text

ORDERS_NAMED_MAX: Final = 4  # as many as "which one?" has room for, the newest
ORDERED_WITHIN: Final = timedelta(days=180)  # an order without its number is looked for among these
NO_PLAIN_NO: Final = "It is no plain no to the order, which stands."
NO_AGAIN: Final = "It may be the no of before the order, which stands."
NOT_BY_THAT_NUMBER: Final = "No order of the number that it names can be ended so."
_EVENTS: Final = {
    OrderCommand.CANCEL: OrderEvent.CUSTOMER_CANCEL,
    OrderCommand.WITHDRAW: OrderEvent.CUSTOMER_WITHDRAW,
    OrderCommand.DISPUTE: OrderEvent.CUSTOMER_DISPUTE,
}
_OUTCOMES: Final = {
    OrderState.CANCELLED: "cancelled",
    OrderState.REJECTED: "cancelled",
    OrderState.EXPIRED: "declined",
    OrderState.WITHDRAWN: "withdrawn",
    OrderState.DISPUTED: "disputed",
}
Orders = list[tuple[OpenOffer, PlacedOrder]]


class WishCase(OrderMoves):
    # ------------------------------------------------------------ NO

    def decline(self) -> None:
        if self._decided is not None and self._decided.order_id is not None and self._end_decided():
            return
        clear = self._decided is not None or (self._complete and plain_no(self._mo.text))
        if number := self._order_named():
            self._decline_order(number, clear=clear)
            return
        found = self._open
        if found is None:
            self._no_to_nothing()
            return
        orders = self._orders(found)
        asked, live = waiting(orders), [order for order in orders if order.state in LIVE]
        standing = _standing(orders)
        self._answered(found)
        if asked is not None:
            self._move(found, asked, OrderEvent.CUSTOMER_NO)
            self.record("declined", found=found, order_id=asked.order_id)
        elif standing is not None and not (clear and live):  # after delivery a bare no names no order
            self._ask_about(found, standing, NO_PLAIN_NO)
        elif len(live) > 1:
            self._which([(found, order) for order in live], OrderCommand.CANCEL)
        elif live:
            self._move_and_record(found, live[0], OrderEvent.CUSTOMER_NO)
        else:
            self._count(found.offer.merchant_id, "declines", found.campaign_id)
            self.record("declined", found=found)

    def no_again(self, found: OpenOffer) -> None:
        """
        Take a plain no that was said already: after an order it may be the first one, which comes late.

        Or it takes the order back. The order stands, and its customer hears that.
        """
        order, text = _standing(self._orders(found)), self._mo.text
        if order is None or found.answered_at is None or not plain_no(text) or order_numbers_in(text):
            return
        if found.answered_at <= order.placed_at:
            self._ask_about(found, order, NO_AGAIN, outcome="repetition")

    def _no_to_nothing(self) -> None:
        """A no with no offer open may be meant for an order: say that it did nothing, and whom to ask."""
        person = self._first_person()
        if person is not None and self._decided is None:
            self._nothing_open(person)
        else:
            self.record("declined" if person else "nobody", person=person)

    def _order_named(self) -> str | None:
        """Return the order number beside a no: as it was read, or the only one that the text holds."""
        numbers = order_numbers_in(self._mo.text)
        return self._reading.reference or (numbers[0] if len(numbers) == 1 else None)

    def _decline_order(self, number: str, *, clear: bool) -> None:
        """NON 74170963: that order, whatever offer is open now; an unknown number is a question."""
        found, order = self._context.named.get((self._mo.msisdn, number), (None, None))
        if found is None or order is None:
            self.unclear()
        elif clear and takes(order.state, OrderEvent.CUSTOMER_NO):
            self._move_and_record(found, order, OrderEvent.CUSTOMER_NO)
        else:
            self._ask_about(found, order, NO_PLAIN_NO)

    def _end_decided(self) -> bool:
        """A person of the merchant read the reply as a no to its order, and so agrees to its end."""
        decided = self._decided
        mine = [each for each in self._mine() if decided and each[1].order_id == decided.order_id]
        if not mine or not takes(mine[0][1].state, OrderEvent.SHOP_CANCEL):
            return False
        self._move_and_record(*mine[0], OrderEvent.SHOP_CANCEL)
        return True

    # ------------------------------------------------------------ what is wanted of an order

    def ordered_away(self, wish: OrderWish, *, record: bool) -> bool:
        """
        Do what the text wants done with an order of this person; False: none that it could mean.

        Without `record` it was a word that ends messages too: what came already is not given back by it,
        the shop hears of it and answers.
        """
        assert wish.command is not None
        event = _EVENTS[wish.command]
        mine = [each for each in self._mine() if takes(each[1].state, event)]
        if numbers := order_numbers_in(self._mo.text):
            meant = [each for each in mine if each[1].number in numbers]
            if not meant and wish.command is OrderCommand.DISPUTE:
                # It ends nothing, and the number may be one to call.
                meant = self._likely(mine, wish.command, late=record)
            elif not meant:  # a slip, or another shop's number: no other order is meant
                unknown = wish._replace(reason=NOT_BY_THAT_NUMBER)
                return self.in_doubt(unknown) if record else self.leave_in_doubt(unknown)
        else:
            meant = self._likely(mine, wish.command, late=record)
        if not meant:
            return False
        if record:
            self._reading = self._reading._replace(reason=wish.reason)
        if len(meant) > 1 and wish.command is not OrderCommand.DISPUTE:
            self._which(meant, wish.command, record=record)
            return True
        self._move_and_record(*max(meant, key=_order_id), event, record=record)
        return True

    def in_doubt(self, wish: OrderWish) -> bool:
        """Ask about an order that a text may want ended, and may not; False: there is none."""
        meant = self._meant_in_doubt()
        if meant is None:
            return False
        self._ask_about(*meant, wish.reason)
        return True

    def leave_in_doubt(self, wish: OrderWish) -> bool:
        """Let a person of the merchant read what is answered as a stop or a question; False: no order."""
        meant = self._meant_in_doubt()
        if meant is None:
            return False
        self._doubted = Doubted(meant[0], meant[1].order_id, wish.reason)
        return True

    def _meant_in_doubt(self) -> tuple[OpenOffer, PlacedOrder] | None:
        mine, numbers = self._mine(), order_numbers_in(self._mo.text)
        meant = [each for each in mine if each[1].number in numbers and each[1].state not in ENDED]
        return max(meant or self._likely(mine, OrderCommand.CANCEL, late=True), key=_order_id, default=None)

    def _mine(self) -> Orders:
        return [each for (msisdn, _), each in self._context.named.items() if msisdn == self._mo.msisdn]

    def _likely(self, mine: Orders, command: OrderCommand, *, late: bool) -> Orders:
        """Return the orders that a text may mean which names none; the rest where there are no others."""
        standing = [each for each in mine if each[1].state not in ENDED and self._of_this_number(each[0])]
        if command is OrderCommand.DISPUTE:
            return standing
        under_way = [each for each in standing if each[1].state in LIVE | {OrderState.AWAITING_CONFIRMATION}]
        returnable = [each for each in standing if self._returnable(*each)]
        if command is OrderCommand.WITHDRAW:
            return under_way + returnable or standing
        return under_way or returnable or (standing if late else [])

    def _which(self, meant: Orders, command: OrderCommand, *, record: bool = True) -> None:
        """Several orders may be meant: nothing happens to any before the customer said which."""
        found = max(meant, key=_order_id)[0]
        merchant_id = found.offer.merchant_id
        orders = [order for other, order in meant if other.offer.merchant_id == merchant_id]
        newest = sorted(orders, key=lambda order: order.order_id)[-ORDERS_NAMED_MAX:]
        cancels = command is OrderCommand.CANCEL and any(order.state in LIVE for order in newest)
        word = told_word("cancel" if cancels else "withdraw", self._spoken_to(found))
        self._tell_about(found, "which_order", word=word, orders=", ".join(order.number for order in newest))
        if record:
            self.record("which_order", found=found)

    def _move_and_record(
        self, found: OpenOffer, order: PlacedOrder, event: OrderEvent, *, record: bool = True
    ) -> None:
        given_back = record or event is not OrderEvent.CUSTOMER_CANCEL
        step = self._move(found, order, event, may_withdraw=given_back)
        if record:
            outcome = "cancelled" if step.tell == "order_cancelled" else _OUTCOMES.get(order.state, "")
            if step.notify == "order.cancel_requested":
                outcome = "cancel_requested"
            self.record(outcome, found=found, order_id=order.order_id)

    def _ask_about(
        self, found: OpenOffer, order: PlacedOrder, reason: str, *, outcome: str = "asked"
    ) -> None:
        """
        The order stands: its customer hears so and how to end it, once; a person of the merchant reads.

        One that waits for its answer is asked about again, where a yes to this number is that answer.
        """
        self._reading = self._reading._replace(reason=reason)
        if order.state is OrderState.AWAITING_CONFIRMATION:
            if self._answers(found) and self._may_answer():
                self._tell_order(found, order, "confirm_question")
        elif not order.asked and takes(order.state, OrderEvent.CUSTOMER_UNCLEAR) and self._may_answer():
            order.asked = True
            self._move(found, order, OrderEvent.CUSTOMER_UNCLEAR)
        self.record(outcome, found=found, order_id=order.order_id)

    def _of_this_number(self, found: OpenOffer) -> bool:
        """Return whether a text to the number that was written to may be about that offer unnamed."""
        offer, here = found.offer, self._mo.destination
        if offer.sender == here or self._answers(found):
            return True
        return self._tools.may_use(here, self._context.merchants[offer.merchant_id].slug)

    def _answers(self, found: OpenOffer) -> bool:
        """Return whether a yes from this person to this number is about that offer."""
        here = self._open
        if here is None:
            return False
        return (here.offer.merchant_id, here.message_id) == (found.offer.merchant_id, found.message_id)

    # ------------------------------------------------------------ questions, and what is not understood

    def help(self) -> None:
        """Answer with the merchant's contact, whatever else was answered today."""
        found, person = self._open, self._first_person()
        if found is None and person is None:
            self._help_stranger()
            return
        if self._may_answer(HELPS_A_DAY):
            if found is not None:
                self._help_with(found)
            elif person is not None:
                self._tell(
                    person, "help_closed", person.merchant_id, contact=self._contact(person.merchant_id)
                )
        if self._doubted is not None:  # a question alone is nothing for a person to decide
            self._reading = self._reading._replace(label=Label.UNCLEAR)
            self._left_to_a_person(self._doubted.found.offer.merchant_id)
            return
        self.record("asked", found=found, person=person)

    def _help_stranger(self) -> None:
        """Say who is behind the number: its merchant, or if several are, whoever answers for all."""
        speakers = self._speakers()
        if not speakers:
            self.record("nobody")
            return
        first = speakers[0]
        if self._may_answer(HELPS_A_DAY):
            if first.slug == OPERATOR:
                self._tell_stranger(first, "help_shared", contact=first.contact)
            elif len(speakers) == 1:
                self._tell_stranger(first, "help_closed", contact=first.shown_contact)
            else:
                names = ", ".join(card.name for card in speakers)
                contact = self._tools.rules.contact or first.shown_contact
                self._tell_stranger(first, "help_shared", contact=contact, names=names)
        self._record_stranger("asked", first)

    def _help_with(self, found: OpenOffer) -> None:
        order, contact = _standing(self._orders(found)), self._contact(found.offer.merchant_id)
        if order is not None:
            self._tell_order(found, order, "help_order")
        else:
            kind = "help" if self._state_text(found) == "unclear" else "help_closed"
            self._tell_about(found, kind, contact=contact)

    def unclear(self) -> None:
        """Ask back once, never guess."""
        found, person = self._open, self._first_person()
        if found is None:
            if person is not None and self._may_answer():
                contact = self._contact(person.merchant_id)
                self._tell(person, "no_offer", person.merchant_id, contact=contact)
            self.record("asked" if person else "nobody", person=person)
            return
        order = _standing(self._orders(found))
        if order is not None and waiting(self._orders(found)) is None:
            self._ask_about(found, order, self._reading.reason)
            return
        if self._may_answer():
            self._tell_state(found)
        self.record("asked", found=found)

    def ask_again(self, found: OpenOffer) -> bool:
        """Repeat the question that waits for its answer; False: there is none."""
        asked = waiting(self._orders(found))
        if asked is not None:
            self._tell_order(found, asked, "confirm_question")
        return asked is not None

    def _tell_state(self, found: OpenOffer) -> None:
        """Say what an answer would do, or why none does anything."""
        if not self.ask_again(found):
            self._tell_about(found, self._state_text(found), item=found.offer.item)

    def _ask_in_other_words(self, found: OpenOffer) -> None:
        """
        Ask what an answer would order, in another word: the same, said again, is a repetition again.

        A no that is said again still orders nothing, so nobody who said no is asked for a yes.
        """
        declined = self._reading.label is Label.DECLINE
        if declined or waiting(self._orders(found)) is not None or self._state_text(found) != "unclear":
            self._tell_state(found)
            return
        offer, language, said = found.offer, self._spoken_to(found), self._mo.text
        quantity = min(self._reading.quantity or 1, orderable(offer.quantity_max, self._stock(offer)))
        word = other_yes(said, quantity, language)
        if quantity > 1 and not word.endswith(str(quantity)):
            word = f"{word} {quantity}"
        if len(word) > field_characters_max("word", language):
            quantity, word = 1, other_yes(said, 1, language)
        total = price_text(offer.unit_price_minor * quantity, offer.currency, language)
        self._tell_about(
            found, "confirm_question", item=offer.item, quantity=quantity, total=total, word=word
        )

    def _state_text(self, found: OpenOffer) -> str:
        """Return the kind of text that is true of an offer from which nothing is ordered."""
        if not in_time(self._mo.received_at, found.offer.expires_at):
            return "late"
        if not found.offer_live:
            return "offer_closed"
        return "sold_out" if self._stock(found.offer) == 0 else "unclear"

    def _nothing_open(self, person: Person) -> None:
        """An OK or a no that answers nothing: say so, within the limit, and order nothing."""
        if self._may_answer():
            self._tell(person, "no_offer", person.merchant_id, contact=self._contact(person.merchant_id))
        self.record("no_open_offer", person=person)

    def _contact(self, merchant_id: int) -> str:
        return self._context.merchants[merchant_id].shown_contact


def _order_id(each: tuple[OpenOffer, PlacedOrder]) -> int:
    return each[1].order_id


def _standing(orders: list[PlacedOrder]) -> PlacedOrder | None:
    """Return the newest order that was placed and has not come to nothing."""
    standing = [order for order in orders if order.state not in ENDED | {OrderState.AWAITING_CONFIRMATION}]
    return standing[-1] if standing else None
