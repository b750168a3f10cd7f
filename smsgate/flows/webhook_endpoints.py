"""Where a shop receives events: proved to be the shop's own, signed by a secret that it saw once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from smsgate.clock import Clock
from smsgate.errors import Conflict, Invalid
from smsgate.flows.commerce_records import EVENT_TYPES, DeliveryRecord, EndpointRecord, Page, PageAsk
from smsgate.flows.events import RETENTION, first_id_of
from smsgate.flows.ports import Ids, Wakeups
from smsgate.flows.ports_commerce import EndpointProver, EndpointsStore
from smsgate.flows.ports_webhooks import DataKeys
from smsgate.flows.shared_secrets import SharedSecrets
from smsgate.security.addresses import AddressPolicy, check_url
from smsgate.security.public_ids import Kind, PublicIds
from smsgate.security.webhook_signatures import new_secret

ENDPOINTS_MAX: Final = 10  # per merchant: each costs a delivery for every event
REDELIVER_MAX: Final = 1_000  # events by one request; a longer range is asked for in parts
TABLE: Final = "webhook_endpoint"


class WebhookEndpoints:
    def __init__(
        self,
        store: EndpointsStore,
        prover: EndpointProver,
        keys: DataKeys,
        policy: AddressPolicy,
        ids: Ids,
        public_ids: PublicIds,
        clock: Clock,
        wakeups: Wakeups,
    ) -> None:
        self._store = store
        self._prover = prover
        self._secrets = SharedSecrets(keys, TABLE, clock)
        self._policy = policy
        self._ids = ids
        self._public_ids = public_ids
        self._clock = clock
        self._wakeups = wakeups

    async def create(
        self, merchant_id: int, url: str, event_types: Sequence[str]
    ) -> tuple[EndpointRecord, str]:
        """
        Prove and store an endpoint; return it with its secret, which is shown this once.

        Raises:
            AddressRefused: the URL leads where we do not send.
            Invalid: code `endpoint_not_proved`, or an unknown event type.
            Conflict: code `endpoints_too_many`.
            TooSoon: too many are tried at once, or fail one after the other.
        """
        check_event_types(event_types)
        host = check_url(url, self._policy).host
        if await self._store.count(merchant_id) >= ENDPOINTS_MAX:
            raise Conflict(f"a merchant has at most {ENDPOINTS_MAX} endpoints", code="endpoints_too_many")
        endpoint_id, secret = self._ids.next(), new_secret()
        public_id = self._public_ids.encode(Kind.WEBHOOK_ENDPOINT, endpoint_id)
        refusal = await self._prover.prove(
            merchant_id=merchant_id, host=host, url=url, secret=secret, endpoint=public_id
        )
        if refusal is not None:
            raise Invalid(refusal, code="endpoint_not_proved", pointer="/url")
        record = EndpointRecord(
            merchant_id=merchant_id,
            endpoint_id=endpoint_id,
            url=url,
            event_types=tuple(dict.fromkeys(event_types)),
            secret=await self._secrets.first(merchant_id, endpoint_id, secret),
            previous_secret=None,
            previous_until=None,
            state="active",
            disabled_reason="",
            created_at=self._clock.now(),
        )
        await self._store.create(record, ENDPOINTS_MAX)
        return record, secret

    async def get(self, merchant_id: int, endpoint_id: int) -> EndpointRecord:
        return await self._store.get(merchant_id, endpoint_id)

    async def page(self, merchant_id: int, ask: PageAsk) -> Page[EndpointRecord]:
        return await self._store.page(merchant_id, ask)

    async def change(
        self, merchant_id: int, endpoint_id: int, *, event_types: Sequence[str] | None, state: str | None
    ) -> EndpointRecord:
        """Change what it wants, or disable and enable it; None leaves a value. Waiting deliveries stay."""
        if event_types is not None:
            check_event_types(event_types)
        before = await self._store.get(merchant_id, endpoint_id)
        reason = before.disabled_reason
        if state is not None and state != before.state:
            reason = "disabled by the merchant" if state == "disabled" else ""
        after = replace(
            before,
            event_types=before.event_types if event_types is None else tuple(dict.fromkeys(event_types)),
            state=state or before.state,
            disabled_reason=reason,
        )
        await self._store.change(merchant_id, endpoint_id, after.event_types, after.state, reason)
        self._wakeups.deliveries()
        return after

    async def delete(self, merchant_id: int, endpoint_id: int) -> None:
        await self._store.delete(merchant_id, endpoint_id)

    async def rotate_secret(self, merchant_id: int, endpoint_id: int) -> tuple[EndpointRecord, str, datetime]:
        """Return the endpoint, its new secret (shown this once) and until when the old one signs too."""
        record = await self._store.get(merchant_id, endpoint_id)
        secret, until = await self._secrets.rotate(self._store, merchant_id, endpoint_id, record.secret)
        return record, secret, until

    async def deliveries(
        self, merchant_id: int, endpoint_id: int, ask: PageAsk, state: str | None = None
    ) -> Page[DeliveryRecord]:
        await self._store.get(merchant_id, endpoint_id)
        return await self._store.deliveries(merchant_id, endpoint_id, ask, state)

    async def redeliver_event(self, merchant_id: int, endpoint_id: int, event_id: int) -> int:
        """Return 1 when the event waits for delivery now, 0 when it is unknown, too old or waits already."""
        return await self._redeliver(merchant_id, endpoint_id, event_id, event_id)

    async def redeliver_range(
        self, merchant_id: int, endpoint_id: int, from_at: datetime, to_at: datetime
    ) -> int:
        """Return how many events of [from_at, to_at) wait now; REDELIVER_MAX at most."""
        id_min, id_end = first_id_of(from_at), first_id_of(to_at)
        if id_end <= id_min:
            raise Invalid("from must be before to", pointer="/from")
        return await self._redeliver(merchant_id, endpoint_id, id_min, id_end - 1)

    async def _redeliver(self, merchant_id: int, endpoint_id: int, id_min: int, id_max: int) -> int:
        record = await self._store.get(merchant_id, endpoint_id)
        if record.state != "active":
            raise Conflict("the endpoint is disabled: enable it first", code="state_conflict")
        now = self._clock.now()
        id_min = max(id_min, first_id_of(now - RETENTION))
        event_ids = await self._store.redeliver(merchant_id, endpoint_id, id_min, id_max, REDELIVER_MAX, now)
        self._wakeups.deliveries()
        return len(event_ids)


def check_event_types(event_types: Sequence[str]) -> None:
    """
    Accept the names of events; none means all.

    Raises:
        Invalid: a name that no event has.
    """
    for index, name in enumerate(event_types):
        if name not in EVENT_TYPES:
            raise Invalid(
                f"{name[:60]!r} is no event type; there are {', '.join(EVENT_TYPES)}",
                code="event_type_unknown",
                pointer=f"/event_types/{index}",
            )
