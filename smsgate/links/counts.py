"""What a carrier account counts, in plain integers, for whoever reads metrics."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# Upper bounds in seconds; a carrier answers within 20 ms to a second, and counts as silent after 10.
RESPONSE_BOUNDS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class ResponseTimes:
    """A histogram with one observation per read of answers, not per message."""

    __slots__ = ("buckets", "sum")

    bounds: Sequence[float] = RESPONSE_BOUNDS_S

    def __init__(self) -> None:
        self.buckets = [0] * (len(RESPONSE_BOUNDS_S) + 1)  # the last one: longer than any bound
        self.sum = 0.0  # seconds

    def add(self, seconds: float) -> None:
        self.buckets[bisect_left(RESPONSE_BOUNDS_S, seconds)] += 1
        self.sum += seconds


@dataclass(slots=True)
class CarrierCounts:
    """Of a carrier since the start of the process, however often it was left and bound anew; for metrics."""

    submitted: int = 0  # submit_sm written
    answered: int = 0  # submit_sm_resp, any status
    accepted: int = 0  # of them, those with status 0
    throttled: int = 0  # of them, those that mean "slower"
    refused: int = 0  # of them, those with another status than 0: final for their message
    in_doubt: int = 0  # no answer in time, or the link was lost
    receipts: int = 0
    receipts_unreadable: int = 0  # acknowledged and kept as they came, for nobody could read them
    delivered: int = 0  # MO, parts counted one by one
    acks: int = 0  # deliver_sm_resp after a commit
    acks_gone: int = 0  # their session was over: the carrier delivers again
    alerts: int = 0  # alert_notification
    requests: int = 0  # query_sm, cancel_sm, replace_sm, submit_multi and data_sm written
    setbacks: int = 0  # binds that were refused, lost or not reached
    planned_rebinds: int = 0  # after max_messages_per_bind, or back to a host that is preferred
    busy_answers: int = 0  # deliveries refused because too many waited for a commit; of sessions that ended
    stray_responses: int = 0  # of sessions that ended
    broken_pdus: int = 0  # of sessions that ended
    dropped_octets: int = 0  # of PDUs that were read: cut TLVs and padding; of sessions that ended
