"""What an MO does to consent: STOP and how far it reaches, START, PAUSE, the answer to a double opt-in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from smsgate.campaigns.consent import (
    DOUBT_MAX,
    ConsentEvent,
    ConsentState,
    Decision,
    Purpose,
    decide,
    question_open,
)
from smsgate.campaigns.consent_answers import Said, said_to_question
from smsgate.campaigns.consent_commands import (
    ALL_PURPOSES,
    LESS_DAYS,
    StopCommand,
    StopReach,
    named_merchants,
    pause_days,
    reach_on,
    start_name,
    stop_command,
    wants_less,
)
from smsgate.campaigns.orders import in_time
from smsgate.campaigns.texts import often_text, topic_text
from smsgate.flows.inbound_case import Case
from smsgate.flows.inbound_records import ConsentChange, ConsentRow, Person, Question
from smsgate.security.public_ids import Kind

PAUSED: Final = frozenset({Purpose.OFFERS, Purpose.LOCATION})  # what a PAUSE silences (commerce.md 4.1)


# What a STOP still ends: one that finds any of it is never the carrier's repetition of an earlier one.
_TO_END: Final = frozenset({ConsentState.SUBSCRIBED, ConsentState.PAUSED, ConsentState.PENDING})


class ConsentCase(Case):
    """Each person is one merchant's subscriber with the number that wrote."""

    @property
    def questions(self) -> list[tuple[Question, Person]]:
        """The double opt-ins that an answer to this sender number may mean, and whom each asked."""
        people = self._context.people.get(self._mo.msisdn, [])
        return [
            (asked, person)
            for asked in self._context.questions.get((self._mo.msisdn, self._mo.destination), [])
            for person in people
            if person.merchant_id == asked.merchant_id
            and person.state_for(asked.purpose) is ConsentState.PENDING
            and question_open(asked.asked_at, self._mo.received_at)
        ]

    @property
    def offer_waits(self) -> bool:
        """Whether a yes could still order: an offer that has ended waits for nothing."""
        found = self._open
        return (
            found is not None
            and found.answered_at is None
            and found.offer_live
            and in_time(self._mo.received_at, found.offer.expires_at)
        )

    def commanded(self) -> bool:
        """Carry out what only consent knows the words of; False: it is no such text."""
        days = pause_days(self._mo.text)
        if days is not None:
            self.pause(days)
        elif wants_less(self._mo.text):
            self.pause(LESS_DAYS, shortens=False)
        else:
            return False
        return True

    # ------------------------------------------------------------ STOP

    def stop(self, *, repeated: bool) -> None:
        """End messages of the merchants and purposes that the text names, or of all that may write here."""
        everyone = self._context.people.get(self._mo.msisdn, [])
        command = stop_command(self._mo.text, self._names(everyone))
        people = self._reached(command, everyone)
        if repeated and not any(
            person.state_for(purpose) in _TO_END for person in people for purpose in command.purposes
        ):
            return
        told: list[Person] = []
        for person in people:
            decisions = self._apply(person, ConsentEvent.STOP, command.purposes, silent=command.everyone)
            self._count(person.merchant_id, "stops")
            self.record("stopped", person=person)
            if any(decision.tell for decision in decisions):
                told.append(person)
        if told:
            self._confirm_stop(told, command)
        if not people:
            self.record("nobody")
        if Purpose.OFFERS in command.purposes:
            if command.everyone or not everyone:
                self._writes.number_stops[self._mo.msisdn] = self._mo.received_at
            self._close_offers({person.merchant_id for person in people}, plain=command.merchant_ids is None)

    def _reached(self, command: StopCommand, everyone: Sequence[Person]) -> list[Person]:
        if command.everyone:
            return list(everyone)
        if command.merchant_ids is not None:
            return [person for person in everyone if person.merchant_id in command.merchant_ids]
        reach = reach_on(self._mo.received_at.date(), self._tools.reaches)
        if reach is StopReach.ALL:
            return list(everyone)
        if reach is StopReach.OFFER and self._open is not None:
            mine = self._open.offer.merchant_id
            return [person for person in self._people if person.merchant_id == mine]
        return self._people

    def _confirm_stop(self, told: Sequence[Person], command: StopCommand) -> None:
        """One text, whoever is concerned: it names them."""
        first = told[0]
        shops = ", ".join(self._context.merchants[person.merchant_id].name for person in told)
        if command.purposes == ALL_PURPOSES:
            order = self._last_order(first.merchant_id)
            self._tell(first, "stop_confirmation", first.merchant_id, shop=shops, order=order)
        else:
            topic = topic_text(sorted(command.purposes), self._language(first))
            self._tell(first, "stop_topic", first.merchant_id, shop=shops, topic=topic)

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
        for person in self._people:
            self._writes.doubts[person.merchant_id, person.subscriber_id] = self._mo.received_at + DOUBT_MAX
            person.in_doubt = True
            self._hold(person, stopped=True)

    def understood(self) -> None:
        """What the person says plainly ends a doubt about what was said before."""
        for person in self._people:
            if person.in_doubt:
                self._writes.doubts[person.merchant_id, person.subscriber_id] = None
                person.in_doubt = False
                if person.offers_state is ConsentState.SUBSCRIBED:
                    self._hold(person, stopped=False)

    # ------------------------------------------------------------ START, PAUSE, YES

    def start(self) -> None:
        """Begin again with the merchant that is named, or with the only one that there is."""
        named = named_merchants(start_name(self._mo.text), self._names(self._people))
        people = [person for person in self._people if person.merchant_id in named] or [
            person for person in self._people if person.offers_state is not ConsentState.BLOCKED
        ]
        people = people or self._people
        if len(people) > 1 and people[0].offers_state is not ConsentState.BLOCKED:
            self._offer_choice(people)
            return
        for person in people:
            changed = person.offers_state
            decision = self._apply(person, ConsentEvent.START, {Purpose.OFFERS})[0]
            if not decision.accepted:
                self.record("refused", person=person)
                continue
            self.record("started", person=person)
            if decision.tell and (decision.state is not changed or self._may_answer()):
                self._welcome(person, Purpose.OFFERS)
        if not people:
            self.record("nobody")

    def _offer_choice(self, people: Sequence[Person]) -> None:
        first = people[0]
        names = ", ".join(self._context.merchants[person.merchant_id].name for person in people)
        if self._may_answer():
            self._tell(first, "start_choice", first.merchant_id, names=names)
        self.record("asked", person=first)

    def pause(self, days: int, *, shortens: bool = True) -> None:
        """Be silent until a date; what is open may still be ordered. `shortens`: one that is on, too."""
        states = {ConsentState.SUBSCRIBED, ConsentState.PAUSED} if shortens else {ConsentState.SUBSCRIBED}
        until = self._mo.received_at + timedelta(days=days)
        told = False
        for person in self._people:
            paused = [purpose for purpose in sorted(PAUSED) if person.state_for(purpose) in states]
            for purpose in paused:
                self._consent(person, purpose, ConsentEvent.PAUSE, ConsentState.PAUSED, until=until)
            if Purpose.OFFERS in paused:
                self._hold(person, stopped=True)
            self.record("paused" if paused else "refused", person=person)
            if paused and not told:
                told = True
                zone = ZoneInfo(self._context.merchants[person.merchant_id].timezone)
                until_text = f"{until.astimezone(zone):%d.%m. %H:%M}"
                self._tell(person, "pause_confirmation", person.merchant_id, until=until_text)
        if not self._people:
            self.record("nobody")

    def answered_question(self) -> bool:
        """
        Take what answers a double opt-in; False: the text goes where it would go without the question.

        Where an offer waits too, a yes may mean either, and the person is asked; a no is one to both.
        """
        asked = self.questions
        if not asked:
            return False
        first = asked[0][1]
        names = [name for names in self._names(person for _, person in asked).values() for name in names]
        said = said_to_question(self._mo.text, self._language(first), names)
        if said is Said.NO:
            for question, person in asked:
                self._disagree(question, person)
            if not self.offer_waits:
                for person in {id(person): person for _, person in asked}.values():
                    self.record("declined", person=person)
            return not self.offer_waits
        if said is Said.NOTHING:
            return False
        if said is Said.JOIN and (wanted := start_name(self._mo.text)):
            known = named_merchants(wanted, self._names(self._people))
            named = [each for each in asked if each[1].merchant_id in known]
            if known and not named:
                return False  # START of another merchant
            asked = named or asked
        if said is Said.YES and self.offer_waits:
            self._which_yes(asked[0][1])
        elif len(asked) > 1:
            self._offer_choice([person for _, person in asked])
        else:
            self._agree(*asked[0])
        return True

    def _which_yes(self, person: Person) -> None:
        """An offer and the question wait: say an answer to each that cannot be taken for the other's."""
        found = self._open
        assert found is not None
        if self._may_answer():
            names = self._context.merchants[person.merchant_id].name
            self._tell_about(found, "which_yes", item=found.offer.item, names=names)
        self.record("asked", found=found)

    def _agree(self, asked: Question, person: Person) -> None:
        decision = self._apply(
            person, ConsentEvent.YES, {asked.purpose}, wording_version=asked.wording_version
        )[0]
        self.record("agreed", person=person)
        if decision.tell:
            self._welcome(person, asked.purpose)
        self._end_questions({person.merchant_id})

    def _welcome(self, person: Person, purpose: Purpose) -> None:
        """Say what was agreed to, how often messages come, and how to get help and to end it (CTIA)."""
        language = self._language(person)
        if purpose is Purpose.OFFERS:
            often = often_text(self._tools.week_max, language)
            self._tell(person, "start_welcome", person.merchant_id, often=often)
        else:
            topic = topic_text([purpose], language)
            self._tell(person, "topic_welcome", person.merchant_id, topic=topic)

    def _disagree(self, asked: Question, person: Person) -> None:
        """A no: nothing was agreed, nothing is said, and no later yes is one to this question."""
        self._apply(person, ConsentEvent.NO, {asked.purpose}, wording_version=asked.wording_version)
        self._end_questions({person.merchant_id})

    def _end_questions(self, merchant_ids: AbstractSet[int]) -> None:
        msisdn, waiting = self._mo.msisdn, self._context.questions
        self._writes.questions_closed.update((merchant_id, msisdn) for merchant_id in merchant_ids)
        for key in [key for key in waiting if key[0] == msisdn]:
            waiting[key] = [asked for asked in waiting[key] if asked.merchant_id not in merchant_ids]

    # ------------------------------------------------------------ what they share

    def _names(self, people: Iterable[Person]) -> Mapping[int, Sequence[str]]:
        cards = (self._context.merchants[person.merchant_id] for person in people)
        return {card.merchant_id: (card.name, card.slug) for card in cards}

    def _language(self, person: Person) -> str:
        return self._spoken(person.language, self._context.merchants[person.merchant_id].language)

    def _apply(
        self,
        person: Person,
        event: ConsentEvent,
        purposes: Iterable[Purpose],
        *,
        reason: str = "",
        wording_version: str = "",
        silent: bool = False,
    ) -> list[Decision]:
        """
        Take one event for some purposes, in their order.

        A STOP is noted for purposes too that nobody ever agreed to: what is written down later, of a consent
        that is older, opens nothing.
        """
        decisions: list[Decision] = []
        for purpose in sorted(purposes):
            before = person.state_for(purpose)
            decision = decide(before, event, evidence_at=self._mo.received_at)
            decisions.append(decision)
            if not decision.accepted:
                continue
            self._consent(
                person,
                purpose,
                event,
                decision.state,
                reason=reason,
                wording_version=wording_version,
                silent=silent,
            )
            stopped = decision.state is not ConsentState.SUBSCRIBED
            if stopped or purpose is Purpose.OFFERS:
                self._hold(person, stopped=stopped, marketing=purpose is Purpose.OFFERS)
            if event in {ConsentEvent.STOP, ConsentEvent.COMPLAINT}:
                self._end_questions({person.merchant_id})
        return decisions

    def _hold(self, person: Person, *, stopped: bool, marketing: bool = True) -> None:
        """Let texts in memory know, once this is committed."""
        change = ConsentChange(person.merchant_id, self._mo.msisdn, stopped, marketing)
        self._writes.consent_changes.append(change)

    def _consent(
        self,
        person: Person,
        purpose: Purpose,
        event: ConsentEvent,
        state: ConsentState,
        *,
        until: datetime | None = None,
        reason: str = "",
        wording_version: str = "",
        silent: bool = False,
    ) -> None:
        before = person.state_for(purpose)
        if state is not before or event in {ConsentEvent.STOP, ConsentEvent.PAUSE}:
            self._writes.consents.append(
                ConsentRow(
                    person.merchant_id,
                    self._tools.ids.next(),
                    person.subscriber_id,
                    self._mo.msisdn,
                    event.value,
                    state.value,
                    self._inbound_id,
                    self._mo.received_at,
                    purpose,
                    until,
                    wording_version,
                    "sms" if self._decided is None else "human",
                    {} if self._decided is None else self._decided.by,
                    silent,
                )
            )
        told_before = before is not ConsentState.NONE or purpose is Purpose.OFFERS
        if state is not before and told_before:
            granted = state is ConsentState.SUBSCRIBED
            data: dict[str, object] = {
                "msisdn": f"+{self._mo.msisdn}",
                "purpose": purpose.value,
                "source": "sms" if self._decided is None else "human",
            }
            if reason:
                data["reason"] = reason
            self._event(
                person.merchant_id,
                "consent.granted" if granted else "consent.revoked",
                Kind.SUBSCRIBER,
                person.subscriber_id,
                data,
            )
        if purpose is Purpose.OFFERS:
            person.offers_state = state
        else:
            person.others[purpose] = state
