"""Triggers: how a shop's own webhook becomes an offer; `flows/webhook_intake.py` takes the webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

import orjson

from smsgate.campaigns.triggers import check_mapping
from smsgate.clock import Clock
from smsgate.errors import Invalid
from smsgate.flows.commerce_records import Page, PageAsk, TriggerRecord
from smsgate.flows.offers import Offers
from smsgate.flows.ports import Ids
from smsgate.flows.ports_commerce import TriggersStore
from smsgate.flows.ports_webhooks import DataKeys
from smsgate.flows.shared_secrets import SharedSecrets
from smsgate.flows.webhook_asks import TriggerSettings, parts_of
from smsgate.security.webhook_signatures import new_secret

TRIGGERS_MAX: Final = 100  # per merchant; one for each kind of event of a shop's software
TABLE: Final = "trigger_definition"


class Triggers:
    def __init__(self, store: TriggersStore, offers: Offers, keys: DataKeys, ids: Ids, clock: Clock) -> None:
        self._store = store
        self._offers = offers
        self._secrets = SharedSecrets(keys, TABLE, clock)
        self._ids = ids
        self._clock = clock

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
        record = TriggerRecord(
            merchant_id=merchant_id,
            trigger_id=trigger_id,
            name=name,
            mapping=stored_mapping(mapping, settings),
            secret=await self._secrets.first(merchant_id, trigger_id, secret),
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
        secret, until = await self._secrets.rotate(self._store, merchant_id, trigger_id, record.secret)
        return record, secret, until


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
