"""
Beside a running campaign each turn of the loop takes milliseconds, so a read takes as long as it has turns.

Counted, not timed: how busy the machine is does not matter.
"""

from __future__ import annotations

import asyncio
import http.client
import threading
import time
from collections.abc import Sequence

import pytest

from tests.api.commerce_setup import Shop

TURN_S = 0.008  # longer than the database takes for one of these statements
READS = 8  # the fewest turns of these count: the database may be late once


class Turns:
    """Counts the turns of a loop that always has work."""

    def __init__(self) -> None:
        self.count = 0
        self.over = False

    def __call__(self) -> None:
        self.count += 1
        time.sleep(TURN_S)
        if not self.over:
            asyncio.get_running_loop().call_soon(self)


def read(port: int, key: str, path: str, turns: Turns, took: list[int]) -> None:
    """Ask in a thread of its own, over one connection, so that the client takes no turns."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in range(READS):
        before = turns.count
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
        took.append(turns.count - before)
    connection.close()


async def turns_of(shop: Shop, path: str) -> Sequence[int]:
    turns, took = Turns(), list[int]()
    assert (await shop.caller.get(path)).status == 200  # what is prepared and cached once
    reader = threading.Thread(target=read, args=(shop.api.serving.port, shop.caller.key, path, turns, took))
    asyncio.get_running_loop().call_soon(turns)
    reader.start()
    while reader.is_alive():
        await asyncio.sleep(0.05)
    turns.over = True
    assert len(took) == READS, "the reader failed"
    return sorted(took)


@pytest.mark.parametrize(
    ("path", "turns_max"),
    [
        ("/v1/campaigns/{campaign}", 18),
        ("/v1/messages?campaign={campaign}", 12),
        ("/v1/usage/statements/2026-01", 22),
    ],
)
async def test_a_read_waits_for_few_turns_of_the_loop(shop: Shop, path: str, turns_max: int) -> None:
    """Before transactions of reads ended by themselves they took 22, 13 and 29."""
    await shop.subscribers(1)
    campaign = await shop.campaign()
    took = await turns_of(shop, path.format(campaign=campaign["id"]))
    assert took[0] <= turns_max, took
