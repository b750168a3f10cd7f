"""A real server on a free port over a real database, with the operator's key and merchants made on demand."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry

from smsgate.api.app import build_app
from smsgate.api.context import ApiContext
from smsgate.api.limits import ApiSettings
from smsgate.api.serving import Serving, serve
from smsgate.clock import SystemClock
from smsgate.flows.ports_api import OPERATOR, KeyDraft
from smsgate.flows.stops import RecentStops
from smsgate.ids import IdMaker
from smsgate.security.api_keys import MERCHANT_SCOPES, Mode, Scope, key_mac, new_key
from smsgate.security.public_ids import PublicIds
from smsgate.security.sealing import Keyring, MasterKey
from smsgate.security.suppression import SuppressionHashes
from smsgate.store.health import PgHealth
from smsgate.store.idempotency import PgIdempotency
from smsgate.store.imports import PgImports
from smsgate.store.merchants import PgApiKeys, PgMerchants
from smsgate.store.pool import Database
from smsgate.store.prices import PgPrices
from smsgate.store.privacy import PgPrivacy
from smsgate.store.subscribers import PgSubscribers
from tests.flows.world import STAMPS

HASHES = SuppressionHashes(bytes(32))

MAC_KEY = bytes(range(32))


class Nudges:
    """Counts what was nudged."""

    def __init__(self) -> None:
        self.deliveries_count = 0

    def interactive(self) -> None: ...

    def campaigns(self) -> None: ...

    def deliveries(self) -> None:
        self.deliveries_count += 1


def a_context(database: Database, **settings: Any) -> ApiContext:
    """Return a context as the composition root makes it, on `database`."""
    clock = SystemClock()
    return ApiContext(
        settings=ApiSettings(**settings),
        clock=clock,
        ids=IdMaker(1, lambda: int(clock.now().timestamp() * 1000)),
        public_ids=PublicIds(bytes(32)),
        secrets=Keyring(MasterKey(bytes(32))),
        stops=RecentStops(),
        wakeups=Nudges(),
        carriers=[],
        metrics=CollectorRegistry(),
        key_mac_key=MAC_KEY,
        api_keys=PgApiKeys(database),
        idempotency=PgIdempotency(database),
        merchants=PgMerchants(database),
        prices=PgPrices(database),
        subscribers=PgSubscribers(database, HASHES),
        imports=PgImports(database, HASHES),
        privacy=PgPrivacy(database, HASHES, IdMaker(2, lambda: int(clock.now().timestamp() * 1000)), STAMPS),
        health=PgHealth(database),
    )


@dataclass
class Answer:
    status: int
    body: Any  # parsed JSON, or text
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        return str(self.body["code"])


@dataclass
class Caller:
    """Somebody with a key (or none)."""

    session: aiohttp.ClientSession
    base: str
    key: str | None = None
    merchant_id: str = ""

    async def call(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = dict(headers or {})
        if self.key is not None:
            sent.setdefault("Authorization", f"Bearer {self.key}")
        async with self.session.request(
            method, self.base + path, json=json, data=data, headers=sent
        ) as response:
            is_json = response.content_type.endswith("json")
            body = await response.json(content_type=None) if is_json else await response.text()
            return Answer(response.status, body, response.headers)

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.call("GET", path, **more)

    async def post(self, path: str, json: Any = None, **more: Any) -> Answer:
        return await self.call("POST", path, json, **more)


@dataclass
class Api:
    """The running API, its context, and callers."""

    context: ApiContext
    serving: Serving
    session: aiohttp.ClientSession
    operator: Caller
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.serving.port}"

    @property
    def anybody(self) -> Caller:
        return Caller(self.session, self.base)

    def with_key(self, key: str) -> Caller:
        return Caller(self.session, self.base, key)

    async def merchant(self, scopes: Sequence[str] | None = None, **fields: Any) -> Caller:
        """Make a merchant and a key of it, by the API itself."""
        number = next(self.numbers)
        made = await self.operator.post("/v1/merchants", a_merchant(slug=f"shop-{number}", **fields))
        assert made.status == 201, made
        key = await self.operator.post(
            f"/v1/merchants/{made.body['id']}/api_keys",
            {"name": "test", "scopes": sorted(scopes or MERCHANT_SCOPES)},
        )
        assert key.status == 201, key
        return Caller(self.session, self.base, key.body["key"], made.body["id"])


def a_merchant(**fields: Any) -> dict[str, Any]:
    return {
        "name": "Boxman",
        "slug": "boxman",
        "country": "FR",
        "language": "fr",
        "timezone": "Europe/Paris",
        "currency": "EUR",
        **fields,
    }


async def operator_key(context: ApiContext) -> str:
    key = new_key(Mode.LIVE)
    await context.api_keys.add(
        KeyDraft(
            key_id=context.ids.next(),
            public_id=key.public_id,
            owner_id=OPERATOR,
            mac=key_mac(MAC_KEY, key.text),
            name="operator",
            mode="live",
            scopes=(Scope.OPERATOR.value,),
            expires_at=None,
        ),
        per_name_max=2,
        now=context.clock.now(),
    )
    return key.text


@asynccontextmanager
async def running(context: ApiContext) -> AsyncIterator[Api]:
    """Serve the API on a free port."""
    serving = await serve(build_app(context), "127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession() as session:
            key = await operator_key(context)
            yield Api(context, serving, session, Caller(session, f"http://127.0.0.1:{serving.port}", key))
    finally:
        await serving.stop()
