"""What an MO does to consent beside STOP: START, PAUSE, the answer to a double opt-in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from smsgate.campaigns.consent import LESS_PERIOD, ConsentEvent, ConsentState, Purpose, question_open
from smsgate.campaigns.consent_answers import Said, said_to_question
from smsgate.campaigns.consent_commands import (
    asks_erasure,
    named_merchants,
    pause_days,
    start_name,
    wants_less,
    wants_more,
)
from smsgate.campaigns.orders import in_time
from smsgate.campaigns.replies import Label
from smsgate.campaigns.texts import START_WORDING, often_text, topic_text
from smsgate.flows.answer_limit import HELPS_A_DAY
from smsgate.flows.inbound_records import Person, Question
from smsgate.flows.inbound_stops import StopCase

STRANGER_ASKS_IN: Final = "A number that you do not know asks for messages: bring its consent, or leave it."
PAUSED: Final = frozenset({Purpose.OFFERS, Purpose.LOCATION})  # what a PAUSE silences


class ConsentCase(StopCase):
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

    @property
    def is_plain_command(self) -> bool:
        """Whether the text asks for a pause, for fewer messages or for more: surely it is no STOP."""
        text = self._mo.text
        return pause_days(text) is not None or wants_less(text) or self._wants_more()

    def commanded(self) -> bool:
        """Carry out what only consent knows the words of; False: it is no such text."""
        if self._reading.label is not Label.AUTO and asks_erasure(self._mo.text):
            self.stop(repeated=False)
            return True
        days = pause_days(self._mo.text)
        if days is not None:
            self.pause(days)
        elif wants_less(self._mo.text):
            self.less()
        elif self._wants_more():
            self._begin_again(self._rarely_told())
        else:
            return False
        return True

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
        self._begin_again(people)
        if not people:
            self._refuse_stranger()

    def _begin_again(self, people: Iterable[Person]) -> None:
        for person in people:
            before = person.offers_state, person.less
            decision = self._apply(
                person, ConsentEvent.START, {Purpose.OFFERS}, wording_version=self._wording_of_start(person)
            )[0]
            if not decision.accepted:
                self.record("refused", person=person)
                continue
            self.record("started", person=person)
            changed = (decision.state, person.less) != before
            if decision.tell and (changed or self._may_answer()):
                self._welcome(person, Purpose.OFFERS)

    def _wording_of_start(self, person: Person) -> str:
        """
        Return the wording that a START agrees to: what was asked last and is not answered, else the welcome.

        Who agreed before and was silent, or wanted fewer messages, agrees to nothing new: "".
        """
        if person.offers_state in {ConsentState.SUBSCRIBED, ConsentState.PAUSED}:
            return ""
        asked = self._questions_to(person, Purpose.OFFERS)
        if person.offers_state is ConsentState.PENDING and asked:
            return asked[-1].wording_version
        return START_WORDING

    def _refuse_stranger(self) -> None:
        """Who is not known, or was erased, hears why nothing begins: no wording was agreed to."""
        speakers = self._speakers()
        if not speakers:
            self.record("nobody")
            return
        first = speakers[0]
        self._record_stranger("start_refused", first, reason=STRANGER_ASKS_IN)
        if self._may_answer():
            self._tell_stranger(first, "start_refused", contact=first.shown_contact)

    def _offer_choice(self, people: Sequence[Person]) -> None:
        first = people[0]
        # Two questions were two answers already: with no third, no yes would count that day.
        names = ", ".join(self._context.merchants[person.merchant_id].name for person in people)
        if self._may_answer(HELPS_A_DAY):
            self._tell(first, "start_choice", first.merchant_id, names=names)
        self.record("asked", person=first)

    def _wants_more(self) -> bool:
        """Whether who asked for fewer messages takes it back; of anybody else the words may mean anything."""
        return wants_more(self._mo.text) and bool(self._rarely_told())

    def _rarely_told(self) -> list[Person]:
        """Return who asked for fewer messages and gets some: after a STOP, START alone brings them back."""
        states = {ConsentState.SUBSCRIBED, ConsentState.PAUSED}
        return [person for person in self._people if person.less and person.offers_state in states]

    def less(self) -> None:
        """Have offers come seldom from now on, until a START; what is open may still be ordered."""
        told: list[Person] = []
        for person in self._people:
            tell = self._apply(person, ConsentEvent.LESS, {Purpose.OFFERS})[0].tell is not None
            self.record("less" if tell else "refused", person=person)
            if tell:
                told.append(person)
        if told:
            self._confirm(told, "less_confirmation", days=LESS_PERIOD.days)
        if not self._people:
            self.record("nobody")

    def pause(self, days: int) -> None:
        """Be silent until a date; what is open may still be ordered."""
        states = {ConsentState.SUBSCRIBED, ConsentState.PAUSED}
        until = self._mo.received_at + timedelta(days=days)
        told = False
        for person in self._people:
            paused = [purpose for purpose in sorted(PAUSED) if person.state_for(purpose) in states]
            for purpose in paused:
                self._consent(person, purpose, ConsentEvent.PAUSE, ConsentState.PAUSED, until=until)
            if Purpose.OFFERS in paused:
                self._hold(person)
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
