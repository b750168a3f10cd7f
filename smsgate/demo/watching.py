"""Looking at a campaign until nothing moves any more, and showing how far it is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from smsgate.daemon.process import Process
from smsgate.demo.books import read_books
from smsgate.demo.one_demo import DemoFailed
from smsgate.demo.scene import Cast
from smsgate.demo.story import Books
from smsgate.simulator.serve import Simulator

QUIET_S: Final = 0.5  # nothing moved for so long: the story is over
STORY_LIMIT_S: Final = 120.0
LOOK_INTERVAL_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Watched:
    """What moves: the gateway, the phones behind its carrier, and how many of them get the offer."""

    process: Process
    simulator: Simulator
    cast: Cast
    before: Books | None = None  # what the books held when the story began

    async def books(self) -> Books:
        """Return what the story put into the books."""
        books = await read_books(self.process.services.database)
        return books if self.before is None else books.since(self.before)


async def watch(scene: Watched, campaign: str, say: Callable[[str], None] | None) -> None:
    """
    Return when campaign, receipts, replies and webhooks have all come to rest; show progress to `say`.

    Raises:
        DemoFailed: they did not in STORY_LIMIT_S.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + STORY_LIMIT_S
    last: tuple[object, ...] = ()
    moved_at = loop.time()
    line = None if say is None else LiveLine(say)
    while True:
        found = await scene.cast.merchant.call("GET", f"/v1/campaigns/{campaign}")
        books = await scene.books()
        progress = found["progress"]
        now = loop.time()
        state = (found["state"], *progress.values(), books.orders, books.confirmed, books.accepted)
        if state != last:
            last, moved_at = state, now
            if line is not None:
                line.show(progress_line(progress, books.confirmed, len(scene.cast.msisdns)))
        waiting = books.events_pending + books.open_receipts + under_way(scene.simulator)
        if found["state"] == "finished" and not waiting and now - moved_at >= QUIET_S:
            if line is not None:
                line.end()
            return
        if now >= deadline:
            raise DemoFailed(f"the story did not end in {STORY_LIMIT_S:.0f} s; still waiting for {waiting}")
        await asyncio.sleep(LOOK_INTERVAL_S)


class LiveLine:
    """One line that changes in place on a terminal; elsewhere a line a second."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._live = sys.stderr.isatty()
        self._last = ""
        self._said_at = 0.0

    def show(self, text: str) -> None:
        self._last = text
        if self._live:
            sys.stderr.write(f"\r{text}")
            sys.stderr.flush()
            return
        now = asyncio.get_running_loop().time()
        if now - self._said_at >= 1.0:
            self._said_at = now
            self._say(text)
            self._last = ""

    def end(self) -> None:
        if self._live:
            sys.stderr.write("\n")
        elif self._last:
            self._say(self._last)


def under_way(simulator: Simulator) -> int:
    """Return what the SMSC and the phones still have to say."""
    stats = simulator.stats()["smsc"]
    waiting: dict[str, int] = stats["waiting"]
    return int(stats["under_way"]) + sum(waiting.values())


def progress_line(progress: dict[str, int], confirmed: int, subscribers: int) -> str:
    done = round(30 * progress["accepted"] / max(1, subscribers))
    return (
        f"[{'#' * done}{'.' * (30 - done)}] {progress['accepted']:>5} accepted "
        f"{progress['delivered']:>5} delivered {progress['replies']:>4} replies "
        f"{progress['orders']:>4} orders {confirmed:>4} confirmed {progress['stops']:>3} stops"
    )
