"""
What is kept of a dropped day is what the proof of message rows makes of them, whatever they are.

Random rows: two merchants, parts, items of both bases on both sides, refusals, charges given back, receipts
that come again, that contradict each other or a charge given back, that come at one instant, before their
message, or of no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from random import Random
from typing import Any, Final

import pytest

from smsgate.flows.verifying import Finding
from smsgate.ids import first_id_at
from smsgate.protocol.receipt_states import FINAL, ReceiptState
from smsgate.store.catalogue import load
from smsgate.store.pool import Database
from smsgate.store.verify import looked_of
from tests.store.books import IN_OCTOBER, ITEM, OTHER_ITEM, Books, some_books

RETIRED: Final = load("retired")
BY_RECEIPT, COST_ITEM, COST_BY_RECEIPT = 13, 21, 22
DELIVERED: Final = [BY_RECEIPT, COST_BY_RECEIPT]
SELLING: Final = {0: 0, ITEM: 45_000, OTHER_ITEM: 90_001, BY_RECEIPT: 45_000}
BUYING: Final = {0: 0, COST_ITEM: 30_000, COST_BY_RECEIPT: 31_000}
SHOPS: Final = (7, 8)
QUARTERS: Final = [IN_OCTOBER + timedelta(minutes=15 * n) for n in range(3)]
MESSAGES: Final = 300

Row = tuple[Any, ...]


class Rows:
    """Rows of `sent`, `receipt` and `charge_reversal`, and what was charged of them by the rule itself."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.sent: list[Row] = []
        self.receipts: list[Row] = []
        self.reversals: list[Row] = []
        self.charged = 0
        self.contradicted = 0  # given back, and then told to have failed before it was charged
        for _ in range(MESSAGES):
            self._message()

    def _message(self) -> None:
        random, at = self._random, self._random.choice(QUARTERS)
        shop, spread = random.choice(SHOPS), random.choice((8, 900_000))
        # Some messages are neighbours of one millisecond, as in blocks of ids; others are anywhere in it.
        message_id = first_id_at(int(at.timestamp() * 1000) + random.randrange(spread)) + random.randrange(
            2_100
        )
        if any(row[:2] == (shop, message_id) for row in self.sent):
            return
        sell, cost = random.choice(list(SELLING)), random.choice(list(BUYING))
        for part in range(1, random.choice((1, 1, 3)) + 1):
            status = random.choice((0, 0, 0, 0, 88, -1))
            segments = random.choice((1, 2))
            self.sent.append((
                shop, message_id, part, random.choice((1, 2)), status, segments,
                sell, SELLING[sell] * segments, cost, BUYING[cost] * segments, at,
            ))  # fmt: skip
            told = self._told(shop, message_id, part, at)
            if status or not sell or (sell == BY_RECEIPT and not self._arrived(told)):
                continue
            self.charged += 1
            if random.random() < (0.5 if sell == BY_RECEIPT else 0.2):
                self.charged -= 1
                self.reversals.append((shop, message_id, part, 1, "wrong", at))
                if random.random() < 0.5:  # after that, one that says it failed before
                    self.contradicted += sell == BY_RECEIPT
                    self.receipts.append((
                        shop, message_id, part, int(ReceiptState.UNDELIV), at - timedelta(seconds=61)
                    ))  # fmt: skip

    def _told(self, shop: int, message_id: int, part: int, at: datetime) -> list[Row]:
        random = self._random
        told: list[Row] = []
        for _ in range(random.choice((0, 1, 1, 1, 2, 3))):
            state = random.choice((ReceiptState.DELIVRD, *ReceiptState))
            when = at + timedelta(seconds=random.choice((-60, 0, 0, 1, 900, 86_400 * 20)))
            told.append((shop, message_id, part, int(state), when))
        self.receipts += told
        if random.random() < 0.1:  # of a part that was never sent
            self.receipts.append((shop, message_id, part + 7, int(ReceiptState.DELIVRD), at))
        return told

    @staticmethod
    def _arrived(told: Sequence[Row]) -> bool:
        """Return whether the first final receipt says so; of two at one instant the one that does counts."""
        finals = [(when, state) for *_of, state, when in told if state in FINAL]
        return bool(finals) and min(finals)[1] == ReceiptState.DELIVRD


async def written(books: Books, rows: Rows) -> None:
    async with books.database.control() as connection, connection.transaction():
        await connection.executemany(
            "INSERT INTO sent (merchant_id, message_id, segment, carrier_id, status, segments, sell_item_id, "
            "sell_micros, cost_item_id, cost_micros, sent_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            rows.sent,
        )
        await connection.executemany(
            "INSERT INTO receipt (merchant_id, message_id, segment, state, error, received_at) "
            "VALUES ($1, $2, $3, $4, '', $5)",
            rows.receipts,
        )
        await connection.executemany(
            "INSERT INTO charge_reversal VALUES ($1, $2, $3, $4, $5, $6)",
            rows.reversals,
        )


async def sums_become_the_ledger(books: Books) -> int:
    """Sum each quarter of an hour as a day of its own, book the sums, and return the messages in them."""
    async with books.database.control() as connection, connection.transaction():
        for number, quarter in enumerate(QUARTERS):
            ids = (
                first_id_at(int(at.timestamp() * 1000)) for at in (quarter, quarter + timedelta(minutes=15))
            )
            await connection.execute(
                RETIRED["sum_day"], date(2026, 1, 1 + number), *ids, DELIVERED, sorted(FINAL)
            )
            await connection.execute(
                "INSERT INTO ledger_entry (merchant_id, posting_id, line, account, currency, amount_micros, "
                "direction, item_id, carrier_id, messages, segments, at, accepted_at) "
                "SELECT merchant_id, $1 + row_number() OVER (), 1, account, 'EUR', "
                "CASE account WHEN 'revenue' THEN -micros ELSE micros END, 'mt', item_id, carrier_id, "
                "messages, segments, $3, $3 FROM retired_usage WHERE day = $2",
                1_000 * number,
                date(2026, 1, 1 + number),
                quarter,
            )
        sold = await connection.fetchval(
            "SELECT sum(messages)::int FROM retired_usage WHERE account = 'revenue'"
        )
        await connection.execute("DELETE FROM retired_usage")
    return int(sold)


async def differences(books: Books) -> list[Finding]:
    async with books.database.report() as connection:
        looked = await looked_of(connection)
    return [found for found in looked.broken if found.invariant == "I2"]


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_kept_of_a_day_is_what_the_proof_finds(database: Database, seed: int) -> None:
    books = await some_books(database)
    for shop in SHOPS:
        await books.merchant(shop)
    await books.prices((BY_RECEIPT, "mt", "*", 45_000), list_id=9, basis="delivered")
    await books.prices((COST_ITEM, "mt", "*", 30_000), list_id=10, side="cost")
    await books.prices((COST_BY_RECEIPT, "mt", "*", 31_000), list_id=11, side="cost", basis="delivered")
    rows = Rows(Random(seed))
    assert rows.contradicted
    await written(books, rows)
    assert await sums_become_the_ledger(books) == rows.charged > 0
    assert await differences(books) == []
    await books.execute(
        "UPDATE ledger_entry SET messages = messages + 1 WHERE (merchant_id, posting_id) = "
        "(SELECT merchant_id, posting_id FROM ledger_entry WHERE account = 'revenue' LIMIT 1)"
    )
    assert len(await differences(books)) == 1
