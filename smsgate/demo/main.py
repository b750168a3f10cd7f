"""`smsgate demo`: build the scene, play the story, check the books, keep serving."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from smsgate.billing.periods import Month, month_of
from smsgate.clock import SystemClock
from smsgate.daemon.process import Process, running
from smsgate.daemon.services import while_leased
from smsgate.demo.books import read_books
from smsgate.demo.last_month import live_last_month
from smsgate.demo.notes import books_invitation, invitation, remove_notes, write_notes
from smsgate.demo.one_demo import only_one
from smsgate.demo.scene import (
    API_TIMEOUT,
    SENDER,
    YOUR_PHONE,
    ZONE,
    Api,
    bring_audience,
    make_test_key,
    phone_numbers,
    shop_emits,
)
from smsgate.demo.settings import DATABASE, PASSWORD, SYSTEM_ID, free_port, write_settings
from smsgate.demo.story import tell
from smsgate.demo.watching import Watched, watch
from smsgate.simulator.phones import Behaviour
from smsgate.simulator.serve import Simulator, SimulatorSettings
from smsgate.simulator.shop import Shop
from smsgate.simulator.smsc_settings import SmscAccount, SmscSettings
from smsgate.store.embedded import EmbeddedPostgres

STATE_DIR: Final = Path("var")
DEFAULT_PORT: Final = 8080
SERVING: Final = "demo-serving"  # the task's name once a signal means: stop in order
BEHAVIOUR: Final = Behaviour(
    ok=0.20, quantity=0.06, stop=0.04, question=0.03, decline=0.05, auto=0.02, delay_s=(0.2, 2.0)
)


@dataclass(frozen=True, slots=True)
class DemoOptions:
    once: bool = False
    as_json: bool = False
    subscribers: int = 1_000
    port: int = DEFAULT_PORT
    state_dir: Path = STATE_DIR
    seed: int = 1999


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs, and the month before, which can be billed."""

    watched: Watched
    shop: Shop
    base_url: str
    test_key: str
    last_month: Month

    @property
    def process(self) -> Process:
        return self.watched.process


async def run_demo(options: DemoOptions, say: Callable[[str], None]) -> int:
    """Play the demonstration; return the exit code: 0 only if every check holds."""
    stop = asyncio.Event()
    performing = asyncio.create_task(perform(options, say, stop))

    def on_signal() -> None:
        stop.set()
        if performing.get_name() != SERVING:
            performing.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    try:
        return await performing
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
        say("Stopped before the end of the story.")
        return 1


async def perform(options: DemoOptions, say: Callable[[str], None], stop: asyncio.Event) -> int:
    """Build, play, check; then serve until `stop` unless it is for once."""
    with only_one(options.state_dir):
        return await perform_alone(options, say, stop)


async def perform_alone(options: DemoOptions, say: Callable[[str], None], stop: asyncio.Event) -> int:
    async with stage(options, say) as scene:
        story = await while_leased(scene.process.services, play(scene, say))
        if not options.as_json:
            for line in story_lines(story):
                say(line)
        books = books_invitation(options.state_dir, scene.last_month)
        if options.once:
            for line in books:
                say(line)
        else:
            write_notes(options.state_dir, notes_of(scene))
            for line in [*invitation(options.state_dir, scene.base_url), *books, "", "  Ctrl-C ends."]:
                say(line)
            task = asyncio.current_task()
            assert task is not None
            task.set_name(SERVING)
            try:
                await scene.process.wait(stop)
            finally:
                remove_notes(options.state_dir)
            say("Stopping in order.")
    if options.as_json:
        sys.stdout.write(orjson.dumps(story).decode() + "\n")
    return 0 if all(check["ok"] for check in story["checks"]) else 1


@asynccontextmanager
async def stage(options: DemoOptions, say: Callable[[str], None]) -> AsyncIterator[Stage]:
    """Start SMSC, phones, shop and gateway, and do what operator and merchant do once."""
    simulator = Simulator(
        SimulatorSettings(
            seed=options.seed,
            behaviour=BEHAVIOUR,
            scripts={int(YOUR_PHONE[1:]): []},
            smsc=SmscSettings(accounts=(SmscAccount(SYSTEM_ID, PASSWORD),), receipt_delay_s=(0.05, 0.4)),
        )
    )
    shop = Shop()
    await simulator.start()
    say(f"SMSC simulator on 127.0.0.1:{simulator.smpp_port}, phones behind it")
    await shop.start()
    say(f"Shop on {shop.url}")
    try:
        settings = write_settings(
            options.state_dir,
            sender=SENDER,
            smpp_port=simulator.smpp_port,
            http_port=free_port(options.port),
        )
        async with EmbeddedPostgres(options.state_dir, database=DATABASE, on_progress=say) as server:
            await server.recreate_database(DATABASE)
            msisdns = phone_numbers(options.subscribers, options.seed)
            last_month = await live_last_month(settings, options.seed, set(msisdns), say)
            async with (
                running(settings, say=say) as process,
                aiohttp.ClientSession(timeout=API_TIMEOUT) as session,
            ):
                assert process.api is not None
                base_url = f"http://127.0.0.1:{process.api.port}"
                say(f"Gateway on {base_url}, bound to the SMSC")
                operator = Api(base_url, last_month.operator_key, session)
                merchant = Api(base_url, last_month.merchant_key, session)
                before = await read_books(process.services.database)
                cast = await bring_audience(
                    operator, merchant, last_month.merchant_id, shop, msisdns, SystemClock()
                )
                test_key = await make_test_key(operator, cast.merchant_id)
                watched = Watched(process, simulator, cast, before)
                yield Stage(watched, shop, base_url, test_key, last_month.month)
    finally:
        await shop.stop()
        await simulator.stop()


async def play(scene: Stage, say: Callable[[str], None]) -> dict[str, Any]:
    """Let the shop emit its webhook, watch until nothing moves any more, tell the numbers."""
    watched = scene.watched
    cast, clock = watched.cast, SystemClock()
    began = month_of(clock.now(), ZONE)
    campaign = await shop_emits(cast, clock)
    say(f'The shop says "new record"; the gateway answers 202 and sends: {len(cast.msisdns)} offers')
    await watch(watched, campaign, say)
    return await tell(cast, campaign, watched.simulator, scene.shop, await watched.books(), began)


def story_lines(story: dict[str, Any]) -> list[str]:
    """Return the story as people read it."""
    replies = ", ".join(f"{count} {label}" for label, count in sorted(story["replies"].items()))
    currency = story["currency"]
    sums = (
        f"  the carrier costs {story['cost']} {currency}, the merchant is charged "
        f"{story['charge']} {currency}; statement: {story['statement']} {currency}"
    )
    counts = (
        f"  {story['submitted']} messages submitted, {story['accepted']} accepted, "
        f"{story['delivered']} offers delivered"
    )
    orders = f"  {story['orders']} orders, {story['confirmed']} confirmed by the shop, {story['stops']} stops"
    checks = [f"  {'ok  ' if check['ok'] else 'FAIL'} {check['name']}" for check in story["checks"]]
    return ["", counts, f"  replies: {replies}", orders, sums, "", *checks]


def notes_of(scene: Stage) -> Mapping[str, str]:
    """Return what a shell exports to speak to what runs."""
    cast = scene.watched.cast
    return {
        "SMSGATE_URL": scene.base_url,
        "SMSGATE_KEY": cast.merchant.key,
        "SMSGATE_TEST_KEY": scene.test_key,
        "SMSGATE_OPERATOR_KEY": cast.operator.key,
        "SMSGATE_PHONES": scene.watched.simulator.control_url or "",
    }
