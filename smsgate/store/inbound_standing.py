"""What the people of a group of MOs have before it: consent, offers that are open, questions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from smsgate.campaigns.consent import ANSWERS_OFFERS, ConsentState, Purpose
from smsgate.flows.inbound_records import InboundContext, MerchantCard, Person, Question
from smsgate.flows.records import MobileOriginated
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection
from smsgate.store.inbound_arrivals import KnownPerson
from smsgate.store.together import Together

_SQL: Final = load("inbound")
_OPENED: Final = (
    "msisdn", "sender", "merchant_id", "campaign_id", "message_id", "offer_id", "offer_version",
    "subscriber_id", "answered_at",
)  # fmt: skip
_ASKED: Final = (
    "msisdn", "sender", "merchant_id", "subscriber_id", "purpose", "wording_version", "asked_at",
)  # fmt: skip
Held = Mapping[tuple[int, int], tuple[str, bool, bool]]  # (merchant, subscriber): its state under the lock


async def lock_people(connection: Connection, people: Sequence[KnownPerson]) -> Held:
    """Lock these people and return what they are then; who was deleted since is left out."""
    subscribers: defaultdict[int, list[int]] = defaultdict(list)
    for each in people:
        subscribers[each.merchant_id].append(each.subscriber_id)
    held: dict[tuple[int, int], tuple[str, bool, bool]] = {}
    for merchant_id, ids in sorted(subscribers.items()):
        for row in await connection.fetch(_SQL["lock_people"], merchant_id, sorted(ids)):
            held[merchant_id, row["subscriber_id"]] = tuple(row)[1:]
    return held


async def standing(
    connection: Connection, mos: Sequence[MobileOriginated], people: Sequence[KnownPerson], held: Held
) -> tuple[InboundContext, list[dict[str, Any]]]:
    """
    Read what these people have, and return it with the rows of their open offers.

    After the lock: a STOP that crossed, in another process or the API, has closed its offers. What a claim
    that had read consent before opens after it is never sent. It is left out: its person answers no offers.
    """
    msisdns = list({mo.msisdn for mo in mos})
    merchants = sorted({each.merchant_id for each in people})
    reads = Together()
    consents = reads.read(
        _SQL["other_consents"],
        ("merchant_id", "subscriber_id", "purpose", "state"),
        [merchant_id for merchant_id, _ in held],
        [subscriber_id for _, subscriber_id in held],
    )
    opened = reads.read(
        _SQL["open_offers"], _OPENED, [mo.msisdn for mo in mos], [mo.destination for mo in mos]
    )
    asked = reads.read(_SQL["open_questions"], _ASKED, msisdns)
    answers = reads.read(_SQL["answer_counts"], ("msisdn", "day_at", "answers"), msisdns)
    cards = reads.read(_SQL["merchants"], MerchantCard.__slots__, merchants)
    senders = list({mo.destination for mo in mos})
    writers = reads.read(_SQL["writers_among"], ("sender", "merchant_id"), senders, merchants)
    await reads.run(connection)
    context = InboundContext(
        answers_given={(msisdn, day_at): given for msisdn, day_at, given in answers.rows},
        merchants={row[0]: MerchantCard(*row) for row in cards.rows},
    )
    others: defaultdict[tuple[int, int], dict[Purpose, ConsentState]] = defaultdict(dict)
    for merchant_id, subscriber_id, purpose, state in consents.rows:
        others[merchant_id, subscriber_id][Purpose(purpose)] = ConsentState(state)
    for each in people:
        who = each.merchant_id, each.subscriber_id
        if who in held:
            state, in_doubt, less = held[who]
            person = Person(*who, each.language, ConsentState(state), others.get(who, {}), in_doubt, less)
            context.people.setdefault(each.msisdn, []).append(person)
    for sender, merchant_id in writers.rows:
        context.wrote.setdefault(sender, set()).add(merchant_id)
    for msisdn, sender, merchant_id, subscriber_id, purpose, wording_version, asked_at in asked.rows:
        question = Question(merchant_id, subscriber_id, Purpose(purpose), wording_version, asked_at)
        context.questions.setdefault((msisdn, sender), []).append(question)
    found = [row for row in opened.dicts() if _answers(held.get((row["merchant_id"], row["subscriber_id"])))]
    return context, found


def _answers(held: tuple[str, bool, bool] | None) -> bool:
    """Whether the person of an open offer may answer it; who was erased meanwhile answers none."""
    return held is not None and ConsentState(held[0]) in ANSWERS_OFFERS
