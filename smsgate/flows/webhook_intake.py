"""
A shop's own webhook becomes an offer for an audience: signed, once per webhook-id, stored before the answer.

A trigger that does not exist, or is disabled, is verified like any other, against a secret that nobody has,
and refused with the same words: who cannot sign learns nothing about which triggers there are.

Triggers are kept in memory, opened and checked. None is believed on that account: the transaction that writes
what a webhook starts reads its trigger again, and what was changed since is read anew, here, and begun again.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

import orjson

from smsgate.campaigns.campaign_states import CampaignState
from smsgate.clock import Clock
from smsgate.errors import Conflict, DomainError, SignatureInvalid
from smsgate.flows.audience import Audience
from smsgate.flows.campaigns import Campaigns, countries_of
from smsgate.flows.commerce_records import (
    AudienceGroup,
    CampaignRecord,
    KnownPerson,
    MerchantProfile,
    TriggerAcceptance,
    TriggerAnswer,
    TriggerRecord,
    Webhook,
    WebhookFate,
)
from smsgate.flows.offer_records import NewOffer, OfferRecord
from smsgate.flows.offers import Offers
from smsgate.flows.ports import Ids, Wakeups
from smsgate.flows.ports_commerce import TriggersStore
from smsgate.flows.ports_webhooks import DataKeys
from smsgate.flows.shared_secrets import SharedSecrets
from smsgate.flows.triggers import TABLE
from smsgate.flows.webhook_asks import (
    AskedOffer,
    AskedOffers,
    CheckedOffer,
    KnownTrigger,
    WebhookAsk,
    audience_of,
    draft_of,
    groups_of,
    known_trigger,
    life_of,
    read_webhook,
)
from smsgate.security.compare import same
from smsgate.security.public_ids import Kind, PublicIds
from smsgate.security.webhook_signatures import new_secret, verify

STATUS_ACCEPTED: Final = 202
TRIGGERS_KEPT: Final = 1_000  # some kilobytes each; the one unused longest goes first
ATTEMPTS_MAX: Final = 5  # a trigger that is changed under a webhook for the fifth time is being fought over


@dataclass(slots=True)
class _Case:
    """One webhook while it is judged."""

    known: KnownTrigger
    webhook_id: str
    digest: bytes  # SHA-256 of the body
    asked: WebhookAsk | DomainError
    at: datetime
    # What `judge` would have prices looked up for, outside of the transaction; and whether they were.
    audience: Audience | None = None
    groups: Sequence[AudienceGroup] = ()
    is_priced: bool = False


class WebhookIntake:
    def __init__(
        self,
        store: TriggersStore,
        offers: Offers,
        campaigns: Campaigns,
        keys: DataKeys,
        ids: Ids,
        public_ids: PublicIds,
        clock: Clock,
        wakeups: Wakeups,
    ) -> None:
        self._store = store
        self._offers = offers
        self._campaigns = campaigns
        self._secrets = SharedSecrets(keys, TABLE, clock)
        self._ids = ids
        self._public_ids = public_ids
        self._clock = clock
        self._wakeups = wakeups
        self._secret_of_nobody = new_secret()
        self._known: OrderedDict[str, KnownTrigger] = OrderedDict()  # by public id
        self._asked = AskedOffers()

    async def receive(
        self, trigger: str, headers: Mapping[str, str], body: bytes, parse: Callable[[bytes], object]
    ) -> TriggerAnswer:
        """
        Take one signed webhook of a shop; what it starts is committed when this returns.

        `parse` reads JSON, within the limits of the border; nothing is parsed before the signature holds.

        Raises:
            NotFound: `trigger` is no trigger id of this gateway at all.
            SignatureInvalid: forged, too old, too new; or no such trigger.
            DomainError: the offer that came of it is refused; nothing is stored, the shop may repeat it.
        """
        digest = hashlib.sha256(body).digest()
        for _ in range(ATTEMPTS_MAX):
            now = self._clock.now()
            known, webhook_id = await self._let_in(trigger, headers, body, now)
            case = _Case(known, webhook_id, digest, read_webhook(known, body, parse, self._asked), now)
            fate = await self._fate(case)
            if not fate.is_outdated:
                return self._answer(fate, digest)
            self._known.pop(trigger, None)
        raise Conflict("the trigger is being changed by others; send the webhook again")

    async def _let_in(
        self, trigger: str, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> tuple[KnownTrigger, str]:
        """
        Return the trigger that a webhook is signed for, and the webhook-id.

        Raises:
            NotFound: no trigger id at all.
            SignatureInvalid: by the secrets in memory and by those of the database.
        """
        known = self._known.get(trigger)
        if known is None:
            trigger_id = self._public_ids.decode(Kind.TRIGGER, trigger)
        else:
            trigger_id = known.found.trigger.trigger_id
            self._known.move_to_end(trigger)
        try:
            return self._verified(known, headers, body, now)
        except SignatureInvalid:
            self._known.pop(trigger, None)  # perhaps its secret was replaced a moment ago
        known = await self._read(trigger_id)
        let_in = self._verified(known, headers, body, now)
        self._known[trigger] = let_in[0]
        if len(self._known) > TRIGGERS_KEPT:
            self._known.popitem(last=False)
        return let_in

    def _verified(
        self, known: KnownTrigger | None, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> tuple[KnownTrigger, str]:
        secrets = (self._secret_of_nobody,) if known is None else known.secrets(now)
        webhook_id = verify(secrets, headers, body, now.timestamp())
        if known is None:
            raise SignatureInvalid("no signature matches")
        return known, webhook_id

    async def _read(self, trigger_id: int) -> KnownTrigger | None:
        found = await self._store.find(trigger_id)
        if found is None or found.trigger.state != "active":
            return None
        record = found.trigger
        secrets = await self._secrets.read(
            record.merchant_id, trigger_id, record.secret, record.previous_secret
        )
        return known_trigger(found, *secrets)

    async def _fate(self, case: _Case) -> WebhookFate:
        found = case.known.found
        merchant_id = found.merchant.merchant_id
        asked = case.asked if isinstance(case.asked, WebhookAsk) else None
        webhook = Webhook(
            found.trigger.trigger_id,
            case.webhook_id,
            found,
            () if asked is None else asked.numbers,
            None if asked is None else asked.external_id,
            partial(self._judge, case),
        )
        await self._campaigns.refresh_prices()
        fate = await self._store.receive(merchant_id, webhook)
        if fate == WebhookFate():
            assert case.audience is not None, "the judge said what for"
            if case.groups:
                await self._campaigns.check_group_prices(merchant_id, case.groups)
            else:
                case.groups = await self._campaigns.check_prices(merchant_id, case.audience)
            case.is_priced = True
            fate = await self._store.receive(merchant_id, webhook)
        return fate

    def _judge(self, case: _Case, people: Mapping[int, KnownPerson]) -> TriggerAcceptance | None:
        """
        Return what the webhook writes; None: prices are to be looked up first, of what is left in `case`.

        Raises:
            DomainError: it is refused.
        """
        asked, found = case.asked, case.known.found
        if not isinstance(asked, WebhookAsk):
            raise asked
        if found.merchant.state != "active":
            raise DomainError("the merchant is suspended", code="merchant_suspended", http_status=403)
        offer = self._checked(found.merchant, asked.offer, case.at)
        if asked.wrong is not None:
            raise asked.wrong
        case.audience = audience_of(asked, people)
        if not case.is_priced:
            if case.audience.subscriber_ids is None:
                return None
            case.groups = groups_of(asked.numbers, people)
            if not self._campaigns.are_priced(found.merchant.merchant_id, case.groups):
                return None
        countries = countries_of(case.groups)
        if not countries <= offer.countries:
            self._offers.check_recipients(found.merchant, offer.record.offer, countries)
            offer.countries.update(countries)
        return self._acceptance(case, asked, offer.record, case.audience)

    def _checked(self, merchant: MerchantProfile, asked: AskedOffer, at: datetime) -> CheckedOffer:
        """
        Return the offer that a webhook asks for, which was checked today.

        Raises:
            DomainError: it may not be sent.
        """
        known, sender = asked.checked, self._offers.sender(asked.settings.sender)
        if known is None or known.on != at.date() or known.sender is not sender:
            record = self._offers.check(merchant, draft_of(asked.mapped, asked.settings, at), at)
            known = asked.checked = CheckedOffer(record, at.date(), sender, {record.offer.country})
        return known

    def _acceptance(
        self, case: _Case, asked: WebhookAsk, like: OfferRecord, audience: Audience
    ) -> TriggerAcceptance:
        record = case.known.found.trigger
        first_id = self._ids.block(2)
        offer = NewOffer(
            like.offer,
            first_id,
            case.at + life_of(asked.offer.mapped, asked.offer.settings),
            asked.external_id,
            like.stock,
            case.at,
        )
        campaign = self._campaign(record, first_id + 1, offer, audience, case.at)
        answer = orjson.dumps(
            {
                "campaign": self._public_ids.encode(Kind.CAMPAIGN, campaign.campaign_id),
                "offer": self._public_ids.encode(Kind.OFFER, offer.offer_id),
                "replacements": [each._asdict() for each in like.replacements],
            }
        )
        return TriggerAcceptance(
            trigger_id=record.trigger_id,
            webhook_id=case.webhook_id,
            answer=TriggerAnswer(case.digest, STATUS_ACCEPTED, answer),
            offer=offer,
            campaign=campaign,
            at=case.at,
        )

    def _campaign(
        self, record: TriggerRecord, campaign_id: int, offer: NewOffer, audience: Audience, now: datetime
    ) -> CampaignRecord:
        return CampaignRecord(
            merchant_id=record.merchant_id,
            campaign_id=campaign_id,
            external_id=None,
            offer_id=offer.offer_id,
            offer_version=offer.like.version,
            state=CampaignState.SENDING,
            audience=audience,
            recipients=0,
            trigger_id=record.trigger_id,
            created_at=now,
            started_at=now,
        )

    def _answer(self, fate: WebhookFate, digest: bytes) -> TriggerAnswer:
        if fate.refusal is not None:
            raise fate.refusal
        assert fate.answer is not None, "prices are looked up once, and then it is decided"
        if fate.is_new:
            self._wakeups.campaigns()
        elif not same(fate.answer.body_sha256, digest):
            raise DomainError("this webhook-id came before, with another body", code="idempotency_mismatch")
        return fate.answer
