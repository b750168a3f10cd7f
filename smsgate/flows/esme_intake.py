"""
What ESMEs submit: judged as it is read, committed in groups, answered after the commit.

A group is one transaction over all sessions. Whatever is answered with 0 is durable, and from then on a
message as any other: sent by the pump, rated and posted by the flush.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import structlog

from smsgate.clock import Clock
from smsgate.flows.esme_judge import Judge
from smsgate.flows.esme_limits import EsmeLimits
from smsgate.flows.esme_message_ids import esme_message_ids
from smsgate.flows.esme_records import EsmeAccount, StoredSubmission, Submission, VendorStatus
from smsgate.flows.esme_storing import SubmissionStoring
from smsgate.flows.ports import Ids, Wakeups
from smsgate.flows.ports_esmes import EsmeTrafficStore
from smsgate.flows.routes import Prices
from smsgate.protocol.commands import Status
from smsgate.protocol.pdus import Pdu
from smsgate.security.public_ids import PublicIds

log = structlog.get_logger(__name__)

# Submissions that wait for their commit, over all sessions: some 1 kB each, 40 kB the longest; beyond it all
# are told to slow down.
QUEUE_MAX: Final = 5_000
GROUP_MAX: Final = 500  # of one transaction: some 20 ms of it
REFRESH_S: Final = 1.0  # how old the figures of other processes may be: queues and days


class Answerer(Protocol):
    """The session that a submission came by; it may be gone by the time of the answer."""

    def answer_submissions(
        self, pdus: Sequence[Pdu], statuses: Sequence[int], message_ids: Sequence[bytes]
    ) -> None: ...

    def leave_unanswered(self) -> None:
        """End the session: what became of some of its submissions cannot be said."""
        ...


class _Waiting(NamedTuple):
    submission: Submission
    pdu: Pdu
    answerer: Answerer


class EsmeIntake:
    """One for all sessions of the process; `run` commits until `close`."""

    def __init__(
        self,
        store: EsmeTrafficStore,
        limits: EsmeLimits,
        judge: Judge,
        prices: Prices,
        public_ids: PublicIds,
        wakeups: Wakeups,
        ids: Ids,
        clock: Clock,
    ) -> None:
        self._limits = limits
        self._storing = SubmissionStoring(store, ids, clock)
        self._judge = judge
        self._prices = prices
        self._public_ids = public_ids
        self._wakeups = wakeups
        self._clock = clock
        self._queue: asyncio.Queue[_Waiting | None] = asyncio.Queue()
        self._closing = False
        self.halted = False  # there is no room on the disk: ESMEs are told to come back
        self.busy = False
        self.accepted = 0  # since the start, for metrics
        self.refused: Counter[int] = Counter()  # by command_status

    # ------------------------------------------------------------ taking

    def offer(self, account: EsmeAccount, pdu: Pdu, answerer: Answerer) -> int:
        """Take one submit_sm or data_sm: 0, and the answer comes later, or the status that refuses it."""
        status = self._offer(account, pdu, answerer)
        if status:
            self.refused[status] += 1
        return status

    def _offer(self, account: EsmeAccount, pdu: Pdu, answerer: Answerer) -> int:
        if not account.active:
            return VendorStatus.SUSPENDED
        if self._queue.qsize() >= QUEUE_MAX or self._closing:
            return Status.THROTTLED
        if self.halted or self.asking:
            return Status.MSGQFUL
        judged = self._judge.submission(account, pdu, self._clock.now())
        if isinstance(judged, int):
            return judged
        if status := self._limits.take(account, judged.segments):
            return status
        self._queue.put_nowait(_Waiting(judged, pdu, answerer))
        return Status.OK

    async def prepare(self) -> None:
        """
        Look at prices and limits anew, for whoever binds now: they may have been published a moment ago.

        Raises:
            StoreUnavailable: the database is away.
        """
        self._prices.invalidate()
        await self.refresh()

    async def refresh(self) -> bool:
        """Look what other processes and the senders did; one step of a loop."""
        await self._prices.refresh()
        await self._limits.refresh()
        return False

    # ------------------------------------------------------------ committing

    @property
    def asking(self) -> bool:
        """Return whether the fate of what was committed last is open, so that nothing more is taken."""
        return self._storing.asking

    def backlog(self) -> int:
        return self._queue.qsize()

    def close(self) -> None:
        """End `run` after what was taken before."""
        self._closing = True
        self._queue.put_nowait(None)

    async def run(self) -> None:
        while not (self._closing and self._queue.empty()):
            entries = [await self._queue.get()]
            while len(entries) < GROUP_MAX and not self._queue.empty():
                entries.append(self._queue.get_nowait())
            group = [entry for entry in entries if entry is not None]
            if group:
                self.busy = True
                await self._commit(group)
                self.busy = False

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        stored = await self._storing.store([entry.submission for entry in group])
        known = [(entry, fate) for entry, fate in zip(group, stored, strict=True) if fate is not None]
        self._settle([entry for entry, _ in known], [fate for _, fate in known])
        self._give_up([entry for entry, fate in zip(group, stored, strict=True) if fate is None])

    def _give_up(self, group: Sequence[_Waiting]) -> None:
        """Cut the sessions of what may stand or not: 0 might lose a message, and 0x14 double it."""
        if not group:
            return
        for entry in group:
            self._limits.settle(entry.submission.account, entry.submission.segments, accepted=False)
        answerers = {id(entry.answerer): entry.answerer for entry in group}
        for answerer in answerers.values():
            answerer.leave_unanswered()
        log.error("esme_submits_unknown", messages=len(group), sessions=len(answerers))

    def _settle(self, group: Sequence[_Waiting], stored: Sequence[StoredSubmission]) -> None:
        """Answer each session once for all of its submissions."""
        if not group:
            return
        ids = esme_message_ids(self._public_ids, [outcome.message_id for outcome in stored])
        by_session: dict[int, tuple[Answerer, list[Pdu], list[int], list[bytes]]] = {}
        for entry, outcome, message_id in zip(group, stored, ids, strict=True):
            self._count(entry.submission, outcome.status)
            session = by_session.setdefault(id(entry.answerer), (entry.answerer, [], [], []))
            session[1].append(entry.pdu)
            session[2].append(outcome.status)
            session[3].append(b"" if outcome.status else message_id)
        for answerer, pdus, statuses, message_ids in by_session.values():
            answerer.answer_submissions(pdus, statuses, message_ids)
        accepted = sum(not outcome.status for outcome in stored)
        if accepted:
            self._wakeups.interactive()
        log.info("esme_submits", messages=len(group), accepted=accepted, sessions=len(by_session))

    def _count(self, submission: Submission, status: int) -> None:
        self._limits.settle(submission.account, submission.segments, accepted=not status)
        if status:
            self.refused[status] += 1
        else:
            self.accepted += 1
