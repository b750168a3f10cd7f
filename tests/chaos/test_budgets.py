"""Budgets under kills of sending processes, on and on: `make chaos KILLS=20`."""

from __future__ import annotations

import os
import random
from functools import partial

import pytest

from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database
from tests.flows.fleet import PROCESSES, a_fleet
from tests.flows.test_budgets_of_a_fleet import nothing_is_left_and_nothing_too_much
from tests.flows.world import eventually

KILLS = int(os.environ.get("KILLS", "20"))
SEED = int(os.environ.get("SEED", "1"))
PER_KILL = (5, 60)  # messages that each merchant may send more; the kill comes while they leave
LIMIT_S = 120.0 + 20.0 * KILLS  # on a machine that does other things as well
QUIET_S = 120.0


@pytest.mark.chaos
@pytest.mark.timeout(LIMIT_S)
async def test_no_kill_lets_anybody_spend_a_micro_more_or_keeps_money_that_could_be_spent(
    database: Database, database_name: str, postgres_server: EmbeddedPostgres
) -> None:
    rng = random.Random(SEED)
    people = (KILLS + PROCESSES) * PER_KILL[1]  # more than can be paid for: the budget ends first
    async with a_fleet(database, postgres_server, database_name, people=people) as fleet:
        await fleet.prepare(PROCESSES)
        for _ in range(PROCESSES):
            await fleet.begin()
        for kill in range(KILLS):
            await fleet.prepare()
            messages, before = rng.randint(*PER_KILL), fleet.world.log.submits
            await fleet.fund(messages)
            if not kill:
                await fleet.go()
            border = before + rng.randint(1, 2 * messages)  # of three merchants' messages
            await eventually(partial(fleet.world.submitted, border), timeout_s=QUIET_S)
            await fleet.kill(rng.randrange(PROCESSES))
            fleet.within_funds()
            await fleet.begin()
        await eventually(fleet.exhausted, timeout_s=QUIET_S)
        await nothing_is_left_and_nothing_too_much(fleet)
        await fleet.verified()
