"""`smsgate demo`: build the scene, play the story, check the books, keep serving."""

from __future__ import annotations

import asyncio
import fcntl
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
from pydantic import SecretStr

from smsgate.clock import Clock, SystemClock
from smsgate.config import DatabaseSettings, HttpSettings, NodeSettings, Settings, WebhookSettings
from smsgate.config.marketing import UNCAPPED, HoursSettings
from smsgate.daemon.process import Process, running
from smsgate.daemon.services import add_operator_key, while_leased
from smsgate.demo.books import read_books
from smsgate.demo.scene import SENDER, YOUR_PHONE, Api, Cast, DemoFailed, make_test_key, set_up, shop_emits
from smsgate.demo.story import tell
from smsgate.links.profile import CarrierProfile
from smsgate.links.profile_senders import SenderNumber
from smsgate.links.profile_values import Host
from smsgate.simulator.phones import Behaviour
from smsgate.simulator.serve import Simulator, SimulatorSettings
from smsgate.simulator.shop import Shop
from smsgate.simulator.smsc_settings import SmscAccount, SmscSettings
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.embedded_paths import make_state_dir

STATE_DIR: Final = Path("var")
DATABASE: Final = "smsgate_demo"  # made anew at each start; `smsgate run` has its own beside it
DEFAULT_PORT: Final = 8080
SERVING: Final = "demo-serving"  # the task's name once a signal means: stop in order
NOTES: Final = ("demo.env", "demo.json")
QUIET_S: Final = 0.5  # nothing moved for so long: the story is over
STORY_LIMIT_S: Final = 120.0
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


@dataclass(slots=True)
class Stage:
    """Everything that runs."""

    simulator: Simulator
    shop: Shop
    process: Process
    cast: Cast
    base_url: str
    test_key: str


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
        if not options.once:
            write_notes(scene, options)
            for line in invitation(scene, options):
                say(line)
            task = asyncio.current_task()
            assert task is not None
            task.set_name(SERVING)
            try:
                await scene.process.wait(stop)
            finally:
                remove_notes(options)
            say("Stopping in order.")
    if options.as_json:
        sys.stdout.write(orjson.dumps(story).decode() + "\n")
    return 0 if all(check["ok"] for check in story["checks"]) else 1


@contextmanager
def only_one(state_dir: Path) -> Iterator[None]:
    """
    Keep other demonstrations out of this directory: each begins with an empty database of the same name.

    Raises:
        DemoFailed: one runs here already.
    """
    make_state_dir(state_dir)
    with (state_dir / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DemoFailed(
                f"a demo runs in {state_dir.absolute()} already: end it first, or start this one elsewhere"
            ) from None
        yield


@asynccontextmanager
async def stage(options: DemoOptions, say: Callable[[str], None]) -> AsyncIterator[Stage]:
    """Start SMSC, phones, shop and gateway, and do what operator and merchant do once."""
    simulator = Simulator(
        SimulatorSettings(
            seed=options.seed,
            behaviour=BEHAVIOUR,
            scripts={int(YOUR_PHONE[1:]): []},
            smsc=SmscSettings(accounts=(SmscAccount("smsgate", "secret"),), receipt_delay_s=(0.05, 0.4)),
        )
    )
    shop = Shop()
    clock = SystemClock()
    await simulator.start()
    say(f"SMSC simulator on 127.0.0.1:{simulator.smpp_port}, phones behind it")
    await shop.start()
    say(f"Shop on {shop.url}")
    try:
        settings = demo_settings(options, simulator)
        async with (
            EmbeddedPostgres(options.state_dir, on_progress=say) as server,
            fresh(server, settings, say, clock) as process,
        ):
            assert process.api is not None
            base_url = f"http://127.0.0.1:{process.api.port}"
            say(f"Gateway on {base_url}, bound to the SMSC")
            key = await add_operator_key(process.services, "demo")
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60.0)) as session:
                operator = Api(base_url, key, session)
                cast = await set_up(operator, shop, options.subscribers, clock, options.seed)
                test_key = await make_test_key(operator, cast.merchant_id)
                yield Stage(simulator, shop, process, cast, base_url, test_key)
    finally:
        await shop.stop()
        await simulator.stop()


@asynccontextmanager
async def fresh(
    server: EmbeddedPostgres, settings: Settings, say: Callable[[str], None], clock: Clock
) -> AsyncIterator[Process]:
    """Run the gateway on an empty database of its own."""
    await server.recreate_database(DATABASE)
    async with running(settings, say=say, clock=clock, database_name=DATABASE) as process:
        yield process


def demo_settings(options: DemoOptions, simulator: Simulator) -> Settings:
    """Return the settings of the gateway: one carrier, the simulator; webhooks may go to this machine."""
    carrier = CarrierProfile(
        name="sim",
        hosts=(Host("127.0.0.1", simulator.smpp_port),),
        system_id="smsgate",
        password=SecretStr("secret"),
        tls="none",
        insecure_plaintext=True,
        rate_per_s=500,
        window_max=100,
        senders=(SenderNumber(number=SENDER, receives=True),),
        cost_list="sim-cost",
    )
    return Settings(
        hours=HoursSettings(enforce=False),
        caps=UNCAPPED,
        node=NodeSettings(state_dir=options.state_dir),
        database=DatabaseSettings(),
        http=HttpSettings(port=free_port(options.port)),
        webhooks=WebhookSettings(
            allow_http=True, allow_networks=("127.0.0.0/8",), any_port=True, per_host=32, per_host_per_s=1_000
        ),
        carriers=(carrier,),
    )


def free_port(wanted: int) -> int:
    """Return `wanted` if nobody has it, else 0: any free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
    return wanted


async def play(scene: Stage, say: Callable[[str], None]) -> dict[str, Any]:
    """Let the shop emit its webhook, watch until nothing moves any more, tell the numbers."""
    cast = scene.cast
    campaign = await shop_emits(cast, SystemClock())
    say(f'The shop says "new record"; the gateway answers 202 and sends: {len(cast.msisdns)} offers')
    await watch(scene, campaign, say)
    books = await read_books(scene.process.services.database)
    return await tell(cast, campaign, scene.simulator, scene.shop, books)


async def watch(scene: Stage, campaign: str, say: Callable[[str], None]) -> None:
    """Show progress until campaign, receipts, replies and webhooks have all come to rest."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + STORY_LIMIT_S
    last: tuple[object, ...] = ()
    moved_at = loop.time()
    line = LiveLine(say)
    while True:
        found = await scene.cast.merchant.call("GET", f"/v1/campaigns/{campaign}")
        books = await read_books(scene.process.services.database)
        progress = found["progress"]
        now = loop.time()
        state = (found["state"], *progress.values(), books.orders, books.confirmed, books.accepted)
        if state != last:
            last, moved_at = state, now
            line.show(progress_line(progress, books.confirmed, len(scene.cast.msisdns)))
        waiting = books.events_pending + books.open_receipts + under_way(scene.simulator)
        if found["state"] == "finished" and not waiting and now - moved_at >= QUIET_S:
            line.end()
            return
        if now >= deadline:
            raise DemoFailed(f"the story did not end in {STORY_LIMIT_S:.0f} s; still waiting for {waiting}")
        await asyncio.sleep(0.2)


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


def write_notes(scene: Stage, options: DemoOptions) -> None:
    """Leave the keys where a shell and `smsgate phone` find them; readable by the owner alone."""
    notes = {
        "SMSGATE_URL": scene.base_url,
        "SMSGATE_KEY": scene.cast.merchant.key,
        "SMSGATE_TEST_KEY": scene.test_key,
        "SMSGATE_PHONES": scene.simulator.control_url,
    }
    texts = (
        "".join(f"export {key}={value}\n" for key, value in notes.items()),
        orjson.dumps({**notes, "phone": YOUR_PHONE}).decode() + "\n",
    )
    for name, text in zip(NOTES, texts, strict=True):
        path = options.state_dir / name
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(text)


def remove_notes(options: DemoOptions) -> None:
    """Take the keys away again: they end with the demonstration's database."""
    for name in NOTES:
        (options.state_dir / name).unlink(missing_ok=True)


def invitation(scene: Stage, options: DemoOptions) -> list[str]:
    return [
        "",
        f"  The API is at {scene.base_url} (document: /v1/openapi.json). In another terminal:",
        "",
        f"    . {options.state_dir / 'demo.env'}",
        '    curl -s $SMSGATE_URL/v1/campaigns -H "Authorization: Bearer $SMSGATE_KEY"',
        "",
        f"  Your own phone is {YOUR_PHONE}: the README sends it an offer. Ctrl-C ends.",
    ]
