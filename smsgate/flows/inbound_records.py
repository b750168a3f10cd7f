"""
What the inbound flow reads about a group of MOs and what it writes: one transaction each way.

What there is one of for each MO is a NamedTuple: a frozen dataclass takes two to three times as long to make.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Final, NamedTuple

from smsgate.campaigns.consent import ConsentState, Purpose
from smsgate.campaigns.orders import Due, OrderState
from smsgate.campaigns.texts import contact_text
from smsgate.flows.answer_limit import AnsweredDay
from smsgate.flows.commerce_records import EventColumns, SystemMessageColumns
from smsgate.flows.esme_mos import EsmeWrites, Taker
from smsgate.flows.ledger import PostingLine
from smsgate.flows.records import MobileOriginated, OfferVersion
from smsgate.protocol.mo_text import decode_text

MISSING: Final = "..."  # reads as hesitation: beside it no yes is a plain yes


@dataclass(slots=True)
class OpenOffer:
    """The one offer that a plain OK from this number to this sender number answers."""

    offer: OfferVersion
    campaign_id: int
    message_id: int
    subscriber_id: int
    offer_live: bool
    answered_at: datetime | None = None  # ordered, declined or told "sold out"


@dataclass(slots=True)
class Person:
    """One merchant's subscriber with this number."""

    merchant_id: int
    subscriber_id: int
    language: str
    offers_state: ConsentState
    others: dict[Purpose, ConsentState] = field(default_factory=dict)  # besides offers; left out: none
    in_doubt: bool = False  # an earlier reply may have been a STOP, and holds marketing
    less: bool = False  # asked for fewer messages

    def state_for(self, purpose: Purpose) -> ConsentState:
        if purpose is Purpose.OFFERS:
            return self.offers_state
        return self.others.get(purpose, ConsentState.NONE)


@dataclass(frozen=True, slots=True)
class Question:
    """A double opt-in that waits for its answer; asked from the number that is answered."""

    merchant_id: int
    subscriber_id: int
    purpose: Purpose
    wording_version: str
    asked_at: datetime


@dataclass(slots=True)
class PlacedOrder:
    order_id: int
    number: str
    state: OrderState
    nth: int
    seq: int
    quantity: int
    created_at: datetime
    placed_at: datetime  # the OK that binds: the first, or the one to the second question
    shop_ref: str = ""
    stock_held: bool = True
    due: Due | None = None
    delivered_at: datetime | None = None
    asked: bool = False  # its customer was told that it stands, and how to end it


@dataclass(frozen=True, slots=True)
class MerchantCard:
    """What the texts to a customer say about a merchant."""

    merchant_id: int
    slug: str
    name: str
    language: str
    contact: str
    timezone: str

    @property
    def shown_contact(self) -> str:
        """Return whom texts name for questions: the contact, or the name where none fits."""
        return contact_text(self.contact, self.name)


class SenderMerchant(NamedTuple):
    """A merchant beside a sender number: `wrote` when offers of it were made for that number."""

    card: MerchantCard
    wrote: bool
    active: bool


class Keyword(NamedTuple):
    """A word that a merchant has strangers opt in by, on one sender number."""

    card: MerchantCard
    word: str
    wording_version: str
    double_opt_in: bool


@dataclass(slots=True)
class InboundContext:
    """Locked for the transaction: nothing here changes but by the decisions of this group."""

    open_offers: dict[tuple[int, str], OpenOffer] = field(default_factory=dict)  # (msisdn, destination)
    people: dict[int, list[Person]] = field(default_factory=dict)  # msisdn
    stock: dict[tuple[int, int], int | None] = field(default_factory=dict)  # (merchant, offer)
    orders: dict[tuple[int, int], list[PlacedOrder]] = field(default_factory=dict)  # (merchant, message)
    merchants: dict[int, MerchantCard] = field(default_factory=dict)
    ported: dict[int, str] = field(default_factory=dict)  # msisdn -> the network that it moved to
    # (msisdn, order number): the orders that a text names, or may mean, and the offer that each answered
    named: dict[tuple[int, str], tuple[OpenOffer, PlacedOrder]] = field(default_factory=dict)
    # (msisdn, sender number that asked): of each person here, whatever number they write to
    questions: dict[tuple[int, str], list[Question]] = field(default_factory=dict)
    # By sender number: who wrote from it, of the merchants of anybody here.
    wrote: dict[str, set[int]] = field(default_factory=dict)
    # By sender number, of those from which strangers are answered.
    sender_merchants: dict[str, list[SenderMerchant]] = field(default_factory=dict)
    stops_noted: set[tuple[int, int]] = field(default_factory=set)  # (merchant or 0 for all, msisdn)
    takers: dict[str, Taker] = field(default_factory=dict)  # by destination: it is an ESME's number
    # (merchant, order number): what an answer to one of `open_offers` would be called, and another order is
    numbers_taken: set[tuple[int, str]] = field(default_factory=set)
    keywords: dict[tuple[str, str], Keyword] = field(default_factory=dict)  # (destination, word)
    suppressed: set[tuple[int, int]] = field(default_factory=set)  # (merchant of a keyword, msisdn)
    answers_given: dict[AnsweredDay, int] = field(default_factory=dict)  # not locked: compared when written

    def language_of(self, mo: MobileOriginated) -> str:
        """Return the language that the person is written to in; it decides words that differ."""
        found = self.open_offers.get((mo.msisdn, mo.destination))
        people = self.people.get(mo.msisdn, [])
        if found is not None:
            mine = [person for person in people if person.merchant_id == found.offer.merchant_id]
            return mine[0].language if mine else found.offer.language
        return people[0].language if people else "en"


class Joined(NamedTuple):
    """A long MO from its parts; an incomplete one has MISSING in their place."""

    mo: MobileOriginated
    complete: bool


class TakenBack(NamedTuple):
    """What a STOP, PAUSE, LESS or doubt holds of the texts in memory, once it is committed."""

    merchant_id: int
    msisdn: int
    marketing: bool = True  # False: another consent was taken back, offers go on


class Doubted(NamedTuple):
    """An order that a text may want ended beside what it is answered as: a person of the shop reads it."""

    found: OpenOffer
    order_id: int
    reason: str


class InboundRow(NamedTuple):
    merchant_id: int
    inbound_id: int
    mo: MobileOriginated
    subscriber_id: int | None
    campaign_id: int | None
    message_id: int | None
    order_id: int | None
    label: str
    quantity: int | None
    outcome: str
    reason: str
    rules_version: str


class NewSubscriber(NamedTuple):
    """Who opted in by a keyword and was not known."""

    merchant_id: int
    subscriber_id: int
    msisdn: int
    language: str
    at: datetime


class ReplyCharge(NamedTuple):
    """What a row is charged; `item_id` 0: nothing."""

    segments: int
    item_id: int
    micros: int


@dataclass(frozen=True, slots=True)
class ConsentRow:
    merchant_id: int
    consent_id: int
    subscriber_id: int
    msisdn: int
    event: str
    state_after: str
    inbound_id: int
    at: datetime
    purpose: Purpose = Purpose.OFFERS
    paused_until: datetime | None = None
    wording_version: str = ""  # what was asked, where this answers a question
    source: str = "sms"  # or human: a person of the merchant read the reply so
    evidence: Mapping[str, str] = field(default_factory=dict)
    silent: bool = False  # STOP ALL: what orders need ends, too


class OrderRow(NamedTuple):
    merchant_id: int
    order_id: int
    number: str
    nth: int
    offer: OfferVersion
    campaign_id: int
    message_id: int
    subscriber_id: int
    msisdn: int
    inbound_id: int
    sender: str
    quantity: int
    total_minor: int
    state: str
    at: datetime
    due: Due | None


class OrderStepRow(NamedTuple):
    """One step, and the order as it leaves it."""

    merchant_id: int
    order_id: int
    seq: int
    event: str
    state: str
    at: datetime
    quantity: int
    total_minor: int
    stock_held: bool
    due: Due | None
    actor: str  # "customer", or "merchant" when a person of the merchant read the reply
    detail: Mapping[str, str]


@dataclass(slots=True)
class TextClaim:
    """Texts of a group that its transaction claims for this process, and what was so at that moment."""

    owner: int  # epoch of this process
    message_ids: set[int] = field(default_factory=set)  # once they are written: those that are claimed
    consent_read: tuple[float, int] = (0.0, 0)
    reloads: int = 0
    ported: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class InboundWrites:
    """Everything that a group of MOs changes."""

    rows: list[InboundRow] = field(default_factory=list)
    charges: list[ReplyCharge] = field(default_factory=list)  # of each row, in their order
    subscribers: list[NewSubscriber] = field(default_factory=list)
    consents: list[ConsentRow] = field(default_factory=list)
    orders: list[OrderRow] = field(default_factory=list)
    order_steps: list[OrderStepRow] = field(default_factory=list)
    stock_taken: dict[tuple[int, int], int] = field(default_factory=dict)  # (merchant, offer) -> pieces, net
    # (merchant, offer): what is live only if nothing ended it meanwhile, where no pieces are counted
    ordered_from: set[tuple[int, int]] = field(default_factory=set)
    # (msisdn, destination) -> the offer message that was answered, and when
    answered: dict[tuple[int, str], tuple[int, datetime]] = field(default_factory=dict)
    closed: set[tuple[int, int]] = field(default_factory=set)  # (merchant, msisdn): a STOP ended their offers
    blocked: dict[int, str] = field(default_factory=dict)  # msisdn -> why nobody may write to it any more
    # (merchant, or 0 for all, msisdn) -> when it asked for silence from who does not know it yet
    number_stops: dict[tuple[int, int], datetime] = field(default_factory=dict)
    # (merchant, subscriber) -> until when marketing waits for a reply to be understood; None: no more
    doubts: dict[tuple[int, int], datetime | None] = field(default_factory=dict)
    # (merchant, subscriber) -> since when fewer messages are wanted; None: as many as before
    less: dict[tuple[int, int], datetime | None] = field(default_factory=dict)
    # (merchant, msisdn, about what)
    questions_closed: set[tuple[int, int, Purpose]] = field(default_factory=set)
    questions_asked: list[tuple[int, str, Question]] = field(default_factory=list)  # msisdn, destination
    counters: dict[tuple[int, int, str], int] = field(default_factory=dict)
    postings: list[PostingLine] = field(default_factory=list)
    messages: SystemMessageColumns = field(default_factory=SystemMessageColumns)
    claim: TextClaim | None = None  # of some of them
    events: EventColumns = field(default_factory=EventColumns)
    taken_back: list[TakenBack] = field(default_factory=list)
    # What this group adds to the answers of a number and day, and what it found there.
    answers: dict[AnsweredDay, int] = field(default_factory=dict)
    answers_read: Mapping[AnsweredDay, int] = field(default_factory=dict)
    esmes: EsmeWrites = field(default_factory=EsmeWrites)


class PartOctets(NamedTuple):
    """One part of a long MO: its octets and how to read them (`protocol.mo_text.decode_text`)."""

    raw: bytes
    codec: str


def joined_text(parts: Mapping[int, PartOctets], total: int) -> str:
    """
    Return the text of the parts (from 1) that are there, with MISSING where one or more are not.

    Neighbours of one codec are joined before they are read: some peers end a part inside a character.
    """
    pieces: list[str] = []
    places = (parts.get(part) for part in range(1, total + 1))
    for codec, run in groupby(places, key=lambda part: None if part is None else part.codec):
        octets = b"".join(part.raw for part in run if part is not None)
        pieces.append(MISSING if codec is None else decode_text(octets, codec))
    return storable("".join(pieces))


def storable(text: str) -> str:
    """Return a text without U+0000, a character that PostgreSQL does not have."""
    return text.replace("\0", "\ufffd")


def fingerprint(mo: MobileOriginated) -> bytes:
    """Return what makes a redelivered deliver_sm the same: who, to whom, what, and which part."""
    head = f"{mo.source}|{mo.destination}|{mo.data_coding}|{mo.ref}|{mo.total}|{mo.part}|".encode()
    return hashlib.blake2b(head + mo.raw, digest_size=16).digest()
