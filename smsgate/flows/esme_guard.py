"""
Who tries passwords at the door: failures by address and by account, and how long who is made to wait.

Pure but for its own books: instants are seconds of any clock that never goes back.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

FREE: Final = 5  # failures of one address within FREE_WINDOW_S: a person who mistypes
FREE_WINDOW_S: Final = 60.0
WAIT_FIRST_S: Final = 1.0  # after one more; then doubled each time
WAIT_MAX_S: Final = 60.0
# Failures of all strange addresses together against one account within the window: then only addresses that
# have bound to it before are heard, so that nobody locks a company out by guessing.
ACCOUNT_FREE: Final = 30
ALARM_SOURCES: Final = 20  # addresses that tried one account: somebody has many machines
ENTRIES_MAX: Final = 10_000  # addresses or accounts; the oldest go, 100 octets each
KNOWN_MAX: Final = 10_000  # pairs of account and address that have bound


class _Record:
    __slots__ = ("alarmed", "blocked_until", "failures", "since", "sources")

    def __init__(self, now: float) -> None:
        self.since = now
        self.failures = 0
        self.blocked_until = now
        self.sources: set[str] = set()
        self.alarmed = False


class Guard:
    def __init__(self) -> None:
        self._by_source: OrderedDict[str, _Record] = OrderedDict()
        self._by_account: OrderedDict[str, _Record] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def is_blocked(self, source: str, system_id: str, now: float) -> bool:
        """Return whether a bind is to be refused without a look at its password."""
        record = self._by_source.get(source)
        if record is not None and now < record.blocked_until:
            return True
        account = self._by_account.get(system_id)
        if account is None or (system_id, source) in self._known:
            return False
        return account.failures >= ACCOUNT_FREE and now - account.since < FREE_WINDOW_S

    def failed(self, source: str, system_id: str, now: float) -> bool:
        """Count a failure; return whether to raise the alarm, once a window, that many try one account."""
        record = _record(self._by_source, source, now)
        record.failures += 1
        if record.failures > FREE:
            wait = min(WAIT_MAX_S, WAIT_FIRST_S * 2.0 ** min(record.failures - FREE - 1, 16))
            record.blocked_until = now + wait
        account = _record(self._by_account, system_id, now)
        account.failures += 1
        if len(account.sources) <= ALARM_SOURCES:
            account.sources.add(source)
        alarm = len(account.sources) > ALARM_SOURCES and not account.alarmed
        account.alarmed = account.alarmed or alarm
        return alarm

    def bound(self, source: str, system_id: str) -> None:
        """Take that the address knows the account's password."""
        self._by_source.pop(source, None)
        self._known[system_id, source] = None
        self._known.move_to_end((system_id, source))
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)


def _record(records: OrderedDict[str, _Record], key: str, now: float) -> _Record:
    """Return the record in force: failures are forgotten a window after the last block ended."""
    record = records.get(key)
    if record is None or now - max(record.since, record.blocked_until) >= FREE_WINDOW_S:
        record = records[key] = _Record(now)
    records.move_to_end(key)
    if len(records) > ENTRIES_MAX:
        records.popitem(last=False)
    return record
