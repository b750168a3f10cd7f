"""One database, one merchant, its prices and its subscribers for all quirks of a test run's worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg
from pydantic import SecretStr

from smsgate.clock import SystemClock
from smsgate.config import DatabaseSettings, HttpSettings, NodeSettings, SendingSettings, Settings
from smsgate.config.marketing import UNCAPPED, HoursSettings
from smsgate.daemon.process import Process, running
from smsgate.daemon.services import add_operator_key
from smsgate.demo.scene import Api, import_subscribers, join, phone_numbers
from smsgate.security.master_key_file import load_master_key
from smsgate.store.keyring import MASTER_KEY_FILE

PHONES: Final = phone_numbers(300, seed=11)


@dataclass(frozen=True, slots=True)
class QuirkGround:
    dsn: str
    state_dir: Path
    merchant_key: str

    def settings(self, **parts: Any) -> Settings:
        return _settings(self.dsn, self.state_dir, **parts)

    async def without_doubts(self) -> None:
        """Forget which replies nobody could read: each holds marketing to its phone for days."""
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute("UPDATE subscriber SET doubt_until = NULL WHERE doubt_until IS NOT NULL")
        finally:
            await connection.close()


def _settings(dsn: str, state_dir: Path, **parts: Any) -> Settings:
    return Settings(
        hours=HoursSettings(enforce=False),
        caps=UNCAPPED,
        node=NodeSettings(state_dir=state_dir),
        database=DatabaseSettings(dsn=SecretStr(dsn)),
        http=HttpSettings(port=0, requests_per_s=10_000),
        sending=SendingSettings(poll_s=0.1),
        **parts,
    )


@asynccontextmanager
async def an_api(settings: Settings, key: str = "") -> AsyncIterator[tuple[Process, Api]]:
    """Run a process of smsgate, and call its API with `key`."""
    async with running(settings, say=lambda _sentence: None) as process:
        timeout = aiohttp.ClientTimeout(total=30.0)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            assert process.api is not None
            yield process, Api(f"http://127.0.0.1:{process.api.port}", key, session)


async def make_ground(dsn: str, state_dir: Path) -> QuirkGround:
    """Do what operator and merchant do once."""
    load_master_key(state_dir / MASTER_KEY_FILE, create=True)
    clock = SystemClock()
    async with an_api(_settings(dsn, state_dir)) as (process, nobody):
        operator = Api(nobody.base_url, await add_operator_key(process.services, "quirks"), nobody.session)
        _, api = await join(operator, clock)
        await import_subscribers(api, PHONES, clock)
    return QuirkGround(dsn, state_dir, api.key)
