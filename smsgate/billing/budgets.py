"""
Budgets: what a merchant may send for, shared by gateways that take leases on it (R14, I13, I14).

A lease is money set aside for messages that one gateway may write. Until it is settled it counts whole, so
the leases and what was spent are never more than what was paid in, nor than the caps of the month and of the
day. Settled, it is what its messages were charged, and the rest comes back. Caps count in the month and on
the day on which a lease was taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

NO_DAY: Final = date.min  # before the first day that was counted


@dataclass(frozen=True, slots=True)
class Budget:
    """
    `spent` and `leased` are of the balance, `month_spent` and `month_leased` of the month's cap; the day's
    are named alike. `drawn` is what invoices deducted of what was paid in, `refunded` what was paid back of
    it. Closes make `spent` what is drawn or will be: `adjusted` is what they added to it, or took from it.

    `month` is the first day of a month of the merchant's zone, `day` one of its days; what is of an earlier
    one concerns no cap now.
    """

    prepaid: bool
    month_cap_micros: int | None
    month: date
    paid_in_micros: int = 0
    spent_micros: int = 0
    leased_micros: int = 0
    month_spent_micros: int = 0
    month_leased_micros: int = 0
    drawn_micros: int = 0
    refunded_micros: int = 0
    adjusted_micros: int = 0
    day_cap_micros: int | None = None
    day: date = NO_DAY
    day_spent_micros: int = 0
    day_leased_micros: int = 0

    @property
    def balance_micros(self) -> int:
        """Return what was paid in, and neither paid back, spent nor leased."""
        return self.paid_in_micros - self.refunded_micros - self.spent_micros - self.leased_micros

    @property
    def account_micros(self) -> int:
        """Return what the ledger owes: paid in, and neither deducted on an invoice nor paid back."""
        return self.paid_in_micros - self.drawn_micros - self.refunded_micros

    @property
    def month_left_micros(self) -> int | None:
        """Return what the month's cap still lets through; None: there is no cap."""
        if self.month_cap_micros is None:
            return None
        return self.month_cap_micros - self.month_spent_micros - self.month_leased_micros

    @property
    def day_left_micros(self) -> int | None:
        """Return what the day's cap still lets through; None: there is no cap."""
        if self.day_cap_micros is None:
            return None
        return self.day_cap_micros - self.day_spent_micros - self.day_leased_micros

    @property
    def left_micros(self) -> int | None:
        """Return what can be leased now; None: nothing bounds it."""
        bounds = [self.balance_micros] if self.prepaid else []
        bounds += [left for left in (self.month_left_micros, self.day_left_micros) if left is not None]
        return max(0, min(bounds)) if bounds else None

    def in_month(self, month: date) -> Budget:
        """Return the budget as it is in `month`; a month before its own changes nothing."""
        if month <= self.month:
            return self
        return replace(self, month=month, month_spent_micros=0, month_leased_micros=0)

    def on_day(self, day: date) -> Budget:
        """Return the budget as it is on `day`; a day before its own changes nothing."""
        if day <= self.day:
            return self
        return replace(self, day=day, day_spent_micros=0, day_leased_micros=0)

    def leasing(self, micros: int) -> Budget:
        """Set money aside, which must be there."""
        left = self.left_micros
        assert micros >= 0
        assert left is None or micros <= left, "no more is leased than is left"
        return replace(
            self,
            leased_micros=self.leased_micros + (micros if self.prepaid else 0),
            month_leased_micros=self.month_leased_micros + micros,
            day_leased_micros=self.day_leased_micros + micros,
        )

    def settling(
        self, released_micros: int, spent_micros: int, *, month: date, day: date, prepaid: bool
    ) -> Budget:
        """
        End `released_micros` of a lease that was taken on `day`, of which its messages cost `spent_micros`.

        `prepaid` says whether the lease was taken on the balance.
        """
        assert released_micros >= 0
        assert spent_micros >= 0
        settled = self
        if prepaid:
            settled = replace(
                settled,
                leased_micros=self.leased_micros - released_micros,
                spent_micros=self.spent_micros + spent_micros,
            )
        if month == self.month:
            settled = replace(
                settled,
                month_leased_micros=self.month_leased_micros - released_micros,
                month_spent_micros=self.month_spent_micros + spent_micros,
            )
        if day == self.day:
            settled = replace(
                settled,
                day_leased_micros=self.day_leased_micros - released_micros,
                day_spent_micros=self.day_spent_micros + spent_micros,
            )
        return settled

    def topped_up(self, micros: int) -> Budget:
        """Pay in."""
        assert micros > 0
        return replace(self, paid_in_micros=self.paid_in_micros + micros)

    def drawable_micros(self, charged_micros: int) -> int:
        """
        Return what an invoice may deduct: all but what is leased for messages that are not charged.

        `charged_micros` is what messages of open leases on the balance have been charged.
        """
        assert charged_micros >= 0
        return max(0, self.account_micros - max(0, self.leased_micros - charged_micros))

    def closed(self, drawn_micros: int, *, charged_micros: int, unbilled_micros: int) -> Budget:
        """
        End a month whose invoice deducted `drawn_micros`; `unbilled_micros` no document has asked for yet.

        What is left to send for is then what the account owes, less what is leased and what later documents
        will deduct. So replies and minimums, which no lease counts, are spent now as far as there is money,
        and what was spent and is not asked for, such as a charge that was given back, comes back.
        """
        assert 0 <= drawn_micros <= self.drawable_micros(charged_micros)
        drawn = self.drawn_micros + drawn_micros
        owed = drawn + max(0, unbilled_micros) - charged_micros
        most = self.paid_in_micros - self.refunded_micros - self.leased_micros
        spent = max(0, min(owed, most))
        return replace(
            self,
            drawn_micros=drawn,
            spent_micros=spent,
            adjusted_micros=self.adjusted_micros + spent - self.spent_micros,
        )

    def refunded(self, micros: int) -> Budget:
        """Pay back some of what can still be sent for."""
        assert 0 < micros <= self.balance_micros
        return replace(self, refunded_micros=self.refunded_micros + micros)


def fitting(prices: Sequence[int], left_micros: int | None) -> tuple[int, int]:
    """
    Return how many messages from the first on fit into what is left, and what they cost together.

    None of them overtakes another that does not fit: who waits longest is sent to first.
    """
    total = 0
    for count, price in enumerate(prices):
        assert price >= 0
        if left_micros is not None and total + price > left_micros:
            return count, total
        total += price
    return len(prices), total
