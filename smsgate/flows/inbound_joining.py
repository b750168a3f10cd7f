"""
An opt-in by a merchant's keyword: "JOIN JAZZ", or JAZZ alone where no offer waits for an answer.

Who is not known becomes a subscriber in the transaction of the MO, which is the proof together with the
wording that the keyword stands for. Who is known begins again, as by START.
"""

from __future__ import annotations

from typing import Final

from smsgate.campaigns.consent import ConsentEvent, ConsentState, Purpose
from smsgate.campaigns.consent_answers import Said, said_to_question
from smsgate.campaigns.consent_commands import join_word, may_start, named_merchants
from smsgate.campaigns.replies import Label
from smsgate.flows.answer_limit import HELPS_A_DAY
from smsgate.flows.inbound_consent import ConsentCase
from smsgate.flows.inbound_records import Keyword, NewSubscriber, Person, Question
from smsgate.flows.test_mode import TEST_SUFFIX
from smsgate.msisdn import is_simulated

SUPPRESSED_ASKS_IN: Final = "A number that may not be written to texted a keyword: look at its case."
_BEGIN_AGAIN: Final = frozenset({ConsentState.SUBSCRIBED, ConsentState.PAUSED, ConsentState.UNSUBSCRIBED})


class JoiningCase(ConsentCase):
    """Each person is one merchant's subscriber with the number that wrote."""

    def joined(self) -> bool:
        """Take a keyword; False: the text is none, and goes where it would go without keywords."""
        keyword = self._keyword()
        if keyword is None:
            return False
        merchant_id, msisdn = keyword.card.merchant_id, self._mo.msisdn
        everyone = self._context.people.get(msisdn, [])
        person = next((each for each in everyone if each.merchant_id == merchant_id), None)
        if person is not None and (person.offers_state is ConsentState.BLOCKED or self._agrees_to(keyword)):
            return False  # a case, or an answer to the question
        if self._answers_another():
            return False
        self.understood()
        if (merchant_id, msisdn) in self._context.suppressed:
            self._refuse_in(keyword)
        elif keyword.double_opt_in and (person is None or person.offers_state not in _BEGIN_AGAIN):
            self._ask_to_agree(person or self._add_person(keyword), keyword)
        else:
            self._begin(person or self._add_person(keyword), keyword)
        return True

    def _keyword(self) -> Keyword | None:
        if self._reading.label not in {Label.START, Label.UNCLEAR} or is_simulated(self._mo.msisdn):
            return None
        keyword = self._context.keywords.get((self._mo.destination, join_word(self._mo.text)))
        if keyword is None or (self.offer_waits and not may_start(self._mo.text)):
            return None
        if self._names_another(keyword):
            return None
        slug = keyword.card.slug
        usable = self._tools.may_use(self._mo.destination, slug) and not slug.endswith(TEST_SUFFIX)
        return keyword if usable else None

    def _answers_another(self) -> bool:
        """Whether another merchant's question waits for just this: a yes or a no is one to it."""
        asked = self.questions
        if not asked:
            return False
        names = [name for names in self._names(person for _, person in asked).values() for name in names]
        said = said_to_question(self._mo.text, self._language(asked[0][1]), names)
        return said in {Said.YES, Said.NO}

    def _agrees_to(self, keyword: Keyword) -> bool:
        """Whether the merchant's question waits here, and is about what the keyword stands for."""
        return any(
            person.merchant_id == keyword.card.merchant_id
            and asked.purpose is Purpose.OFFERS
            and asked.wording_version == keyword.wording_version
            for asked, person in self.questions
        )

    def _names_another(self, keyword: Keyword) -> bool:
        """Whether the word is the name of another merchant here: START and that name begin again with it."""
        beside = (each.card for each in self._context.sender_merchants.get(self._mo.destination, []))
        here = {card.merchant_id: (card.name, card.slug) for card in beside}
        names = {**here, **self._names(self._people)}
        return bool(named_merchants(keyword.word, names) - {keyword.card.merchant_id})

    def _add_person(self, keyword: Keyword) -> Person:
        card = keyword.card
        new = NewSubscriber(
            card.merchant_id, self._tools.ids.next(), self._mo.msisdn, card.language, self._mo.received_at
        )
        self._writes.subscribers.append(new)
        person = Person(card.merchant_id, new.subscriber_id, card.language, ConsentState.NONE)
        self._context.people.setdefault(self._mo.msisdn, []).append(person)
        self._people = [*self._people, person]
        return person

    def _begin(self, person: Person, keyword: Keyword) -> None:
        before = person.offers_state
        decision = self._apply(
            person,
            ConsentEvent.START,
            {Purpose.OFFERS},
            wording_version=keyword.wording_version,
            keyword=keyword.word,
        )[0]
        self.record("started", person=person)
        if decision.state is not before or self._may_answer():
            self._welcome(person, Purpose.OFFERS)

    def _ask_to_agree(self, person: Person, keyword: Keyword) -> None:
        """
        Put the question of the double opt-in, as the API does; one of a merchant at a time on a number.

        Of two the newer counts, whatever the older was about: a yes is one to what was asked last.
        """
        place = self._mo.msisdn, self._mo.destination
        waiting = self._context.questions
        mine = [asked for asked in waiting.get(place, []) if asked.merchant_id == person.merchant_id]
        if not self._may_answer(HELPS_A_DAY):
            self.record("joining", person=person)
            return
        for asked in mine:
            if asked.purpose is not Purpose.OFFERS:  # its place is taken: no yes is one to it any more
                self._apply(
                    person, ConsentEvent.QUESTION_EXPIRED, {asked.purpose},
                    wording_version=asked.wording_version, keyword=keyword.word,
                )  # fmt: skip
        self._apply(
            person,
            ConsentEvent.OPT_IN_DOUBLE,
            {Purpose.OFFERS},
            wording_version=keyword.wording_version,
            keyword=keyword.word,
        )
        question = Question(
            person.merchant_id, person.subscriber_id, Purpose.OFFERS, keyword.wording_version,
            self._mo.received_at,
        )  # fmt: skip
        waiting[place] = [asked for asked in waiting.get(place, []) if asked not in mine] + [question]
        put = self._writes.questions_asked
        put[:] = [each for each in put if each[:2] != place or each[2] not in mine] + [(*place, question)]
        self._tell(person, "optin_question", person.merchant_id)
        self.record("joining", person=person)

    def _refuse_in(self, keyword: Keyword) -> None:
        card = keyword.card
        self.record("start_refused", merchant_id=card.merchant_id, reason=SUPPRESSED_ASKS_IN)
        if self._may_answer():
            self._tell_stranger(card, "start_refused", contact=card.shown_contact)
