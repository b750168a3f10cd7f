"""
A shop's own webhook becomes an offer for an audience: signed, once per webhook-id, stored before the answer.

A trigger that does not exist, or is disabled, is verified like any other, against a secret that nobody has,
and refused with the same words: who cannot sign learns nothing about which triggers there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from smsgate.campaigns.campaign_states import CampaignState
from smsgate.campaigns.triggers import check_mapping
from smsgate.clock import Clock
from smsgate.errors import Conflict, DomainError, Invalid, SignatureInvalid
from smsgate.flows.audience import Audience
from smsgate.flows.campaigns import Campaigns
from smsgate.flows.commerce_records import (
    CampaignRecord,
    FoundTrigger,
    KnownPerson,
    OfferRecord,
    Page,
    PageAsk,
    TriggerAcceptance,
    TriggerAnswer,
    TriggerRecord,
    WebhookLook,
)
from smsgate.flows.offers import Offers
from smsgate.flows.ports import Ids, Wakeups
from smsgate.flows.ports_commerce import TriggersStore
from smsgate.flows.ports_webhooks import DataKeys
from smsgate.flows.webhook_asks import (
    TriggerSettings,
    WebhookAsk,
    audience_of,
    draft_of,
    groups_of,
    parts_of,
    read_webhook,
)
from smsgate.security.compare import same
from smsgate.security.public_ids import Kind, PublicIds
from smsgate.security.webhook_signatures import new_secret, verify

TRIGGERS_MAX: Final = 100  # per merchant; one for each kind of event of a shop's software
ROTATION: Final = timedelta(hours=24)
TABLE: Final = "trigger_definition"
STATUS_ACCEPTED: Final = 202


class Triggers:
    def __init__(
        self,
        store: TriggersStore,
        offers: Offers,
        campaigns: Campaigns,
        secrets: DataKeys,
        ids: Ids,
        public_ids: PublicIds,
        clock: Clock,
        wakeups: Wakeups,
    ) -> None:
        self._store = store
        self._offers = offers
        self._campaigns = campaigns
        self._secrets = secrets
        self._ids = ids
        self._public_ids = public_ids
        self._clock = clock
        self._wakeups = wakeups
        self._secret_of_nobody = new_secret()

    # ------------------------------------------------------------ the merchant's side

    async def create(
        self, merchant_id: int, name: str, mapping: Mapping[str, Any], settings: TriggerSettings
    ) -> tuple[TriggerRecord, str]:
        """
        Store a trigger; return it with its secret, which is shown this once.

        Raises:
            Invalid: code `mapping_invalid` or `tlv_not_allowed`.
            Conflict: code `triggers_too_many`.
        """
        self._check(mapping, settings)
        trigger_id, secret = self._ids.next(), new_secret()
        await self._secrets.ensure(merchant_id)
        record = TriggerRecord(
            merchant_id=merchant_id,
            trigger_id=trigger_id,
            name=name,
            mapping=stored_mapping(mapping, settings),
            secret=self._seal(merchant_id, trigger_id, "secret", secret),
            previous_secret=None,
            previous_until=None,
            state="active",
            created_at=self._clock.now(),
        )
        await self._store.create(record, TRIGGERS_MAX)
        return record, secret

    def _check(self, mapping: Mapping[str, Any], settings: TriggerSettings) -> None:
        check_settings(mapping, settings)
        self._offers.check_tlvs(settings.own_tlvs, settings.sender)

    async def get(self, merchant_id: int, trigger_id: int) -> TriggerRecord:
        return await self._store.get(merchant_id, trigger_id)

    async def page(self, merchant_id: int, ask: PageAsk) -> Page[TriggerRecord]:
        return await self._store.page(merchant_id, ask)

    async def change(
        self,
        merchant_id: int,
        trigger_id: int,
        *,
        name: str | None = None,
        mapping: Mapping[str, Any] | None = None,
        settings: TriggerSettings | None = None,
        state: str | None = None,
    ) -> TriggerRecord:
        """Change what is given; None leaves a value."""
        before = await self._store.get(merchant_id, trigger_id)
        old_mapping, old_settings = parts_of(before)
        mapping = old_mapping if mapping is None else mapping
        settings = settings or old_settings
        self._check(mapping, settings)
        after = replace(
            before,
            name=name or before.name,
            mapping=stored_mapping(mapping, settings),
            state=state or before.state,
        )
        await self._store.change(merchant_id, trigger_id, after.name, after.mapping, after.state)
        return after

    async def delete(self, merchant_id: int, trigger_id: int) -> None:
        await self._store.delete(merchant_id, trigger_id)

    async def rotate_secret(self, merchant_id: int, trigger_id: int) -> tuple[TriggerRecord, str, datetime]:
        """Return the trigger, its new secret (shown this once) and until when the old one is taken too."""
        record = await self._store.get(merchant_id, trigger_id)
        await self._secrets.ensure(merchant_id, [record.secret])
        old = self._open(record, "secret", record.secret)
        secret, until = new_secret(), self._clock.now() + ROTATION
        rotated = await self._store.rotate(
            merchant_id,
            trigger_id,
            before=record.secret,
            secret=self._seal(merchant_id, trigger_id, "secret", secret),
            previous_secret=self._seal(merchant_id, trigger_id, "previous_secret", old),
            previous_until=until,
        )
        if not rotated:
            raise Conflict("the secret was rotated by another request just now")
        return record, secret, until

    # ------------------------------------------------------------ the shop's side

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
        trigger_id = self._public_ids.decode(Kind.TRIGGER, trigger)
        found = await self._store.find(trigger_id)
        now = self._clock.now()
        if found is not None and found.trigger.state != "active":
            found = None
        secrets = await self._signing_secrets(None if found is None else found.trigger, now)
        webhook_id = verify(secrets, headers, body, now.timestamp())
        if found is None:
            raise SignatureInvalid("no signature matches")
        merchant_id, digest = found.merchant.merchant_id, hashlib.sha256(body).digest()
        asked = read_webhook(found, body, parse)
        numbers = asked.numbers if isinstance(asked, WebhookAsk) else ()
        facts = await self._store.look(merchant_id, WebhookLook(trigger_id, webhook_id, numbers))
        answered = facts.answer
        if answered is None:
            if not isinstance(asked, WebhookAsk):
                raise asked
            acceptance = await self._acceptance(found, webhook_id, digest, asked, facts.people, now)
            if await self._store.accept(acceptance):
                self._wakeups.campaigns()
                return acceptance.answer
            answered = (await self._store.look(merchant_id, WebhookLook(trigger_id, webhook_id, ()))).answer
            assert answered is not None, "the twin that was first has committed"
        if not same(answered.body_sha256, digest):
            raise DomainError("this webhook-id came before, with another body", code="idempotency_mismatch")
        return answered

    async def _acceptance(
        self,
        found: FoundTrigger,
        webhook_id: str,
        digest: bytes,
        asked: WebhookAsk,
        people: Mapping[int, KnownPerson],
        now: datetime,
    ) -> TriggerAcceptance:
        record, merchant = found
        if merchant.state != "active":
            raise DomainError("the merchant is suspended", code="merchant_suspended", http_status=403)
        offer = self._offers.check(merchant, draft_of(asked.mapped, asked.settings, now))
        if asked.wrong is not None:
            raise asked.wrong
        audience = audience_of(asked, people)
        if audience.subscriber_ids is None:
            await self._campaigns.check_prices(merchant.merchant_id, audience)
        else:
            groups = groups_of(asked.numbers, people)
            await self._campaigns.check_group_prices(merchant.merchant_id, groups)
        campaign = self._campaign(record, offer, audience, now)
        answer = orjson.dumps(
            {
                "campaign": self._public_ids.encode(Kind.CAMPAIGN, campaign.campaign_id),
                "offer": self._public_ids.encode(Kind.OFFER, offer.offer.offer_id),
                "replacements": [each._asdict() for each in offer.replacements],
            }
        )
        return TriggerAcceptance(
            trigger_id=record.trigger_id,
            webhook_id=webhook_id,
            answer=TriggerAnswer(digest, STATUS_ACCEPTED, answer),
            offer=offer,
            campaign=campaign,
            at=now,
        )

    def _campaign(
        self, record: TriggerRecord, offer: OfferRecord, audience: Audience, now: datetime
    ) -> CampaignRecord:
        return CampaignRecord(
            merchant_id=record.merchant_id,
            campaign_id=self._ids.next(),
            external_id=None,
            offer_id=offer.offer.offer_id,
            offer_version=offer.offer.version,
            state=CampaignState.SENDING,
            audience=audience,
            recipients=0,
            trigger_id=record.trigger_id,
            created_at=now,
            started_at=now,
        )

    async def _signing_secrets(self, record: TriggerRecord | None, now: datetime) -> Sequence[str]:
        if record is None:
            return (self._secret_of_nobody,)
        previous = record.previous_secret
        await self._secrets.ensure(record.merchant_id, [record.secret, *([previous] if previous else [])])
        secrets = [self._open(record, "secret", record.secret)]
        if previous and record.previous_until and now < record.previous_until:
            secrets.append(self._open(record, "previous_secret", previous))
        return secrets

    def _seal(self, merchant_id: int, trigger_id: int, column: str, secret: str) -> bytes:
        return self._secrets.seal(
            secret.encode(), table=TABLE, merchant_id=merchant_id, row_id=trigger_id, column=column
        )

    def _open(self, record: TriggerRecord, column: str, sealed: bytes) -> str:
        return self._secrets.open(
            sealed, table=TABLE, merchant_id=record.merchant_id, row_id=record.trigger_id, column=column
        ).decode()


def check_settings(mapping: Mapping[str, Any], settings: TriggerSettings) -> None:
    """
    Refuse a trigger that could never make an offer.

    Raises:
        Invalid: code `mapping_invalid`.
    """
    check_mapping(mapping)
    try:
        orjson.dumps(dict(mapping))
    except TypeError:
        raise Invalid("a number exceeds 64 bits", code="mapping_invalid", pointer="") from None
    if "text" not in mapping and settings.text is None:
        raise Invalid("the text has no source: map it, or give one", code="mapping_invalid", pointer="/text")


def stored_mapping(mapping: Mapping[str, Any], settings: TriggerSettings) -> dict[str, Any]:
    tlvs = {str(tag): value for tag, value in settings.tlvs.items()}
    return {"map": dict(mapping), "settings": {**asdict(settings), "tlvs": tlvs}}
