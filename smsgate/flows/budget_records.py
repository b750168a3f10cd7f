"""What budgets and their store hand to each other (`billing.budgets`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol

from smsgate.billing.budgets import Budget
from smsgate.billing.periods import day_bounds, local_date, month_bounds, month_of
from smsgate.flows.records import ChunkKey
from smsgate.money import micros_to_text

# Carriers' receipts come within 72 hours or not at all, and no gateway that lost its claims commits after so
# long: what is in doubt until then was not charged, and its money comes back.
IN_DOUBT_FOR_S: Final = 72 * 3_600
# What is charged on delivery, and had no final receipt by then, waits on: no SMSC keeps a message for longer.
RECEIPTS_FOR: Final = timedelta(days=14)
# A message that did not fit may have been cancelled since: others are let try again after so long.
SHORT_FOR_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class LeaseAsk:
    """
    Messages that a gateway wants to write, in the order of writing, and what each may cost.

    `chunk` is theirs, which must still be the gateway's; None: they are of the queue.
    """

    merchant_id: int
    owner: int
    chunk: ChunkKey | None
    currency: str
    message_ids: Sequence[int]
    micros: Sequence[int]


@dataclass(frozen=True, slots=True)
class BudgetState:
    """`in_doubt_micros` is a part of what is leased; `short`: messages wait for money now."""

    budget: Budget
    currency: str
    alarm_micros: int
    in_doubt_micros: int
    short: bool


@dataclass(frozen=True, slots=True)
class BudgetTerms:
    """What an operator sets; None leaves it as it is."""

    prepaid: bool | None = None
    month_cap_micros: int | None = None
    without_cap: bool = False
    day_cap_micros: int | None = None
    without_day_cap: bool = False
    alarm_micros: int | None = None


@dataclass(slots=True)
class Settled:
    """What one look at leases came to; merchants whose messages waited for this money may go on."""

    leases: int = 0
    merchants: set[int] = field(default_factory=set)


class Month(NamedTuple):
    """A month of the merchant's zone."""

    first_day: date
    ends_at: datetime


class Day(NamedTuple):
    """A day of the merchant's zone."""

    date: date
    ends_at: datetime


def day_at(now: datetime, zone_name: str) -> Day:
    day = local_date(now, zone_name)
    return Day(day, day_bounds(day, zone_name)[1])


def month_at(now: datetime, zone_name: str) -> Month:
    month = month_of(now, zone_name)
    return Month(date(month.year, month.month, 1), month_bounds(month, zone_name)[1])


def budget_view(state: BudgetState) -> dict[str, Any]:
    """Return a budget as API and command line show it; amounts as text, exact."""
    budget = state.budget
    return {
        "currency": state.currency,
        "prepaid": budget.prepaid,
        "paid_in": micros_to_text(budget.paid_in_micros),
        "available": micros_to_text(budget.balance_micros),
        "leased": micros_to_text(budget.leased_micros),
        "in_doubt": micros_to_text(state.in_doubt_micros),
        "spent": micros_to_text(budget.spent_micros),
        "deducted": micros_to_text(budget.drawn_micros),
        "refunded": micros_to_text(budget.refunded_micros),
        "alarm": micros_to_text(state.alarm_micros),
        "month": {
            "month": f"{budget.month:%Y-%m}",
            "cap": _or_none(budget.month_cap_micros),
            "left": _or_none(budget.month_left_micros),
            "leased": micros_to_text(budget.month_leased_micros),
            "spent": micros_to_text(budget.month_spent_micros),
        },
        "day": {
            "day": budget.day.isoformat(),
            "cap": _or_none(budget.day_cap_micros),
            "left": _or_none(budget.day_left_micros),
            "leased": micros_to_text(budget.day_leased_micros),
            "spent": micros_to_text(budget.day_spent_micros),
        },
        "held": "budget" if state.short else None,
    }


def _or_none(micros: int | None) -> str | None:
    return None if micros is None else micros_to_text(micros)


class LeaseStore(Protocol):
    async def lease(self, ask: LeaseAsk, now: datetime) -> int | None:
        """
        Return for how many of the messages, from the first on, money is set aside, durable.

        None: the merchant has no budget. What older leases held for these messages comes back first.
        """
        ...

    async def settle(self, now: datetime, limit: int) -> Settled:
        """Settle up to `limit` leases whose messages nobody writes any more, by the messages' rows."""
        ...


class BudgetStore(Protocol):
    async def state(self, merchant_id: int, now: datetime) -> BudgetState | None:
        """Return the budget; None: the merchant has none, and nothing bounds what it sends."""
        ...

    async def set_terms(self, merchant_id: int, terms: BudgetTerms, now: datetime) -> BudgetState:
        """
        Make a budget, or change its terms.

        Raises:
            NotFound: there is no such merchant.
            Invalid: more was spent or leased this month, or this day, than the cap would allow.
        """
        ...

    async def top_up(self, merchant_id: int, micros: int, reference: str, now: datetime) -> BudgetState:
        """
        Book a payment, once for its reference.

        Raises:
            NotFound: the merchant has no budget.
            Conflict: another amount was paid in under this reference.
        """
        ...
