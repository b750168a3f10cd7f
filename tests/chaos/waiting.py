"""
Time passes for whom an open offer holds, in seconds instead of hours.

Nobody is told: where people have waited for a while, the instants in the database are moved to now, as if the
quarter of an hour until the next look had passed, and later the hours until the earlier offer's end. No
carrier keeps a reply for hours: nobody's offer ends while the SMSC still has a reply of that person to bring.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

import asyncpg
import orjson

from smsgate.simulator.journal import mo_of
from smsgate.store.gates import OPEN_OFFER_WAIT
from tests.chaos.town import LOOK_FAILED, Town

LOOK_S: Final = 1.0
HELD_S: Final = 4.0  # so long people wait for each of the two instants
# Of a campaign that others held: it would wait until it is nearly over, so it is not sent to them at all.
SHORT_LIFE_S: Final = 2_500

HELD: Final = """
SELECT k.campaign_id, k.no, m.message_id, m.msisdn
  FROM campaign_chunk k
  JOIN message m ON m.merchant_id = k.merchant_id AND m.campaign_id = k.campaign_id
   AND m.message_id >= k.message_id_base AND m.message_id < k.message_id_base + k.message_count
   AND (k.members IS NULL OR m.message_id = ANY(k.members))
 WHERE k.state = 'ready' AND k.hold = 'open_offer' AND k.not_before BETWEEN now() AND now() + $1"""
# An offer that has not left yet, or is about to be answered, is not over. Locked as claims lock, and never
# waited for.
END_OFFERS: Final = """
WITH due AS (
    SELECT o.msisdn, o.sender
      FROM open_offer o
      JOIN sent x ON x.merchant_id = o.merchant_id AND x.message_id = o.message_id
     WHERE o.msisdn = ANY($1::bigint[]) AND o.answered_at IS NULL AND o.expires_at > now()
       AND x.sent_at < now() - interval '5 s'
     ORDER BY o.msisdn, o.sender
       FOR UPDATE OF o SKIP LOCKED)
UPDATE open_offer AS o SET expires_at = now() - interval '1 hour'
  FROM due d WHERE o.msisdn = d.msisdn AND o.sender = d.sender
RETURNING o.message_id"""
LOOK_NOW: Final = """
UPDATE campaign_chunk SET not_before = now()
 WHERE (campaign_id, no) IN (
    SELECT k.campaign_id, k.no FROM campaign_chunk k
      JOIN unnest($1::bigint[], $2::bigint[]) AS t (campaign_id, no)
        ON k.campaign_id = t.campaign_id AND k.no = t.no
     WHERE k.state = 'ready' AND k.hold = 'open_offer'
     ORDER BY k.campaign_id, k.no
       FOR UPDATE OF k SKIP LOCKED)"""


class Unheard:
    """Whose replies the SMSC has not brought yet; its journal is read on from where the last look ended."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._offset = 0
        self._waiting: defaultdict[str, list[int]] = defaultdict(list)  # numbers by the body of a deliver_sm

    def people(self) -> set[int]:
        with self._journal.open("rb") as file:
            file.seek(self._offset)
            octets = file.read()
        whole = octets[: octets.rfind(b"\n") + 1]
        self._offset += len(whole)
        for event in map(orjson.loads, whole.splitlines()):
            if event["event"] == "mo":
                for body in mo_of(event).bodies:
                    self._waiting[body.hex()].append(event["msisdn"])
            elif event["event"] == "answered" and event["final"] and (left := self._waiting[event["body"]]):
                left.pop()
        self._waiting = defaultdict(list, {body: left for body, left in self._waiting.items() if left})
        return {msisdn for left in self._waiting.values() for msisdn in left}


@dataclass(slots=True)
class Waits:
    """Whom an open offer held, and what was done about it: message ids, and seconds since 1970."""

    held: set[int] = field(default_factory=set)
    ended: dict[int, float] = field(default_factory=dict)  # message of the earlier offer -> when it was over
    _looked_at: set[int] = field(default_factory=set)

    async def look(self, connection: asyncpg.Connection[asyncpg.Record], unheard: Collection[int]) -> None:
        """Let time pass for who has waited for HELD_S: to the next look, then to the other offer's end."""
        async with connection.transaction():
            waiting = await connection.fetch(HELD, OPEN_OFFER_WAIT - timedelta(seconds=HELD_S))
            if not waiting:
                return
            ids = {row["message_id"] for row in waiting}
            again = {row["msisdn"] for row in waiting if row["message_id"] in self._looked_at}
            at = time.time()
            for row in await connection.fetch(END_OFFERS, list(again.difference(unheard))):
                self.ended[row["message_id"]] = at  # before the commit, of which the answer may not come
            chunks = sorted({(row["campaign_id"], row["no"]) for row in waiting})
            await connection.execute(LOOK_NOW, [campaign for campaign, _ in chunks], [no for _, no in chunks])
        self.held |= ids
        self._looked_at |= ids


@asynccontextmanager
async def time_passes(town: Town) -> AsyncIterator[Waits]:
    """Look every second, whatever is killed meanwhile."""
    waits = Waits()
    task = asyncio.create_task(_keep_looking(town, waits))
    try:
        yield waits
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _keep_looking(town: Town, waits: Waits) -> None:
    unheard = Unheard(town.journal)
    while True:
        await asyncio.sleep(LOOK_S)
        with suppress(*LOOK_FAILED):
            async with town.database() as connection:
                await waits.look(connection, unheard.people())
