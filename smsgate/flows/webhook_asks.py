"""What a shop's webhook asks for, by its trigger's mapping: read before the database is asked anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from smsgate import msisdn as msisdns
from smsgate.campaigns.consent import ConsentState
from smsgate.campaigns.orders import USUAL_TERMS, OrderTerms
from smsgate.campaigns.rendering import field_names
from smsgate.campaigns.triggers import MappedOffer, apply_mapping, check_mapping
from smsgate.errors import DomainError, Invalid
from smsgate.flows.audience import PREFIX_DIGITS, Audience
from smsgate.flows.campaigns import SUBSCRIBERS_MAX
from smsgate.flows.commerce_records import AudienceGroup, FoundTrigger, KnownPerson, TriggerRecord
from smsgate.flows.offer_records import OfferDraft
from smsgate.protocol.tlvs import Tlvs

LIFE_DEFAULT_S: Final = 86_400  # of an offer whose mapping and settings say nothing
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


class WebhookAsk(NamedTuple):
    """What a webhook asks for, as far as its own words and its trigger tell."""

    mapped: MappedOffer
    settings: TriggerSettings
    numbers: Sequence[int]  # of the recipients that it names
    wrong: DomainError | None  # what is wrong with these


@dataclass(frozen=True, slots=True)
class KnownTrigger:
    """A trigger with what every webhook needs of it, read once."""

    found: FoundTrigger
    mapping: Mapping[str, Any]
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
    return KnownTrigger(found, mapping, settings, broken, secret, before)


def read_webhook(
    known: KnownTrigger, body: bytes, parse: Callable[[bytes], object]
) -> WebhookAsk | DomainError:
    """Return what the shop's JSON asks for; or why it is nothing, which a repeated webhook need not hear."""
    if known.broken is not None:
        return known.broken
    settings = known.settings
    try:
        mapped = apply_mapping(known.mapping, parse(body))
    except DomainError as exc:
        return exc
    try:
        country = known.found.merchant.country
        return WebhookAsk(mapped, settings, _numbers(mapped.recipients or (), country), None)
    except DomainError as exc:
        return WebhookAsk(mapped, settings, (), exc)


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
    mapped, numbers = asked.mapped, asked.numbers
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
    return Audience(subscriber_ids=tuple(dict.fromkeys(people[number].subscriber_id for number in numbers)))


def groups_of(numbers: Sequence[int], people: Mapping[int, KnownPerson]) -> list[AudienceGroup]:
    """Return the groups of people that are named, as `CampaignsStore.audience_groups` does."""
    counts = Counter((people[number].country, str(number)[:PREFIX_DIGITS]) for number in set(numbers))
    return [AudienceGroup(*group, members) for group, members in sorted(counts.items())]


def parts_of(record: TriggerRecord) -> tuple[Mapping[str, Any], TriggerSettings]:
    """Return the mapping and the settings of a stored trigger."""
    stored: Any = record.mapping
    settings = dict(stored["settings"])
    tlvs = {int(tag): value for tag, value in settings.pop("tlvs", {}).items()}
    return stored["map"], TriggerSettings(**settings, tlvs=tlvs)


def draft_of(mapped: MappedOffer, settings: TriggerSettings, now: datetime) -> OfferDraft:
    """Return the offer that the shop's JSON asks for, its own values in the text's places."""
    life_s = settings.expires_in_s if mapped.expires_in_s is None else mapped.expires_in_s
    return OfferDraft(
        text=filled(mapped.text if mapped.text is not None else settings.text or "", mapped.fields),
        item=mapped.item,
        unit_price_minor=mapped.price_minor,
        sender=settings.sender,
        expires_at=now + timedelta(seconds=life_s),
        currency=mapped.currency,
        shop_name=mapped.shop,
        language=mapped.language,
        country=mapped.country,
        quantity_max=1 if mapped.quantity_max is None else mapped.quantity_max,
        stock=mapped.stock,
        ask_above_minor=mapped.ask_above_minor,
        withdrawal=settings.withdrawal,
        external_id=mapped.external_id,
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
