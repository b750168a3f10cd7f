"""
What one customer's SMS comes to: the reading is pure, the effects are collected, nothing is done yet.

A desk serves one group of MOs in the order of their arrival; what the first one changes (stock, consent,
an order) is what the next one meets.
"""

from __future__ import annotations

from typing import Final

from smsgate.campaigns.order_commands import OrderCommand, OrderWish, order_wish
from smsgate.campaigns.orders import ENDED
from smsgate.campaigns.replies import Label, Reading
from smsgate.flows.esme_mos import Taker
from smsgate.flows.inbound_case import DeskTools, HumanDecided
from smsgate.flows.inbound_orders import OrderCase
from smsgate.flows.inbound_records import InboundContext, InboundRow, InboundWrites, OpenOffer
from smsgate.flows.order_texts import order_numbers_in
from smsgate.flows.records import MobileOriginated

# What a text says that lacks a part; whatever else it seems to say may hang on what is missing, and so may
# what it wants done with an order.
BELIEVED_INCOMPLETE: Final = frozenset({Label.STOP, Label.DECLINE, Label.HELP})
# What ends a doubt about what the same person said before.
PLAIN: Final = frozenset({Label.ACCEPT, Label.QUANTITY, Label.CHOICE, Label.DECLINE, Label.STOP, Label.START})
INCOMPLETE: Final = Reading(Label.UNCLEAR, "incomplete", "A part of the text never came.")


class Desk:
    def __init__(self, context: InboundContext, tools: DeskTools, *, attempt: int = 0) -> None:
        self.context = context
        self.tools = tools
        self.attempt = attempt  # changes the order numbers, should one have met another's
        self.writes = InboundWrites(answers_read=context.answers_given)

    def take(
        self, mo: MobileOriginated, reading: Reading, *, repeated: bool = False, complete: bool = True
    ) -> None:
        """
        Decide one MO; `reading` is what the text says, the context what it answers.

        `repeated` is a text with the octets of an earlier one: a redelivery, unless the person had come back
        (STOP), or another offer has come between (docs/decisions/0009).
        Of a text that is not `complete` only what binds nobody is believed: it orders and ends nothing.
        """
        taken = mo.destination in self.context.takers
        if not complete and not taken and reading.label not in BELIEVED_INCOMPLETE:
            incomplete = _Decision(self, mo, INCOMPLETE)
            incomplete.doubt()
            incomplete.record("incomplete")
            return
        case = _Decision(self, mo, reading, complete=complete)
        taker = self.context.takers.get(mo.destination)
        if taker is not None:
            case.hand_over(taker, repeated=repeated)
            return
        if repeated and reading.label is not Label.STOP:
            case.repetition()
            return
        if case.joined():
            return
        if reading.label in PLAIN or case.is_plain_command:
            case.understood()
        elif reading.label is Label.UNCLEAR:
            case.doubt()
        if case.wished(repeated=repeated):
            return
        if self._answers_question(case, mo, reading):
            return
        match reading.label:
            case Label.STOP:
                case.stop(repeated=repeated)
            case Label.START:
                case.start()
            case Label.AUTO:
                case.record("ignored")
            case Label.ACCEPT | Label.QUANTITY if reading.quantity != 0:
                case.accept()
            case Label.DECLINE:
                case.decline()
            case Label.HELP:
                case.help()
            case _:
                case.unclear()

    def _answers_question(self, case: _Decision, mo: MobileOriginated, reading: Reading) -> bool:
        """Whether a double opt-in took it; a no that names an order is about that order."""
        if reading.label in {Label.STOP, Label.AUTO} or order_numbers_in(mo.text):
            return False
        return case.answered_question()

    def rule(self, mo: MobileOriginated, reading: Reading, decided: HumanDecided) -> InboundRow:
        """Carry out what a person decided about a reply; return what is recorded, and not to be written."""
        case = _Decision(self, mo, reading, decided)
        case.understood()
        match reading.label:
            case Label.STOP:
                case.stop(repeated=False)
            case Label.DECLINE:
                case.decline()
            case _:
                case.accept()
        row = self.writes.rows[-1]
        self.writes.rows.clear()
        return row


class _Decision(OrderCase):
    """What each label comes to."""

    def __init__(
        self,
        desk: Desk,
        mo: MobileOriginated,
        reading: Reading,
        decided: HumanDecided | None = None,
        *,
        complete: bool = True,
    ) -> None:
        tools, attempt = desk.tools, desk.attempt
        super().__init__(
            desk.context, tools, desk.writes, mo, reading, decided, attempt=attempt, complete=complete
        )

    def wished(self, *, repeated: bool) -> bool:
        """Do what a text wants done with an order, or with consent in words of its own; False: go on."""
        found, mo, label = self._open, self._mo, self._reading.label
        names = () if found is None else (found.offer.shop_name, found.offer.item)
        wish = order_wish(mo.text, label, names)
        disputes = wish is not None and wish.command in {None, OrderCommand.DISPUTE}
        if wish is not None and not self._complete:
            wish = OrderWish(None, INCOMPLETE.reason)
        if label is Label.STOP:
            if wish is not None and not repeated:
                # Stop wins, and beside an order the word is about that too (a bare CANCEL).
                if wish.command is not None:
                    self.ordered_away(wish, record=False)
                elif disputes:
                    self.leave_in_doubt(wish)
            return False
        if self.commanded():
            return True
        if wish is None:
            return False
        if label is Label.HELP and wish.command is None and self._complete:
            self.leave_in_doubt(wish)
            return False
        return self.in_doubt(wish) if wish.command is None else self.ordered_away(wish, record=True)

    def hand_over(self, taker: Taker, *, repeated: bool) -> None:
        """
        The number is an ESME's: it gets the MO, and a STOP or START counts for the number all the same.

        A START of which a part is missing counts for nothing: who knows what was in it.
        """
        label = self._reading.label
        if label is Label.STOP:
            self._writes.esmes.note_stop(taker, self._mo, stopped=True)
            self.stop(repeated=repeated)
        if repeated:
            return
        if label is Label.START and self._complete:
            self._writes.esmes.note_stop(taker, self._mo, stopped=False)
            self.start()
        self._writes.esmes.hand_over_whole(taker, self._mo)
        if not self._is_recorded(taker.merchant_id):
            self.record("handed_over", merchant_id=taker.merchant_id)

    def repetition(self) -> None:
        """
        The carrier's repetition, or the same word said to another offer: who can tell orders nothing.

        Where a live offer waits for its answer, or what was ordered from it has ended, the person is asked,
        and whoever says no again after an order hears that it stands; otherwise there is nothing to say: the
        receipt of what is ordered says how many pieces.
        """
        found, label = self._open, self._reading.label
        if found is None or label not in {Label.ACCEPT, Label.QUANTITY, Label.DECLINE}:
            return
        if label is Label.DECLINE and found.answered_at is not None:
            self.no_again(found)
            return
        waits = found.offer_live and self._mo.received_at <= found.offer.expires_at
        if waits and (found.answered_at is None or self._all_ended(found)):
            if self._may_answer():
                self._ask_in_other_words(found)
            self.record("repetition", found=found)

    def _all_ended(self, found: OpenOffer) -> bool:
        """Return whether there were orders from an offer, and none of them stands."""
        states = {order.state for order in self._orders(found)}
        return bool(states) and states <= ENDED
