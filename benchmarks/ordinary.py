"""
The ordinary design, as a baseline: an object, a task and a statement for every event.

smpplib makes and reads the PDUs; each message is a task with a future; each event (queued, accepted,
delivered) is one statement in a transaction of its own; at most WINDOW messages are under way. This is how
a gateway is usually written first, not a caricature: no statement is repeated without need, every look-up
has an index, statements are prepared once.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from smpplib import consts, gsm, smpp

from smsgate.bench.main import until
from smsgate.bench.meter import Meter, used_between
from smsgate.bench.parts import own_smsc, throw_away_database
from smsgate.bench.scene import NAMES, PASSWORD, SENDER, SYSTEM_ID, TEXT, msisdn_of
from smsgate.links.profile_values import Host
from smsgate.store.roles import ADMIN

DATABASE = "ordinary"

WINDOW = 100
POOL = 10
SCHEMA = """
CREATE TABLE message (
    id bigserial PRIMARY KEY, msisdn bigint NOT NULL, body text NOT NULL, state text NOT NULL, smsc_id text,
    created_at timestamptz NOT NULL DEFAULT now(), sent_at timestamptz, done_at timestamptz
);
CREATE INDEX ON message (smsc_id);
CREATE TABLE ledger (
    message_id bigint PRIMARY KEY, amount_micros bigint NOT NULL, at timestamptz NOT NULL DEFAULT now()
);
"""
QUEUED_SQL = "INSERT INTO message (msisdn, body, state) VALUES ($1, $2, 'queued') RETURNING id"
ACCEPTED_SQL = """
WITH charged AS (INSERT INTO ledger (message_id, amount_micros) VALUES ($1, 45000))
UPDATE message SET state = 'accepted', smsc_id = $2, sent_at = now() WHERE id = $1
"""
DELIVERED_SQL = (
    "UPDATE message SET state = 'delivered', done_at = now() WHERE smsc_id = $1 AND state = 'accepted'"
)
RECEIPT = re.compile(rb"id:(\S+) .*stat:(\S+)")
EARLY_RETRY_S = 0.02  # a receipt may overtake the commit of its own message
EARLY_RETRIES_MAX = 100


class Session:
    """One bind: requests wait for their responses by sequence number."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.delivered = 0

    def next_sequence(self) -> int:  # smpplib asks its client for numbers
        return next(self._numbers)

    async def connect(self, host: str, port: int) -> None:
        self._reader, self._writer = await asyncio.open_connection(host, port)
        self._reading = asyncio.create_task(self._read())
        await self.request(
            "bind_transceiver",
            system_id=SYSTEM_ID,
            password=PASSWORD,
            interface_version=consts.SMPP_VERSION_34,
        )

    async def request(self, name: str, **fields: Any) -> Any:
        pdu = smpp.make_pdu(name, client=self, **fields)
        future = asyncio.get_running_loop().create_future()
        self._waiting[pdu.sequence] = future
        self._writer.write(pdu.generate())
        return await future

    async def _read(self) -> None:
        while True:
            head = await self._reader.readexactly(4)
            octets = head + await self._reader.readexactly(struct.unpack(">I", head)[0] - 4)
            pdu = smpp.parse_pdu(octets, client=self, allow_unknown_opt_params=True)
            if pdu.is_request():
                task = asyncio.create_task(self._receipt(pdu))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            elif future := self._waiting.pop(pdu.sequence, None):
                future.set_result(pdu)

    async def _receipt(self, pdu: Any) -> None:
        if pdu.command == "deliver_sm" and (found := RECEIPT.search(pdu.short_message)):
            await self._delivered(found[1].decode())
        answer = smpp.make_pdu(f"{pdu.command}_resp", client=self)
        answer.sequence = pdu.sequence
        self._writer.write(answer.generate())

    async def _delivered(self, smsc_id: str) -> None:
        for _ in range(EARLY_RETRIES_MAX):
            if await self._pool.execute(DELIVERED_SQL, smsc_id) == "UPDATE 1":
                self.delivered += 1
                return
            await asyncio.sleep(EARLY_RETRY_S)

    async def send(self, message_id: int, sender: str, msisdn: int, text: str) -> None:
        """Submit a text whose row is there, and note that it was accepted."""
        parts, encoding, kind = gsm.make_parts(text)
        answer = await self.request(
            "submit_sm",
            source_addr_ton=consts.SMPP_TON_NWSPEC,
            source_addr=sender,
            dest_addr_ton=consts.SMPP_TON_INTL,
            dest_addr_npi=consts.SMPP_NPI_ISDN,
            destination_addr=str(msisdn),
            short_message=parts[0],
            data_coding=encoding,
            esm_class=kind,
            registered_delivery=1,
        )
        smsc_id = answer.message_id
        await self._pool.execute(
            ACCEPTED_SQL, message_id, smsc_id.decode() if isinstance(smsc_id, bytes) else smsc_id
        )

    async def close(self) -> None:
        self._reading.cancel()
        self._writer.close()


async def send_one(
    session: Session, pool: asyncpg.Pool[asyncpg.Record], nth: int, room: asyncio.Semaphore
) -> None:
    msisdn, text = msisdn_of(nth), TEXT.format(first_name=NAMES[nth % len(NAMES)])
    async with room:
        message_id = await pool.fetchval(QUEUED_SQL, msisdn, text)
        await session.send(message_id, SENDER, msisdn, text)


@asynccontextmanager
async def ordinary_database() -> AsyncIterator[tuple[asyncpg.Pool[asyncpg.Record], Meter]]:
    """Yield a throw-away database with the tables of this design, and what measures it."""
    async with throw_away_database() as server:
        await server.recreate_database(DATABASE)
        arguments = server.connect_args(ADMIN, DATABASE)
        async with asyncpg.create_pool(min_size=POOL, max_size=POOL, **arguments) as pool:

            async def wal_octets() -> int:
                return int(await pool.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"))

            await pool.execute(SCHEMA)
            yield pool, Meter(server.data_dir, wal_octets)


async def run_ordinary(smsc: Host | None, messages: int) -> dict[str, Any]:
    """Send `messages` and wait for all receipts; `smsc` None: our simulator."""
    async with ordinary_database() as (pool, meter), own_smsc() as own:
        return await _measured(pool, meter, smsc or own.host, messages)


async def _measured(
    pool: asyncpg.Pool[asyncpg.Record], meter: Meter, smsc: Host, messages: int
) -> dict[str, Any]:
    session = Session(pool)
    await session.connect(*smsc)
    room = asyncio.Semaphore(WINDOW)

    async def delivered() -> bool:
        return session.delivered >= messages

    before = await meter.read()
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for n in range(messages):
            group.create_task(send_one(session, pool, n, room))
    complete = await until(delivered, max(1.0, 30.0 - (time.monotonic() - began)))
    used = used_between(before, await meter.read(), messages)
    counts = await pool.fetchrow(
        "SELECT (SELECT count(*) FROM message WHERE sent_at IS NOT NULL) AS accepted, "
        "(SELECT count(*) FROM message WHERE done_at IS NOT NULL) AS receipts, "
        "(SELECT count(*) FROM ledger) AS ledger_messages"
    )
    await session.close()
    return {
        "messages": messages,
        "wall_s": used.wall_s,
        "per_second": used.per_second,
        "gateway_cpu_us": used.gateway_cpu_us,
        "database_cpu_us": used.database_cpu_us,
        "wal_bytes": used.wal_octets,
        **dict(counts or {}),
        "complete": complete,
    }
