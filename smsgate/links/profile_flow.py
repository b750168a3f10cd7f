"""Keys of a carrier's profile: how much may wait for an answer, how fast, what means slower."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, Field

from smsgate.links.profile_values import FROZEN, Ascii, CommandStatus, Seconds
from smsgate.protocol.commands import Status

WINDOW_LIMIT: Final = 10_000  # unanswered submits of one session: memory, and what a lost link leaves unknown
RATE_LIMIT_PER_S: Final = 1_000_000  # segments; above any carrier's contract, and what one machine can write
ADAPTIVE_START_PER_S: Final = 10.0  # segments: what even a small contract allows
BURST_S: Final = 0.1  # of most carriers: longer than a slow turn of the loop
BURST_MIN_S: Final = 0.01  # less, and the loop's timers hold the rate back
BURST_MAX_S: Final = 1.0  # twice the rate in one second: nobody allows more
BURST_MIN: Final = 2  # segments: one for the interactive lane and one for the bulk lane


class FlowKeys(BaseModel):
    model_config = FROZEN

    window_max: int = Field(default=10, ge=1, le=WINDOW_LIMIT, description="unanswered submits per session")
    rate_per_s: int = Field(
        default=10, ge=1, le=RATE_LIMIT_PER_S, description="segments a second, of the contract"
    )
    burst_s: float = Field(
        default=BURST_S,
        ge=BURST_MIN_S,
        le=BURST_MAX_S,
        description="seconds of rate_per_s that may leave at once, on top of it, after a lull: 0.01 to 1",
    )
    rate_control: Literal["contract", "adaptive"] = Field(
        default="contract",
        description='"contract": rate_per_s, less when told; "adaptive": found by climbing to it',
    )
    interactive_share: float = Field(
        default=0.1, ge=0, le=0.9, description="share of window and rate that campaigns leave free, 0 to 0.9"
    )
    throttle_statuses: tuple[CommandStatus, ...] = Field(
        default=(Status.THROTTLED, Status.MSGQFUL, Status.SUBMITFAIL),
        description="command_status numbers that mean: slower",
    )
    unreachable_statuses: tuple[CommandStatus, ...] = Field(
        default=(), description="command_status numbers that mean: this phone cannot be reached now"
    )
    unreachable_wait_s: Seconds = Field(
        default=300.0, description="seconds after which such a system message goes again by itself"
    )
    query: bool = Field(
        default=False, description="true: query_sm asks about system messages whose receipt does not come"
    )
    query_after_s: Seconds = Field(default=600.0, description="seconds without a receipt")

    opted_out_statuses: tuple[CommandStatus, ...] = Field(
        default=(), description="command_status numbers that mean: this person opted out, at the carrier"
    )
    opted_out_errors: tuple[Ascii, ...] = Field(
        default=(), description="errors of receipts (err:) that mean the same"
    )
    reroute_statuses: tuple[CommandStatus, ...] = Field(
        default=(), description="command_status numbers that mean: this carrier cannot, another one may"
    )

    @property
    def start_per_s(self) -> float | None:
        """Return where an adaptive rate begins; None when it is the contract's."""
        return min(ADAPTIVE_START_PER_S, self.rate_per_s) if self.rate_control == "adaptive" else None

    @property
    def burst(self) -> int:
        """Return how many segments may leave at once when nothing was sent for a while."""
        return max(BURST_MIN, round(self.rate_per_s * self.burst_s))
