"""
How often the gateway answers one number apart from order and STOP texts.

Two machines that answer each other fall silent after ANSWERS_A_DAY texts, or HELPS_A_DAY if they ask for
help. The count is kept in the database, per MSISDN and UTC day, for all processes (docs/decisions/0052).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

ANSWERS_A_DAY: Final = 2
HELPS_A_DAY: Final = 10  # HELP works in every state and on each day; machines that help each other end, too

AnsweredDay = tuple[int, datetime]  # (msisdn, the beginning of a UTC day)


def answered_day(msisdn: int, at: datetime) -> AnsweredDay:
    """Return what an answer to an MO that came then counts towards."""
    return msisdn, at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
