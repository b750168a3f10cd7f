"""
Signed webhooks of a shop, of one recipient each unless told otherwise, over keep-alive connections.

    python -m benchmarks.intake [--events N] [--connections N] [--recipients N] [--items N] [--processes N]
        [--profile FILE]

Each is answered 202 once its campaign is durable; the server logs each, as `smsgate run` does. A client
process signs all of them before it starts, sends the next on a connection when the last was answered, and
reads no more of an answer than its length, so that it takes little of the machine; its own CPU is told apart.
With --processes more than one listen on one port (`http.port_shared`), and the CPU of all of them is told.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
from pydantic import SecretStr

from benchmarks.running import show_as_daemon
from benchmarks.watching import ask
from smsgate.bench.meter import Meter, used_between
from smsgate.bench.parts import throw_away_database
from smsgate.bench.scene import COST_LIST, MERCHANT, PASSWORD, SENDER, SYSTEM_ID, msisdn_of, prepare
from smsgate.config import HttpSettings, NodeSettings, Settings
from smsgate.daemon.process import running
from smsgate.daemon.services import add_operator_key
from smsgate.links.profile import CarrierProfile
from smsgate.links.profile_senders import SenderNumber
from smsgate.links.profile_values import Host
from smsgate.numbering import plain_mobile
from smsgate.security.public_ids import Kind
from smsgate.store.bench_books import wal_octets
from smsgate.store.pool import Database

TEXT: Final = (
    "Boxman: {item} 19,90€ port compris. Répondez OK = commande avec obligation de paiement. "
    "Rétractation 14 j. Infos bxm.fr/m1 STOP 36111"
)
MAPPING: Final = {
    "item": "$.item", "price": "$.price", "currency": "EUR", "recipients": "$.to",
    "fields": {"item": "$.item"},
}  # fmt: skip
WARM: Final = (
    1_000  # webhooks sent first and not counted: plans of numbers, prices and statements are read once
)
CLIENT: Final = """
import asyncio, json, resource, sys, time
import uvloop
from smsgate.security.webhook_signatures import signed_headers

host, port, path, secret, events, connections, each, items, warm = sys.argv[1:]
now, numbers = int(time.time()), sys.stdin.read().split()
requests = []
for n in range(int(events) + int(warm)):
    to = ["+" + numbers[(n * int(each) + k) % len(numbers)] for k in range(int(each))]
    event = {"item": f"CD {n % int(items)}", "price": "19.90", "to": to}
    body = json.dumps(event).encode()
    headers = signed_headers([secret], f"event-{n}", now, body)
    head = "".join(f"{name}: {value}\\r\\n" for name, value in headers.items())
    requests.append(f"POST {path} HTTP/1.1\\r\\nHost: x\\r\\nContent-Type: application/json\\r\\n{head}"
                    f"Content-Length: {len(body)}\\r\\n\\r\\n".encode() + body)
statuses, clocks = {}, []

class One(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.octets = transport, b""
        self.more()
    def more(self):
        if rest:
            self.transport.write(rest.pop())
        else:
            self.transport.close()
    def data_received(self, data):
        self.octets += data
        head, mark, body = self.octets.partition(b"\\r\\n\\r\\n")
        if not mark:
            return
        at = head.lower().index(b"content-length:") + 15
        if len(body) < int(head[at:head.find(b"\\r\\n", at) if head.find(b"\\r\\n", at) > 0 else None]):
            return
        status = head[9:12].decode()
        statuses[status] = statuses.get(status, 0) + 1
        self.octets = b""
        self.more()
    def connection_lost(self, exc):
        left.pop()
        if not left:
            done.set()

async def send(octets, count):
    global done, left, rest
    done, left, rest = asyncio.Event(), [None] * count, octets
    for _ in range(count):
        await asyncio.get_running_loop().create_connection(One, host, int(port))
    await done.wait()

def cpu_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

async def main():
    await send(requests[:int(warm)], 8)
    statuses.clear()
    print("ready", flush=True)
    await asyncio.sleep(0.3)  # until who measures has read its clocks
    clocks.extend((cpu_s(), time.monotonic()))
    await send(requests[int(warm):], int(connections))

with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
took = {"cpu_s": cpu_s() - clocks[0], "wall_s": time.monotonic() - clocks[1]}
print(json.dumps({"statuses": statuses, **took}))
"""


async def a_trigger(base: str, operator: str, merchant: str) -> tuple[str, str]:
    """Return path and secret of a new trigger."""

    async def post(key: str, path: str, body: dict[str, Any]) -> Any:
        async with session.post(base + path, json=body, headers={"Authorization": f"Bearer {key}"}) as answer:
            assert answer.status == 201, await answer.text()
            return await answer.json()

    async with aiohttp.ClientSession() as session:
        asked = {"name": "shop", "mode": "live", "scopes": ["webhooks.manage"]}
        key = (await post(operator, f"/v1/merchants/{merchant}/api_keys", asked))["key"]
        trigger = await post(
            key, "/v1/triggers", {"name": "bench", "sender": SENDER, "text": TEXT, "mapping": MAPPING}
        )
        return str(trigger["path"]), str(trigger["secret"])


def settings_for(state_dir: Path, port: int = 0) -> Settings:
    carrier = CarrierProfile(
        name="smsc", hosts=(Host("127.0.0.1", 9),), system_id=SYSTEM_ID, password=SecretStr(PASSWORD),
        tls="none", insecure_plaintext=True, senders=(SenderNumber(number=SENDER, receives=True),),
        cost_list=COST_LIST,
    )  # fmt: skip
    http = HttpSettings(port=port, port_shared=True, connections_per_source_max=1_000)
    return Settings(node=NodeSettings(state_dir=state_dir, roles=("api",)), http=http, carriers=(carrier,))


class Others:
    """The other processes that serve."""

    def __init__(self, processes: Sequence[asyncio.subprocess.Process]) -> None:
        self._processes = processes

    async def cpu_s(self) -> float:
        return sum([float(await self._said(process)) for process in self._processes])

    async def _said(self, process: asyncio.subprocess.Process) -> bytes:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"cpu\n")
        return await process.stdout.readline()


@asynccontextmanager
async def others(count: int, state_dir: Path, port: int) -> AsyncIterator[Others]:
    arguments = ("-m", "benchmarks.intake_server", str(state_dir), str(port))
    pipe = asyncio.subprocess.PIPE
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=pipe, stdout=pipe)
        for _ in range(count)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    yield Others(processes)
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def run(
    processes: int, events: int, connections: int, recipients: int, items: int, profile: str | None
) -> dict[str, Any]:
    async with throw_away_database() as server:
        people = min(events * recipients, 10_000)
        async with await Database.open(server) as database:
            await prepare(database, people)
        async with (
            running(settings_for(server.data_dir.parent), say=lambda _: None) as process,
            AsyncExitStack() as stack,
        ):
            assert process.api is not None
            services, port = process.services, process.api.port
            merchant = services.public_ids.encode(Kind.MERCHANT, MERCHANT)
            operator = await add_operator_key(services, "bench")
            path, secret = await a_trigger(f"http://127.0.0.1:{port}", operator, merchant)
            arguments = (
                "-c",
                CLIENT,
                "127.0.0.1",
                str(port),
                path,
                secret,
                *map(str, (events, connections, recipients, items, WARM)),
            )
            more = await stack.enter_async_context(others(processes - 1, server.data_dir.parent, port))
            client = await asyncio.create_subprocess_exec(
                sys.executable, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            assert client.stdin is not None
            assert client.stdout is not None
            numbers = [msisdn_of(n) for n in range(people)]
            mobile = [str(number) for number in numbers if plain_mobile(f"+{number}")]
            client.stdin.write(" ".join(mobile).encode())
            client.stdin.write_eof()
            assert (await client.stdout.readline()) == b"ready\n"
            meter = Meter(server.data_dir, partial(wal_octets, services.database))
            before, others_before = await meter.read(), await more.cpu_s()
            profiler = cProfile.Profile() if profile else None
            if profiler:
                profiler.enable()
            said = json.loads(await client.stdout.readline())
            if profiler:
                profiler.disable()
                profiler.dump_stats(str(profile))
            after, others_cpu_s = await meter.read(), await more.cpu_s() - others_before
            await client.wait()
            assert said["statuses"] == {"202": events}, said
            assert await ask(services.database, "SELECT count(*) FROM trigger_event") == events + WARM
            sending = "SELECT count(*) FROM campaign WHERE trigger_id IS NOT NULL AND state = 'sending'"
            assert await ask(services.database, sending) == events + WARM
            used = used_between(before, after, events)
            return {
                "events": events,
                "processes": processes,
                "connections": connections,
                "recipients_each": recipients,
                "items": items,
                "events_per_s": round(events / said["wall_s"]),
                "server_cpu_us": round(used.gateway_cpu_us + others_cpu_s / events * 1e6, 1),
                "database_cpu_us": used.database_cpu_us,
                "client_cpu_us": round(said["cpu_s"] / events * 1e6, 1),
                "wal_octets_each": used.wal_octets // events,
            }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--recipients", type=int, default=1, help="of each webhook")
    parser.add_argument("--items", type=int, default=100, help="as many different texts")
    parser.add_argument("--processes", type=int, default=1, help="that serve, on one port")
    parser.add_argument("--profile", metavar="FILE", help="write cProfile's statistics of the server")
    given = parser.parse_args()
    show_as_daemon(
        run(given.processes, given.events, given.connections, given.recipients, given.items, given.profile)
    )


if __name__ == "__main__":
    main()
