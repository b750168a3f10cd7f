"""
How many marketing messages a person gets: from all merchants of the gateway together, and from each.

What an order needs (receipts, confirmations, answers) is exempt and never counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

DAY: Final = timedelta(hours=24)  # rolling, so that midnight lets nothing double out
WEEK: Final = timedelta(days=7)
LESS_RULE: Final = (
    "asked-for-less"  # holds who asked for fewer messages (smsgate.campaigns.consent.LESS_PERIOD)
)


@dataclass(frozen=True, slots=True)
class CapLimits:
    """Messages a person; 0: no cap."""

    person_per_day_max: int = 0  # over all merchants, in 24 hours
    person_per_week_max: int = 0  # over all merchants, in 7 days
    merchant_per_day_max: int = 0  # of one merchant, in 24 hours
    merchant_per_week_max: int = 0  # of one merchant, in 7 days

    @property
    def active(self) -> bool:
        return any(cap.messages_max for cap in self.caps())

    @property
    def merchant_week_max(self) -> int | None:
        """Messages of one merchant in 7 days at most, as a welcome says it; None: no cap."""
        found = [cap.messages_max * (WEEK // cap.period) for cap in self.caps()]
        return min(found, default=None)

    def caps(self) -> tuple[Cap, ...]:
        """Return what holds."""
        every = (
            Cap("cap-person-day", DAY, self.person_per_day_max, own=False),
            Cap("cap-person-week", WEEK, self.person_per_week_max, own=False),
            Cap("cap-merchant-day", DAY, self.merchant_per_day_max, own=True),
            Cap("cap-merchant-week", WEEK, self.merchant_per_week_max, own=True),
        )
        return tuple(cap for cap in every if cap.messages_max)


class Cap(NamedTuple):
    rule: str
    period: timedelta
    messages_max: int
    own: bool  # of the merchant's own messages

    @property
    def says(self) -> str:
        whose = "this merchant's" if self.own else "all merchants'"
        days = self.period.days
        period = "24 hours" if days == 1 else f"{days} days"
        return f"A person gets at most {self.messages_max} of {whose} marketing messages in {period}."


class Contact(NamedTuple):
    """One marketing message that a person got, or will get now."""

    merchant_id: int
    at: datetime


NO_CAPS: Final = CapLimits()
# What holds where the operator says nothing. No law sets a number. Of one merchant two a day: products of the
# field keep 8 to 12 hours between messages (Attentive, Smart Sending). The rest is our choice: the same two a
# day of all merchants, and one a day over a week; of one merchant four a week.
SAFE_CAPS: Final = CapLimits(
    person_per_day_max=2, person_per_week_max=7, merchant_per_day_max=2, merchant_per_week_max=4
)


def capped_until(
    contacts: Sequence[Contact], merchant_id: int, limits: CapLimits, now: datetime
) -> tuple[datetime, Cap] | None:
    """Return when one more message may go and which cap holds it until then; None: it may go now."""
    latest: tuple[datetime, Cap] | None = None
    for cap in limits.caps():
        mine = sorted(
            contact.at
            for contact in contacts
            if contact.at > now - cap.period and (not cap.own or contact.merchant_id == merchant_id)
        )
        if len(mine) >= cap.messages_max:
            until = mine[len(mine) - cap.messages_max] + cap.period
            if latest is None or until > latest[0]:
                latest = (until, cap)
    return latest
