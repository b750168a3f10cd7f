"""What is kept how long: partitions made ahead and dropped, small tables relieved of what served its time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from smsgate.campaigns.retention import By, Rule, kept, rules
from smsgate.clock import Clock
from smsgate.errors import LOCK_NOT_AVAILABLE, StoreUnavailable

log = structlog.get_logger(__name__)

PARTITIONS_AHEAD_DAYS: Final = 7  # a week of failing housekeeping loses no message
# Each try to drop a day lets senders wait for some 100 ms, and who reads its table may do so for hours.
DROPS_PAUSE: Final = timedelta(minutes=10)
ROWS_MAX: Final = 5_000  # deleted by one statement: some 50 ms of locks
STATEMENTS_MAX: Final = 20  # per job and run; the rest follows in the next run

# Receipts of one carrier that wait for their message, at most: some 150 MB. One that sends more of messages
# that are not ours loses the oldest.
RECEIPTS_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Retention:
    """What the operator decides; whole days."""

    messages_days: int = kept("message").days

    def days_of(self, rule: Rule) -> int | None:
        """Return a rule's days, or those that the operator decided instead; None: it keeps for good."""
        if not rule.operator:
            return rule.days
        decided: int = getattr(self, rule.operator)
        return decided if rule.beyond is None else max(rule.days or 0, decided + rule.beyond)


class HousekeepingStore(Protocol):
    async def make_partitions(self, now: datetime, days: int) -> int:
        """Make what is missing until `days` after today; return how many."""
        ...

    async def drop_partitions(self, table: str, before: datetime) -> int:
        """
        Drop whole days older than `before`; return how many.

        Raises:
            StoreUnavailable: with LOCK_NOT_AVAILABLE: the table was in use; days before may be gone.
        """
        ...

    async def delete_older(
        self, job: str, before: datetime, rows_max: int, own: Mapping[int, datetime] | None = None
    ) -> int:
        """
        Do a rule's work on at most `rows_max` rows, in one transaction an owner; return how many.

        `own` are the borders of merchants that chose another time.
        """
        ...

    async def choices(self, rule: str) -> Mapping[int, int]:
        """Return the days that merchants chose for a rule."""
        ...

    async def trim_receipts(self, kept: int, rows_max: int) -> int:
        """Delete the oldest of each carrier's waiting receipts beyond `kept`; return how many."""
        ...


class Housekeeping:
    """Run `step` about once an hour; two nodes may do it at once."""

    def __init__(self, store: HousekeepingStore, retention: Retention, clock: Clock) -> None:
        self._store = store
        self._retention = retention
        self._clock = clock
        self.deleted: Counter[str] = Counter()  # by rule, since the start
        self.drops_wait = False  # the table of a day whose time is over was in use
        self._drops_paused_until: datetime | None = None

    async def step(self) -> bool:
        """
        Do one run; True: there is more, go on.

        Raises:
            StoreUnavailable: the database is away; the next run goes on.
        """
        now = self._clock.now()
        made = await self._store.make_partitions(now, PARTITIONS_AHEAD_DAYS)
        dropped = await self._drop(now)
        deleted: dict[str, int] = {}
        more = False
        for rule in rules().values():
            if rule.by is By.ROWS:
                deleted[rule.id], unfinished = await self._delete(rule, now)
                more |= unfinished
        deleted["receipt_unmatched"] += await self._store.trim_receipts(RECEIPTS_MAX, ROWS_MAX)
        self.deleted.update(deleted)
        found = {rule: count for rule, count in deleted.items() if count}
        if made or dropped or found:
            log.info("housekeeping_done", partitions_made=made, partitions_dropped=dropped, **found)
        return more

    async def _drop(self, now: datetime) -> int:
        """Drop days whose time is over, up to a table in use: by its rows is found what others must keep."""
        if self._drops_paused_until is not None and now < self._drops_paused_until:
            return 0
        dropped = 0
        self._drops_paused_until = None
        try:
            for rule in rules().values():
                if rule.by is By.DAYS:
                    for table in rule.tables:
                        dropped += await self._store.drop_partitions(table, now - self._age(rule))
        except StoreUnavailable as exc:
            if exc.sqlstate != LOCK_NOT_AVAILABLE:
                raise
            log.warning("partition_in_use", table=table)
            self._drops_paused_until = now + DROPS_PAUSE
        self.drops_wait = self._drops_paused_until is not None
        return dropped

    def _age(self, rule: Rule) -> timedelta:
        days = self._retention.days_of(rule)
        assert days is not None, f"{rule.id} is kept for good"
        return timedelta(days=days)

    async def _delete(self, rule: Rule, now: datetime) -> tuple[int, bool]:
        own: dict[int, datetime] = {}
        if rule.is_for_merchants_to_choose:
            chosen = await self._store.choices(rule.id)
            own = {each: now - timedelta(days=days) for each, days in chosen.items()}
        total = 0
        for _ in range(STATEMENTS_MAX):
            count = await self._store.delete_older(rule.id, now - self._age(rule), ROWS_MAX, own)
            total += count
            if count < ROWS_MAX:
                return total, False
        return total, True
