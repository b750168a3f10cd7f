"""What the SMSC saw, exactly: the other side of the gateway's own books."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

DESTINATIONS_MAX: Final = 2_000_000  # phones counted one by one: some 200 MB; above it only totals are exact


class SmscLog:
    """Counts of messages; a long text counts once per segment, as submit_sm does."""

    def __init__(self, destinations_max: int = DESTINATIONS_MAX) -> None:
        self._destinations_max = destinations_max
        self.submits = 0  # submit_sm that came, whatever the answer
        self.accepted = 0  # answered 0, or taken and left unanswered on purpose
        self.throttled = 0
        self.refused: Counter[int] = Counter()  # by command_status, without throttling
        self.by_destination: Counter[int] = Counter()  # accepted messages per MSISDN
        self.uncounted = 0  # accepted messages to phones beyond `destinations_max`
        self.delivered = 0
        self.undelivered = 0
        self.expired = 0
        self.receipts_written = 0  # with those written again
        self.receipts_acknowledged = 0
        self.mos_acknowledged = 0  # parts
        self.written_again = 0  # deliver_sm that an earlier connection left unanswered, or answered "later"
        self.deliver_refused: Counter[int] = Counter()  # by command_status, given up
        self.deliver_dropped = 0  # no room to keep them
        self.binds = 0
        self.binds_refused = 0
        self.outbinds = 0

    def count_accepted(self, destinations: Sequence[bytes]) -> None:
        self.accepted += len(destinations)
        counts = self.by_destination
        if len(counts) + len(destinations) <= self._destinations_max:
            counts.update(map(int, destinations))
            return
        for msisdn in map(int, destinations):
            if msisdn in counts or len(counts) < self._destinations_max:
                counts[msisdn] += 1
            else:
                self.uncounted += 1

    @property
    def seen_submits(self) -> int:
        return self.submits

    def as_json(self) -> dict[str, Any]:
        return {
            "submits": self.submits,
            "accepted": self.accepted,
            "throttled": self.throttled,
            "refused": {f"0x{status:02x}": count for status, count in sorted(self.refused.items())},
            "phones": len(self.by_destination),
            "delivered": self.delivered,
            "undelivered": self.undelivered,
            "expired": self.expired,
            "receipts_written": self.receipts_written,
            "receipts_acknowledged": self.receipts_acknowledged,
            "mos_acknowledged": self.mos_acknowledged,
            "written_again": self.written_again,
            "deliver_refused": {f"0x{status:02x}": n for status, n in sorted(self.deliver_refused.items())},
            "deliver_dropped": self.deliver_dropped,
            "binds": self.binds,
            "binds_refused": self.binds_refused,
            "outbinds": self.outbinds,
        }
