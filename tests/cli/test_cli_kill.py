"""kill -9 of a real gateway process while replies come: whatever was answered is there, once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from smsgate.simulator.mobile_originated import Mo
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database
from tests.cli.carriers import SENDER, write_config
from tests.cli.command_shell import Running, Shell
from tests.flows.world import a_simulator, eventually

MOS: Final = 2_000
KILLS: Final = 2
FIRST: Final = 33_612_000_000


@asynccontextmanager
async def the_database(shell: Shell) -> AsyncIterator[Database]:
    async with (
        EmbeddedPostgres(shell.state_dir) as server,
        await Database.open(server, migrate=False) as opened,
    ):
        yield opened


async def stored(database: Database) -> tuple[Counter[str], Counter[int]]:
    """Return the whole texts that are there, and how many parts of each number wait."""
    async with database.bulk() as connection:
        texts = await connection.fetch("SELECT text FROM inbound_message")
        parts = await connection.fetch("SELECT source FROM mo_part")
    return Counter(row["text"] for row in texts), Counter(row["source"] for row in parts)


def lost(mos: list[Mo], texts: Counter[str], parts: Counter[int]) -> list[int]:
    """Return who was answered 0 for more than there is."""
    return [mo.msisdn for mo in mos if mo.text not in texts and mo.statuses.count(0) > parts[mo.msisdn]]


async def test_every_answered_reply_is_there_once_whenever_the_process_is_killed(
    shell: Shell, started: Callable[..., Running]
) -> None:
    rng = random.Random(25)
    mos: list[Mo] = []
    async with a_simulator() as simulator, the_database(shell) as database:

        def bring(count: int) -> None:
            for _ in range(count):
                number = len(mos)
                text = f"Reply {number} " + "of many words " * (12 if number % 4 == 0 else 1)
                mos.append(simulator.smsc.send_mo(FIRST + number, SENDER, text, "smsgate"))

        config = write_config(shell.cwd / "kill.toml", smpp=f"127.0.0.1:{simulator.smpp_port}")
        for kill in range(KILLS):
            daemon = started("run", "--config", str(config), "--roles", "gateway")
            answered = sum(mo.taken for mo in mos)
            bring(MOS // KILLS if kill + 1 < KILLS else MOS - len(mos))
            border = answered + rng.randrange(50, 400)
            await eventually(lambda: sum(mo.taken for mo in mos) >= border, timeout_s=60)  # noqa: B023
            daemon.process.kill()
            await asyncio.to_thread(daemon.process.wait, 10)
            await asyncio.sleep(0.1)  # what the socket still held has arrived
            assert lost(mos, *await stored(database)) == []
        last = started("run", "--config", str(config), "--roles", "gateway")
        await eventually(lambda: all(mo.taken for mo in mos), timeout_s=60)
        assert await asyncio.to_thread(last.end) == 0, last.err
        texts, parts = await stored(database)
        assert texts == Counter(mo.text for mo in mos)
        assert not parts
        assert any(len(mo.statuses) > len(mo.bodies) for mo in mos) or simulator.smsc.log.written_again
