"""What a group of answers orders from is live at its commit; what else ends meanwhile holds up nobody."""

from __future__ import annotations

import pytest

from smsgate.errors import StoreUnavailable
from smsgate.flows.inbound_records import InboundContext, InboundWrites
from smsgate.store.inbound_offers import AnsweredOffers
from smsgate.store.inbound_orders import add_orders, move_orders
from smsgate.store.pool import Database
from smsgate.store.together import Together

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
        await move_orders(connection, writes)
        assert await connection.fetchval(left) == [7, 10, 8, 9, 10, 10, 10, 10, 6]
