"""The API with its commerce use cases, one shop with prices, and the rows that sending would write."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from smsgate.api.context import ApiContext
from smsgate.billing.networks import default_table
from smsgate.clock import ManualClock
from smsgate.errors import TooSoon
from smsgate.flows.commerce import Commerce
from smsgate.flows.ports_commerce import SenderInfo
from smsgate.flows.pricing import Pricing
from smsgate.protocol.encodings import permitted
from smsgate.protocol.shift_tables import Shift
from smsgate.security.addresses import AddressPolicy
from smsgate.security.public_ids import Kind
from smsgate.security.sealing import MasterKey
from smsgate.store.commerce import commerce_stores
from smsgate.store.keyring import StoredKeyring
from smsgate.store.pool import Database
from smsgate.store.usage import PgPriceData
from tests.api.api_server import HASHES, Api, Caller, a_context, running
from tests.flows.world import STAMPS

SENDER = "36111"
TEXT = (
    "Boxman: CD Madonna 19,90€ port compris. Répondez OK = commande avec obligation de paiement. "
    "Rétractation 14 j. Infos bxm.fr/m1 STOP 36111"
)
TABLE_SENDER = "36444"  # its carrier lets the Portuguese single shift table through
SENDERS = {
    SENDER: SenderInfo("sim", receives=True, message_tlvs=frozenset({0x1401})),
    "36222": SenderInfo("sim", receives=True, merchants=frozenset({"another-shop"})),
    "36333": SenderInfo("sim", receives=False),
    TABLE_SENDER: SenderInfo("tables", receives=True, alphabets=permitted([Shift(single=3)])),
}


class Prover:
    """Stands for the webhooks room: says what it is told to say, and remembers what it was asked."""

    def __init__(self) -> None:
        self.refusal: str | None = None
        self.busy_s = 0.0  # not now: ask again later
        self.asked: list[tuple[str, str, str]] = []

    async def prove(self, *, merchant_id: int, host: str, url: str, secret: str, endpoint: str) -> str | None:
        assert merchant_id
        assert host in url
        if self.busy_s:
            raise TooSoon("Other endpoints are being tried.", self.busy_s)
        self.asked.append((url, secret, endpoint))
        return self.refusal


@dataclass
class Shop:
    api: Api
    caller: Caller
    database: Database
    clock: ManualClock
    prover: Prover
    merchant_id: int
    item_id: int = 0
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(33_612_000_001))

    @property
    def commerce(self) -> Commerce:
        assert self.api.context.commerce is not None
        return self.api.context.commerce

    def id_of(self, kind: Kind, public: str) -> int:
        return self.api.context.public_ids.decode(kind, public)

    def public(self, kind: Kind, id_: int) -> str:
        return self.api.context.public_ids.encode(kind, id_)

    def next_id(self) -> int:
        return self.api.context.ids.next()

    async def execute(self, sql: str, *values: Any) -> None:
        async with self.database.bulk() as connection:
            await connection.execute(sql, *values)

    async def execute_as_owner(self, sql: str, *values: Any) -> None:
        """Do what no role of the gateway may."""
        async with self.database.control() as connection:
            await connection.execute(sql, *values)

    async def fetch(self, sql: str, *values: Any) -> list[Any]:
        async with self.database.bulk() as connection:
            return list(await connection.fetch(sql, *values))

    async def value(self, sql: str, *values: Any) -> Any:
        async with self.database.bulk() as connection:
            return await connection.fetchval(sql, *values)

    async def subscribers(
        self, count: int, *, state: str = "subscribed", tags: tuple[str, ...] = ()
    ) -> list[int]:
        """Write subscribers with French mobile numbers; return their ids."""
        base = self.api.context.ids.block(count)
        ids = list(range(base, base + count))
        await self.execute(
            "INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country, tags, "
            "offers_state) SELECT $1, id, msisdn, 'fr', 'FR', $4, $5 "
            "FROM unnest($2::bigint[], $3::bigint[]) AS n (id, msisdn)",
            self.merchant_id,
            ids,
            [next(self.numbers) for _ in ids],
            list(tags),
            state,
        )
        return ids

    async def offer(self, **fields: Any) -> dict[str, Any]:
        answer = await self.caller.post("/v1/offers", self.an_offer(**fields))
        assert answer.status == 201, answer
        return dict(answer.body)

    def an_offer(self, **fields: Any) -> dict[str, Any]:
        expires_at = self.clock.now() + timedelta(hours=10)
        return {
            "text": TEXT,
            "item": "CD Madonna",
            "price": "19.90",
            "sender": SENDER,
            "expires_at": expires_at.isoformat(),
            **fields,
        }

    async def campaign(self, audience: dict[str, Any] | None = None, **offer: Any) -> dict[str, Any]:
        made = await self.offer(**offer)
        answer = await self.caller.post(
            "/v1/campaigns", {"offer": made["id"], "audience": audience or {"all": True}}
        )
        assert answer.status == 201, answer
        return dict(answer.body)

    async def sent_message(
        self, campaign: dict[str, Any], subscriber_id: int, *, status: int | None = 0, micros: int = 45_000
    ) -> int:
        """Write what the bulk path writes for one recipient; status None: not yet out."""
        message_id = self.next_id()
        msisdn = await self.value("SELECT msisdn FROM subscriber WHERE subscriber_id = $1", subscriber_id)
        await self.execute(
            "INSERT INTO message (merchant_id, message_id, campaign_id, subscriber_id, msisdn, kind, sender) "
            "VALUES ($1, $2, $3, $4, $5, 'offer', $6)",
            self.merchant_id, message_id, self.id_of(Kind.CAMPAIGN, campaign["id"]), subscriber_id, msisdn,
            SENDER,
        )  # fmt: skip
        if status is not None:
            await self.execute(
                "INSERT INTO sent (merchant_id, message_id, segment, carrier_id, status, segments, "
                "sell_item_id, sell_micros, cost_item_id, cost_micros, sent_at) "
                "VALUES ($1, $2, 1, 1, $3, 1, $4, $5, 0, 0, $6)",
                self.merchant_id, message_id, status, self.item_id if status == 0 else 0,
                micros if status == 0 else 0, self.clock.now(),
            )  # fmt: skip
        return message_id

    async def order(self, campaign: dict[str, Any], subscriber_id: int, *, quantity: int = 1) -> str:
        """Write the order that the inbound flow would write, its stock taken; return its public id."""
        message_id = await self.sent_message(campaign, subscriber_id)
        order_id, now = self.next_id(), self.clock.now()
        await self.execute(
            "INSERT INTO orders (merchant_id, order_id, number, offer_id, offer_version, campaign_id, "
            "message_id, subscriber_id, msisdn, inbound_id, sender, quantity, unit_price_minor, total_minor, "
            "currency, state, created_at, changed_at, unstamped) "
            "SELECT $1, $2, $3, $4, 1, $5, $6, $7, msisdn, 1, $8, $9, 1990, 1990 * $9, 'EUR', "
            "'placed', $10, $10, true FROM subscriber WHERE merchant_id = $1 AND subscriber_id = $7",
            self.merchant_id, order_id, str(order_id)[-8:], self.id_of(Kind.OFFER, campaign["offer"]),
            self.id_of(Kind.CAMPAIGN, campaign["id"]), message_id, subscriber_id, SENDER, quantity, now,
        )  # fmt: skip
        await self.execute(
            "UPDATE offer SET stock_remaining = stock_remaining - $2 WHERE offer_id = $1",
            self.id_of(Kind.OFFER, campaign["offer"]), quantity,
        )  # fmt: skip
        await self.execute(
            "INSERT INTO order_event (merchant_id, order_id, seq, event, state, actor, at) "
            "VALUES ($1, $2, 1, 'customer_ok', 'placed', 'customer', $3)",
            self.merchant_id, order_id, now,
        )  # fmt: skip
        return self.public(Kind.ORDER, order_id)


async def add_commerce(context: ApiContext, database: Database, prover: Prover) -> None:
    """Give a context the use cases of commerce, at its own clock."""
    context.secrets = keyring = await StoredKeyring.load(database, MasterKey(bytes(32)))
    context.commerce = Commerce.of(
        commerce_stores(database, context.ids.next, HASHES, STAMPS, context.clock),
        pricing=Pricing(PgPriceData(database), context.clock),
        networks=default_table(),
        senders=SENDERS,
        prover=prover,
        policy=AddressPolicy(),
        secrets=keyring,
        ids=context.ids,
        public_ids=context.public_ids,
        clock=context.clock,
        wakeups=context.wakeups,
        stops=context.stops,
        proof_key=bytes(32),
    )


@asynccontextmanager
async def an_open_shop(database: Database, **settings: Any) -> AsyncIterator[Shop]:
    """Run the API with commerce on `database`; the shop's merchant pays 0.045 EUR a segment in France."""
    clock, prover = ManualClock(datetime.now(UTC)), Prover()
    context = a_context(database, requests_per_s=10_000, **settings)
    context.clock = clock
    await add_commerce(context, database, prover)
    async with running(context) as api:
        caller = await api.merchant()
        merchant_id = context.public_ids.decode(Kind.MERCHANT, caller.merchant_id)
        shop = Shop(api, caller, database, clock, prover, merchant_id)
        await price(shop, caller.merchant_id)
        yield shop


async def price(shop: Shop, merchant: str, items: list[dict[str, str]] | None = None) -> None:
    """Give the merchant a price list of its own, by the operator's API."""
    operator = shop.api.operator
    made = await operator.post(
        "/v1/price_lists", {"name": f"list {merchant}", "side": "sell", "currency": "EUR"}
    )
    assert made.status == 201, made
    items = items or [
        {"direction": "mt", "network": "208", "unit_price": "0.045"},
        {"direction": "mo", "network": "208", "unit_price": "0.01"},
    ]
    since = (shop.clock.now() - timedelta(days=30)).isoformat()
    published = await operator.post(
        f"/v1/price_lists/{made.body['id']}/versions", {"effective_from": since, "items": items}
    )
    assert published.status == 201, published
    given = await operator.call(
        "PUT", f"/v1/merchants/{merchant}/price_list", {"price_list": made.body["id"]}
    )
    assert given.status == 200, given
    shop.item_id = await shop.value("SELECT max(item_id) FROM price_item WHERE direction = 'mt'")
    shop.commerce.pricing.invalidate()
