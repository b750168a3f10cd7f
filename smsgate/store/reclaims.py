"""The claim of a chunk that was given back or has waited: its recipients are found again, not chosen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import structlog

from smsgate.flows.ports import Ids
from smsgate.flows.records import ChunkClaim, Hold
from smsgate.store import catalogue, partitions
from smsgate.store.chunk_parts import Part, write_parts
from smsgate.store.claims import ClaimedChunk
from smsgate.store.connection import Connection
from smsgate.store.gates import Gate, Opening, in_groups
from smsgate.store.portability import ported_of
from smsgate.store.recipients import Taken
from smsgate.store.unsent import settle_unsent

log = structlog.get_logger(__name__)

OPENED_AGE_MAX: Final = timedelta(hours=1)  # since when a message that was not written counts for the caps

SQL = catalogue.load("sending")


class Reclaim:
    """One merchant's claim of a chunk that was claimed before, in the claim's transaction."""

    def __init__(
        self,
        connection: Connection,
        ids: Ids,
        gate: Gate,
        taken: Taken,
        owner: int,
        now: datetime,
    ) -> None:
        self._connection = connection
        self._ids = ids
        self._gate = gate
        self._claimed = ClaimedChunk(*taken)
        self._chunk = self._claimed.chunk
        self._merchant_id: int = self._chunk["merchant_id"]
        self._owner = owner
        self._now = now
        self.granted = 0  # of the step that `again` was given

    async def again(self, allowance_step: int) -> ChunkClaim:
        """Go on with what has no outcome, less who left since and who must wait now."""
        chunk = self._chunk
        base, count = chunk["message_id_base"], chunk["message_count"]
        if base < await self._oldest_id():
            return await self._outlived()
        rows = await self._connection.fetch(
            SQL["unsettled_messages"], self._merchant_id, base, base + count, chunk["members"]
        )
        rows = await self._less(rows, [row for row in rows if not row["agreed"]], "stopped")
        if self._now > self._claimed.last_at:
            rows = await self._less(rows, rows, "expired")
        held = await self._held_again(rows)
        for hold, places in in_groups(held).items():
            await self._hold_again([rows[n] for n in places], hold)
        rows = [row for n, row in enumerate(rows) if n not in held]
        members = chunk["members"] if not held else [row["message_id"] for row in rows]
        part = Part(base, count, members if rows else [])
        # What has an outcome needs no allowance: the step counts from the first that has none.
        begun = rows[0]["message_id"] - base if rows else 0
        if not self._claimed.budgeted:  # else nothing goes before this claim has its own lease
            begun = min(count, max(chunk["allowance"], begun))
        waits = self._claimed.paced or self._claimed.budgeted
        part.allowance = begun if waits else min(count, begun + allowance_step)
        self.granted = part.allowance - begun
        part.sender = rows[0]["sender"] if rows else ""
        await write_parts(self._connection, [(chunk, chunk["no"], part)], self._owner)
        msisdns = [row["msisdn"] for row in rows]
        return self._claimed.result(
            part,
            chunk["no"],
            [row["message_id"] for row in rows],
            msisdns,
            [[row["fields"][n] for row in rows] for n in range(len(self._claimed.names))] or None,
            await ported_of(self._connection, msisdns),
        )

    async def _held_again(self, rows: Sequence[asyncpg.Record]) -> dict[int, Hold]:
        """Return who must wait, still or again; an offer that was opened needs no second one."""
        if not rows:
            return {}
        sender, ids = rows[0]["sender"], [row["message_id"] for row in rows]
        msisdns = [row["msisdn"] for row in rows]
        opened_at = {
            row["message_id"]: row["opened_at"] or self._now
            for row in await self._connection.fetch(SQL["opened_already"], msisdns, sender, ids)
        }
        # What waited for long is another day's message for the caps: it is opened anew.
        mine = {each for each, at in opened_at.items() if self._now - at <= OPENED_AGE_MAX}
        places = [row["place"] for row in rows]
        held, self._claimed.closes_at = self._gate.by_hours(places, len(rows))
        if sender != self._claimed.campaign["sender"] and (hold := self._gate.wait_for_carrier(sender)):
            held = dict.fromkeys(range(len(rows)), hold)
        stays = {msisdns[n]: opened_at[each] for n, each in enumerate(ids) if n not in held and each in mine}
        unsent = {msisdns[n]: opened_at[each] for n, each in enumerate(ids) if each in opened_at}
        if len(unsent) > len(stays):
            back = {each: unsent[each] for each in unsent.keys() - stays.keys()}
            await self._gate.give_less_back(back, msisdns)
        reluctant = await self._gate.reluctant(msisdns, stays)
        held |= {n: reluctant[each] for n, each in enumerate(msisdns) if n not in held and each in reluctant}
        shut = [
            rows[n] for n in range(len(rows)) if ids[n] in opened_at and (n in held or ids[n] not in mine)
        ]
        if shut:  # an OK must not find an offer that never left
            await self._connection.execute(
                SQL["close_unsent_offers"],
                [row["msisdn"] for row in shut],
                [row["sender"] for row in shut],
                [row["message_id"] for row in shut],
            )
        new = [n for n in range(len(rows)) if n not in held and ids[n] not in mine]
        capped = await self._gate.know([msisdns[n] for n in new])
        held |= {n: capped[msisdns[n]] for n in new if msisdns[n] in capped}
        new = [n for n in new if n not in held]
        opening = Opening(
            self._claimed.campaign,
            [ids[n] for n in new],
            [rows[n]["subscriber_id"] for n in new],
            [msisdns[n] for n in new],
        )
        (opened,) = await self._gate.open([sender], [opening])
        if opened is not None:
            waits = [n for n in new if ids[n] not in opened]
            held |= dict.fromkeys(waits, self._gate.wait_for_answer())
        return held

    async def _hold_again(self, rows: Sequence[asyncpg.Record], hold: Hold) -> None:
        if hold.until > self._claimed.last_at:
            await self._less(rows, rows, hold.reason)
            return
        members = [row["message_id"] for row in rows]
        base = members[0]
        part = Part(base, members[-1] - base + 1, members, hold)
        await write_parts(self._connection, [(self._chunk, self._ids.next(), part)], self._owner)

    async def _less(
        self, rows: Sequence[asyncpg.Record], gone: Sequence[asyncpg.Record], reason: str
    ) -> list[asyncpg.Record]:
        """Settle some rows as not sent, and return the others."""
        if gone:
            campaign_id = self._claimed.campaign_id
            await settle_unsent(self._connection, self._merchant_id, campaign_id, gone, reason, self._now)
        ids = {row["message_id"] for row in gone}
        return [row for row in rows if row["message_id"] not in ids]

    async def _oldest_id(self) -> int:
        """Return the first id for which both messages and outcomes still have their partition."""
        names = [row["name"] for row in await self._connection.fetch(SQL["oldest_partitions"])]
        return max((partitions.first_id_of_name(name) for name in names), default=0)

    async def _outlived(self) -> ChunkClaim:
        """End a chunk whose messages are out of retention: who got one cannot be told any more."""
        chunk = self._chunk
        part = Part(chunk["message_id_base"], chunk["message_count"], [], allowance=chunk["allowance"])
        await write_parts(self._connection, [(chunk, chunk["no"], part)], self._owner)
        log.warning(
            "chunk_outlived_its_messages",
            merchant_id=self._merchant_id,
            campaign_id=self._claimed.campaign_id,
            chunk_no=chunk["no"],
            messages=part.count,
        )
        nobody: list[list[str]] = [[] for _ in self._claimed.names]
        return self._claimed.result(part, chunk["no"], [], [], nobody or None, {})
