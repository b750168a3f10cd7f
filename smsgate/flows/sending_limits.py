"""What bounds the sending of one process; `[sending]` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from smsgate.campaigns.guard import GUARD_LIMITS, GuardLimits

# Messages of a lane that are written in one turn of the loop, in some 2 ms: answers of customers wait for its
# end, and for the end of another one with each statement that an order takes.
FILL_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class SendingLimits:
    # What a crash can leave in doubt: written and not yet committed, or allowed to be written by a commit.
    in_doubt_max: int = 8_000
    poll_s: float = 0.25  # pause, resume, cancel and STOPs of another process are seen within this
    allowance_s: float = 0.25  # how many seconds of a carrier's rate one allowance step covers
    allowance_min: int = 5  # at a slow carrier a kill must not leave minutes of sending in doubt
    allowance_max: int = 3_000  # a chunk
    failover_s: float = 3.0  # a carrier that is away longer loses its messages to the next of the route
    guard: GuardLimits = GUARD_LIMITS  # of campaigns that have none of their own

    def allowance(self, rate_per_s: int) -> int:
        return int(min(self.allowance_max, max(self.allowance_min, rate_per_s * self.allowance_s)))
