"""What is asked of the store about one person's data: suppression, erasure, access."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol

from smsgate.flows.commerce_records import Page, PageAsk

NOBODY: Final = 0
# Why a number is blocked for every merchant.
BlockReason = Literal["wrong_person", "death", "child", "complaint", "carrier"]


@dataclass(frozen=True, slots=True)
class OfNumber:
    """
    Somebody by the number alone.

    Who is no subscriber any more is known to messages, replies and orders for longer.
    """

    msisdn: int


Whom = int | OfNumber  # a subscriber's id, or a number


@dataclass(frozen=True, slots=True)
class DataRequestRow:
    request_id: int
    kind: str  # access | erasure
    subscriber_id: int  # NOBODY: a number that is no subscriber's
    records: int  # handed out, or erased
    created_at: datetime
    state: str  # done | under_way


@dataclass(frozen=True, slots=True)
class OwedErasure:
    """An erasure that is not over: what others were writing of the person is still to be removed."""

    merchant_id: int
    request_id: int
    msisdn: int
    texts_before: int  # those with this id or a later one are of after it; of campaigns none is


@dataclass(frozen=True, slots=True)
class Suppressed:
    """That a number may not be written to; never who said so."""

    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Lift:
    """Who takes a block back, and why; `key_id` is the API key's public part, "" on the command line."""

    decided_by: str
    reason: str
    key_id: str = ""


class PrivacyStore(Protocol):
    async def suppressed(self, merchant_id: int, msisdns: Sequence[int]) -> Mapping[int, Suppressed]:
        """Return those of the numbers that this merchant may not write to."""
        ...

    async def suppress(self, msisdn: int, reason: str, now: datetime) -> list[int]:
        """Block a number for every merchant; return the merchants that had it."""
        ...

    async def unblock(self, msisdn: int, merchant_id: int | None, by: Lift, now: datetime) -> list[int]:
        """
        Take a block back for one merchant, or for all; return the merchants whose person was blocked.

        Raises:
            NotFound: the number is not blocked.
            DomainError: code `blocked_by_carrier`.
        """
        ...

    async def unblock_subscriber(self, merchant_id: int, subscriber_id: int, by: Lift, now: datetime) -> None:
        """
        Do the same for one merchant's person.

        Raises:
            NotFound: no such subscriber, or it is not blocked.
            DomainError: code `blocked_by_carrier`.
        """
        ...

    async def access(
        self, merchant_id: int, whom: Whom, request_id: int, now: datetime
    ) -> tuple[DataRequestRow, Mapping[str, object]]:
        """
        Return every record of a person, by kind, as it is stored.

        Raises:
            NotFound: no such subscriber, or nothing of the number.
        """
        ...

    async def erase(
        self, merchant_id: int, whom: Whom, request_id: int, now: datetime
    ) -> tuple[DataRequestRow, OwedErasure]:
        """
        Remove a person; the keyed hash stays. What others are writing is removed by `finish_erasure`.

        Raises:
            NotFound: no such subscriber, or nothing of the number.
        """
        ...

    async def owed_erasures(self, limit: int) -> Sequence[OwedErasure]:
        """Return those that are not over, the oldest first."""
        ...

    async def finish_erasure(self, owed: OwedErasure, now: datetime, patience_s: float) -> bool:
        """
        Remove what others were writing of the person; whoever does it, and how often, is all the same.

        False: somebody who began before is not done after `patience_s`.
        """
        ...

    async def requests(self, merchant_id: int, ask: PageAsk) -> Page[DataRequestRow]: ...
