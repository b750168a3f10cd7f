"""A gateway bound to one faulty SMSC: what was sent, what came, what the books say."""

from __future__ import annotations

import asyncio
import io
import tempfile
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

import structlog
from pydantic import SecretStr

from smsgate.daemon.process import Process
from smsgate.demo.scene import OFFER_TEXT, Api
from smsgate.flows.records import BindStatus
from smsgate.links.carrier import CarrierAccount
from smsgate.links.profile import CarrierProfile, read_profile
from smsgate.simulator.faults import Faults
from smsgate.simulator.faulty_smsc import FaultySmsc
from smsgate.simulator.phones import Behaviour
from smsgate.simulator.profiles import PROFILES, find_profile, with_profiles
from smsgate.simulator.seen import SmscLog
from smsgate.simulator.serve import Simulator, SimulatorSettings
from smsgate.simulator.smsc_settings import SmscAccount, SmscSettings
from smsgate.telemetry.logs import guard
from tests.acceptance.wire import Wire, database_wire
from tests.quirks.ground import PHONES, QuirkGround, an_api

SEED: Final = 7
PATIENCE_S: Final = 45.0
PASSWORD: Final = "Pw9-x7Qz"
QUICK: Final = (0.05, 0.1)


@dataclass(frozen=True, slots=True)
class Case:
    """
    What the gateway is told about the carrier, and what it is expected to do.

    `messages` is how many phones get the offer; 0: no campaign is started.
    """

    expect: Callable[[Scene], Awaitable[None]]
    carrier: Mapping[str, Any] = field(default_factory=dict)
    messages: int = 10
    sender: str = ""  # else digits of its own
    text: str = OFFER_TEXT
    behaviour: Behaviour = field(default_factory=Behaviour)
    on_a_wire: bool = False  # the way to the database can be cut


@dataclass
class Scene:
    name: str
    case: Case
    simulator: Simulator
    process: Process
    api: Api
    profile: CarrierProfile
    log_lines: io.StringIO
    wire: Wire | None
    campaign: str = ""

    @property
    def smsc(self) -> FaultySmsc:
        """Return the SMSC with its counts of faults; one whose profile only changes settings has none."""
        assert self.faults.switched()
        return cast("FaultySmsc", self.simulator.smsc)

    @property
    def faults(self) -> Faults:
        return self.simulator.settings.smsc.faults

    @property
    def log(self) -> SmscLog:
        return self.simulator.smsc.log

    @property
    def phones(self) -> list[int]:
        return PHONES[: self.case.messages]

    @property
    def other_phones(self) -> list[int]:
        return PHONES[-self.case.messages :]

    @property
    def sender(self) -> str:
        return self.profile.senders[0].number

    @property
    def carrier(self) -> CarrierAccount:
        assert self.process.gateway is not None
        carrier = self.process.gateway.switchboard.by_name(self.profile.name)
        assert carrier is not None
        return carrier

    def binds(self) -> list[BindStatus]:
        return self.carrier.binds()

    def bound(self) -> bool:
        return all(bind.state == "bound" for bind in self.binds())

    # -- the shop

    async def start(self, text: str = "", phones: list[int] | None = None) -> str:
        """Offer something to the phones; return the campaign."""
        offer = {
            "text": text or self.case.text,
            "item": "CD Madonna",
            "price": "19.90",
            "sender": self.sender,
            "expires_in_s": 7_200,
        }
        audience = {"subscribers": [f"+{msisdn}" for msisdn in phones or self.phones]}
        body = {"offer": offer, "audience": audience, "start": True}
        self.campaign = str((await self.api.call("POST", "/v1/campaigns", body))["id"])
        return self.campaign

    async def progress(self) -> Counter[str]:
        """Return the counts of the campaign; what is 0 is left out."""
        found = await self.api.call("GET", f"/v1/campaigns/{self.campaign}")
        return Counter({name: count for name, count in found["progress"].items() if count})

    async def comes_to(self, within_s: float = PATIENCE_S, **wanted: int) -> None:
        """Wait until these are the outcomes of the campaign's messages, and there are no others."""
        recipients = wanted.pop("recipients", self.case.messages)
        expected = Counter(recipients=recipients) + Counter(wanted)

        found: Counter[str] = Counter()

        async def there() -> bool:
            nonlocal found
            found = await self.progress()
            del found["replies"]  # of phones
            return found == expected

        await eventually(there, lambda: f"{dict(found)}, not {dict(expected)}", within_s)

    async def messages(self, state: str) -> list[Any]:
        path = f"/v1/messages?campaign={self.campaign}&state={state}&limit=100"
        return list((await self.api.call("GET", path))["data"])

    async def inbound(self) -> list[Any]:
        """Return what phones wrote to this sender, newest first."""
        found = (await self.api.call("GET", "/v1/inbound_messages?limit=100"))["data"]
        return [each for each in found if each["recipient"] == self.sender]

    # -- phones

    def texts(self, msisdn: int) -> list[str]:
        return [message.text for message in self.simulator.phones.inbox(msisdn)]

    # -- the database, where no route tells

    async def rows(self, query: str, *values: Any) -> list[Any]:
        async with self.process.services.database.control() as connection:
            return list(await connection.fetch(query, *values))

    async def unmatched(self) -> int:
        query = "SELECT count(*) AS n FROM receipt_unmatched WHERE carrier_id = $1"
        return int((await self.rows(query, self.carrier.carrier_id))[0]["n"])


async def eventually(
    condition: Callable[[], object], what: Callable[[], str] | str = "", within_s: float = PATIENCE_S
) -> None:
    """Wait until `condition` (plain or async) holds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        found = condition()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return
        assert loop.time() < deadline, what() if callable(what) else what or f"never came: {condition}"
        await asyncio.sleep(0.02)


@contextmanager
def lines_of_log() -> Iterator[io.StringIO]:
    """Write the log at its finest level, as the product does, into memory."""
    stream, before = io.StringIO(), structlog.get_config()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            guard,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(0),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    try:
        yield stream
    finally:
        structlog.configure(**before)


def sender_of(name: str) -> str:
    """Return a marketing code of this profile's own: offers of one sender would wait for each other."""
    return f"36{sorted(PROFILES).index(name):03}"


def a_profile(name: str, simulator: Simulator, case: Case, directory: Path) -> CarrierProfile:
    """Return a carrier that is as quick as a test wants it, with what the case says."""
    tls: dict[str, Any] = {"tls": "none", "insecure_plaintext": True}
    if simulator.settings.smsc.faults.tls:
        ca_file = directory / "ca.pem"
        ca_file.write_bytes(simulator.ca_pem)
        tls = {"ca_file": str(ca_file)}
    sender = case.sender or sender_of(name)
    values: dict[str, Any] = {
        "name": f"q-{zlib.crc32(name.encode()):08x}",
        "hosts": [f"127.0.0.1:{simulator.smpp_port}"],
        "system_id": "smsgate",
        "password": SecretStr(PASSWORD),
        "rate_per_s": 500,
        "window_max": 10,
        "cost_list": "sim-cost",
        "senders": [{"number": sender, "receives": sender.isdigit()}],
        "rebind": {"lost_s": QUICK, "refused_tcp_s": QUICK, "already_bound_s": (0.2, 0.4)},
        **tls,
        **case.carrier,
    }
    return read_profile(values)


@asynccontextmanager
async def a_scene(name: str, case: Case, ground: QuirkGround, directory: Path) -> AsyncIterator[Scene]:
    """Run an SMSC with this profile and a gateway that is to bind to it."""
    accounts = (SmscAccount("smsgate", PASSWORD),)
    plain = SmscSettings(accounts=accounts)
    settings = SimulatorSettings(
        seed=SEED,
        smsc=with_profiles(plain, [find_profile(name)]),
        behaviour=case.behaviour,
        control_port=None,
    )
    simulator = Simulator(settings)
    await ground.without_doubts()
    async with AsyncExitStack() as stack:
        await simulator.start()
        stack.push_async_callback(simulator.stop, 0.2)
        wire = None
        if case.on_a_wire:
            wire, ground = await stack.enter_async_context(a_wire(ground))
        profile = a_profile(name, simulator, case, directory)
        log_lines = stack.enter_context(lines_of_log())
        process, api = await stack.enter_async_context(
            an_api(ground.settings(carriers=(profile,)), ground.merchant_key)
        )
        yield Scene(name, case, simulator, process, api, profile, log_lines, wire)


@asynccontextmanager
async def a_wire(ground: QuirkGround) -> AsyncIterator[tuple[Wire, QuirkGround]]:
    """Lay a wire before the database; return it with a ground that is reached over it."""
    # A Unix socket's path may have 107 octets: pytest's own directories are too long.
    with tempfile.TemporaryDirectory(prefix="sg-") as directory:
        async with database_wire(ground.dsn, Path(directory), Wire) as (wire, far):
            yield wire, replace(ground, dsn=far)
