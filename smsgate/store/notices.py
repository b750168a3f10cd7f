"""
What one process must know of another's commits at once: STOPs, ended campaigns, revoked keys, prices.

NOTIFY is part of the transaction, so a notice is heard only after its commit, and by every process. While the
listening connection is away nothing is heard: whatever was read of consent, keys and prices is void
(`on_gap`), every second until it is back and then once more, and read anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import asyncpg
import structlog

from smsgate.campaigns.offer_states import Drop
from smsgate.flows.inbound_records import TakenBack
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection, translate
from smsgate.store.pool import Database
from smsgate.store.roles import OWNER

log = structlog.get_logger(__name__)

CHANNEL: Final = "smsgate"
STOP: Final = "stop"
WITHDRAWAL: Final = "withdrawal"  # of a consent other than to offers
SENDER_STOP: Final = "sender-stop"  # to a sender number, whoever the person is
ENDED: Final = "ended"  # a campaign, and why
KEY: Final = "key"
PRICES: Final = "prices"
PROBE_INTERVAL_S: Final = 1.0  # a connection that is gone is noticed within this
# A connection whose packets vanish is given up after this: the kernel would wait a quarter of an hour.
PROBE_LIMIT_S: Final = 3.0
_SQL: Final = load("notices")


async def publish_stop(connection: Connection, merchant_id: int, msisdn: int) -> None:
    """Tell every gateway process, with the commit of this transaction, to hold offers to this number."""
    await connection.execute(_SQL["notify"], [f"{STOP} {merchant_id} {msisdn}"])


async def publish_withdrawal(connection: Connection, merchant_id: int, msisdn: int) -> None:
    """Tell every gateway process, with the commit, that a consent other than to offers was taken back."""
    await connection.execute(_SQL["notify"], [f"{WITHDRAWAL} {merchant_id} {msisdn}"])


async def publish_taken_back(connection: Connection, taken_back: Sequence[TakenBack]) -> None:
    """Tell every gateway process, with the commit, what many took back."""
    if taken_back:
        said = [
            f"{STOP if each.marketing else WITHDRAWAL} {each.merchant_id} {each.msisdn}"
            for each in dict.fromkeys(taken_back)
        ]
        await connection.execute(_SQL["notify"], said)


async def publish_sender_stop(connection: Connection, sender: str, msisdn: int) -> None:
    """Tell every gateway process, with the commit, to hold marketing from this sender number."""
    await connection.execute(_SQL["notify"], [f"{SENDER_STOP} {sender} {msisdn}"])


async def publish_ended(connection: Connection, merchant_id: int, campaign_id: int, why: Drop) -> None:
    """Tell every gateway process, with the commit, to write nothing more of a campaign."""
    await connection.execute(_SQL["notify"], [f"{ENDED} {merchant_id} {campaign_id} {why.value}"])


async def publish_key(connection: Connection, public_id: str) -> None:
    """Tell every API process, with the commit of this transaction, to forget what it knows of a key."""
    await connection.execute(_SQL["notify"], [f"{KEY} {public_id}"])


async def publish_prices(connection: Connection) -> None:
    """Tell every process, with the commit, that price lists are not what they were."""
    await connection.execute(_SQL["notify"], [PRICES])


def _terminate(connecting: asyncio.Task[asyncpg.Connection[asyncpg.Record]]) -> None:
    """End a connection that nobody waits for any more."""
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().terminate()


class Notices:
    """
    Listen until cancelled; a lost connection is made anew.

    STOPs come with whose they are: a merchant's id, or a sender number as text.

    `on_gap` is called when the listening begins, and every PROBE_INTERVAL_S while it cannot: STOPs, revoked
    keys and prices may have been missed.
    """

    def __init__(
        self,
        database: Database,
        *,
        on_stop: Callable[[int | str, int], None],
        on_withdrawal: Callable[[int, int], None],
        on_ended: Callable[[int, int, Drop], None],
        on_key: Callable[[str], None],
        on_prices: Callable[[], None],
        on_gap: Callable[[], None],
    ) -> None:
        self._database = database
        self._on_stop = on_stop
        self._on_withdrawal = on_withdrawal
        self._on_ended = on_ended
        self._on_key = on_key
        self._on_prices = on_prices
        self._on_gap = on_gap
        self.connected = asyncio.Event()

    async def run(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception as exc:  # noqa: BLE001  # whatever it is: who does not listen sends after a STOP
                log.warning("notices_interrupted", error=repr(exc)[:200])
            self.connected.clear()
            await asyncio.sleep(PROBE_INTERVAL_S)

    async def _listen(self) -> None:
        connection = await self._connect()
        try:
            with translate():
                async with asyncio.timeout(PROBE_LIMIT_S):
                    await connection.add_listener(CHANNEL, self._heard)
                self._on_gap()
                self.connected.set()
                while True:
                    await asyncio.sleep(PROBE_INTERVAL_S)
                    async with asyncio.timeout(PROBE_LIMIT_S):
                        await connection.execute(_SQL["probe"])
        finally:
            with suppress(Exception):  # it may be gone already
                await connection.close(timeout=1.0)

    async def _connect(self) -> Connection:
        connecting = asyncio.create_task(self._database.connect(OWNER))
        try:
            while not connecting.done():
                self._on_gap()  # it may take its time, and nobody tells us of a STOP meanwhile
                await asyncio.wait({connecting}, timeout=PROBE_INTERVAL_S)
        except BaseException:
            connecting.add_done_callback(_terminate)
            connecting.cancel()
            raise
        return connecting.result()

    def _heard(
        self,
        connection: asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record],
        pid: int,
        channel: str,
        payload: object,
    ) -> None:
        del connection, pid, channel
        match str(payload).split():
            case [kind, merchant_id, msisdn] if kind == STOP:
                self._on_stop(int(merchant_id), int(msisdn))
            case [kind, merchant_id, msisdn] if kind == WITHDRAWAL:
                self._on_withdrawal(int(merchant_id), int(msisdn))
            case [kind, sender, msisdn] if kind == SENDER_STOP:
                self._on_stop(sender, int(msisdn))
            case [kind, merchant_id, campaign_id, why] if kind == ENDED:
                self._on_ended(int(merchant_id), int(campaign_id), Drop(why))
            case [kind, public_id] if kind == KEY:
                self._on_key(public_id)
            case [kind] if kind == PRICES:
                self._on_prices()
            case _:
                log.warning("notice_not_understood", payload=str(payload)[:80])
