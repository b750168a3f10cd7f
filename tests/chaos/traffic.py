"""What the people of the town do: a shop emits offers, again and again until it knows that each was taken."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import orjson

from smsgate.clock import SystemClock
from smsgate.demo.scene import SENDER, Api, import_people, join, phone_numbers
from smsgate.security.webhook_signatures import signed_headers
from smsgate.simulator.shop import ORDER_CREATED
from tests.chaos.town import Town
from tests.chaos.waiting import SHORT_LIFE_S

GROUP: Final = 150  # people of one campaign
RETRY_S: Final = 0.3
OFFER_LIFE_S: Final = 7_200
SHORT_EVERY: Final = 5  # one campaign in so many is over too soon for whoever would have to wait
TEXT: Final = (
    "] Boxman: CD 19,90€ port compris. Répondez OK = commande avec obligation de paiement. "
    "Rétractation 14 j. Infos bxm.fr/m1 STOP 36111"
)
TAKEN: Final = 202
NOBODY: Final = "audience_empty"  # everybody of a group said STOP
TRY_AGAIN: Final = frozenset({429, 503, 507})


@dataclass
class Traffic:
    """One merchant, groups of people, and what was asked of the gateway for them."""

    town: Town
    groups: list[list[int]]
    api: Api
    path: str
    secret: str
    campaigns: dict[int, str] = field(default_factory=dict)  # number of the emission -> campaign
    group_of: dict[int, int] = field(default_factory=dict)
    nobody: int = 0
    refused: list[str] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _emitted: int = 0

    async def run(self, stop: asyncio.Event, interval_s: float) -> None:
        """Start a campaign every `interval_s` until `stop`, and wait until each is answered."""
        while not stop.is_set():
            self.emit()
            try:
                await asyncio.wait_for(stop.wait(), interval_s)
            except TimeoutError:
                continue
        await self.settle()

    def emit(self) -> None:
        self._emitted += 1
        self.group_of[self._emitted] = self._emitted % len(self.groups)
        task = asyncio.create_task(self._until_taken(self._emitted))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        await asyncio.gather(*self._tasks)

    async def _until_taken(self, number: int) -> None:
        document = orjson.dumps(
            {
                "for": f"g{self.group_of[number]}",
                "title": f"CD {number}",
                "mark": str(number),
                "price": "19.90",
                "life": OFFER_LIFE_S if number % SHORT_EVERY else SHORT_LIFE_S,
            }
        )
        while True:
            answer = await self._post(number, document)
            if answer is not None:
                status, body = answer
                if status == TAKEN:
                    self.campaigns[number] = str(body["campaign"])
                    return
                if body.get("code") == NOBODY:
                    self.nobody += 1
                    return
                if status not in TRY_AGAIN:
                    self.refused.append(f"{status} {body}")
                    return
            await asyncio.sleep(RETRY_S)

    async def _post(self, number: int, document: bytes) -> tuple[int, Any] | None:
        now = int(SystemClock().now().timestamp())
        headers = signed_headers([self.secret], f"chaos-{number}", now, document)
        try:
            async with self.town.session.post(
                self.town.base_url + self.path,
                data=document,
                headers={**headers, "Content-Type": "application/json"},
            ) as response:
                return response.status, orjson.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError, orjson.JSONDecodeError):
            return None


async def settle_in(town: Town, groups: int, seed: int) -> Traffic:
    """Do what operator and merchant do once: prices, merchant, key, people, webhook, trigger."""
    clock = SystemClock()
    _, api = await join(Api(town.base_url, town.operator_key, town.session), clock)
    people = phone_numbers(groups * GROUP, seed)
    await import_people(api, {msisdn: f"g{n % groups}" for n, msisdn in enumerate(people)}, clock)
    of_groups = [people[n::groups] for n in range(groups)]
    endpoint = await api.call(
        "POST", "/v1/webhook_endpoints", {"url": town.shop.url, "event_types": [ORDER_CREATED]}
    )
    town.shop.learn(endpoint["secret"])
    mapping = {
        "text": {"join": ["[", "$.mark", TEXT]},
        "item": "$.title",
        "price": "$.price",
        "currency": {"literal": "EUR"},
        "quantity_max": {"literal": 5},
        "expires_in_s": "$.life",
        "audience": "$.for",
    }
    trigger = await api.call(
        "POST", "/v1/triggers", {"name": "new record", "sender": SENDER, "text": "-", "mapping": mapping}
    )
    return Traffic(town, of_groups, api, trigger["path"], trigger["secret"])
