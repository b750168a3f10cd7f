"""What a shop's webhook asks for, by its trigger's mapping: read before the database is asked anything."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

import orjson

from smsgate import msisdn as msisdns
from smsgate.campaigns.consent import ConsentState
from smsgate.campaigns.orders import USUAL_TERMS, OrderTerms
from smsgate.campaigns.rendering import field_names
from smsgate.campaigns.triggers import (
    MappedOffer,
    apply_mapping,
    check_mapping,
    external_id_of,
    offer_paths,
    recipients_of,
    values_at,
)
from smsgate.errors import DomainError, Invalid
from smsgate.flows.audience import PREFIX_DIGITS, Audience
from smsgate.flows.campaigns import SUBSCRIBERS_MAX
from smsgate.flows.commerce_records import AudienceGroup, FoundTrigger, KnownPerson, TriggerRecord
from smsgate.flows.offer_records import OfferDraft, OfferRecord
from smsgate.flows.ports_commerce import SenderInfo
from smsgate.protocol.tlvs import Tlvs

LIFE_DEFAULT_S: Final = 86_400  # of an offer whose mapping and settings say nothing
OFFERS_KEPT: Final = 2_000  # as many as judged texts (flows.offers); 3 kB each
KEY_OCTETS_MAX: Final = 2_000  # of what a document has where the mapping looks; longer ones do not come again
AUDIENCE_ALL: Final = "all"  # a mapped audience of everybody; any other word is a tag


@dataclass(frozen=True, slots=True)
class TriggerSettings:
    """What a mapping does not take from the shop's JSON."""

    sender: str
    text: str | None = None
    expires_in_s: int = LIFE_DEFAULT_S
    replace: bool = False  # see OfferDraft
    tlvs: Mapping[int, str] = field(default_factory=dict)  # of each of its offers: tag, octets in hexadecimal
    withdrawal: bool = True  # see OfferDraft
    cancel_window_s: int = USUAL_TERMS.cancel_window_s
    shop_answer_s: int = USUAL_TERMS.shop_answer_s
    confirm_by_sms: bool = False

    @property
    def own_tlvs(self) -> Tlvs:
        return tuple((tag, bytes.fromhex(value)) for tag, value in self.tlvs.items())


class CheckedOffer(NamedTuple):
    """What `Offers.check` said of an offer, and what it holds for."""

    record: OfferRecord  # under an id and with an end that are nobody's
    on: date  # rules change from day to day
    sender: SenderInfo | None  # what the configuration says of its sender number
    countries: set[str]  # of recipients that it may go to


@dataclass(slots=True)
class AskedOffer:
    """The offer that a webhook asks for, and the next one with the same values in the same places."""

    mapped: MappedOffer  # without recipients and external id, which are each webhook's own; None: an audience
    settings: TriggerSettings
    checked: CheckedOffer | None = None


class WebhookAsk(NamedTuple):
    """What a webhook asks for, as far as its own words and its trigger tell."""

    offer: AskedOffer
    external_id: str | None
    numbers: Sequence[int]  # of the recipients that it names
    wrong: DomainError | None  # what is wrong with these


@dataclass(frozen=True, slots=True, eq=False)
class KnownTrigger:
    """A trigger with what every webhook needs of it, read once; equal to itself alone."""

    found: FoundTrigger
    mapping: Mapping[str, Any]
    paths: tuple[tuple[str | int, ...], ...]  # by which its offers are made of documents
    settings: TriggerSettings
    broken: DomainError | None  # why its mapping makes no offer any more
    secret: str
    previous: tuple[str, datetime] | None  # the secret before, and until when it is taken

    def secrets(self, now: datetime) -> Sequence[str]:
        """Return the secrets that a webhook may be signed by."""
        previous = self.previous
        return (self.secret, previous[0]) if previous is not None and now < previous[1] else (self.secret,)


def known_trigger(found: FoundTrigger, secret: str, previous: str | None) -> KnownTrigger:
    """Return the trigger with its opened secrets; `previous` is the one before, if there is one."""
    mapping, settings = parts_of(found.trigger)
    broken = None
    try:
        check_mapping(mapping)
    except DomainError as exc:
        broken = exc
    until = found.trigger.previous_until
    before = (previous, until) if previous is not None and until is not None else None
    paths = offer_paths(mapping) if broken is None else ()
    return KnownTrigger(found, mapping, paths, settings, broken, secret, before)


class AskedOffers:
    """
    Offers that webhooks asked for, by trigger and by what their documents have where its mapping looks.

    A shop sends the same offer to one customer after the other. Reading, linting and making it again took
    more than all else that is done for a webhook.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[KnownTrigger, bytes], AskedOffer] = OrderedDict()

    def find(self, known: KnownTrigger, document: object) -> AskedOffer:
        """
        Return the offer that a document asks for.

        Raises:
            Invalid: as `apply_mapping`.
        """
        key = (known, _octets_of(values_at(known.paths, document)))
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return kept
        mapped = apply_mapping(known.mapping, document)
        if mapped.recipients is not None:  # thousands may be named, and the next webhook names others
            mapped = replace(mapped, recipients=(), external_id=None)
        asked = AskedOffer(mapped, known.settings)
        if len(key[1]) <= KEY_OCTETS_MAX:
            self._kept[key] = asked
            if len(self._kept) > OFFERS_KEPT:
                self._kept.popitem(last=False)
        return asked


def _octets_of(values: Sequence[Any]) -> bytes:
    """Return what tells values apart as JSON does: 1 is neither 1.0 nor true."""
    try:
        return orjson.dumps(values)
    except TypeError:  # an integer of more than 64 bits
        return repr(values).encode()


def read_webhook(
    known: KnownTrigger, body: bytes, parse: Callable[[bytes], object], offers: AskedOffers
) -> WebhookAsk | DomainError:
    """Return what the shop's JSON asks for; or why it is nothing, which a repeated webhook need not hear."""
    if known.broken is not None:
        return known.broken
    try:
        document = parse(body)
        offer = offers.find(known, document)
        external_id = external_id_of(known.mapping, document)
        recipients = recipients_of(known.mapping, document)
    except DomainError as exc:
        return exc
    try:
        country = known.found.merchant.country
        return WebhookAsk(offer, external_id, _numbers(recipients or (), country), None)
    except DomainError as exc:
        return WebhookAsk(offer, external_id, (), exc)


def _numbers(recipients: Sequence[str], country: str) -> list[int]:
    if len(recipients) > SUBSCRIBERS_MAX:
        raise Invalid(f"more than {SUBSCRIBERS_MAX} recipients: give them a tag", code="trigger_unmapped")
    return [int(msisdns.normalize(text, country)) for text in recipients]


def audience_of(asked: WebhookAsk, people: Mapping[int, KnownPerson]) -> Audience:
    """
    Return whom the webhook means.

    Raises:
        DomainError: code `consent_missing`; one of those it names has not agreed.
    """
    mapped, numbers = asked.offer.mapped, asked.numbers
    if mapped.recipients is None:
        everybody = mapped.audience in {None, AUDIENCE_ALL}
        return Audience() if everybody else Audience(tags=(mapped.audience or "",))
    without = [
        position
        for position, number in enumerate(numbers)
        if number not in people or people[number].offers_state != ConsentState.SUBSCRIBED
    ]
    if without:
        raise DomainError(
            f"{len(without)} of {len(numbers)} recipients have not agreed to offers of this merchant",
            code="consent_missing",
            extra={"recipients": without[:100]},
        )
    return Audience(subscriber_ids=tuple({people[number].subscriber_id: None for number in numbers}))


def groups_of(numbers: Sequence[int], people: Mapping[int, KnownPerson]) -> list[AudienceGroup]:
    """Return the groups of people that are named, as `CampaignsStore.audience_groups` does."""
    if len(numbers) == 1:
        return [AudienceGroup(people[numbers[0]].country, str(numbers[0])[:PREFIX_DIGITS], 1)]
    counts = Counter((people[number].country, str(number)[:PREFIX_DIGITS]) for number in set(numbers))
    return [AudienceGroup(*group, members) for group, members in sorted(counts.items())]


def parts_of(record: TriggerRecord) -> tuple[Mapping[str, Any], TriggerSettings]:
    """Return the mapping and the settings of a stored trigger."""
    stored: Any = record.mapping
    settings = dict(stored["settings"])
    tlvs = {int(tag): value for tag, value in settings.pop("tlvs", {}).items()}
    return stored["map"], TriggerSettings(**settings, tlvs=tlvs)


def life_of(mapped: MappedOffer, settings: TriggerSettings) -> timedelta:
    """Return how long after its webhook an offer ends."""
    return timedelta(seconds=settings.expires_in_s if mapped.expires_in_s is None else mapped.expires_in_s)


def draft_of(mapped: MappedOffer, settings: TriggerSettings, now: datetime) -> OfferDraft:
    """Return the offer that the shop's JSON asks for, its own values in the text's places."""
    return OfferDraft(
        text=filled(mapped.text if mapped.text is not None else settings.text or "", mapped.fields),
        item=mapped.item,
        unit_price_minor=mapped.price_minor,
        sender=settings.sender,
        expires_at=now + life_of(mapped, settings),
        currency=mapped.currency,
        shop_name=mapped.shop,
        language=mapped.language,
        country=mapped.country,
        quantity_max=1 if mapped.quantity_max is None else mapped.quantity_max,
        stock=mapped.stock,
        ask_above_minor=mapped.ask_above_minor,
        withdrawal=settings.withdrawal,
        replace=settings.replace,
        tlvs=settings.own_tlvs,
        terms=OrderTerms(settings.cancel_window_s, settings.shop_answer_s, settings.confirm_by_sms),
    )


def filled(text: str, fields: Mapping[str, str]) -> str:
    """Put the document's values in; a place without a value is left to the recipient's own fields."""
    for name in field_names(text):
        if name in fields:
            # A brace in a value would be read as a place of the recipient's: values are never read again.
            text = text.replace(f"{{{name}}}", fields[name].replace("{", "(").replace("}", ")"))
    return text
