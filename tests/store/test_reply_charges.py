"""Replies are charged by the segment, once, and what was charged stands with each of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smsgate.billing.prices import Direction, PriceBook, PriceItem, PriceVersion
from smsgate.demo.case_replies import CaseReplies
from smsgate.errors import DomainError, SmsgateError
from smsgate.flows.documents import Documents
from smsgate.flows.exporting import CsvRows, Exporting, ExportQuestion, Manifest
from smsgate.flows.reversals import Reversing
from smsgate.ids import first_id_at
from smsgate.security.public_ids import PublicIds
from smsgate.store.issued import PgDocuments
from smsgate.store.offers import PgOffers
from smsgate.store.pool import Database
from smsgate.store.reversals import PgReversals
from smsgate.store.usage_records import PgUsageRecords
from smsgate.store.verify import PgVerify
from tests.store.books import CARRIER, CLOSE_AT, IN_OCTOBER, OCTOBER, SELLER, Books, some_books

SHOP = 7
MO_ITEM, DEARER = 31, 32
MSISDN = 33_612_345_678
DEARER_FROM = datetime(2026, 10, 20, tzinfo=UTC)
BOOK = PriceBook(
    3,
    "EUR",
    [
        PriceVersion(1, datetime(2025, 1, 1, tzinfo=UTC), [PriceItem(MO_ITEM, Direction.MO, "*", 12_300)]),
        PriceVersion(2, DEARER_FROM, [PriceItem(DEARER, Direction.MO, "*", 20_000)]),
    ],
)


async def a_shop(database: Database) -> Books:
    """Return books, a second before the close, of a merchant that has no list any more."""
    books = await some_books(database, now=CLOSE_AT - timedelta(seconds=1))
    await books.merchant(SHOP)
    await books.prices((MO_ITEM, "mo", "*", 12_300), list_id=3)
    await books.execute(
        "INSERT INTO price_version (price_list_id, version, effective_from, source_sha256) "
        "VALUES (3, 2, $1, '')",
        DEARER_FROM,
    )
    await books.execute(
        "INSERT INTO price_item (item_id, price_list_id, version, direction, network, unit_micros) "
        "VALUES ($1, 3, 2, 'mo', '*', 20000)",
        DEARER,
    )
    return books


async def hear(books: Books, count: int, segments: int, received_at: datetime = IN_OCTOBER) -> list[int]:
    """Take replies as the intake does, at the instant of the books' clock."""
    first = first_id_at(int(received_at.timestamp() * 1000)) + next(books.ids) * 1_000
    ids = list(range(first, first + count))
    replies = CaseReplies(books.database, books.clock, lambda: next(books.ids), CARRIER, MSISDN)
    await replies.receive(SHOP, ids, network="20801", book=BOOK, segments=segments, received_at=received_at)
    return ids


async def export(books: Books, path: Path) -> Manifest:
    exporting = Exporting(PgUsageRecords(books.database), PublicIds(bytes(32)))
    question = ExportQuestion(await PgOffers(books.database).merchant(SHOP), OCTOBER, "EUR")
    return await exporting.write(question, path, CsvRows, now=CLOSE_AT)


async def wrong(books: Books) -> list[tuple[str, str | None]]:
    broken = (await PgVerify(books.database).looked()).broken
    return [(each.invariant, each.first) for each in broken if each.invariant != "I4"]


async def test_a_long_reply_is_charged_by_its_segments_at_the_price_of_the_instant_at_which_it_came(
    database: Database, tmp_path: Path
) -> None:
    books = await a_shop(database)  # its clock stands after both versions
    await hear(books, 3, 1)
    await hear(books, 2, 3)
    await hear(books, 1, 2, DEARER_FROM)
    assert await books.rows(
        "SELECT item_id, sum(messages)::int, sum(segments)::int, -sum(amount_micros)::int FROM ledger_entry "
        "WHERE direction = 'mo' AND account = 'revenue' GROUP BY 1 ORDER BY 1"
    ) == [(MO_ITEM, 5, 9, 9 * 12_300), (DEARER, 1, 2, 40_000)]
    assert await books.rows(
        "SELECT segments, sell_item_id, sell_micros FROM inbound_message ORDER BY inbound_id"
    ) == [(1, MO_ITEM, 12_300)] * 3 + [(3, MO_ITEM, 36_900)] * 2 + [(2, DEARER, 40_000)]
    manifest = await export(books, tmp_path / "october.csv")
    assert manifest.equal
    assert manifest.values["sums"] == [{"direction": "mo", "messages": 6, "segments": 11, "amount": "0.1507"}]
    assert await wrong(books) == []
    books.go_to(CLOSE_AT)
    await books.closing().close(SHOP, OCTOBER)
    assert await books.lines(SHOP) == [
        ("2026-10", "380", "2026-10", 9, 12_300, 11),
        ("2026-10", "380", "2026-10", 2, 20_000, 4),
    ]


async def test_a_reply_that_is_decided_after_the_close_is_late_and_of_the_month_in_which_it_came(
    database: Database,
) -> None:
    books = await a_shop(database)
    await hear(books, 1, 1)
    books.go_to(CLOSE_AT)
    await books.closing().close(SHOP, OCTOBER)
    books.clock.advance(60)
    await hear(books, 2, 1)
    books.go_to(datetime(2026, 12, 5, tzinfo=UTC))
    await books.closing().close(SHOP, OCTOBER.next())
    assert (await books.lines(SHOP))[1:] == [("2026-11", "380", "2026-10", 2, 12_300, 2)]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE inbound_message SET sell_micros = sell_micros + 1 WHERE inbound_id = $1",
        "UPDATE inbound_message SET segments = 2 WHERE inbound_id = $1",
        "UPDATE inbound_message SET sell_item_id = 0 WHERE inbound_id = $1",
        "DELETE FROM inbound_message WHERE inbound_id = $1",
    ],
)
async def test_no_month_closes_whose_replies_are_not_those_of_the_ledger(
    database: Database, sql: str
) -> None:
    books = await a_shop(database)
    ids = await hear(books, 3, 1)
    await books.execute(sql, ids[1])
    books.go_to(CLOSE_AT)
    with pytest.raises(SmsgateError, match="ledger and messages differ at 1 price items"):
        await books.closing().close(SHOP, OCTOBER)
    assert await books.value("SELECT count(*) FROM document") == 0


async def test_a_reply_is_given_back_once_and_has_no_row_then(database: Database, tmp_path: Path) -> None:
    books = await a_shop(database)
    ids = await hear(books, 3, 2)
    reversing = Reversing(PgReversals(books.database, lambda: next(books.ids)), books.clock)
    assert await reversing.reverse(SHOP, ids[:2], "a loop of texts") == 2
    assert await reversing.reverse(SHOP, ids, "a loop of texts") == 1
    assert await reversing.reverse(SHOP, ids, "a loop of texts") == 0
    assert await books.accounts() == {}
    manifest = await export(books, tmp_path / "october.csv")
    assert (manifest.rows, manifest.equal) == (0, True)
    assert await wrong(books) == []


async def test_months_from_before_charges_were_kept_close_by_their_messages_alone(database: Database) -> None:
    books = await a_shop(database)
    await hear(books, 3, 1)
    await books.execute("UPDATE inbound_message SET segments = NULL, sell_item_id = NULL, sell_micros = NULL")
    assert await wrong(books) == []
    books.go_to(CLOSE_AT)
    (row,) = await books.closing().close(SHOP, OCTOBER)
    assert row.net_minor == 4


async def test_a_reply_whose_line_was_credited_by_hand_is_not_given_back_as_well(database: Database) -> None:
    books = await a_shop(database)
    ids = await hear(books, 2, 3)
    books.go_to(CLOSE_AT)
    (row,) = await books.closing().close(SHOP, OCTOBER)
    documents = Documents(PgDocuments(database), SELLER, books.clock, lambda: next(books.ids))
    await documents.credit(await documents.by_number(row.number), [(1, 3)])
    reversing = Reversing(PgReversals(database, lambda: next(books.ids)), books.clock)
    with pytest.raises(DomainError) as refused:
        await reversing.reverse(SHOP, ids, "sent by mistake")
    assert refused.value.code == "reversal_refused"
    assert await reversing.reverse(SHOP, ids[:1], "sent by mistake") == 1
