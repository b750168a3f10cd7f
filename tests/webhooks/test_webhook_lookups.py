"""Names of one merchant that no name server answers for; on a real database and real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from smsgate.security.addresses import AddressPolicy
from smsgate.webhooks.client import Answer, NoAnswer, WebhookClient
from tests.webhooks.gateway import MERCHANT, Gateway

OTHER = 42
GOOD = "shop.example.com"
OWN_THREADS = 4


class NameSystem:
    """The machine's, but for names that begin with "silent": those are answered once the test lets them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.answered = threading.Event()
        self._look_up = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: Any, *rest: Any, **more: Any) -> Any:
        self.asked.append(str(host))
        if str(host).startswith("silent"):
            self.answered.wait(60.0)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return self._look_up("127.0.0.1" if host == GOOD else host, *rest, **more)

    def silent(self) -> int:
        return sum(1 for host in self.asked if host.startswith("silent"))


@pytest.fixture
def name_system(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameSystem]:
    made = NameSystem(monkeypatch)
    yield made
    made.answered.set()


@pytest.fixture
async def client(policy: AddressPolicy) -> AsyncIterator[WebhookClient]:
    """Look names up as the gateway does, in threads."""
    async with WebhookClient(policy) as opened:
        yield opened


async def test_one_merchants_silent_names_hold_up_nobody_elses_and_no_more_threads_than_its_own(
    gateway: Gateway, shop: Any, name_system: NameSystem
) -> None:
    for number in range(4):
        await gateway.endpoint(shop.url(f"silent{number}.example.com"), merchant_id=OTHER)
    await gateway.endpoint(shop.url(GOOD))
    lost = [await gateway.event(f"ord_{number}", merchant_id=OTHER) for number in range(4)]
    await gateway.deliveries.round()
    assert len(gateway.deliveries._attempts) == 16
    event_id = await gateway.event()
    await gateway.turn()
    row = await gateway.row(event_id)
    assert (row["state"], row["attempts"]) == ("delivered", 1)
    async with gateway.database.bulk() as connection:
        rows = await connection.fetch(
            "SELECT attempts, last_error FROM webhook_delivery WHERE event_id = ANY($1)", lost
        )
    # No look-up, no failure: those that had no thread are tried again without being counted.
    assert sorted(row["attempts"] for row in rows) == [0] * 12 + [1] * OWN_THREADS
    assert {row["last_error"] for row in rows if not row["attempts"]} == {
        "not sent yet: too many names are being looked up"
    }
    assert name_system.silent() == OWN_THREADS


async def test_a_look_up_counts_until_its_thread_returns_and_not_until_its_attempt_ends(
    client: WebhookClient, shop: Any, name_system: NameSystem
) -> None:
    async def post(host: str) -> Answer | NoAnswer:
        return await client.post(shop.url(host), b"{}", {}, merchant_id=MERCHANT)

    first = await asyncio.gather(*(post(f"silent{number}.example.com") for number in range(OWN_THREADS)))
    assert all(isinstance(each, NoAnswer) and not each.unasked for each in first)
    unasked = await post(GOOD)
    assert isinstance(unasked, NoAnswer)
    assert unasked.unasked
    assert GOOD not in name_system.asked
    waiting = asyncio.create_task(post(GOOD))
    await asyncio.sleep(0.1)
    name_system.answered.set()
    answer = await waiting
    assert isinstance(answer, Answer)
    assert answer.status == 200
