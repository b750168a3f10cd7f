"""Charges that are given back: append-only, once each, at the price that was charged (R9, I5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from smsgate.clock import Clock
from smsgate.errors import Invalid

MESSAGES_MAX: Final = 10_000  # of one request: some seconds of row locks
REASON_MAX: Final = 200  # characters


class ReversalStore(Protocol):
    async def reverse(self, merchant_id: int, message_ids: Sequence[int], reason: str, at: datetime) -> int:
        """
        Give back what is charged of these messages and not given back yet; return how many rows.

        Raises:
            DomainError: code `reversal_refused`.
        """
        ...


class Reversing:
    def __init__(self, store: ReversalStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def reverse(self, merchant_id: int, message_ids: Sequence[int], reason: str) -> int:
        """
        Give charges back; before its month's close a charge is gone, after it the next document has a line.

        A message that is not charged, or was given back before, changes nothing: ask as often as you like.

        Raises:
            Invalid: no reason, or more messages than one request may name.
            DomainError: code `reversal_refused`: so many segments of their price and month are not left
                beside what was credited by hand. Then none is given back.
        """
        if not reason.strip() or len(reason) > REASON_MAX:
            raise Invalid(f"say why, in at most {REASON_MAX} characters")
        if len(message_ids) > MESSAGES_MAX:
            raise Invalid(f"name at most {MESSAGES_MAX} messages at once")
        return await self._store.reverse(merchant_id, message_ids, reason, self._clock.now())
