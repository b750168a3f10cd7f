"""The delivery side of one node on a real database, with a clock that the test moves."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from smsgate.clock import ManualClock
from smsgate.errors import StoreUnavailable
from smsgate.flows.commerce_records import EndpointRecord, EventColumns
from smsgate.flows.events import add_event
from smsgate.flows.orders import ShopAnswer
from smsgate.ids import IdMaker
from smsgate.security.addresses import AddressPolicy
from smsgate.security.public_ids import Kind, PublicIds
from smsgate.security.webhook_signatures import new_secret
from smsgate.store.deliveries import PgDeliveries
from smsgate.store.events import insert_events
from smsgate.store.keyring import StoredKeyring
from smsgate.store.pool import Database
from smsgate.store.webhook_endpoints import PgWebhookEndpoints
from smsgate.webhooks.client import WebhookClient
from smsgate.webhooks.courier import Courier
from smsgate.webhooks.delivery import Deliveries
from smsgate.webhooks.limits import DeliverySettings

MERCHANT = 41
FAST = DeliverySettings(per_host_per_s=1_000, poll_s=0.05)


class Decisions:
    """Where shops' decisions arrive; can be told to break like a database that went away."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, int | str, object]] = []
        self.outcome = ShopAnswer.APPLIED
        self.broken = False

    async def apply_shop_answer(self, merchant_id: int, order: int | str, answer: object) -> ShopAnswer:
        if self.broken:
            raise StoreUnavailable("the database is away")
        self.taken.append((merchant_id, order, answer))
        return self.outcome


class Gateway:
    """The delivery side of one node, with a clock that the test moves."""

    def __init__(
        self, database: Database, keyring: StoredKeyring, client: WebhookClient, policy: AddressPolicy
    ) -> None:
        self.database, self.keyring, self.client, self.policy = database, keyring, client, policy
        self.clock = ManualClock(datetime.now(UTC))
        self.ids = IdMaker(1, lambda: time.time_ns() // 1_000_000)
        self.public_ids = PublicIds(secrets.token_bytes(32))
        self.decisions = Decisions()
        self.deliveries = self.node(owner=1)

    def node(self, owner: int, settings: DeliverySettings = FAST) -> Deliveries:
        courier = Courier(
            self.client, self.keyring, self.decisions, self.public_ids, self.clock, random=lambda: 0.5
        )
        store = PgDeliveries(self.database)
        return Deliveries(store, courier, self.policy, self.clock, owner=owner, settings=settings)

    async def endpoint(self, url: str, *types: str, merchant_id: int = MERCHANT) -> tuple[int, str]:
        endpoint_id, secret = self.ids.next(), new_secret()
        await self.keyring.ensure(merchant_id)
        record = EndpointRecord(
            merchant_id=merchant_id,
            endpoint_id=endpoint_id,
            url=url,
            event_types=types,
            secret=self.seal(merchant_id, endpoint_id, "secret", secret),
            previous_secret=None,
            previous_until=None,
            state="active",
            disabled_reason="",
            created_at=self.clock.now(),
        )
        await PgWebhookEndpoints(self.database).create(record, 10)
        return endpoint_id, secret

    async def disable(self, endpoint_id: int) -> None:
        await PgWebhookEndpoints(self.database).change(
            MERCHANT, endpoint_id, (), "disabled", "disabled by the merchant"
        )

    async def enable(self, endpoint_id: int) -> None:
        await PgWebhookEndpoints(self.database).change(MERCHANT, endpoint_id, (), "active", "")

    def seal(self, merchant_id: int, endpoint_id: int, column: str, secret: str) -> bytes:
        return self.keyring.seal(
            secret.encode(),
            table="webhook_endpoint",
            merchant_id=merchant_id,
            row_id=endpoint_id,
            column=column,
        )

    async def event(
        self, subject: str = "ord_1", type_: str = "order.created", merchant_id: int = MERCHANT
    ) -> int:
        columns, event_id = EventColumns(), self.ids.next()
        add_event(
            columns,
            merchant_id=merchant_id,
            event_id=event_id,
            type_=type_,
            subject=subject,
            data={"number": f"N{event_id}"},
            at=self.clock.now(),
        )
        async with self.database.bulk_transaction() as connection:
            await insert_events(connection, columns)
        return event_id

    async def turn(self, deliveries: Deliveries | None = None) -> None:
        """Claim and attempt once what is due, and write the results."""
        deliveries = deliveries or self.deliveries
        await deliveries.round()
        if deliveries._attempts:
            await asyncio.wait(set(deliveries._attempts))
        await deliveries.settle()

    async def row(self, event_id: int) -> Mapping[str, Any]:
        async with self.database.bulk() as connection:
            found = await connection.fetchrow("SELECT * FROM webhook_delivery WHERE event_id = $1", event_id)
        assert found is not None
        return dict(found)

    def public(self, event_id: int) -> str:
        return self.public_ids.encode(Kind.EVENT, event_id)


def answering(*statuses: int, **options: Any) -> Callable[[Any], Awaitable[web.Response]]:
    """Answer with the statuses in turn, the last one for ever."""
    left = list(statuses)

    async def answer(_received: Any) -> web.Response:
        return web.Response(status=left.pop(0) if len(left) > 1 else left[0], **options)

    return answer


def deciding(decision: object) -> Callable[[Any], Awaitable[web.Response]]:
    async def answer(_received: Any) -> web.Response:
        return web.json_response(decision)

    return answer
