"""
So many messages a minute of one campaign, however many processes send it and however often they start anew.

The state is one instant, `paced_until`: what was granted so far is paid for until then. It is kept in the
database and moved there before anything is written, so whoever starts anew finds it, and there is no burst.
Known as the virtual scheduling algorithm (GCRA). Source: ITU-T I.371, annex A.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

PER_MINUTE_MAX: Final = 60_000  # 1,000 a second; who wants more needs no pace
# A grant that comes late by no more than this is followed by the next so much earlier: looks and commits take
# their time, and the minute must come out right. What is missed for longer (a pause, a process that was away)
# is not made up for.
SLACK: Final = timedelta(seconds=1)
_MINUTE: Final = timedelta(minutes=1)


class Grant(NamedTuple):
    messages: int
    paced_until: datetime  # the next grant may be taken then


def grant(per_minute: int, paced_until: datetime | None, now: datetime, wanted: int) -> Grant | None:
    """
    Return what may be sent now, at most `wanted`: about a second's worth; None: nothing yet.

    Over any span of time the grants exceed per_minute by less than two seconds' worth, or two messages.
    """
    if wanted <= 0 or (paced_until is not None and paced_until > now):
        return None
    messages = min(wanted, max(1, per_minute // 60))
    begin = now if paced_until is None else max(paced_until, now - SLACK)
    return Grant(messages, begin + -(-_MINUTE * messages // per_minute))
