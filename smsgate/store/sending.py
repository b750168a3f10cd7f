"""
The bulk path's statements: claims of chunks and of system messages (implements
flows.ports.SendingStore).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Final

import asyncpg
import orjson

from smsgate.campaigns.consent import LESS_PERIOD
from smsgate.campaigns.guard import GuardLimits, GuardReason
from smsgate.campaigns.telling import CONFIRMATIONS
from smsgate.errors import StoreError
from smsgate.flows.commerce_records import EventColumns
from smsgate.flows.ports import Ids, MarketingGates, Split
from smsgate.flows.records import (
    CampaignState,
    ChunkClaim,
    ChunkKey,
    Flush,
    GuardedCampaign,
    InteractiveClaim,
    Pace,
    Recovery,
    Resolved,
    SubmittedClaim,
)
from smsgate.flows.transactional import PURPOSES
from smsgate.protocol.message_ids import ReceiptIds
from smsgate.security.public_ids import Kind, PublicIds
from smsgate.store import catalogue, flushing, guards, receipt_matching, recovery
from smsgate.store.claims import Claim
from smsgate.store.connection import DEADLOCK, UNIQUE_VIOLATIONS, Connection
from smsgate.store.events import insert_events
from smsgate.store.gates import Gate
from smsgate.store.pool import Database
from smsgate.store.portability import ported_of
from smsgate.store.reclaims import Reclaim
from smsgate.store.rotation import Rotation, even_part
from smsgate.store.transactional import stopped

SQL = catalogue.load("sending")
CROSSED: Final = UNIQUE_VIOLATIONS | {DEADLOCK}
# Campaigns of one transaction: it holds their rows for some ten milliseconds.
FINISHED_TOGETHER_MAX: Final = 200
# Campaigns of a merchant that a round may claim for: ten claims of small ones; fewer large ones fill memory.
CLAIMABLE_EACH_MAX: Final = 1_000
NO_SPLITS: Final[Mapping[int, Split]] = MappingProxyType({})


class StoredSending:
    """Runs as sg_bulk: row-level security does not guard it, so every statement names its merchant."""

    def __init__(self, database: Database, ids: Ids, public_ids: PublicIds) -> None:
        self._database = database
        self._ids = ids
        self._public_ids = public_ids
        self._public_campaign: Callable[[int], str] = partial(public_ids.encode, Kind.CAMPAIGN)
        self._merchants_turn = Rotation("merchant_id")
        self._accounts_turn = {marketing: Rotation("account_id") for marketing in (False, True)}

    async def campaign_states(self, known: Sequence[tuple[int, int]]) -> list[CampaignState]:
        if not known:
            return []
        merchants, campaigns = zip(*known, strict=True)
        async with self._database.bulk() as connection:
            rows = await connection.fetch(SQL["known_states"], merchants, campaigns)
        return [CampaignState(*row) for row in rows]

    async def claimable(
        self, senders: Collection[str], now: datetime, *, over_at: datetime
    ) -> list[CampaignState]:
        async with self._database.bulk() as connection:
            rows = await connection.fetch(
                SQL["claimable_states"], now, list(senders), over_at, CLAIMABLE_EACH_MAX
            )
        return [CampaignState(*row) for row in rows]

    async def claim_chunks(
        self,
        merchant_id: int,
        campaign_ids: Sequence[int],
        *,
        owner: int,
        allowance_step: int,
        now: datetime,
        gates: MarketingGates,
        senders: Collection[str],
        splits: Mapping[int, Split] = NO_SPLITS,
    ) -> list[ChunkClaim]:
        claim = partial(
            self._claim_chunks, merchant_id, campaign_ids, owner, allowance_step, now, gates, senders, splits
        )
        try:
            return await claim()
        except StoreError as exc:  # an answer or a STOP reached one of these people at the same time
            if exc.sqlstate not in CROSSED:
                raise
        return await claim()

    async def _claim_chunks(
        self,
        merchant_id: int,
        campaign_ids: Sequence[int],
        owner: int,
        allowance_step: int,
        now: datetime,
        gates: MarketingGates,
        senders: Collection[str],
        splits: Mapping[int, Split],
    ) -> list[ChunkClaim]:
        async with self._database.bulk_transaction() as connection:
            rows = await connection.fetch(SQL["campaign_offers"], merchant_id, campaign_ids)
            offers = {row["campaign_id"]: row for row in rows}
            chunks = await connection.fetch(SQL["take_chunks"], merchant_id, list(offers), owner, now)
            taken = [(offers[chunk["campaign_id"]], chunk) for chunk in chunks]
            new = [each for each in taken if each[1]["message_id_base"] is None]
            gate = Gate(connection, gates, senders, merchant_id, now)
            claims: list[ChunkClaim] = []
            if len(taken) > 1 or not new:  # else counters of one part would be held while the next waits
                await gate.alone()
            if new:
                claim = Claim(connection, self._ids, gate, merchant_id, owner, now)
                claims = await claim.first(new, allowance_step, splits)
            left = allowance_step - sum(claim.allowance for claim in claims)
            for each in taken:
                if each[1]["message_id_base"] is not None:
                    reclaim = Reclaim(connection, self._ids, gate, each, owner, now)
                    claims.append(await reclaim.again(left))
                    left -= reclaim.granted
            return claims

    async def paces(self, campaigns: Sequence[tuple[int, int]]) -> list[Pace]:
        async with self._database.bulk() as connection:
            rows = await connection.fetch(
                SQL["paces"], [merchant for merchant, _ in campaigns], [campaign for _, campaign in campaigns]
            )
        return [Pace(*row) for row in rows]

    async def take_pace(self, pace: Pace, until: datetime) -> bool:
        async with self._database.bulk() as connection:
            taken = await connection.fetchval(
                SQL["take_pace"], pace.merchant_id, pace.campaign_id, pace.per_minute, pace.paced_until, until
            )
        return taken is not None

    async def guarded(self, limits: GuardLimits) -> list[GuardedCampaign]:
        return await guards.guarded(self._database, limits)

    async def pause_guarded(self, campaign: GuardedCampaign, reason: GuardReason, now: datetime) -> bool:
        return await guards.pause(
            self._database,
            campaign,
            reason,
            now,
            event_id=self._ids.next(),
            public_campaign=self._public_campaign,
        )

    async def release_chunks(self, chunks: Mapping[ChunkKey, int | None], *, owner: int) -> None:
        by_merchant: dict[int, list[ChunkKey]] = defaultdict(list)
        for chunk in chunks:
            by_merchant[chunk.merchant_id].append(chunk)
        async with self._database.bulk() as connection:
            for merchant_id, keys in by_merchant.items():
                await connection.execute(
                    SQL["release_chunks"],
                    merchant_id,
                    [key.campaign_id for key in keys],
                    [key.chunk_no for key in keys],
                    [key.fence for key in keys],
                    owner,
                    [chunks[key] for key in keys],
                )

    async def finish_campaigns(self, now: datetime) -> list[tuple[int, int]]:
        async with self._database.bulk() as connection:
            found = await connection.fetch(SQL["finishable"])
        by_merchant: dict[int, list[int]] = defaultdict(list)
        for merchant_id, campaign_id in found:
            by_merchant[merchant_id].append(campaign_id)
        finished: list[tuple[int, int]] = []
        for merchant_id, campaign_ids in by_merchant.items():
            for start in range(0, len(campaign_ids), FINISHED_TOGETHER_MAX):
                some = campaign_ids[start : start + FINISHED_TOGETHER_MAX]
                finished += [(merchant_id, each) for each in await self._finish(merchant_id, some, now)]
        return finished

    async def _finish(self, merchant_id: int, campaign_ids: Sequence[int], now: datetime) -> list[int]:
        async with self._database.bulk_transaction() as connection:
            rows = await connection.fetch(SQL["finish_campaigns"], merchant_id, campaign_ids, now)
            events = EventColumns()
            for row in rows:
                public_id = self._public_campaign(row["campaign_id"])
                events.merchant_ids.append(merchant_id)
                events.event_ids.append(self._ids.next())
                events.types.append("campaign.finished")
                events.subjects.append(public_id)
                events.data.append(
                    orjson.dumps({"campaign": public_id, "recipients": row["recipients"]}).decode()
                )
                events.created_at.append(now)
            await insert_events(connection, events)
        return [row["campaign_id"] for row in rows]

    async def claim_interactive(
        self, *, owner: int, limit: int, senders: Sequence[str], now: datetime
    ) -> list[InteractiveClaim]:
        # Of each merchant one claim: its budget is asked for all, so that no cheap text overtakes a dear one.
        taken: dict[asyncpg.Record, list[asyncpg.Record]] = {}
        async with self._database.bulk() as connection:
            left = self._merchants_turn.begun(await connection.fetch(SQL["interactive_merchants"]))
            while left and limit > 0:  # what others leave of their parts goes to who has more
                merchants, left = left, []
                for turn, merchant in enumerate(merchants):
                    merchant_id, _, short, test = merchant
                    share, more = even_part(limit, len(merchants) - turn)
                    if share <= 0:
                        break
                    froms = [] if short else senders
                    rows = await connection.fetch(
                        SQL["take_interactive"], merchant_id, owner, share, froms, now, sorted(PURPOSES), test
                    )
                    if len(rows) == share:
                        left.append(merchant)
                    if rows:
                        if more:
                            self._merchants_turn.got_rest(merchant, rows, now, could_go=bool(froms))
                        limit -= len(rows)
                        taken.setdefault(merchant, []).extend(rows)
            claims: list[InteractiveClaim] = []
            for merchant, rows in taken.items():
                ported = await ported_of(connection, [row["msisdn"] for row in rows])
                claim = _interactive(merchant["merchant_id"], rows, ported, now)
                claim.budgeted = merchant["budgeted"]
                claims.append(claim)
        return claims

    async def refused_messages(self, merchant_id: int, message_ids: Sequence[int]) -> AbstractSet[int]:
        async with self._database.bulk() as connection:
            rows = await connection.fetch(
                SQL["refusable_messages"], merchant_id, message_ids, sorted(PURPOSES)
            )
        may_go = {row["message_id"] for row, no in zip(rows, stopped(rows), strict=True) if not no}
        return frozenset(message_ids) - may_go  # what was erased meanwhile is not among the rows

    async def claim_submitted(
        self, *, owner: int, limit: int, senders: Sequence[str], now: datetime, marketing: bool
    ) -> list[SubmittedClaim]:
        taken: dict[asyncpg.Record, list[asyncpg.Record]] = {}  # of each account one claim, as of merchants
        rotation = self._accounts_turn[marketing]
        async with self._database.bulk() as connection:
            left = rotation.begun(await connection.fetch(SQL["submitting_accounts"], marketing))
            while left and limit > 0:  # as in `claim_interactive`
                accounts, left = left, []
                for turn, account in enumerate(accounts):
                    merchant_id, account_id, may_send, _ = account
                    share, more = even_part(limit, len(accounts) - turn)
                    if share <= 0:
                        break
                    froms = senders if may_send else []  # only what is over: somebody waits to hear of it
                    rows = await _take_submitted(
                        connection, (merchant_id, owner, share, froms, now, account_id), marketing=marketing
                    )
                    if len(rows) == share:
                        left.append(account)
                    if rows:
                        if more:
                            rotation.got_rest(account, rows, now, could_go=bool(froms))
                        limit -= len(rows)
                        taken.setdefault(account, []).extend(rows)
            claims: list[SubmittedClaim] = []
            for account, rows in taken.items():
                merchant_id, account_id, _, budgeted = account
                claim = _submitted(merchant_id, account_id, rows, now, marketing=marketing)
                claim.ported = await ported_of(connection, claim.msisdns)
                claim.budgeted = budgeted
                claims.append(claim)
        return claims

    async def release_interactive(self, messages: Sequence[tuple[int, int]], *, owner: int) -> None:
        by_merchant: dict[int, list[int]] = defaultdict(list)
        for merchant_id, message_id in messages:
            by_merchant[merchant_id].append(message_id)
        async with self._database.bulk() as connection:
            for merchant_id, message_ids in by_merchant.items():
                await connection.execute(SQL["release_interactive"], merchant_id, message_ids, owner)

    async def release_forgotten(
        self, chunks: AbstractSet[ChunkKey], messages: AbstractSet[tuple[int, int]], *, owner: int
    ) -> tuple[int, int]:
        async with self._database.bulk() as connection:
            mine = await connection.fetch(SQL["chunks_of_owner"], owner)
            queued = await connection.fetch(SQL["interactive_of_owner"], owner)
        lost_chunks = {key: None for row in mine if (key := ChunkKey(*row)) not in chunks}
        lost_messages = [pair for row in queued if (pair := (row[0], row[1])) not in messages]
        await self.release_chunks(lost_chunks, owner=owner)
        await self.release_interactive(lost_messages, owner=owner)
        return len(lost_chunks), len(lost_messages)

    async def flush(self, flush: Flush, *, owner: int) -> set[ChunkKey]:
        return await flushing.commit(
            self._database, flush, owner=owner, next_id=self._ids.next, public_ids=self._public_ids
        )

    async def unmatched_carriers(self, now: datetime) -> list[int]:
        async with self._database.bulk() as connection:
            return [row["carrier_id"] for row in await connection.fetch(SQL["unmatched_carriers"], now)]

    async def resolve_unmatched(
        self, carrier_id: int, ids: ReceiptIds, limit: int, now: datetime
    ) -> Resolved:
        return await receipt_matching.resolve_unmatched(
            self._database, self._ids.next, carrier_id, ids, limit, now
        )

    async def recover(self, *, segments_of: Callable[[str, str | bytes], int], now: datetime) -> Recovery:
        return await recovery.recover(self._database, self._ids.next, segments_of, now)


def _interactive(
    merchant_id: int, rows: Sequence[asyncpg.Record], ported: dict[int, str], now: datetime
) -> InteractiveClaim:
    return InteractiveClaim(
        merchant_id=merchant_id,
        message_ids=[row["message_id"] for row in rows],
        msisdns=[row["msisdn"] for row in rows],
        senders=[row["sender"] for row in rows],
        bodies=[row["push"] or row["body"] for row in rows],
        expires_at=[row["expires_at"] for row in rows],
        ported=ported,
        refusable=[row["kind"] not in CONFIRMATIONS for row in rows],
        reasons=_reasons(rows, stopped(rows), now),
        tlvs=[row["tlvs"] or b"" for row in rows],
    )


def _reasons(rows: Sequence[asyncpg.Record], stopped: Sequence[bool], now: datetime) -> list[str | None]:
    return [_reason(row, now, stopped=no) for row, no in zip(rows, stopped, strict=True)]


def _reason(row: asyncpg.Record, now: datetime, *, stopped: bool) -> str | None:
    if row["msisdn"] == 0:
        return "erased"
    if stopped:
        return "stopped"
    return "expired" if row["expires_at"] <= now else None


async def _take_submitted(
    connection: Connection, claim: tuple[object, ...], *, marketing: bool
) -> Sequence[asyncpg.Record]:
    """Claim of one account; `claim` is what `take_submitted` is given."""
    async with connection.transaction():
        taken = await connection.fetch(SQL["take_submitted"], *claim)
        if not taken:
            return ()
        ids = [row["message_id"] for row in taken]
        return await connection.fetch(SQL["taken_submitted"], claim[0], ids, marketing, LESS_PERIOD)


def _submitted(
    merchant_id: int, account_id: int, rows: Sequence[asyncpg.Record], now: datetime, *, marketing: bool
) -> SubmittedClaim:
    return SubmittedClaim(
        merchant_id=merchant_id,
        account_id=account_id,
        marketing=marketing,
        message_ids=[row["message_id"] for row in rows],
        msisdns=[row["msisdn"] for row in rows],
        senders=[row["sender"] for row in rows],
        bodies=[row["body"] for row in rows],
        segments=[row["segments"] for row in rows],
        reasons=_reasons(rows, [row["stopped"] for row in rows], now),
        expires_at=[row["expires_at"] for row in rows],
    )
