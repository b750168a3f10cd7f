"""
A town to tell stories in: an SMSC with phones, shops, and one process of smsgate on a database of its own.

Everything goes over HTTP and SMPP, as in real life. What is not the product itself: the SMSC, the phones, the
shops and the clock, which a story may move forward instead of waiting for hours.
"""

from __future__ import annotations

import asyncio
import csv
import io
import itertools
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
from pydantic import SecretStr

from smsgate.clock import SystemClock
from smsgate.config import (
    DatabaseSettings,
    HttpSettings,
    NodeSettings,
    SendingSettings,
    Settings,
    WebhookSettings,
)
from smsgate.config.marketing import UNCAPPED, HoursSettings
from smsgate.daemon.process import Process, running
from smsgate.daemon.services import add_operator_key
from smsgate.demo.books import read_books
from smsgate.demo.scene import COST, OFFER_TEXT, SELL, SENDER, YOUR_PHONE, Api, Cast, phone_numbers, set_up
from smsgate.demo.story import Books
from smsgate.errors import NotFound
from smsgate.links.profile import CarrierProfile
from smsgate.links.profile_senders import SenderNumber
from smsgate.links.profile_session import RebindDelays
from smsgate.links.profile_values import Host
from smsgate.money import micros_from_text
from smsgate.security.master_key_file import load_master_key
from smsgate.security.webhook_signatures import signed_headers
from smsgate.simulator.control_client import send_reply
from smsgate.simulator.phones import SILENT, Behaviour
from smsgate.simulator.serve import Simulator, SimulatorSettings
from smsgate.simulator.shop import Shop, ShopEvent
from smsgate.simulator.smsc_settings import SmscAccount, SmscSettings
from smsgate.store.keyring import MASTER_KEY_FILE

PATIENCE_S: Final = 45.0
SELL_MICROS: Final = micros_from_text(SELL)
COST_MICROS: Final = micros_from_text(COST)
PROBLEM: Final = "application/problem+json"
SEED: Final = 7
__all__ = ["COST_MICROS", "OFFER_TEXT", "PROBLEM", "SELL_MICROS", "SENDER", "YOUR_PHONE"]


async def eventually(condition: Callable[[], Any], within_s: float = PATIENCE_S) -> Any:
    """Wait until `condition` (plain or async) holds, and return its last word."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        found = condition()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert loop.time() < deadline, f"still {found!r} after {within_s} s"
        await asyncio.sleep(0.01)


class MovableClock(SystemClock):
    """The machine's clock, plus what a story skipped."""

    def __init__(self) -> None:
        self._skipped_s = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self._skipped_s)

    def monotonic(self) -> float:
        return super().monotonic() + self._skipped_s

    def skip(self, seconds: float) -> None:
        self._skipped_s += seconds


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    octets: bytes

    @property
    def body(self) -> Any:
        return orjson.loads(self.octets)

    @property
    def code(self) -> str:
        """Return the problem's code; the answer must be a problem in every respect."""
        assert self.headers["Content-Type"] == PROBLEM, (self.status, self.headers, self.octets[:300])
        problem = self.body
        assert problem["status"] == self.status
        assert problem["type"] == f"/problems/{problem['code']}"
        assert problem["title"]
        assert problem["request_id"] == self.headers["X-Request-Id"]
        return str(problem["code"])


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who calls the gateway's API with a key, or without one."""

    base_url: str
    key: str
    session: aiohttp.ClientSession

    async def ask(self, method: str, path: str, body: object = None, /, **headers: str) -> Answer:
        """Call a route and return whatever it answers. A body of octets goes as it is, any other as JSON."""
        data = body if isinstance(body, bytes) else None if body is None else orjson.dumps(body)
        given = {
            "Content-Type": "application/json",
            **({"Authorization": f"Bearer {self.key}"} if self.key else {}),
        }
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(method, self.base_url + path, data=data, headers=given) as response:
            return Answer(response.status, response.headers.copy(), await response.read())

    async def get(self, path: str) -> Any:
        return await self._good("GET", path)

    async def post(self, path: str, body: object = None, **headers: str) -> Any:
        return await self._good("POST", path, body, **headers)

    async def _good(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        answer = await self.ask(method, path, body, **headers)
        assert answer.status < 400, f"{method} {path}: {answer.status} {answer.octets[:600]!r}"
        is_json = "json" in answer.headers.get("Content-Type", "")
        return answer.body if is_json else answer.octets

    async def all(self, path: str) -> list[Any]:
        """Return the objects of a list, newest first, over all its pages."""
        found: list[Any] = []
        mark = "&" if "?" in path else "?"
        after = ""
        while True:
            page = await self.get(f"{path}{mark}limit=100{after}")
            found += page["data"]
            if not page["has_more"]:
                return found
            after = f"&starting_after={found[-1]['id']}"


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a town may stand: an empty migrated database, and a directory with the node's master key."""

    dsn: str
    state_dir: Path

    def __post_init__(self) -> None:
        load_master_key(self.state_dir / MASTER_KEY_FILE, create=True)


@dataclass
class Town:
    settings: Settings
    clock: MovableClock
    simulator: Simulator
    shop: Shop
    session: aiohttp.ClientSession
    process: Process = field(init=False)
    operator: Caller = field(init=False)
    merchant: Caller = field(init=False)
    merchant_id: str = field(init=False)
    trigger_path: str = field(init=False)
    trigger_secret: str = field(init=False)
    msisdns: list[int] = field(init=False)  # of the audience "music"; YOUR_PHONE is the audience "you"

    @property
    def base_url(self) -> str:
        assert self.process.api is not None
        return f"http://127.0.0.1:{self.process.api.port}"

    @property
    def anybody(self) -> Caller:
        return Caller(self.base_url, "", self.session)

    def caller(self, key: str) -> Caller:
        return Caller(self.base_url, key, self.session)

    # -- the gateway's life

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[Process]:
        """Run a process of smsgate on the town's database; leaving stops it as SIGTERM does."""
        async with running(self.settings, say=lambda _sentence: None, clock=self.clock) as process:
            self.process = process
            if hasattr(self, "operator"):
                self.operator = self.caller(self.operator.key)
                self.merchant = self.caller(self.merchant.key)
            await eventually(self.bound)
            yield process

    async def settle(self, subscribers: int) -> None:
        """Do what operator and merchant do once: prices, key, subscribers, webhook, trigger."""
        key = await add_operator_key(self.process.services, "stories")
        api = Api(self.base_url, key, self.session)
        cast: Cast = await set_up(api, self.shop, subscribers, self.clock, SEED)
        self.operator, self.merchant = self.caller(key), self.caller(cast.merchant.key)
        self.merchant_id, self.msisdns = cast.merchant_id, cast.msisdns
        self.trigger_path, self.trigger_secret = cast.trigger_path, cast.trigger_secret

    def bound(self) -> bool:
        gateway = self.process.gateway
        return gateway is not None and all(
            bind.state == "bound" for carrier in gateway.switchboard for bind in carrier.binds()
        )

    async def another_merchant(self, slug: str, *, scopes: list[str] | None = None) -> tuple[Caller, str]:
        """Add a merchant with the same prices; return it and its id."""
        lists = await self.operator.all("/v1/price_lists")
        sell = next(each["id"] for each in lists if each["side"] == "sell")
        profile = {"name": slug.capitalize(), "slug": slug, "country": "FR", "language": "fr"}
        merchant = await self.operator.post(
            "/v1/merchants", {**profile, "timezone": "Europe/Paris", "currency": "EUR"}
        )
        path = f"/v1/merchants/{merchant['id']}"
        await self.operator.ask("PUT", f"{path}/price_list", {"price_list": sell})
        all_scopes = ["send", "read", "subscribers", "orders", "billing.read", "webhooks.manage"]
        key = await self.operator.post(
            f"{path}/api_keys", {"name": "shop", "mode": "live", "scopes": scopes or all_scopes}
        )
        return self.caller(key["key"]), merchant["id"]

    # -- the shop

    async def emit(
        self,
        document: object,
        *,
        webhook_id: str | None = None,
        secret: str | None = None,
        age_s: int = 0,
        path: str | None = None,
    ) -> Answer:
        """Let the shop's own system emit its webhook, signed, `age_s` seconds ago."""
        body = document if isinstance(document, bytes) else orjson.dumps(document)
        headers = signed_headers(
            [secret or self.trigger_secret],
            webhook_id or f"shop-{secrets.token_hex(8)}",
            int(self.clock.now().timestamp()) - age_s,
            body,
        )
        return await self.anybody.ask("POST", path or self.trigger_path, body, **headers)

    async def new_record(self, audience: str = "music") -> str:
        """Let the shop say that a record is out; return the campaign that it starts."""
        answer = await self.emit(a_record(audience))
        assert answer.status == 202, answer.octets
        return str(answer.body["campaign"])

    def told(self, type_: str, shop: Shop | None = None) -> list[ShopEvent]:
        """Return what the shop was told of this type, oldest first, repetitions apart."""
        return [event for event in (shop or self.shop).received if event.type == type_]

    # -- phones

    def texts(self, msisdn: int) -> list[str]:
        """Return what a phone has received, oldest first."""
        try:
            return [message.text for message in self.simulator.phones.inbox(msisdn)]
        except NotFound:
            return []

    def offers_to(self, msisdn: int) -> int:
        return sum(text == OFFER_TEXT for text in self.texts(msisdn))

    async def answer(self, msisdn: int, text: str, to: str | None = None) -> None:
        """Type an answer on a phone."""
        assert self.simulator.control_url is not None
        await send_reply(self.simulator.control_url, str(msisdn), text, to)

    # -- what became of it

    async def campaign(self, campaign: str) -> Any:
        return await self.merchant.get(f"/v1/campaigns/{campaign}")

    async def finished(self, campaign: str) -> Any:
        """Wait until a campaign is finished and every receipt is in; return it."""

        async def all_in() -> Any:
            found = await self.campaign(campaign)
            progress = found["progress"]
            settled = progress["delivered"] + progress["failed"] == progress["accepted"]
            return found if found["state"] == "finished" and settled else None

        return await eventually(all_in)

    async def only_order(self) -> Any:
        async def the_order() -> Any:
            orders = await self.merchant.all("/v1/orders")
            assert len(orders) <= 1
            return orders[0] if orders else None

        return await eventually(the_order)

    async def confirmed_order(self) -> Any:
        """Wait until the one order is confirmed; return it in full."""
        order_id = (await self.only_order())["id"]

        async def confirmed() -> Any:
            order = await self.merchant.get(f"/v1/orders/{order_id}")
            return order if order["state"] == "confirmed" else None

        return await eventually(confirmed)

    async def subscriber(self, msisdn: int) -> Any:
        return (await self.merchant.get(f"/v1/subscribers?msisdn=%2B{msisdn}"))["data"][0]

    async def books(self) -> Books:
        """Return the sums over the gateway's own tables, which hold nothing but this town."""
        return await read_books(self.process.services.database)

    async def statement(self) -> Any:
        """Return the statement of the one month there is, and in "csv" the rows of its CSV."""
        months = (await self.merchant.get("/v1/usage/statements"))["data"]
        path = f"/v1/usage/statements/{months[0]['month']}"
        text = (await self.merchant.get(f"{path}.csv")).decode("utf-8-sig")
        return {**await self.merchant.get(path), "csv": list(csv.DictReader(io.StringIO(text)))}


def a_record(audience: object = "music", **changes: object) -> dict[str, object]:
    """Return the shop's own JSON, as its system has always made it."""
    return {
        "event": "record.released",
        "record": {"title": "CD Madonna", "price": {"amount": "19.90", "currency": "EUR"}, "per_customer": 5},
        "for": audience,
        **changes,
    }


def a_row(msisdn: int, agreed_at: datetime, **changes: object) -> dict[str, object]:
    """Return one row of an import."""
    return {
        "msisdn": f"+{msisdn}",
        "consent_at": agreed_at.isoformat(),
        "consent_source": "form",
        "wording_version": "boxman-2026-11",
        "tags": ["music"],
        **changes,
    }


def an_offer(clock: MovableClock, **changes: object) -> dict[str, object]:
    """Return an offer that the API takes."""
    return {
        "text": OFFER_TEXT,
        "item": "CD Madonna",
        "price": "19.90",
        "sender": SENDER,
        "expires_at": (clock.now() + timedelta(hours=4)).isoformat(),
        "quantity_max": 5,
        **changes,
    }


def a_carrier(port: int, **changes: Any) -> CarrierProfile:
    profile = CarrierProfile(
        name="sim",
        hosts=(Host("127.0.0.1", port),),
        system_id="smsgate",
        password=SecretStr("secret"),
        tls="none",
        insecure_plaintext=True,
        rate_per_s=500,
        window_max=100,
        senders=(SenderNumber(number=SENDER, receives=True),),
        cost_list="sim-cost",
        rebind=RebindDelays(lost_s=(0.05, 0.2), refused_tcp_s=(0.05, 0.2), already_bound_s=(0.05, 0.2)),
    )
    return profile.model_copy(update=changes)


@asynccontextmanager
async def an_empty_town(
    ground: Ground,
    *,
    behaviour: Behaviour = SILENT,
    smsc: Mapping[str, Any] | None = None,
    carrier: Mapping[str, Any] | None = None,
    http: Mapping[str, Any] | None = None,
    dsn: str | None = None,
) -> AsyncIterator[Town]:
    """Start SMSC, phones and shop; the gateway comes with `Town.gateway`."""
    accounts = (SmscAccount("smsgate", "secret"),)
    simulator = Simulator(
        SimulatorSettings(behaviour=behaviour, smsc=SmscSettings(accounts=accounts, **(smsc or {})))
    )
    clock = MovableClock()
    shop = Shop(clock=clock)
    async with AsyncExitStack() as stack:
        await simulator.start()
        stack.push_async_callback(simulator.stop, 0.2)
        await shop.start()
        stack.push_async_callback(shop.stop)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60.0))
        )
        settings = Settings(
            hours=HoursSettings(enforce=False),
            caps=UNCAPPED,
            node=NodeSettings(state_dir=ground.state_dir),
            database=DatabaseSettings(dsn=SecretStr(dsn or ground.dsn)),
            http=HttpSettings(port=0, health_port=0, **{"requests_per_s": 10_000, **(http or {})}),
            sending=SendingSettings(poll_s=0.1),
            webhooks=WebhookSettings(
                allow_http=True,
                allow_networks=("127.0.0.0/8",),
                any_port=True,
                per_host=32,
                per_host_per_s=1_000,
                poll_s=0.1,
            ),
            carriers=(a_carrier(simulator.smpp_port, **(carrier or {})),),
        )
        yield Town(settings, clock, simulator, shop, session)


@asynccontextmanager
async def a_town(ground: Ground, *, subscribers: int = 3, **parts: Any) -> AsyncIterator[Town]:
    """Start everything, with one merchant, its subscribers, its webhook endpoint and its trigger."""
    async with an_empty_town(ground, **parts) as town, town.gateway():
        await town.settle(subscribers)
        yield town


def fresh_numbers(count: int, seed: int = 99) -> list[int]:
    """Return numbers of phones that are not in the town's audience."""
    known = set(phone_numbers(500, SEED))
    candidates = phone_numbers(count + 500, seed)
    return list(itertools.islice((msisdn for msisdn in candidates if msisdn not in known), count))
