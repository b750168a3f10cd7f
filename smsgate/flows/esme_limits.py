"""
What each account may still hand in: its rate, its queue and its day.

Queues and days are counted in the database; between two looks at it this process adds what it took itself.
"""

from __future__ import annotations

from datetime import date

from smsgate.clock import Clock
from smsgate.flows.esme_records import EsmeAccount, VendorStatus
from smsgate.flows.ports_esmes import EsmeTrafficStore
from smsgate.protocol.commands import Status
from smsgate.protocol.throttle import Throttle


class _Spending:
    """What one account used of its limits, as this process knows it."""

    __slots__ = ("day", "pending", "pending_segments", "rate_per_s", "spent", "throttle", "waiting")

    def __init__(self, rate_per_s: int, now: float) -> None:
        self.rate_per_s = rate_per_s
        # A second's worth may come at once: ESMEs send in windows.
        self.throttle = Throttle(rate_per_s, rate_per_s, now)
        self.waiting = 0  # messages in the queue, by the last look and what came since
        self.spent = 0  # segments of `day`
        self.day: date | None = None  # UTC
        self.pending = 0  # messages that wait for their commit
        self.pending_segments = 0


class EsmeLimits:
    def __init__(self, store: EsmeTrafficStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._spending: dict[int, _Spending] = {}
        self._seen: tuple[date | None, dict[int, int], dict[int, int]] = (None, {}, {})  # day, waiting, spent

    def take(self, account: EsmeAccount, segments: int) -> int:
        """Take a message in, until `settle`: 0, or the status of the limit that it meets."""
        spending = self._spending_of(account)
        if spending.waiting + spending.pending >= account.queue_max:
            return Status.MSGQFUL
        status = self._take(account, spending, segments, more=segments)
        if not status:
            spending.pending += 1
        return status

    def settle(self, account: EsmeAccount, segments: int, *, accepted: bool) -> None:
        """End what `take` began."""
        spending = self._spending[account.account_id]
        spending.pending -= 1
        spending.pending_segments -= segments
        if accepted:
            spending.waiting += 1
            spending.spent += segments

    def take_replacement(self, account: EsmeAccount, segments: int, more: int) -> int:
        """
        Take a new text for a message that waits, until `settle_replacement`: 0, or the status of the limit.

        It costs the rate as a submit does, and the day the `more` segments that it has above the old one.
        """
        return self._take(account, self._spending_of(account), segments, more=more)

    def settle_replacement(self, account: EsmeAccount, more: int, *, accepted: bool) -> None:
        """End what `take_replacement` began."""
        spending = self._spending[account.account_id]
        spending.pending_segments -= more
        if accepted:
            spending.spent += more

    def _take(self, account: EsmeAccount, spending: _Spending, segments: int, *, more: int) -> int:
        spent = spending.spent + spending.pending_segments
        if account.daily_max is not None and more > 0 and spent + more > account.daily_max:
            return VendorStatus.DAILY_LIMIT
        now = self._clock.monotonic()
        if spending.throttle.available(now) < min(segments, account.rate_per_s):
            return Status.THROTTLED
        taken = spending.throttle.take(segments, now)
        if taken < segments:  # a message of more segments than a second gives is waited for afterwards
            spending.throttle.owe(segments - taken, now)
        spending.pending_segments += more
        return Status.OK

    def _spending_of(self, account: EsmeAccount) -> _Spending:
        spending = self._spending.get(account.account_id)
        if spending is None:
            spending = self._spending[account.account_id] = _Spending(
                account.rate_per_s, self._clock.monotonic()
            )
            self._take_seen(account.account_id, spending)
        elif spending.rate_per_s != account.rate_per_s:  # the operator changed it
            spending.rate_per_s = account.rate_per_s
            spending.throttle = Throttle(account.rate_per_s, account.rate_per_s, self._clock.monotonic())
        return spending

    async def refresh(self) -> None:
        """
        Look what other processes and the senders did.

        Raises:
            StoreUnavailable: the database is away.
        """
        now = self._clock.now()
        self._seen = (now.date(), await self._store.waiting(), await self._store.spent(now))
        for account_id, spending in self._spending.items():
            self._take_seen(account_id, spending)

    def _take_seen(self, account_id: int, spending: _Spending) -> None:
        day, waiting, spent = self._seen
        spending.waiting = waiting.get(account_id, 0)
        seen = spent.get(account_id, 0)
        # What we took since the look is ours to know; what others took is in it.
        spending.spent = max(seen, spending.spent) if spending.day == day else seen
        spending.day = day
