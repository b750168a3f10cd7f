"""Profiles: throttling, queues, answers that are late or never come."""

from __future__ import annotations

from typing import Final

from smsgate.protocol.commands import Status
from smsgate.simulator.faults import LateRate
from smsgate.simulator.profile import Profile

_WHOLE: Final = "the whole account slows down, segments counted one by one; nothing is lost or doubled"

FLOW_PROFILES: Final = (
    Profile(
        "throttle-30",
        "More than 30 submit_sm a second are answered 0x58 at once.",
        "Vonage (30/s by default); smppcenter (10/s); jasmin#425, #796, #648, #925; ksmppd#6, #126",
        _WHOLE,
        {"account_rate_per_s": 30},
    ),
    Profile(
        "throttle-unannounced",
        "The SMSC takes 100/s and lowers it to 40/s by itself after 150 messages.",
        "go-smpp#2",
        "find the limit: raise slowly, fall at once",
        {"account_rate_per_s": 100, "late_rate": LateRate(150, 40)},
    ),
    Profile(
        "queue-full",
        "Above four unanswered submit_sm of a bind the answer is 0x14 or 0x45 in turn; answers take 50 ms.",
        "gosmpp#73",
        "slow down and send them again later",
        {
            "window_max": 4,
            "window_statuses": (int(Status.MSGQFUL), int(Status.SUBMITFAIL)),
            "response_latency_s": 0.05,
        },
    ),
    Profile(
        "version-5.0-congestion",
        "Every submit_sm_resp holds congestion_state: 85 at 40/s, above 89 when messages wait.",
        "SMPP 5.0 §4.8.4.18",
        "raise below 80, hold from 80 to 89, lower from 90; 0x58 is never seen",
        {"capacity_per_s": 40, "sc_interface_version": 0x50},
    ),
    Profile(
        "congestion-on-3.4",
        "congestion_state on a 3.4 link.",
        "smpplib#2",
        "act on it, or ignore it; the answer counts",
        {"capacity_per_s": 40},
    ),
    Profile(
        "no-answer",
        "A quarter of the submit_sm are taken and never answered.",
        "jsmpp#63; jasmin#247, #564; node-smpp#227",
        "unknown after the time-out; not resent, and no window place is lost",
        {"unanswered_share": 0.25},
    ),
    Profile(
        "slow-answers",
        "Each answer takes 50 ms.",
        "jasmin#1167, #1168 (one at a time: 15 to 20 a second)",
        "a window: many submit_sm under way at once",
        {"response_latency_s": 0.05},
    ),
    Profile(
        "late-answers",
        "A quarter of the answers come 3 s late, after many a client's time-out.",
        "jsmpp#63; node-smpp#10, #227",
        "unknown after the time-out; a late answer breaks nothing and doubles nothing",
        {"late_share": 0.25, "late_s": (3.0, 3.0)},
    ),
    Profile(
        "temporary-refusals",
        "A fifth of the submit_sm are refused with 0x58, 0x14 and 0x45 in turn, by no rate.",
        "jasmin#425; smppcenter",
        "send them again later; each arrives once",
        {
            "refuse_share": 0.2,
            "refuse_status": int(Status.THROTTLED),
            "refuse_statuses": (int(Status.THROTTLED), int(Status.MSGQFUL), int(Status.SUBMITFAIL)),
        },
    ),
)
