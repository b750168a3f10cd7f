"""What ESMEs submit and ask about (implements flows.ports_esmes.EsmeTrafficStore)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import asyncpg

from smsgate.flows.esme_records import (
    EsmeAccount,
    MessageState,
    Purpose,
    Replacement,
    StoredSubmission,
    Submission,
    VendorStatus,
)
from smsgate.flows.ports import Ids
from smsgate.flows.records import STATUS_NOT_SENT, STATUS_UNKNOWN, ReportColumns
from smsgate.protocol.receipt_states import FINAL, ReceiptState, state_of_unsent
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection
from smsgate.store.esme_reports import insert_reports
from smsgate.store.pool import Database

_SQL: Final = load("esme_traffic")


class PgEsmeTraffic:
    def __init__(self, database: Database, ids: Ids) -> None:
        self._database = database
        self._ids = ids

    async def add_submissions(
        self,
        submissions: Sequence[Submission],
        message_ids: Sequence[int],
        *,
        now: datetime,
        again: bool = False,
    ) -> list[StoredSubmission]:
        given = list(zip(message_ids, submissions, strict=True))
        async with self._database.bulk_transaction() as connection:
            standing = await _standing(connection, given) if again else set()
            open_ = [pair for pair in given if pair[0] not in standing]
            refused = await _not_agreed(connection, open_)
            kept = [pair for pair in open_ if pair[0] not in refused]
            if kept:
                written = await _insert(connection, kept)
                await _count_day(connection, [each for id_, each in kept if id_ in written], now)
        return [
            StoredSubmission(0, VendorStatus.NO_CONSENT) if id_ in refused else StoredSubmission(id_, 0)
            for id_ in message_ids
        ]

    async def waiting(self) -> dict[int, int]:
        async with self._database.bulk() as connection:
            return {row["account_id"]: row["waiting"] for row in await connection.fetch(_SQL["waiting"])}

    async def spent(self, now: datetime) -> dict[int, int]:
        async with self._database.bulk() as connection:
            rows = await connection.fetch(_SQL["spent"], _day(now))
        return {row["account_id"]: row["segments"] for row in rows}

    async def state(self, account: EsmeAccount, message_id: int) -> MessageState | None:
        async with self._database.bulk() as connection:
            row = await connection.fetchrow(
                _SQL["message_state"], account.merchant_id, account.account_id, message_id, sorted(FINAL)
            )
        return None if row is None else _state(row)

    async def cancel(self, account: EsmeAccount, message_ids: Sequence[int], now: datetime) -> int:
        async with self._database.bulk_transaction() as connection:
            rows = await connection.fetch(
                _SQL["cancel"], account.merchant_id, account.account_id, message_ids
            )
            gone = [row["message_id"] for row in rows]
            if gone:
                await connection.execute(_SQL["insert_cancelled"], account.merchant_id, gone, now)
                reports = ReportColumns()
                for message_id in gone:
                    reports.add(
                        account.merchant_id, self._ids.next(), message_id, ReceiptState.DELETED, b"", now
                    )
                await insert_reports(connection, reports)
        return len(gone)

    async def waiting_to(self, account: EsmeAccount, sender: str, msisdn: int) -> list[int]:
        async with self._database.bulk() as connection:
            rows = await connection.fetch(
                _SQL["waiting_to"], account.merchant_id, account.account_id, sender, msisdn
            )
        return [row["message_id"] for row in rows]

    async def body(self, account: EsmeAccount, message_id: int) -> bytes | None:
        async with self._database.bulk() as connection:
            body: bytes | None = await connection.fetchval(
                _SQL["waiting_body"], account.merchant_id, account.account_id, message_id
            )
        return body

    async def replace(
        self, account: EsmeAccount, message_id: int, replacement: Replacement, now: datetime
    ) -> bool:
        mine = (account.merchant_id, account.account_id, message_id)
        async with self._database.bulk_transaction() as connection:
            if await connection.fetchval(_SQL["lock_waiting"], *mine, replacement.expires_at) is None:
                return False
            old = await connection.fetchval(_SQL["segments"], *mine)
            values = (replacement.body, replacement.registered, replacement.segments)
            await connection.execute(_SQL["replace_body"], *mine, *values)
            if replacement.segments > old:
                more = [replacement.segments - old]
                await connection.execute(
                    _SQL["add_to_day"], [account.merchant_id], [account.account_id], _day(now), more
                )
        return True


async def _standing(connection: Connection, given: Sequence[tuple[int, Submission]]) -> set[int]:
    """Return those of these ids that are stored."""
    ids = [message_id for message_id, _ in given]
    rows = await connection.fetch(
        _SQL["standing"], [each.account.merchant_id for _, each in given], ids, min(ids), max(ids)
    )
    return {row["message_id"] for row in rows}


async def _not_agreed(connection: Connection, given: Sequence[tuple[int, Submission]]) -> set[int]:
    """Return the ids of marketing to people who have not agreed, or who said STOP."""
    by_merchant: dict[int, list[tuple[int, Submission]]] = defaultdict(list)
    for message_id, submission in given:
        if submission.account.purpose is Purpose.MARKETING:
            by_merchant[submission.account.merchant_id].append((message_id, submission))
    refused: set[int] = set()
    for merchant_id, pairs in sorted(by_merchant.items()):
        rows = await connection.fetch(
            _SQL["agreed"],
            merchant_id,
            [each.msisdn for _, each in pairs],
            [each.sender for _, each in pairs],
        )
        agreed = {row["n"] - 1 for row in rows}
        refused |= {message_id for n, (message_id, _) in enumerate(pairs) if n not in agreed}
    return refused


async def _insert(connection: Connection, chosen: Sequence[tuple[int, Submission]]) -> set[int]:
    """Write messages and their places in the queue; return the ids of those that did not stand yet."""
    rows = await connection.fetch(
        _SQL["insert_submissions"],
        [each.account.merchant_id for _, each in chosen],
        [message_id for message_id, _ in chosen],
        [each.account.account_id for _, each in chosen],
        [each.msisdn for _, each in chosen],
        [each.sender for _, each in chosen],
        [each.registered for _, each in chosen],
        [each.segments for _, each in chosen],
        [each.body for _, each in chosen],
        [each.expires_at for _, each in chosen],
    )
    return {row["message_id"] for row in rows}


async def _count_day(connection: Connection, submissions: Sequence[Submission], now: datetime) -> None:
    segments: Counter[tuple[int, int]] = Counter()
    for each in submissions:
        segments[each.account.merchant_id, each.account.account_id] += each.segments
    keys = sorted(segments)  # in one order: two batches never wait for each other in a circle
    await connection.execute(
        _SQL["add_to_day"],
        [merchant_id for merchant_id, _ in keys],
        [account_id for _, account_id in keys],
        _day(now),
        [segments[key] for key in keys],
    )


def _day(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _state(row: asyncpg.Record) -> MessageState:
    if row["state"] is not None:
        final_at = row["received_at"] if row["state"] in FINAL else None
        return MessageState(row["state"], 0, final_at)
    status = row["status"]
    if status is None:
        return MessageState(ReceiptState.ENROUTE, 0, None)
    if status == STATUS_NOT_SENT:
        return MessageState(state_of_unsent(row["reason"]), 0, row["sent_at"])
    if status == STATUS_UNKNOWN:
        return MessageState(ReceiptState.UNKNOWN, 0, None)
    if status > 0:
        return MessageState(ReceiptState.REJECTD, min(status, 0xFF), row["sent_at"])
    return MessageState(ReceiptState.ENROUTE, 0, None)
