"""Which changes of a carrier's profile its binds need not know of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from smsgate.links.profile import CarrierProfile

# Everything else is said in the bind, or held by each session and link: it needs a new bind.
LIVE_KEYS: Final = frozenset(
    {
        "rate_per_s",
        "burst_s",
        "interactive_share",
        "throttle_statuses",
        "reroute_statuses",
        "opted_out_statuses",
        "opted_out_errors",
        "unreachable_statuses",
        "unreachable_wait_s",
        "senders",
        "message_tlvs",
        "cost_list",
    }
)


def changed_keys(old: CarrierProfile, new: CarrierProfile) -> frozenset[str]:
    return frozenset(key for key in type(old).model_fields if getattr(old, key) != getattr(new, key))


def needs_new_bind(old: CarrierProfile, new: CarrierProfile) -> bool:
    return not changed_keys(old, new) <= LIVE_KEYS
