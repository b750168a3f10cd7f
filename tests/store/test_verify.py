"""
`smsgate billing verify` holds on what flows leave behind, and finds each of many corruptions by its first
row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from smsgate.flows.verifying import INVARIANTS
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database
from smsgate.store.verify import PgVerify
from tests.store.verified_books import Corruption, first_found, found_after, made_once, write_books

FIRST_SENT = "(SELECT min(message_id) FROM sent WHERE status = 0)"


CORRUPTIONS = {
    "one line of a posting is a micro more": Corruption(
        "UPDATE ledger_entry SET amount_micros = amount_micros + 1 WHERE (posting_id, line) = "
        "(SELECT posting_id, line FROM ledger_entry ORDER BY posting_id, line LIMIT 1)",
        "I1", "is off by 1 micros EUR",
    ),
    "a posting is dearer on both sides": Corruption(
        "UPDATE ledger_entry SET amount_micros = amount_micros * 2 WHERE direction = 'mt' AND posting_id = "
        "(SELECT min(posting_id) FROM ledger_entry WHERE direction = 'mt')",
        "I2", "rows have",
    ),
    "a posting is gone": Corruption(
        "DELETE FROM ledger_entry WHERE posting_id = (SELECT min(posting_id) FROM ledger_entry WHERE "
        "direction = 'mt')",
        "I2", "rows have",
    ),
    "a posting stands twice": Corruption(
        "INSERT INTO ledger_entry SELECT merchant_id, posting_id + 1000000, line, account, currency, "
        "amount_micros, "
        "direction, item_id, campaign_id, carrier_id, messages, segments, at, accepted_at FROM ledger_entry "
        "WHERE posting_id = (SELECT min(posting_id) FROM ledger_entry WHERE direction = 'mt')",
        "I2", "rows have",
    ),
    "a posting counts a message more": Corruption(
        "UPDATE ledger_entry SET messages = messages + 1 WHERE posting_id = "
        "(SELECT min(posting_id) FROM ledger_entry WHERE direction = 'mt')",
        "I2", "rows have",
    ),
    "one side of a posting counts a segment more": Corruption(
        "UPDATE ledger_entry SET segments = segments + 1 WHERE account = 'unbilled' AND posting_id = "
        "(SELECT min(posting_id) FROM ledger_entry WHERE direction = 'mt')",
        "I2", "its lines name different messages",
    ),
    "a posting is moved to another item": Corruption(
        "UPDATE ledger_entry SET item_id = 11 WHERE account IN ('unbilled', 'revenue') AND posting_id = "
        "(SELECT min(posting_id) FROM ledger_entry WHERE direction = 'mt')",
        "I2", "item 11",
    ),
    "a posting is moved to another quarter of an hour": Corruption(
        "UPDATE ledger_entry SET accepted_at = accepted_at + interval '15 minutes' WHERE posting_id = "
        "(SELECT min(posting_id) FROM ledger_entry WHERE direction = 'mt')",
        "I2", "rows have",
    ),
    "a posting is moved to another campaign": Corruption(
        "UPDATE ledger_entry SET campaign_id = 77 WHERE posting_id = "
        "(SELECT min(posting_id) FROM ledger_entry WHERE campaign_id IS NOT NULL AND direction = 'mt')",
        "I16", "campaign 77 of merchant 7: the counter has 0 accepted, the ledger ",
    ),
    "a reply is charged that never came": Corruption(
        "UPDATE ledger_entry SET messages = messages + 100, segments = segments + 100, "
        "amount_micros = amount_micros / segments * (segments + 100) WHERE posting_id = "
        "(SELECT min(posting_id) FROM ledger_entry WHERE direction = 'mo')",
        "I2", "replies have 5 messages",
    ),
    "a posting of replies is in another currency than its price": Corruption(
        "UPDATE ledger_entry SET currency = 'USD' WHERE direction = 'mo'", "I3", "which is in EUR",
    ),
    "costs stand at a price of sales": Corruption(
        "UPDATE ledger_entry SET item_id = 1000 WHERE account IN ('cost', 'carrier_accrual') "
        "AND posting_id = (SELECT min(posting_id) FROM ledger_entry WHERE account = 'cost')",
        "I3", "which is a mt price of side sell",
    ),
    "a posting was accepted before its price was in force": Corruption(
        "UPDATE ledger_entry SET accepted_at = accepted_at - interval '1 hour' WHERE direction = 'mo'",
        "I3", "of version 2, which was not in force",
    ),
    "a reply is charged at another price": Corruption(
        "UPDATE ledger_entry SET amount_micros = amount_micros * 3 WHERE direction = 'mo'",
        "I3", "which is 10000",
    ),
    "a reply is charged for a segment more than it has": Corruption(
        "UPDATE inbound_message SET segments = segments + 1 WHERE inbound_id = "
        "(SELECT min(inbound_id) FROM inbound_message)",
        "I3", "for 2 segments at item",
    ),
    "a charged reply is gone": Corruption(
        "DELETE FROM inbound_message WHERE inbound_id = (SELECT min(inbound_id) FROM inbound_message)",
        "I2", "replies have 4 messages",
    ),
    "a message is gone": Corruption(
        f"DELETE FROM sent WHERE message_id = {FIRST_SENT}", "I2", "rows have",
    ),
    "a message is added": Corruption(
        "INSERT INTO sent (merchant_id, message_id, segment, carrier_id, status, segments, sell_item_id, "
        "sell_micros, "
        "cost_item_id, cost_micros, sent_at) SELECT merchant_id, message_id + 7000, segment, carrier_id, "
        "status, segments, "
        "sell_item_id, sell_micros, cost_item_id, cost_micros, sent_at FROM sent WHERE message_id = "
        f"{FIRST_SENT}",
        "I2", "rows have",
    ),
    "an accepted message is called refused": Corruption(
        "UPDATE sent SET status = 88 WHERE message_id = "
        f"{FIRST_SENT}", "I6", "was not accepted and has a price",
    ),
    "a message is a micro dearer": Corruption(
        "UPDATE sent SET sell_micros = sell_micros + 1 WHERE message_id = "
        f"{FIRST_SENT}", "I3", "sell 45001 micros",
    ),
    "a message costs a micro more": Corruption(
        "UPDATE sent SET cost_micros = cost_micros + 1 WHERE message_id = "
        f"{FIRST_SENT}", "I3", "cost 30001 micros",
    ),
    "a message has a segment more": Corruption(
        "UPDATE sent SET segments = segments + 1 WHERE message_id = "
        f"{FIRST_SENT}", "I3", "45000 x 2 are 90000",
    ),
    "a message is priced by a version that is over": Corruption(
        "UPDATE sent SET sell_item_id = 11 WHERE message_id = "
        f"{FIRST_SENT}", "I3", "of version 1, which was not in force",
    ),
    "a message is sold at a price of costs": Corruption(
        f"UPDATE sent SET sell_item_id = 2000, sell_micros = 30000 WHERE message_id = {FIRST_SENT}",
        "I3", "is a mt price of side cost",
    ),
    "a message is priced by an item that nobody published": Corruption(
        "UPDATE sent SET sell_item_id = 999999 WHERE message_id = "
        f"{FIRST_SENT}", "I3", "is no published price",
    ),
    "a published price is changed": Corruption(
        "UPDATE price_item SET unit_micros = 44000 WHERE item_id = 1000", "I4", "version 2 of list 1",
    ),
    "a published price is taken away": Corruption(
        "DELETE FROM price_item WHERE item_id = 1001", "I4", "version 2 of list 1",
    ),
    "a price is added to a published version": Corruption(
        "INSERT INTO price_item (item_id, price_list_id, version, direction, network, unit_micros) "
        "VALUES (3000, 2, 2, 'mt', '20801', 1)",
        "I4", "version 2 of list 2",
    ),
    "a published version starts at another instant": Corruption(
        "UPDATE price_version SET effective_from = effective_from - interval '1 second' WHERE "
        "(price_list_id, version) = (1, 2)",
        "I4", "version 2 of list 1",
    ),
    "a published price is charged on delivery after all": Corruption(
        "UPDATE price_item SET basis = 'delivered' WHERE item_id = 1000", "I4", "version 2 of list 1",
    ),
    "a charge is given back that never was": Corruption(
        "INSERT INTO charge_reversal (merchant_id, message_id, segment, posting_id, reason, at) "
        f"VALUES (7, {FIRST_SENT} + 9000, 0, 1, 'a test', now())",
        "I5", "was given back and never charged",
    ),
    "a charge is given back and the ledger knows nothing of it": Corruption(
        "INSERT INTO charge_reversal (merchant_id, message_id, segment, posting_id, reason, at) "
        "SELECT merchant_id, message_id, segment, 1, 'a test', now() FROM sent WHERE message_id = "
        f"{FIRST_SENT}",
        "I2", "rows have",
    ),
    "a counter is one more": Corruption(
        "UPDATE campaign_counter SET n = n + 1 WHERE kind = 'accepted'", "I16", "the counter has 25 accepted",
    ),
}  # fmt: skip

# What the ledger has more than the rows, in messages, segments and micros, of the group that is named.
MORE_IN_THE_LEDGER = {
    "a posting counts a message more": (1, 0, 0),
    "a message is gone": (1, 1, 45_000),
    "a message is added": (-1, -1, -45_000),
    "a charge is given back and the ledger knows nothing of it": (1, 1, 45_000),
}
TOLD = re.compile(
    r"merchant 7, carrier 1, revenue, item 1000, accepted from \S+: "
    r"rows have (\d+) messages, (\d+) segments, (\d+) micros, the ledger (\d+), (\d+), (\d+)"
)


@pytest.fixture(scope="module")
def books(postgres_server: EmbeddedPostgres) -> Iterator[dict[str, Any]]:
    """Make the books once, and return how to connect to them as one who may do anything."""
    with made_once(postgres_server, write_books) as arguments:
        yield arguments


async def test_books_that_flows_made_hold_in_every_proof(books: dict[str, Any]) -> None:
    assert await found_after(books, "") == {}


@pytest.mark.parametrize("name", CORRUPTIONS)
async def test_a_corruption_is_found_and_its_first_row_named(books: dict[str, Any], name: str) -> None:
    first = await first_found(books, CORRUPTIONS[name])
    assert CORRUPTIONS[name].names in first


@pytest.mark.parametrize("name", MORE_IN_THE_LEDGER)
async def test_the_first_wrong_group_is_named_with_what_differs(books: dict[str, Any], name: str) -> None:
    first = await first_found(books, CORRUPTIONS[name])
    told = TOLD.fullmatch(first)
    assert told is not None, first
    rows, ledger = ([int(number) for number in half] for half in (told.groups()[:3], told.groups()[3:]))
    assert tuple(more - less for more, less in zip(ledger, rows, strict=True)) == MORE_IN_THE_LEDGER[name]


async def test_an_empty_database_holds(database: Database) -> None:
    looked = await PgVerify(database).looked()
    assert looked.counts == (0, 0, 0)
    assert {finding.invariant for finding in looked.findings} <= set(INVARIANTS)
    assert looked.broken == []
