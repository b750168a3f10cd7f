"""What a change of consent by an MO writes: log, state, event, and what texts in memory must know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from smsgate.campaigns.consent import ConsentEvent, ConsentState, Decision, Purpose, decide
from smsgate.flows.inbound_case import Case
from smsgate.flows.inbound_records import ConsentRow, Person, Question, TakenBack
from smsgate.security.public_ids import Kind

# The person's own wish for offers, as often as they come.
_ASKED_FOR: Final = (ConsentEvent.START, ConsentEvent.YES)
# Written to the log also where the state stays as it was.
_LOGGED: Final = (ConsentEvent.STOP, ConsentEvent.PAUSE, ConsentEvent.LESS, ConsentEvent.OPT_IN_DOUBLE)


class ConsentWrites(Case):
    """Each person is one merchant's subscriber with the number that wrote."""

    def _names(self, people: Iterable[Person]) -> Mapping[int, Sequence[str]]:
        cards = (self._context.merchants[person.merchant_id] for person in people)
        return {card.merchant_id: (card.name, card.slug) for card in cards}

    def _language(self, person: Person) -> str:
        return self._spoken(person.language, self._context.merchants[person.merchant_id].language)

    def _questions_to(self, person: Person, purpose: Purpose) -> list[Question]:
        """Return what the person was asked about a purpose, from any number of the merchant, oldest first."""
        found = [
            asked
            for key, waiting in self._context.questions.items()
            for asked in waiting
            if key[0] == self._mo.msisdn
            and (asked.merchant_id, asked.purpose) == (person.merchant_id, purpose)
        ]
        return sorted(found, key=lambda asked: asked.asked_at)

    def _end_questions(self, person: Person, purpose: Purpose) -> None:
        """No later yes is one to a question about this purpose; those about others wait on."""
        over = self._questions_to(person, purpose)
        if not over and self._decided is None:  # who decides in the inbox has no questions at hand
            return
        msisdn, waiting, put = self._mo.msisdn, self._context.questions, self._writes.questions_asked
        self._writes.questions_closed.add((person.merchant_id, msisdn, purpose))
        for key in [key for key in waiting if key[0] == msisdn]:
            waiting[key] = [asked for asked in waiting[key] if asked not in over]
        put[:] = [each for each in put if each[0] != msisdn or each[2] not in over]

    def _apply(
        self,
        person: Person,
        event: ConsentEvent,
        purposes: Iterable[Purpose],
        *,
        reason: str = "",
        wording_version: str = "",
        keyword: str = "",
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
                keyword=keyword,
                silent=silent,
            )
            if purpose is Purpose.OFFERS and event in (ConsentEvent.LESS, *_ASKED_FOR):
                self._set_less(person, wanted=event is ConsentEvent.LESS and decision.tell is not None)
            if purpose is Purpose.OFFERS and decision.close_offers:
                self._writes.closed.add((person.merchant_id, self._mo.msisdn))
            seldom = person.less and purpose is Purpose.OFFERS
            if seldom or decision.state is not ConsentState.SUBSCRIBED:
                self._hold(person, marketing=purpose is Purpose.OFFERS)
            if decision.state is not ConsentState.PENDING:
                self._end_questions(person, purpose)
        return decisions

    def _set_less(self, person: Person, *, wanted: bool) -> None:
        """Let offers come seldom from now on, or as often as before; again, and it is counted from now."""
        if wanted or person.less:
            key = person.merchant_id, person.subscriber_id
            self._writes.less[key] = self._mo.received_at if wanted else None
            person.less = wanted

    def _hold(self, person: Person, *, marketing: bool = True) -> None:
        """Let texts in memory know, once this is committed."""
        self._writes.taken_back.append(TakenBack(person.merchant_id, self._mo.msisdn, marketing))

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
        keyword: str = "",
        silent: bool = False,
    ) -> None:
        before = person.state_for(purpose)
        if state is not before or event in _LOGGED or (person.less and event in _ASKED_FOR):
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
                    self._evidence(keyword),
                    silent,
                )
            )
        told_before = before is not ConsentState.NONE or purpose is Purpose.OFFERS
        if state is not before and told_before and state is not ConsentState.PENDING:
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

    def _evidence(self, keyword: str) -> Mapping[str, str]:
        if self._decided is not None:
            return {**self._decided.by, "who": self._decided.by["decided_by"]}
        return {"who": "phone", "keyword": keyword} if keyword else {"who": "phone"}
