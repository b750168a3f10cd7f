"""
Submissions made durable, each with its fate, also when the database breaks at COMMIT.

A group has its ids before it is stored. When its COMMIT was not seen, the same group is stored again under
the same ids until the database says which of them stand: none is written twice, and none is called refused
that will be sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from smsgate.clock import Clock
from smsgate.errors import CommitUnknown, StoreError, StoreUnavailable
from smsgate.flows.esme_records import StoredSubmission, Submission
from smsgate.flows.ports import Ids
from smsgate.flows.ports_esmes import EsmeTrafficStore
from smsgate.protocol.commands import Status

log = structlog.get_logger(__name__)

ATTEMPTS: Final = 3  # a deadlock is tried again; three times over it is something else
# From the COMMIT that was not seen: ESMEs wait 10 s for an answer at the most, as we do for a carrier's.
UNKNOWN_MAX_S: Final = 10.0
ASK_AGAIN_S: Final = 0.1  # a connection that broke is made anew within this; a failover takes some seconds


class SubmissionStoring:
    """`asking`: the fate of a group is open, and the database away; what comes now is not given to it."""

    def __init__(self, store: EsmeTrafficStore, ids: Ids, clock: Clock) -> None:
        self._store = store
        self._ids = ids
        self._clock = clock
        self.asking = False

    async def store(self, submissions: Sequence[Submission]) -> list[StoredSubmission | None]:
        """Store a group and return the fate of each; None: nobody can tell."""
        base = self._ids.block(len(submissions))
        return await self._settle(submissions, range(base, base + len(submissions)))

    async def _settle(
        self, submissions: Sequence[Submission], message_ids: Sequence[int]
    ) -> list[StoredSubmission | None]:
        try:
            return [*await self._first(submissions, message_ids)]
        except CommitUnknown as exc:
            log.warning("esme_commit_not_seen", error=str(exc), messages=len(submissions))
            return await self._ask(submissions, message_ids)
        except StoreUnavailable as exc:  # nothing of it stands: "come again"
            log.error("esme_submits_wait", error=str(exc), messages=len(submissions))
            return [StoredSubmission(0, Status.MSGQFUL)] * len(submissions)
        except StoreError as exc:
            if len(submissions) > 1:
                middle = len(submissions) // 2  # one bad row must not refuse its neighbours
                return [
                    *await self._settle(submissions[:middle], message_ids[:middle]),
                    *await self._settle(submissions[middle:], message_ids[middle:]),
                ]
            log.error("esme_submit_failed", error=type(exc).__name__, sqlstate=exc.sqlstate)
            return [StoredSubmission(0, Status.SYSERR)]

    async def _first(
        self, submissions: Sequence[Submission], message_ids: Sequence[int]
    ) -> list[StoredSubmission]:
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._store.add_submissions(submissions, message_ids, now=self._clock.now())
            except StoreUnavailable as exc:
                if isinstance(exc, CommitUnknown) or not exc.sqlstate.startswith("40"):
                    raise
        return await self._store.add_submissions(submissions, message_ids, now=self._clock.now())

    async def _ask(
        self, submissions: Sequence[Submission], message_ids: Sequence[int]
    ) -> list[StoredSubmission | None]:
        """Store the group again until an answer comes, or nobody waits for it any more."""
        until = self._clock.monotonic() + UNKNOWN_MAX_S
        self.asking = True
        try:
            while (left_s := until - self._clock.monotonic()) > 0:
                try:
                    async with asyncio.timeout(left_s):
                        return [
                            *await self._store.add_submissions(
                                submissions, message_ids, now=self._clock.now(), again=True
                            )
                        ]
                except (StoreError, TimeoutError):
                    await asyncio.sleep(ASK_AGAIN_S)
        finally:
            self.asking = False
        return [None] * len(submissions)
