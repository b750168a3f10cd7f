"""What a group of answers orders from is live at its commit; what else ends meanwhile holds up nobody."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from smsgate.campaigns.orders import Due, OrderEvent
from smsgate.errors import StoreUnavailable
from smsgate.flows.inbound_records import InboundContext, InboundWrites, OrderStepRow
from smsgate.store.inbound_offers import AnsweredOffers
from smsgate.store.inbound_orders import add_orders, move_orders
from smsgate.store.pool import Database
from smsgate.store.together import Together
from tests.flows.statements import transactions

MERCHANT, ORDERED, ASKED, COUNTED = 7, 1, 2, 3
OFFERS = """
INSERT INTO offer (merchant_id, offer_id, version, stock, stock_remaining)
VALUES (7, 1, 1, NULL, NULL), (7, 2, 1, NULL, NULL), (7, 3, 1, 5, 5);
INSERT INTO offer_version (merchant_id, offer_id, version, text, shop_name, item, unit_price_minor, currency,
    quantity_max, language, country, sender, expires_at)
SELECT 7, n, 1, '', 'shop', 'item', 100, 'EUR', 1, 'fr', 'FR', '36111', now() FROM generate_series(1, 3) n
"""


@pytest.mark.parametrize(
    ("ordered_from", "decided_again"),
    [
        ({(MERCHANT, ORDERED), (MERCHANT, COUNTED)}, False),
        ({(MERCHANT, ASKED)}, True),
        ({(MERCHANT, ORDERED), (MERCHANT, ASKED)}, True),
        (set(), False),
    ],
)
async def test_only_what_is_ordered_from_has_to_be_live_still(
    database: Database, ordered_from: set[tuple[int, int]], *, decided_again: bool
) -> None:
    """A question about an offer that was withdrawn meanwhile had the orders of others decided again."""
    async with database.control() as connection:
        await connection.execute(OFFERS)
    async with database.bulk_transaction() as connection:
        offers, context = AnsweredOffers(connection), InboundContext()
        await offers.read(context, MERCHANT, [ORDERED, ASKED, COUNTED], [])
        assert context.stock == {(MERCHANT, ORDERED): None, (MERCHANT, ASKED): None, (MERCHANT, COUNTED): 5}
        async with database.control() as another:
            await another.execute("UPDATE offer SET state = 'withdrawn' WHERE offer_id = $1", ASKED)
        if decided_again:
            with pytest.raises(StoreUnavailable) as crossed:
                await offers.hold(ordered_from)
            assert crossed.value.sqlstate == "40001"
        else:
            await offers.hold(ordered_from)


async def test_pieces_are_taken_of_the_offers_of_all_merchants(database: Database) -> None:
    left = "SELECT array_agg(stock_remaining ORDER BY merchant_id, offer_id) FROM offer"
    async with database.control() as connection:
        await connection.execute(
            "INSERT INTO offer (merchant_id, offer_id, version, stock, stock_remaining) "
            "SELECT m, o, 1, 10, 10 FROM generate_series(7, 9) m, generate_series(1, 3) o"
        )
    writes = InboundWrites(stock_taken={(8, 1): 1, (7, 3): 2, (7, 1): 3, (9, 3): 4})
    together = Together()
    add_orders(together, writes)
    async with database.bulk_transaction() as connection:
        await together.run(connection)
        assert await connection.fetchval(left) == [7, 10, 8, 9, 10, 10, 10, 10, 6]


async def test_the_last_step_of_an_order_stays_whosever_it_is_and_in_one_statement(
    database: Database,
) -> None:
    at = datetime(2026, 11, 28, tzinfo=UTC)
    async with database.control() as connection:
        await connection.execute(
            "INSERT INTO orders (merchant_id, order_id, number, offer_id, offer_version, campaign_id, "
            "message_id, nth, subscriber_id, msisdn, inbound_id, sender, quantity, unit_price_minor, "
            "total_minor, currency, state, created_at, changed_at) "
            "SELECT 7 + n % 2, n, n::text, 1, 1, 1, n, 1, n, n, n, '36111', 1, 100, 100, 'EUR', "
            "'awaiting_confirmation', $1, $1 FROM generate_series(1, 4) n",
            at,
        )

    def step(order_id: int, seq: int, state: str, due: Due | None = None) -> OrderStepRow:
        pieces = 1 + seq
        return OrderStepRow(
            7 + order_id % 2, order_id, seq, "customer_ok", state, at, pieces, pieces * 100, order_id < 3,
            due, "customer", {},
        )  # fmt: skip

    due = Due(OrderEvent.SHOP_SILENT, at)
    steps = [step(1, 2, "placed"), step(2, 2, "placed", due), step(3, 2, "placed"), step(1, 3, "cancelled")]
    async with transactions(database) as found, database.bulk_transaction() as connection:
        await move_orders(connection, InboundWrites(order_steps=steps))
        rows = await connection.fetch(
            "SELECT order_id, state, quantity, total_minor, stock_held, due_event, placed_at = $1 AS placed "
            "FROM orders ORDER BY order_id",
            at,
        )
    assert [tuple(row) for row in rows] == [
        (1, "cancelled", 4, 400, True, None, None),
        (2, "placed", 3, 300, True, due.event.value, True),
        (3, "placed", 3, 300, False, None, True),
        (4, "awaiting_confirmation", 1, 100, True, None, None),
    ]
    assert found == [[("inbound.set_order_states",)]]
