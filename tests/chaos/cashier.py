"""
Money while things are killed: a merchant has paid in and has a cap on its month, and never enough of both.

Whenever messages wait for money, the lesser of balance and cap is raised, again and again under one
reference until it is known to be booked. So the merchant runs out of money all the time, and what it sends
is bounded by what was raised: the SMSC's journal is held against that at every instant.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from smsgate.errors import StoreError
from smsgate.flows.budget_records import BudgetState, BudgetTerms
from smsgate.ids import IdMaker
from smsgate.store.budget_terms import PgBudgets
from smsgate.store.dsn import Dsns
from smsgate.store.pool import Database, PoolSizes
from smsgate.store.roles import ADMIN
from tests.chaos.books import SmscBooks
from tests.chaos.proof import Check, some
from tests.chaos.town import LOOK_FAILED, Town

PRICE_MICROS: Final = 45_000  # of an offer, as the scene publishes it
STEP: Final = (100, 500)  # messages that are paid for at once; a look takes seconds on a busy machine
LOOK_S: Final = 0.5
SIZES: Final = PoolSizes(api=1, bulk=1, report=1, control=1)
NODE: Final = 62  # of the ids of postings; no gateway of the town comes to it
SHORT: Final = "SELECT bool_or(budget_is_short(b)) FROM budget b"
MERCHANT: Final = "SELECT merchant_id FROM merchant WHERE slug = 'boxman'"


class Raised(NamedTuple):
    """Before this instant (seconds since 1970) nobody had this money."""

    at: float
    micros: int


@dataclass
class Money:
    """All that was ever raised, oldest first, and what the budget says at the end."""

    paid: list[Raised] = field(default_factory=list)
    cap: list[Raised] = field(default_factory=list)
    waited: int = 0  # looks that found messages waiting for money
    state: BudgetState | None = None


class Cashier:
    def __init__(self, town: Town, seed: int) -> None:
        self.money = Money()
        self._town = town
        self._rng = random.Random(seed)  # chance, no secret
        self._ids = IdMaker(NODE, lambda: int(time.time() * 1000))

    async def raise_(self, raised: list[Raised]) -> None:
        """Raise the balance or the cap by a random step, however often the database is killed meanwhile."""
        raised.append(Raised(time.time(), self._rng.randint(*STEP) * PRICE_MICROS - 1))
        money = self.money
        if raised is money.paid:
            micros, reference = raised[-1].micros, f"payment {len(raised)}"
            await self._until_done(lambda b, m: b.top_up(m, micros, reference, datetime.now(UTC)))
        else:
            terms = BudgetTerms(prepaid=True, month_cap_micros=sum(each.micros for each in raised))
            await self._until_done(lambda b, m: b.set_terms(m, terms, datetime.now(UTC)))

    async def glance(self) -> None:
        """Look closer if messages wait: one cheap statement, for all of this is beside the gateway."""
        with suppress(*LOOK_FAILED):
            async with self._town.database() as connection:
                waits = await connection.fetchval(SHORT)
            if waits:
                await self.look()

    async def look(self) -> None:
        """Raise what is less if messages wait."""
        state = await self._until_done(lambda b, m: b.state(m, datetime.now(UTC)))
        assert state is not None
        self.money.state = state
        if state.short:
            self.money.waited += 1
            left = state.budget.month_left_micros or 0
            await self.raise_(self.money.cap if left < state.budget.balance_micros else self.money.paid)

    async def _until_done(
        self, deed: Callable[[PgBudgets, int], Awaitable[BudgetState | None]]
    ) -> BudgetState | None:
        while True:
            with suppress(*LOOK_FAILED, StoreError):
                async with self._town.database() as connection:
                    merchant_id = await connection.fetchval(MERCHANT)
                server = self._town.postmaster()
                if server is not None and server.socket_dir != Path():
                    dsn = f"postgresql://{ADMIN}@/smsgate?host={server.socket_dir}"
                    async with await Database.open(Dsns(dsn), migrate=False, sizes=SIZES) as database:
                        return await deed(PgBudgets(database, self._ids.next), merchant_id)
            await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def money_comes(town: Town, seed: int) -> AsyncIterator[Money]:
    """Begin with a little of both; raise it whenever messages wait, and look once more at the end."""
    cashier = Cashier(town, seed)
    await cashier.raise_(cashier.money.cap)
    await cashier.raise_(cashier.money.paid)
    task = asyncio.create_task(_keep_looking(cashier))
    try:
        yield cashier.money
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await cashier.look()


async def _keep_looking(cashier: Cashier) -> None:
    while True:
        await asyncio.sleep(LOOK_S)
        await cashier.glance()


def prove_money(smsc: SmscBooks, money: Money, charged_micros: int) -> list[Check]:
    """Return the checks: against the SMSC's journal, and against the ledger."""
    offers = sorted(submit.at for submit in smsc.accepted if submit.mark)
    return [
        Check("no offer left that was not paid for", some(_beyond(offers, money.paid)), len(money.paid)),
        Check("no offer left beyond the cap", some(_beyond(offers, money.cap)), len(money.cap)),
        Check("what is paid in is available, in doubt or charged", some(_balance(money, charged_micros))),
        Check("messages waited for money", [] if money.waited else ["nobody ever did"], money.waited),
    ]


def _beyond(offers: Sequence[float], raised: Sequence[Raised]) -> Iterator[str]:
    """Offers that left before the money for them was there, by the two clocks of one machine."""
    had, place = 0, 0
    for count, at in enumerate(offers, 1):
        while place < len(raised) and raised[place].at <= at:
            had += raised[place].micros
            place += 1
        if count * PRICE_MICROS > had:
            yield f"{count} offers had left when {had} micros were raised"


def _balance(money: Money, charged_micros: int) -> Iterator[str]:
    if money.state is None:
        yield "nobody looked at the budget"
        return
    budget, paid = money.state.budget, sum(each.micros for each in money.paid)
    if budget.paid_in_micros != paid:
        yield f"{paid} micros were paid in, the budget has {budget.paid_in_micros}"
    if budget.leased_micros != money.state.in_doubt_micros:
        yield f"{budget.leased_micros} micros are leased, {money.state.in_doubt_micros} of them in doubt"
    # A late answer may charge what is in doubt; which message that is, `billing verify` knows.
    if not budget.spent_micros <= charged_micros <= budget.spent_micros + budget.leased_micros:
        yield f"{budget.spent_micros} micros are spent, the ledger charges {charged_micros}"
    if money.state.short:
        yield "messages wait for money"
