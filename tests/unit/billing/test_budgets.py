"""Leases on a budget: whatever gateways do, and in whichever order, no more is set aside than is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from smsgate.billing.budgets import Budget, fitting
from smsgate.billing.prepaid import Caps, Outcome, PrepaidAccount

NOVEMBER, DECEMBER = date(2026, 11, 1), date(2026, 12, 1)
prices = st.lists(st.integers(0, 90_000), max_size=12)


def a_budget(paid_in: int | None = None, cap: int | None = None, day_cap: int | None = None) -> Budget:
    return Budget(
        paid_in is not None, cap, NOVEMBER, paid_in_micros=paid_in or 0, day_cap_micros=day_cap, day=NOVEMBER
    )


def test_a_balance_that_equals_the_price_lets_one_message_through() -> None:
    assert fitting([45_000, 45_000], 45_000) == (1, 45_000)
    assert fitting([45_000], 44_999) == (0, 0)


def test_nobody_overtakes_a_message_that_does_not_fit_and_what_is_free_goes_with_nothing_left() -> None:
    assert fitting([10, 50, 5], 20) == (1, 10)
    assert fitting([0, 0, 1, 0], 0) == (2, 0)
    assert fitting([7, 8], None) == (2, 15)


def test_the_lesser_of_balance_and_cap_bounds_what_is_left() -> None:
    assert a_budget(100, 30).left_micros == 30
    assert a_budget(20, 30).left_micros == 20
    assert a_budget(None, 30).left_micros == 30
    assert a_budget(None, 30, 25).left_micros == 25
    assert a_budget(20, 30, 25).left_micros == 20
    assert a_budget().left_micros is None


def test_a_lease_of_the_month_before_gives_back_to_the_balance_and_not_to_the_new_month_s_cap() -> None:
    leased = a_budget(100, 80).leasing(60)
    later = leased.in_month(DECEMBER)
    assert later.left_micros == 40
    settled = later.settling(60, 25, month=NOVEMBER, day=NOVEMBER, prepaid=True)
    assert (settled.balance_micros, settled.month_left_micros) == (75, 80)


def test_a_lease_of_the_day_before_gives_back_to_month_and_balance_and_not_to_the_new_day_s_cap() -> None:
    leased = a_budget(100, 80, 60).leasing(60)
    assert leased.left_micros == 0
    later = leased.on_day(date(2026, 11, 2))
    assert later.left_micros == 20
    settled = later.settling(60, 25, month=NOVEMBER, day=NOVEMBER, prepaid=True)
    assert (settled.balance_micros, settled.month_left_micros, settled.day_left_micros) == (75, 55, 60)
    assert later.on_day(NOVEMBER) is later


def test_a_clock_that_is_behind_does_not_bring_the_month_before_back() -> None:
    december = a_budget(None, 80).in_month(DECEMBER).leasing(80)
    assert december.in_month(NOVEMBER) is december


@dataclass
class Gateways:
    """Several gateways over one budget, message by message, against the one account of R14."""

    budget: Budget
    one: PrepaidAccount
    leases: list[tuple[int, int]] = field(default_factory=list)  # number of the first message, price
    numbers: int = 0

    def want(self, wanted: list[int], left_to_fate: list[bool]) -> None:
        """One gateway leases a chunk; `left_to_fate`: which of its messages the carrier takes."""
        count, total = fitting(wanted, self.budget.left_micros)
        self.budget = self.budget.leasing(total)
        for price in wanted[:count]:
            self.numbers += 1
            assert self.one.submit(str(self.numbers), price, NOVEMBER) is Outcome.ACCEPTED
        if count < len(wanted):
            self.numbers += 1
            refused = self.one.submit(str(self.numbers), wanted[count], NOVEMBER)
            assert refused in {Outcome.REJECTED_CAP, Outcome.REJECTED_BALANCE}
        self.check()
        spent = 0
        first = self.numbers - count - (count < len(wanted)) + 1
        for place in range(count):
            taken = left_to_fate[place % len(left_to_fate)]
            (self.one.capture if taken else self.one.release)(str(first + place))
            spent += wanted[place] if taken else 0
        self.budget = self.budget.settling(
            total, spent, month=NOVEMBER, day=NOVEMBER, prepaid=self.budget.prepaid
        )
        self.check()

    def check(self) -> None:
        budget, one = self.budget, self.one
        assert budget.balance_micros == one.available_micros
        assert budget.leased_micros == one.held_micros
        assert budget.spent_micros == one.spent_micros
        assert budget.month_spent_micros + budget.month_leased_micros == one.days[NOVEMBER]
        assert budget.day_spent_micros + budget.day_leased_micros == one.days[NOVEMBER]


@given(
    st.integers(1, 600_000),
    st.none() | st.integers(0, 400_000),
    st.none() | st.integers(0, 400_000),
    st.lists(st.tuples(prices, st.lists(st.booleans(), min_size=1, max_size=5)), max_size=12),
)
def test_leases_let_through_what_one_account_would_message_by_message(
    paid_in: int, cap: int | None, day_cap: int | None, chunks: list[tuple[list[int], list[bool]]]
) -> None:
    one = PrepaidAccount(Caps(day_micros=day_cap, month_micros=cap))
    one.topup(paid_in)
    gateways = Gateways(a_budget(paid_in, cap, day_cap), one)
    for wanted, fates in chunks:
        gateways.want(wanted, fates)


@given(
    st.integers(0, 600_000),
    st.none() | st.integers(0, 400_000),
    st.lists(st.one_of(prices, st.tuples(st.integers(0, 9), st.integers(0, 100)), st.integers(1, 90_000))),
)
def test_open_leases_and_what_was_spent_never_pass_balance_or_cap_in_any_order(
    paid_in: int, cap: int | None, steps: list[list[int] | tuple[int, int] | int]
) -> None:
    """A list of prices is leased, a pair settles one of the open leases, a number is paid in."""
    budget, leases, spent_in_all = a_budget(paid_in, cap), list[int](), 0
    for step in steps:
        if isinstance(step, int):
            budget = budget.topped_up(step)
        elif isinstance(step, list):
            _, total = fitting(step, budget.left_micros)
            budget = budget.leasing(total)
            leases.append(total)
        elif leases:
            total = leases.pop(step[0] % len(leases))
            spent = total * step[1] // 100
            spent_in_all += spent
            budget = budget.settling(total, spent, month=NOVEMBER, day=NOVEMBER, prepaid=True)
        assert budget.leased_micros == budget.month_leased_micros == sum(leases)
        assert budget.spent_micros == budget.month_spent_micros == spent_in_all
        assert budget.balance_micros >= 0
        assert cap is None or spent_in_all + sum(leases) <= cap
