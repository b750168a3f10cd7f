"""Who takes part: PostgreSQL, gateway and API, the SMSC with its phones, a shop, the line between."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg
import orjson

from smsgate.demo.scene import SENDER
from smsgate.simulator.shop import Shop
from smsgate.store.embedded_server import Postmaster, find
from smsgate.store.roles import ADMIN
from tests.chaos.children import COMMAND, Child
from tests.chaos.line import Line

# What a look at a database that is being killed may end with; the last is the driver's, cut off in midst.
LOOK_FAILED: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
READY_LIMIT_S: Final = 120.0
RATE_PER_S: Final = 200
WINDOW_MAX: Final = 40
BINDS: Final = 2
IN_DOUBT_MAX: Final = 200
LATENCY_MS: Final = 60
SMSC: Final = (
    *("smsc", "--json", "--latency-ms", str(LATENCY_MS), "--receipt-delay-s", "0.1,2"),
    *("--undelivered", "0.03", "--ok", "0.35", "--quantity", "0.05", "--stop", "0.06"),
    *("--question", "0.02", "--decline", "0.3", "--reply-delay-s", "0.1,2"),
)
CONFIGURATION: Final = """
[node]
state_dir = "{state_dir}"
[http]
port = {http_port}
health_port = 0
requests_per_s = 10000
[log]
form = "json"
[database]
disk_floor_mib = {disk_floor_mib}
[hours]
enforce = false
[caps]
person_per_day_max = 0
person_per_week_max = 0
merchant_per_day_max = 0
merchant_per_week_max = 0
[sending]
in_doubt_max = {in_doubt_max}
poll_s = 0.1
guard_stop_percent = 100.0
guard_failure_percent = 100.0
[webhooks]
allow_http = true
allow_networks = ["127.0.0.0/8"]
any_port = true
per_host = 32
per_host_per_s = 1000
poll_s = 0.1
[[carriers]]
name = "sim"
hosts = ["127.0.0.1:{smpp_port}"]
system_id = "smsgate"
password = "secret"
tls = "none"
insecure_plaintext = true
binds = {binds}
rate_per_s = {rate_per_s}
window_max = {window_max}
cost_list = "sim-cost"
senders = [{{ number = "{sender}", receives = true }}]
[carriers.rebind]
lost_s = [0.05, 0.5]
refused_tcp_s = [0.05, 0.5]
already_bound_s = [0.05, 0.5]
"""


@dataclass
class Town:
    directory: Path
    smsc: Child
    gateway: Child
    api: Child  # may be the gateway itself
    line: Line
    shop: Shop
    session: aiohttp.ClientSession
    base_url: str
    operator_key: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def state_dir(self) -> Path:
        return self.directory / "var"

    @property
    def journal(self) -> Path:
        return self.directory / "smsc.jsonl"

    @property
    def children(self) -> tuple[Child, ...]:
        return (self.smsc, self.gateway) if self.api is self.gateway else (self.smsc, self.gateway, self.api)

    @property
    def data_dir(self) -> Path:
        """Return where PostgreSQL's data are: beside the rest, or where the file `postgres.path` says."""
        elsewhere = self.state_dir / "postgres.path"
        return Path(elsewhere.read_text().strip()) if elsewhere.exists() else self.state_dir / "postgres"

    def postmaster(self) -> Postmaster | None:
        return find(self.data_dir)

    def backends(self) -> dict[int, str]:
        """Return the server processes that work for smsgate, with what each calls itself."""
        server = self.postmaster()
        found: dict[int, str] = {}
        for path in Path("/proc").glob("[0-9]*") if server is not None else ():
            try:
                parent = int((path / "stat").read_text().rsplit(") ", 1)[1].split()[1])
                title = (path / "cmdline").read_bytes().rstrip(b"\0 ").decode(errors="replace")
            except (OSError, IndexError, ValueError):
                continue
            if server is not None and parent == server.pid and " smsgate [local]" in title:
                found[int(path.name)] = title
        return found

    async def command(self, *arguments: str) -> tuple[int, str]:
        """Run a command of smsgate beside the gateway; return its exit code and what it said."""
        process = await asyncio.create_subprocess_exec(
            *COMMAND, *arguments, "--config", str(self.directory / "smsgate.toml"),
            cwd=self.directory,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, said = await process.communicate()
        assert process.returncode is not None
        return process.returncode, said.decode(errors="replace").strip()

    @asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        """Look at the tables as somebody who may see all of them."""
        server = self.postmaster()
        if server is None or server.socket_dir == Path():  # it has not said yet where it listens
            raise ConnectionRefusedError("no PostgreSQL runs")
        connection = await asyncpg.connect(
            host=str(server.socket_dir), port=5432, user=ADMIN, database="smsgate", ssl=False, timeout=10
        )
        try:
            yield connection
        finally:
            await connection.close(timeout=5)

    async def ready(self, limit_s: float = READY_LIMIT_S) -> None:
        """Wait until the API serves."""
        async with asyncio.timeout(limit_s):
            while await self.ask_status("/readyz") != 200:
                await asyncio.sleep(0.1)

    async def ask_status(self, path: str) -> int:
        """Return the status of a GET; 0 where nobody answers."""
        try:
            async with self.session.get(self.base_url + path) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0


@asynccontextmanager
async def a_town(
    seed: int,
    *,
    directory: Path | None = None,
    state_dir: Path | None = None,
    smsc: tuple[str, ...] = SMSC,
    local_conf: str = "",
    changes: Mapping[str, Any] | None = None,
    one_process: bool = False,
) -> AsyncIterator[Town]:
    """
    Start everything; at the end stop it in order. A directory that is given is left there.

    `one_process`: the API is served by the gateway's process, as by default; else by one of its own.
    """
    async with AsyncExitStack() as stack:
        if directory is None:
            directory = Path(tempfile.mkdtemp(prefix="smsgate-chaos-"))
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o711)  # PostgreSQL's own user has to get in where root runs this
        http_port, smpp_port, control_port = free_ports(3)
        line = Line(smpp_port)
        await line.start()
        stack.push_async_callback(line.close)
        shop = Shop()
        await shop.start()
        stack.push_async_callback(shop.stop)
        values = {
            "state_dir": state_dir or directory / "var",
            "http_port": http_port,
            "smpp_port": line.port,
            "in_doubt_max": IN_DOUBT_MAX,
            "disk_floor_mib": 0,
            "binds": BINDS,
            "rate_per_s": RATE_PER_S,
            "window_max": WINDOW_MAX,
            "sender": SENDER,
            **(changes or {}),
        }
        configuration = directory / "smsgate.toml"
        configuration.write_text(CONFIGURATION.format(**values))
        configuration.chmod(0o600)
        key = await asyncio.to_thread(_operator_key, directory, configuration)
        if state_dir is not None:
            (directory / "var").symlink_to(state_dir)
        if local_conf:
            await asyncio.to_thread(_set_local, directory / "var", local_conf)
        ports = ("--port", str(smpp_port), "--control-port", str(control_port))
        journal = ("--journal", str(directory / "smsc.jsonl"), "--seed", str(seed))
        run = ("run", "--config", str(configuration))
        gateway = Child("gateway", run if one_process else (*run, "--roles", "gateway,webhooks"), directory)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20.0))
        )
        town = Town(
            directory,
            smsc=Child("smsc", (*smsc, *ports, *journal), directory),
            gateway=gateway,
            api=gateway if one_process else Child("api", (*run, "--roles", "api"), directory),
            line=line,
            shop=shop,
            session=session,
            base_url=f"http://127.0.0.1:{http_port}",
            operator_key=key,
        )
        for child in town.children:
            stack.push_async_callback(child.close)
            child.start()
        await town.ready()
        yield town


def free_ports(count: int) -> list[int]:
    """Return ports that nobody has now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(opened.getsockname()[1]) for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def _operator_key(directory: Path, configuration: Path) -> str:
    """Make the database, and in it a key for the operator's routes."""
    done = subprocess.run(
        [*COMMAND, "key", "add", "--operator", "--name", "chaos", "--json", "--config", str(configuration)],
        cwd=directory,
        capture_output=True,
        timeout=READY_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return str(orjson.loads(done.stdout)["key"])


def _set_local(state_dir: Path, settings: str) -> None:
    """Write settings of the operator's own for PostgreSQL, which does not run now."""
    elsewhere = state_dir / "postgres.path"
    data_dir = Path(elsewhere.read_text().strip()) if elsewhere.exists() else state_dir / "postgres"
    (data_dir / "local.conf").write_text(settings)
