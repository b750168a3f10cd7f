"""A STOP: how far it reaches, who is told, and that it holds for who does not know the person yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from smsgate.campaigns.consent import DOUBT_MAX, ConsentEvent, ConsentState, Purpose
from smsgate.campaigns.consent_commands import (
    ALL_PURPOSES,
    StopCommand,
    StopReach,
    asks_erasure,
    reach_on,
    stop_command,
)
from smsgate.campaigns.texts import topic_text
from smsgate.flows.inbound_consent_writes import ConsentWrites
from smsgate.flows.inbound_records import MerchantCard, Person, SenderMerchant
from smsgate.flows.test_mode import TEST_SUFFIX
from smsgate.msisdn import is_simulated
from smsgate.security.public_ids import Kind
from smsgate.security.suppression import EVERYBODY

# Merchants of a sender number who need not have written from it to be meant by a STOP; a number that more may
# use stands for none of them before it sent something of theirs.
SENDER_MERCHANTS_MAX: Final = 20
OPERATOR: Final = ""  # the slug of whom `_speakers` lets stand for all
# What a STOP still ends: one that finds any of it is never the carrier's repetition of an earlier one.
_TO_END: Final = frozenset({ConsentState.SUBSCRIBED, ConsentState.PAUSED, ConsentState.PENDING})


class StopCase(ConsentWrites):
    """STOP, in all its reaches."""

    def stop(self, *, repeated: bool) -> None:
        """End messages of the merchants and purposes that the text names, or of all that may write here."""
        everyone = self._context.people.get(self._mo.msisdn, [])
        command = self._stop_command(everyone)
        people = self._reached(command, everyone)
        if repeated and not any(
            person.state_for(purpose) in _TO_END for person in people for purpose in command.purposes
        ):
            return
        erasure = asks_erasure(self._mo.text)
        told: list[Person] = []
        for person in people:
            decisions = self._apply(person, ConsentEvent.STOP, command.purposes, silent=command.everyone)
            self._count(person.merchant_id, "stops")
            if erasure:
                self.record("erasure_requested", person=person)
                self._ask_erasure(person)
            elif not self._left_to_a_person(person.merchant_id):
                self.record("stopped", person=person)
            if any(decision.tell for decision in decisions):
                told.append(person)
        if erasure and people and (told or self._may_answer()):
            self._confirm(told or people, "erasure_asked")
        elif told:
            self._confirm_stop(told, command)
        if command.merchant_ids is None and Purpose.OFFERS in command.purposes:
            self._stop_strangers(command, people, known=bool(everyone))
        elif not people and self._decided is not None:
            self._stop_unknown(self._decided.merchant_id)
        elif not people:
            self.record("nobody")
        if self._doubted is not None:  # of a merchant whom the text does not stop
            self._left_to_a_person(self._doubted.found.offer.merchant_id)
        if Purpose.OFFERS in command.purposes:
            ended = {person.merchant_id for person in people}.union(command.merchant_ids or ())
            self._close_offers(ended, plain=command.merchant_ids is None)

    def _stop_command(self, everyone: Sequence[Person]) -> StopCommand:
        """Return what the text names; what a person of a merchant decided is about that merchant alone."""
        if self._decided is not None:
            return StopCommand(merchant_ids=frozenset({self._decided.merchant_id}))
        return stop_command(self._mo.text, self._names(everyone))

    def _stop_unknown(self, merchant_id: int) -> None:
        """Let a stop hold for a merchant that does not know the person (any more); it is confirmed once."""
        msisdn, noted = self._mo.msisdn, self._context.stops_noted
        again = not noted.isdisjoint({(merchant_id, msisdn), (EVERYBODY, msisdn)})
        self._writes.number_stops[merchant_id, msisdn] = self._mo.received_at
        self.record("stopped", merchant_id=merchant_id)
        mine = [each.card for each in self._writers() if each.active and each.card.merchant_id == merchant_id]
        if mine and not again:
            self._tell_stranger(mine[0], "stop_confirmation")

    def _stop_strangers(self, command: StopCommand, people: Sequence[Person], *, known: bool) -> None:
        """
        Let the STOP hold for merchants of this sender number who do not know the person (yet).

        Where nobody was ended, the person hears it from one of them, once.
        """
        msisdn, noted = self._mo.msisdn, self._context.stops_noted
        reached = {person.merchant_id for person in people}
        writers = [] if command.everyone else self._writers()
        if command.everyone or not known:
            keys = {(EVERYBODY, msisdn)}
        else:
            keys = {(each.card.merchant_id, msisdn) for each in writers} - {(id_, msisdn) for id_ in reached}
        again = (EVERYBODY, msisdn) in noted or (bool(keys) and keys <= noted)
        self._writes.number_stops.update(dict.fromkeys(keys, self._mo.received_at))
        noted |= keys
        if people:
            return
        speakers = self._speakers() if keys else []  # what holds nowhere is not said to hold
        if not speakers:
            self.record("nobody")
            return
        first = speakers[0]
        self._record_stranger("stopped", first)
        if not again:
            shops = ", ".join(card.name for card in speakers)
            self._tell_stranger(first, "stop_confirmation", shop=shops)

    def _writers(self) -> list[SenderMerchant]:
        """Return who writes from this sender number, or wrote: those whose offers it sent come first."""
        found = self._beside_the_number()
        wrote, may = [each for each in found if each.wrote], self._users(found)
        return wrote + [each for each in may if not each.wrote] if len(may) <= SENDER_MERCHANTS_MAX else wrote

    def _beside_the_number(self) -> list[SenderMerchant]:
        if is_simulated(self._mo.msisdn) or self._mo.destination in self._context.takers:
            return []
        found = self._context.sender_merchants.get(self._mo.destination, [])
        return [each for each in found if not each.card.slug.endswith(TEST_SUFFIX)]

    def _users(self, found: Sequence[SenderMerchant]) -> list[SenderMerchant]:
        return [each for each in found if self._tools.may_use(self._mo.destination, each.card.slug)]

    def _speakers(self) -> list[MerchantCard]:
        """
        Return in whose names a stranger is answered.

        Where more merchants may use the number than can stand for it, and none wrote from it, the operator
        (`[consent] contact`) is named: the first of them pays for the text, and hears nothing of the reply.
        """
        if writers := [each.card for each in self._writers() if each.active]:
            return writers
        contact, may = self._tools.rules.contact, self._users(self._beside_the_number())
        able = [each.card for each in may if each.active] if len(may) > SENDER_MERCHANTS_MAX else []
        return [replace(able[0], slug=OPERATOR, name=contact, contact=contact)] if able and contact else []

    def _record_stranger(self, outcome: str, speaker: MerchantCard, *, reason: str = "") -> None:
        merchant_id = None if speaker.slug == OPERATOR else speaker.merchant_id
        self.record(outcome, merchant_id=merchant_id, reason=reason)

    def _ask_erasure(self, person: Person) -> None:
        """A person of the merchant has to erase: the reply waits in the inbox, and an event tells of it."""
        self._event(
            person.merchant_id,
            "erasure.requested",
            Kind.SUBSCRIBER,
            person.subscriber_id,
            {
                "msisdn": f"+{self._mo.msisdn}",
                "inbound_message": self._tools.public_ids.encode(Kind.INBOUND_MESSAGE, self._inbound_id),
            },
        )

    def _reached(self, command: StopCommand, everyone: Sequence[Person]) -> list[Person]:
        if command.everyone:
            return list(everyone)
        if command.merchant_ids is not None:
            return [person for person in everyone if person.merchant_id in command.merchant_ids]
        return self._reached_by_bare_stop(everyone)

    def _reached_by_bare_stop(self, everyone: Sequence[Person]) -> list[Person]:
        reach = reach_on(self._mo.received_at.date(), self._tools.rules.reaches)
        if reach is StopReach.ALL:
            return list(everyone)
        if reach is StopReach.OFFER and self._open is not None:
            mine = self._open.offer.merchant_id
            return [person for person in self._people if person.merchant_id == mine]
        return self._of_the_number(everyone)

    def _of_the_number(self, everyone: Sequence[Person]) -> list[Person]:
        """Return the people of who may write from this sender number, or once wrote from it."""
        wrote = self._context.wrote.get(self._mo.destination, ())
        return [person for person in everyone if person in self._people or person.merchant_id in wrote]

    def _confirm_stop(self, told: Sequence[Person], command: StopCommand) -> None:
        """One text, whoever is concerned: it names them."""
        first = told[0]
        if command.purposes == ALL_PURPOSES:
            self._confirm(told, "stop_confirmation", order=self._last_order(first.merchant_id))
        else:
            self._confirm(
                told, "stop_topic", topic=topic_text(sorted(command.purposes), self._language(first))
            )

    def _confirm(self, told: Sequence[Person], kind: str, **fields: str | int) -> None:
        shops = ", ".join(self._context.merchants[person.merchant_id].name for person in told)
        self._tell(told[0], kind, told[0].merchant_id, shop=shops, **fields)

    def _close_offers(self, merchant_ids: set[int], *, plain: bool) -> None:
        """No OK after a STOP orders anything, whatever sender number the offer came from."""
        if plain and self._open is not None:
            merchant_ids.add(self._open.offer.merchant_id)
        msisdn, offers = self._mo.msisdn, self._context.open_offers
        self._writes.closed.update((merchant_id, msisdn) for merchant_id in merchant_ids)
        for key in [k for k, found in offers.items() if k[0] == msisdn]:
            if offers[key].offer.merchant_id in merchant_ids:
                del offers[key]

    # ------------------------------------------------------------ what may be a STOP

    def doubt(self) -> None:
        """Hold marketing of whomever a STOP here would reach: nobody knows that the text was none."""
        for person in self._reached_by_bare_stop(self._context.people.get(self._mo.msisdn, [])):
            self._writes.doubts[person.merchant_id, person.subscriber_id] = self._mo.received_at + DOUBT_MAX
            person.in_doubt = True
            self._hold(person)

    def understood(self) -> None:
        """
        What the person says plainly ends a doubt about what was said before.

        Not as far as a STOP may reach: a word to one merchant's number says nothing about all the others.
        """
        for person in self._of_the_number(self._context.people.get(self._mo.msisdn, [])):
            if person.in_doubt:
                self._writes.doubts[person.merchant_id, person.subscriber_id] = None
                person.in_doubt = False
