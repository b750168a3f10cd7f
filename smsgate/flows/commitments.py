"""Minimums of merchants: seen before they hold, added as versions, never for a month that was cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from smsgate.billing.commitments import Commitment, Stretch, commitment_changes
from smsgate.billing.periods import Month, month_of
from smsgate.clock import Clock
from smsgate.errors import Conflict
from smsgate.money import minor_to_text


class CommitmentVersion(NamedTuple):
    version: int
    terms: Commitment
    set_at: datetime


@dataclass(frozen=True, slots=True)
class CommitmentState:
    """A merchant's minimums, oldest first, and where its closes stand."""

    currency: str  # the merchant's own
    zone_name: str
    versions: Sequence[CommitmentVersion]
    last_cut: Month | None
    first_charge_at: datetime | None

    @property
    def last_version(self) -> int:
        return max((row.version for row in self.versions), default=0)

    @property
    def commitments(self) -> list[Commitment]:
        return [row.terms for row in self.versions]

    def first_open(self, now: datetime) -> Month:
        """
        Return the first month that no close has cut.

        Where nothing was cut yet it is that of the first charge, or the running one.
        """
        if self.last_cut is not None:
            return self.last_cut.next()
        running = month_of(now, self.zone_name)
        if self.first_charge_at is None:
            return running
        return min(running, month_of(self.first_charge_at, self.zone_name))


@dataclass(frozen=True, slots=True)
class CommitmentPlan:
    """What a minimum would change; `last_version` is what it was seen on."""

    terms: Commitment
    changes: tuple[Stretch, ...]
    last_version: int


class CommitmentStore(Protocol):
    async def state(self, merchant_id: int) -> CommitmentState:
        """
        Return a merchant's minimums.

        Raises:
            NotFound: no such merchant.
        """
        ...

    async def add(self, merchant_id: int, version: int, terms: Commitment, at: datetime) -> None:
        """
        Add a version, with no cut between the look at the months and the commit.

        Raises:
            Conflict: code `month_closed`: its first month was cut; `commitment_changed`: another version
                has its number.
        """
        ...


class Commitments:
    def __init__(self, store: CommitmentStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def state(self, merchant_id: int) -> CommitmentState:
        return await self._store.state(merchant_id)

    async def plan(self, merchant_id: int, terms: Commitment) -> CommitmentPlan:
        """
        Return what a minimum would change. Writes nothing.

        Raises:
            Conflict: code `month_closed`: its first month is closed, or before all that can be billed.
        """
        assert terms.first is not None
        state = await self._store.state(merchant_id)
        first_open = state.first_open(self._clock.now())
        if terms.first < first_open:
            raise Conflict(
                f"{terms.first} is closed, or before the merchant's first month: begin with {first_open} or "
                "later",
                code="month_closed",
            )
        return CommitmentPlan(terms, commitment_changes(state.commitments, terms), state.last_version)

    async def add(self, merchant_id: int, plan: CommitmentPlan) -> CommitmentState:
        """
        Add what was planned, if it changes anything; return how the minimums stand then.

        Raises:
            Conflict: as `CommitmentStore.add`.
        """
        if plan.changes:
            await self._store.add(merchant_id, plan.last_version + 1, plan.terms, self._clock.now())
        return await self._store.state(merchant_id)


def commitments_view(state: CommitmentState) -> list[dict[str, Any]]:
    """Return the versions as API and command line show them, newest first."""
    return [
        {
            "version": row.version,
            "currency": row.terms.currency,
            "minimum": minor_to_text(row.terms.minimum_minor, row.terms.currency),
            "first_month": str(row.terms.first),
            "last_month": None if row.terms.last is None else str(row.terms.last),
            "set_at": row.set_at,
        }
        for row in reversed(state.versions)
    ]


def changes_view(plan: CommitmentPlan) -> list[dict[str, Any]]:
    currency = plan.terms.currency
    return [
        {
            "first_month": str(each.first),
            "last_month": None if each.last is None else str(each.last),
            "old": minor_to_text(each.old_minor, currency),
            "new": minor_to_text(each.new_minor, currency),
        }
        for each in plan.changes
    ]
