"""
Eight senders in two processes on one database and one SMSC, and three merchants that may not send for more.

One has paid in before, one has a cap on its month, one has paid in and is charged on delivery. The price of a
message is 45,000 micros, and each has a micro less than a message more than what it can send.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from smsgate.flows.budget_records import IN_DOUBT_FOR_S, BudgetState, BudgetTerms
from smsgate.ids import IdMaker
from smsgate.protocol.receipt_states import FINAL
from smsgate.store.budget_terms import PgBudgets
from smsgate.store.budgets import PgLeases
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database
from smsgate.store.roles import ADMIN
from smsgate.store.verify import PgVerify
from tests.flows.world import FIRST_MSISDN, MERCHANT, UNIT_MICROS, World, a_world

SENDERS: Final = 8
PROCESSES: Final = 2
PREPAID: Final = MERCHANT
CAPPED: Final = 8
ON_DELIVERY: Final = 9
MERCHANTS: Final = (PREPAID, CAPPED, ON_DELIVERY)
NUMBERS: Final = 10_000_000  # from the first number of a merchant to that of the next
REST: Final = UNIT_MICROS - 1
CHUNK: Final = 25
UNDELIVERED: Final = 0.3
NOBODY_WAITS_S: Final = IN_DOUBT_FOR_S + 60  # then nobody waits for what is in doubt any more


class Rows(NamedTuple):
    """What the rows of a merchant's messages say; `unheard`: taken, and no final receipt has come."""

    accepted: int
    unknown: int
    unheard: int


@dataclass
class Fleet:
    world: World
    server: EmbeddedPostgres
    database_name: str
    funds: Counter[int] = field(default_factory=Counter)  # merchant -> messages that it may send in all
    _waiting: list[Process] = field(default_factory=list)
    _sending: list[tuple[Process, list[int]]] = field(default_factory=list)
    _payments: int = 0

    # ------------------------------------------------------------ processes

    async def prepare(self, count: int = 1) -> None:
        """Have processes ready that do not send yet: nobody waits for their imports."""
        for _ in range(count):
            self._waiting.append(
                await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "tests.flows.sending_process",
                    self.server.dsn(ADMIN, self.database_name), self.database_name,
                    str(self.world.simulator.smpp_port), str(SENDERS // PROCESSES),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                )
            )  # fmt: skip

    async def begin(self) -> None:
        """Let the next process send."""
        child = self._waiting.pop(0)
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"\n")
        epochs = [int(epoch) for epoch in (await child.stdout.readline()).split()]
        assert len(epochs) == SENDERS // PROCESSES
        self._sending.append((child, epochs))

    async def go(self) -> None:
        """Let the campaigns start, now that all senders are there."""
        await self.world.execute("UPDATE campaign SET state = 'sending'")

    async def kill(self, place: int = 0) -> None:
        """Kill -9 one that sends, and let its leases of node slots end at once."""
        child, epochs = self._sending.pop(place)
        child.kill()
        await self.world.execute("UPDATE node SET expires_at = now() WHERE epoch = ANY ($1)", epochs)
        await child.wait()

    async def kill_all(self) -> None:
        while self._sending:
            await self.kill()

    async def end(self) -> None:
        children = [*self._waiting, *(child for child, _ in self._sending)]
        for child in children:
            child.kill()
        for child in children:
            await child.wait()

    # ------------------------------------------------------------ budgets

    def account(self) -> PgBudgets:
        ids = IdMaker(62, lambda: int(datetime.now(UTC).timestamp() * 1000))
        return PgBudgets(self.world.database, ids.next)

    async def fund(self, messages: int) -> None:
        """Let each merchant send so many messages more; at first with a micro less than one more."""
        account, now = self.account(), datetime.now(UTC)
        self._payments += 1
        for merchant_id in MERCHANTS:
            began = not self.funds[merchant_id]
            self.funds[merchant_id] += messages
            if merchant_id == CAPPED:
                cap = self.funds[merchant_id] * UNIT_MICROS + REST
                await account.set_terms(merchant_id, BudgetTerms(month_cap_micros=cap), now)
                continue
            if began:
                await account.set_terms(merchant_id, BudgetTerms(prepaid=True), now)
            micros = messages * UNIT_MICROS + (REST if began else 0)
            await account.top_up(merchant_id, micros, f"payment {self._payments}", now)

    async def state(self, merchant_id: int) -> BudgetState:
        found = await self.account().state(merchant_id, datetime.now(UTC))
        assert found is not None
        return found

    async def used(self, merchant_id: int) -> tuple[int, int]:
        """Return what is spent and what is leased, of the balance or of the month's cap."""
        budget = (await self.state(merchant_id)).budget
        if merchant_id == CAPPED:
            return budget.month_spent_micros, budget.month_leased_micros
        return budget.spent_micros, budget.leased_micros

    async def exhausted(self) -> bool:
        """Return whether nobody can send one message more, and nothing is leased but what is in doubt."""
        if not await self.world.value("SELECT count(*) = 0 FROM budget_lease WHERE ends_at IS NULL"):
            return False
        return all([sum(await self.used(each)) == self.funds[each] * UNIT_MICROS for each in MERCHANTS])

    async def time_passes(self) -> None:
        """Settle as if 72 hours were over."""
        leases = PgLeases(self.world.database, IdMaker(61, lambda: 0).next)
        later = datetime.now(UTC) + timedelta(seconds=NOBODY_WAITS_S)
        while (await leases.settle(later, 100)).leases:
            pass

    # ------------------------------------------------------------ what others counted

    def submits(self) -> Counter[int]:
        """Return how many messages of each merchant the SMSC took."""
        found: Counter[int] = Counter()
        for number, count in self.world.log.by_destination.items():
            found[merchant_of(int(number))] += count
        return found

    def within_funds(self) -> None:
        """Nobody has sent a message more than there was money for; asked at any instant."""
        for merchant_id, count in self.submits().items():
            assert count <= self.funds[merchant_id]

    async def charged(self, merchant_id: int) -> int:
        return int(
            await self.world.value(
                "SELECT coalesce(sum(amount_micros), 0)::bigint FROM ledger_entry WHERE merchant_id = $1 "
                "AND account = 'unbilled' AND direction = 'mt'",
                merchant_id,
            )
        )

    async def rows(self, merchant_id: int) -> Rows:
        (row,) = await self.world.rows(
            "SELECT count(*) FILTER (WHERE status = 0), count(*) FILTER (WHERE status = -1), "
            "count(*) FILTER (WHERE status = 0 AND NOT EXISTS (SELECT FROM receipt r "
            "WHERE r.merchant_id = s.merchant_id AND r.message_id = s.message_id "
            "AND r.state = ANY ($2::smallint[]))) "
            "FROM sent s WHERE merchant_id = $1",
            merchant_id,
            sorted(FINAL),
        )
        return Rows(*row)

    async def verified(self) -> None:
        assert (await PgVerify(self.world.database).looked()).broken == []


def merchant_of(msisdn: int) -> int:
    place = (msisdn - FIRST_MSISDN) // NUMBERS
    return place or MERCHANT


@asynccontextmanager
async def a_fleet(
    database: Database, server: EmbeddedPostgres, database_name: str, *, people: int, latency_s: float = 0.2
) -> AsyncIterator[Fleet]:
    """Lend three merchants with a campaign to so many people each, which waits for `go`."""
    async with a_world(
        database, subscribers=people, response_latency_s=latency_s, undelivered_share=UNDELIVERED
    ) as world:
        fleet = Fleet(world, server, database_name)
        for merchant_id in (CAPPED, ON_DELIVERY):
            await world.another_merchant(merchant_id, people)
        await world.execute(
            "WITH list AS (INSERT INTO price_list (price_list_id, name, side, currency) "
            "VALUES (3, 'on delivery', 'sell', 'EUR')), version AS ("
            "INSERT INTO price_version (price_list_id, version, effective_from, source_sha256) "
            "VALUES (3, 1, now() - interval '1 day', '')), item AS ("
            "INSERT INTO price_item (item_id, price_list_id, version, direction, network, unit_micros, "
            "basis) VALUES (31, 3, 1, 'mt', '*', $1, 'delivered')) "
            "UPDATE merchant SET price_list_id = 3 WHERE merchant_id = $2",
            UNIT_MICROS,
            ON_DELIVERY,
        )
        for merchant_id in MERCHANTS:
            await world.campaign(chunk=CHUNK, merchant=merchant_id, state="paused")
        try:
            yield fleet
        finally:
            await fleet.end()
