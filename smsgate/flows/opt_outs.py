"""
Opt-outs that carriers tell of: the status of a refusal, or the error of a receipt, that the profile names.

Networks keep lists of their own (STOP to a toll-free number, operators' opt-out registers). What they refuse
for it is a STOP of the person, and nobody is told anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Final, Protocol

import structlog

from smsgate.clock import Clock
from smsgate.errors import StoreError
from smsgate.flows.ports import Carrier
from smsgate.flows.records import Flush, Resolved

log = structlog.get_logger(__name__)

WAITING_MAX: Final = 50_000  # messages that are to be looked at; beyond it the next refusal tells again
MESSAGES_MAX: Final = 1_000  # of one step: bounds its locks

Code = tuple[int, int]  # carrier, command_status
ErrorCode = tuple[int, bytes]  # carrier, the receipt's error


class OptOutStore(Protocol):
    async def carrier_stops(
        self,
        messages: Sequence[tuple[int, int]],
        statuses: Sequence[Code],
        errors: Sequence[ErrorCode],
        now: datetime,
    ) -> int:
        """
        End every purpose of who got one of these (merchant, message) with such an outcome; return how many.

        Log, states, offers and events to the shop are one transaction per merchant.
        """
        ...


class OptOuts:
    """`see` what was committed; run `step` every second."""

    def __init__(self, store: OptOutStore, carriers: Mapping[int, Carrier], clock: Clock) -> None:
        self._store = store
        self._carriers = carriers
        self._clock = clock
        self._waiting: dict[tuple[int, int], None] = {}

    def see(self, flush: Flush) -> None:
        """Note what may tell of an opt-out; nothing is done per message while no profile names a code."""
        statuses, errors = (frozenset(code for _, code in codes) for codes in self._codes())
        sent, receipts = flush.sent, flush.receipts
        if statuses and not statuses.isdisjoint(sent.statuses):
            self._note(
                key
                for *key, status in zip(sent.merchant_ids, sent.message_ids, sent.statuses, strict=True)
                if status in statuses
            )
        if errors and not errors.isdisjoint(receipts.errors):
            self._note(
                key
                for *key, error in zip(
                    receipts.merchant_ids, receipts.message_ids, receipts.errors, strict=True
                )
                if error in errors
            )

    def see_matched(self, resolved: Resolved) -> None:
        """Note the same of receipts that found their messages in the database."""
        _, errors = self._codes()
        codes = {error for _, error in errors}
        self._note((merchant, message) for merchant, message, error in resolved.errors if error in codes)

    async def step(self) -> bool:
        """Write what waits; True: there is more."""
        if not self._waiting:
            return False
        messages = list(islice(self._waiting, MESSAGES_MAX))
        stopped = await self._store.carrier_stops(messages, *self._codes(), self._clock.now())
        for message in messages:
            del self._waiting[message]
        if stopped:
            log.info("carrier_opt_outs", people=stopped)
        return bool(self._waiting)

    async def finish(self) -> None:
        """Write all that waits; a database that is away has the carriers tell it again."""
        try:
            while await self.step():
                pass
        except StoreError as exc:
            log.warning("carrier_opt_outs_lost", messages=len(self._waiting), error=str(exc))

    def _note(self, messages: Iterable[Sequence[int]]) -> None:
        for merchant_id, message_id in messages:
            if len(self._waiting) < WAITING_MAX:
                self._waiting[merchant_id, message_id] = None

    def _codes(self) -> tuple[list[Code], list[ErrorCode]]:
        """Return the codes of the carriers that run now."""
        statuses, errors = [], []
        for carrier in self._carriers.values():
            statuses += [(carrier.carrier_id, status) for status in carrier.opted_out_statuses]
            errors += [(carrier.carrier_id, error) for error in carrier.opted_out_errors]
        return statuses, errors
