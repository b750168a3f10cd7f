"""What the benchmarks of billing write is whole enough to be closed and proved."""

from __future__ import annotations

import pytest

from benchmarks.billed_months import close_months
from benchmarks.charged_rows import write_day
from benchmarks.closing import CLOSE_AT, write_month
from benchmarks.verifying import CLOSE_AT as DAY_CLOSE_AT
from benchmarks.verifying import WatchedVerify
from smsgate.errors import SmsgateError
from smsgate.flows.verifying import verify
from smsgate.store.pool import Database
from smsgate.store.verify import PgVerify


async def test_a_month_of_the_bench_is_closed(database: Database) -> None:
    assert await write_month(database, 2, 480) == 480
    assert len((await close_months(database, CLOSE_AT)).documents) == 2


async def test_a_closed_and_budgeted_day_of_the_bench_is_proved(database: Database) -> None:
    await write_day(database, 2_000, merchants=20, messages=True, budgets=True, delivered=True)
    assert len((await close_months(database, DAY_CLOSE_AT)).documents) == 20
    watched = WatchedVerify(database)
    proof = await verify(watched)
    assert (proof.broken, proof.counts.messages) == ((), 2_000)
    assert "verify_messages.messages" in watched.taken_s


async def test_books_that_do_not_hold_are_refused_with_the_first_wrong_row(database: Database) -> None:
    await write_day(database, 200, merchants=2)
    (await PgVerify(database).looked()).hold()
    async with database.control() as connection:
        await connection.execute("UPDATE campaign_counter SET n = n + 1 WHERE merchant_id = 2")
    with pytest.raises(SmsgateError, match=r"^I16 does not hold in 1 rows: campaign 5002 of merchant 2: "):
        (await PgVerify(database).looked()).hold()
