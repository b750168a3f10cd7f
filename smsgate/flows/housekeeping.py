"""What is kept how long: partitions made ahead and dropped, small tables relieved of what served its time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from smsgate.campaigns.caps import WEEK
from smsgate.campaigns.consent import IDLE_YEARS_MAX
from smsgate.clock import Clock
from smsgate.flows.consent_ageing import YEAR
from smsgate.flows.events import RETENTION as EVENTS_KEPT

log = structlog.get_logger(__name__)

PARTITIONS_AHEAD_DAYS: Final = 7  # a week of failing housekeeping loses no message
ROWS_MAX: Final = 5_000  # deleted by one statement: some 50 ms of locks
STATEMENTS_MAX: Final = 20  # per job and run; the rest follows in the next run

MESSAGE_TABLES: Final = ("message", "sent", "receipt", "esme_message")
EVENT_TABLES: Final = ("event",)

# Small tables, by the name of their job in the store.
KEPT: Final = {
    "mo_seen": timedelta(hours=24),  # carriers repeat a deliver_sm for minutes, after an outage for hours
    "idempotency_key": timedelta(days=30),
    "trigger_event": timedelta(
        days=30
    ),  # a shop may repeat a webhook-id for so long and gets the first answer
    "webhook_delivery": EVENTS_KEPT,
    "receipt_unmatched": timedelta(days=14),  # no SMSC keeps a message for longer
    "esme_delivery": timedelta(0),  # receipts and MOs whose ESME did not come in time
    "esme_day": timedelta(days=40),  # what an account sent on a day; the ledger keeps what it costs
    "marketing_contact": WEEK,  # no cap looks back farther
    "open_offer": timedelta(
        days=30
    ),  # since its end; a caller who answers later is told that nothing is open
    "number_stop": IDLE_YEARS_MAX * YEAR,  # a consent from before it has ended by itself
    "answer_count": timedelta(days=4),  # a day, and as long as a long message may wait for its rest
    "mo_part": timedelta(days=3),  # the rest of a long message that has not come by then never comes
}

OF_MESSAGES: Final = "budget_charge"  # for which messages something was spent, as long as they are there

# Receipts of one carrier that wait for their message, at most: some 150 MB. One that sends more of messages
# that are not ours loses the oldest.
RECEIPTS_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Retention:
    """What the operator decides; whole days."""

    messages_days: int = 400  # thirteen months: a statement can be explained for a year


class HousekeepingStore(Protocol):
    async def make_partitions(self, now: datetime, days: int) -> int:
        """Make what is missing until `days` after today; return how many."""
        ...

    async def drop_partitions(self, table: str, before: datetime) -> int:
        """Drop whole days older than `before`; return how many."""
        ...

    async def delete_older(self, job: str, before: datetime, rows_max: int) -> int:
        """Delete at most `rows_max` rows of a small table; return how many."""
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
        self.deleted: Counter[str] = Counter()  # by table, since the start

    async def step(self) -> bool:
        """
        Do one run; True: there is more, go on.

        Raises:
            StoreUnavailable: the database is away, or a table was busy; the next run goes on.
        """
        now = self._clock.now()
        made = await self._store.make_partitions(now, PARTITIONS_AHEAD_DAYS)
        dropped = 0
        for tables, kept in (
            (MESSAGE_TABLES, timedelta(days=self._retention.messages_days)),
            (EVENT_TABLES, EVENTS_KEPT),
        ):
            for table in tables:
                dropped += await self._store.drop_partitions(table, now - kept)
        deleted: dict[str, int] = {}
        more = False
        for job, kept in {**KEPT, OF_MESSAGES: timedelta(days=self._retention.messages_days)}.items():
            deleted[job], unfinished = await self._delete(job, now - kept)
            more |= unfinished
        deleted["receipt_unmatched"] += await self._store.trim_receipts(RECEIPTS_MAX, ROWS_MAX)
        self.deleted.update(deleted)
        if made or dropped or any(deleted.values()):
            log.info("housekeeping_done", partitions_made=made, partitions_dropped=dropped, **deleted)
        return more

    async def _delete(self, job: str, before: datetime) -> tuple[int, bool]:
        total = 0
        for _ in range(STATEMENTS_MAX):
            count = await self._store.delete_older(job, before, ROWS_MAX)
            total += count
            if count < ROWS_MAX:
                return total, False
        return total, True
