"""One message's money out of the database: its own posting, its line, who may see what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smsgate.billing.explaining import Explained, ExplainedPart
from smsgate.clock import ManualClock
from smsgate.errors import DomainError, NotFound
from smsgate.flows.explaining import Explaining
from smsgate.flows.reversals import Reversing
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.security.public_ids import Kind, PublicIds
from smsgate.store.explaining import PgExplaining
from smsgate.store.pool import Database
from smsgate.store.reversals import PgReversals
from tests.flows.world import MERCHANT, MO_MICROS
from tests.store.books import (
    CLOSE_AT,
    IN_OCTOBER,
    ITEM,
    NOVEMBER,
    OCTOBER,
    OTHER_ITEM,
    SELLER,
    Books,
    some_books,
)
from tests.store.verified_books import REPLIES, write_books

SHOP, OTHER = 7, 8
DELIVERED_ITEM, COST_ITEM = 21, 31
LATE = datetime(2026, 11, 12, 9, tzinfo=UTC)
IDS = PublicIds(bytes(32))


def explaining(books: Books) -> Explaining:
    return Explaining(PgExplaining(books.database, str), IDS, SELLER)


async def explained(books: Books, message_id: int, merchant_id: int | None = None) -> Explained:
    asked = IDS.encode(Kind.MESSAGE, message_id)
    return (await explaining(books).explain(asked, merchant_id)).explained


async def one_part(books: Books, message_id: int) -> ExplainedPart:
    (part,) = (await explained(books, message_id)).parts
    return part


async def a_shop(database: Database) -> Books:
    books = await some_books(database)
    await books.prices((DELIVERED_ITEM, "mt", "20810", 50_000), list_id=2, basis="delivered")
    await books.prices((COST_ITEM, "mt", "*", 30_000), list_id=3, side="cost")
    for merchant_id in (SHOP, OTHER):
        await books.merchant(merchant_id)
    return books


async def test_the_posting_is_that_of_its_own_flush_among_others_alike(database: Database) -> None:
    books = await a_shop(database)
    groups = [await books.take(SHOP, count, segments=2, cost=(COST_ITEM, 30_000)) for count in (3, 5, 7)]
    for ids in groups:
        await books.write_messages(SHOP, ids)
    for ids in groups:
        part = await one_part(books, ids[1])
        (posted,) = part.facts.postings
        assert (posted.messages, posted.amount_micros) == (len(ids), len(ids) * 90_000)
        entry = await books.rows(
            "SELECT -amount_micros FROM ledger_entry WHERE posting_id = $1 AND account = 'revenue'",
            int(posted.name),
        )
        assert entry == [(len(ids) * 90_000,)]
        assert (part.amount_micros, part.cost_micros, part.margin_micros) == (90_000, 60_000, 30_000)
        assert part.wrong == ()


async def test_a_posting_written_with_its_receipt_is_of_others_when_acceptance_is_charged(
    database: Database,
) -> None:
    books = await a_shop(database)
    ids = await books.take(SHOP, 2)
    await books.take(SHOP, 3, receipts_of=ids[:1])
    await books.write_messages(SHOP, ids)
    part = await one_part(books, ids[0])
    assert part.facts.receipt is not None
    assert [posted.messages for posted in part.facts.postings] == [2]


async def test_where_no_row_tells_its_transaction_all_postings_alike_are_told(database: Database) -> None:
    books = await a_shop(database)
    ids = await books.take(SHOP, 3)
    await books.take(SHOP, 5)
    await books.take(SHOP, 9, accepted_at=IN_OCTOBER + timedelta(hours=1))  # another quarter of an hour
    await books.take(OTHER, 9)
    await books.write_messages(SHOP, ids)
    await books.execute("UPDATE sent SET reason = NULL")  # as a dump that was loaded: written by another one
    part = await one_part(books, ids[0])
    assert [posted.messages for posted in part.facts.postings] == [3, 5]
    assert part.period == OCTOBER
    assert any(fact.sentence.startswith("One of these postings") for fact in part.told)


async def test_its_line_on_the_invoice_and_the_credit_of_it_are_named(database: Database) -> None:
    books = await a_shop(database)
    ids = await books.take(SHOP, 7)
    await books.write_messages(SHOP, ids)
    assert (await one_part(books, ids[0])).lines == ()
    (row,) = await books.closing().close(SHOP, OCTOBER)
    part = await one_part(books, ids[0])
    (line,) = part.lines
    assert (line.number, line.line, line.quantity, line.net) == (row.number, 1, 7, "0.32")
    assert (part.period, part.late) == (OCTOBER, False)


async def test_a_receipt_after_the_close_is_late_and_on_the_next_invoice(database: Database) -> None:
    books = await a_shop(database)
    ids = await books.take(SHOP, 2, item=(DELIVERED_ITEM, 50_000), by_receipt=True)
    await books.write_messages(SHOP, ids)
    waiting = await one_part(books, ids[0])
    assert (waiting.charged, waiting.facts.postings) == (False, ())
    await books.take(SHOP, 1)
    await books.closing().close(SHOP, OCTOBER)
    late = CLOSE_AT + timedelta(hours=3)
    await books.receipt(SHOP, ids[0], ReceiptState.DELIVRD, late, recorded_at=late)
    await books.receipt(SHOP, ids[1], ReceiptState.UNDELIV, late, recorded_at=late)
    part = await one_part(books, ids[0])
    assert (part.charged, part.period, part.late, part.lines) == (True, NOVEMBER, True, ())
    assert [posted.messages for posted in part.facts.postings] == [1]
    assert not (await one_part(books, ids[1])).charged
    books.go_to(datetime(2026, 12, 5, tzinfo=UTC))
    await books.closing().close(SHOP, NOVEMBER)
    (line,) = (await one_part(books, ids[0])).lines
    assert (line.number, line.month, line.quantity) == ("F-2026-000002", NOVEMBER, 1)


@pytest.mark.parametrize("closed", [False, True])
async def test_a_charge_of_before_the_first_month_that_is_billed_is_in_that_month(
    database: Database, closed: bool
) -> None:
    books = await a_shop(database)
    in_september = datetime(2026, 9, 30, 10, tzinfo=UTC)
    await books.partitions(in_september)
    ids = [
        *await books.take(SHOP, 1, accepted_at=in_september, item=(DELIVERED_ITEM, 50_000), by_receipt=True),
        *await books.take(SHOP, 1, item=(DELIVERED_ITEM, 50_000), by_receipt=True),
    ]
    await books.write_messages(SHOP, ids)
    for minutes, message_id in enumerate(reversed(ids), 1):  # the first charge is October's
        at = IN_OCTOBER + timedelta(minutes=minutes)
        await books.receipt(SHOP, message_id, ReceiptState.DELIVRD, at, recorded_at=at)
    if closed:
        await books.closing().close_due()
    part = await one_part(books, ids[0])
    assert (part.charged, part.period, part.late) == (True, OCTOBER, False)
    assert [(line.number, line.quantity) for line in part.lines] == [("F-2026-000001", 1)] * closed
    (said,) = [fact.sentence for fact in part.told if fact.name == "period"]
    assert said == "It falls into 2026-10, at its own price and VAT: that is the first month that is billed."
    (document,) = [fact.sentence for fact in part.told if fact.name == "document"]
    assert document.startswith("F-2026-000001 of " if closed else "No line has it: 2026-10 is not billed yet")


async def test_late_charges_and_reversals_that_cancel_out_are_billed_without_a_line(
    database: Database,
) -> None:
    books = await a_shop(database)
    billed = await books.take(SHOP, 2)
    (late,) = await books.take(SHOP, 1, item=(ITEM, 45_000), message_ids=[billed[-1] + 1], recorded_at=LATE)
    await books.write_messages(SHOP, [*billed, late])
    await books.closing().close(SHOP, OCTOBER)
    books.go_to(LATE)
    reversing = Reversing(PgReversals(database, lambda: next(books.ids)), books.clock)
    await reversing.reverse(SHOP, billed[:1], "sent twice")
    before = [fact.sentence for fact in (await one_part(books, late)).told if fact.name == "document"]
    assert before == ["No line has it: 2026-11 is not billed yet."]
    books.go_to(datetime(2026, 12, 5, tzinfo=UTC))
    assert await books.closing().close(SHOP, NOVEMBER) == []
    part = await one_part(books, late)
    assert (part.period, part.late, part.lines) == (NOVEMBER, True, ())
    (said,) = [fact.sentence for fact in part.told if fact.name == "document"]
    assert said == (
        "No line has it: 2026-11 is closed, and what it charges and gives back of this price, month and VAT "
        "cancels out."
    )


async def test_a_charge_that_was_given_back_names_both_postings_and_charges_nothing(
    database: Database,
) -> None:
    books = await a_shop(database)
    ids = await books.take(SHOP, 4)
    await books.write_messages(SHOP, ids)
    await books.closing().close(SHOP, OCTOBER)
    reversing = Reversing(PgReversals(database, lambda: next(books.ids)), books.clock)
    await reversing.reverse(SHOP, ids[:1], "sent twice")
    part = await one_part(books, ids[0])
    assert (part.charged, part.amount_micros) == (True, 0)
    back = part.facts.given_back
    assert back is not None
    assert back.reason == "sent twice"
    assert (
        await books.value(
            "SELECT amount_micros FROM ledger_entry WHERE posting_id = $1 AND account = 'revenue'",
            int(back.name),
        )
        == 45_000
    )
    assert [posted.messages for posted in part.facts.postings] == [4]


async def test_a_charge_given_back_is_told_though_a_receipt_has_taken_it_away_since(
    database: Database,
) -> None:
    books = await a_shop(database)
    (message_id,) = await books.take(SHOP, 1, item=(DELIVERED_ITEM, 50_000), by_receipt=True)
    await books.write_messages(SHOP, [message_id])
    later = IN_OCTOBER + timedelta(minutes=5)
    await books.receipt(SHOP, message_id, ReceiptState.DELIVRD, later, recorded_at=later)
    reversing = Reversing(PgReversals(database, lambda: next(books.ids)), books.clock)
    await reversing.reverse(SHOP, [message_id], "sent twice")
    await books.receipt(SHOP, message_id, ReceiptState.UNDELIV, IN_OCTOBER, recorded_at=later)
    part = await one_part(books, message_id)
    assert (part.charged, part.amount_micros, part.wrong) == (False, 0, ())
    assert next(fact.sentence for fact in part.told if fact.name == "given_back").endswith(": sent twice.")


async def test_prices_by_quantity_are_told_with_what_their_month_counts(database: Database) -> None:
    books = await a_shop(database)
    await books.execute(
        "UPDATE price_item SET ladder = $2::text::jsonb WHERE item_id = $1",
        ITEM,
        '{"mode": "graduated", "steps": [[1, 45000], [5, 40000]]}',
    )
    ids = await books.take(SHOP, 3, segments=2)
    await books.write_messages(SHOP, ids)
    await books.take(SHOP, 5, item=(OTHER_ITEM, 90_001))  # of another price
    await books.take(OTHER, 5)
    await books.take(SHOP, 5, accepted_at=CLOSE_AT)  # of another month
    reversing = Reversing(PgReversals(database, lambda: next(books.ids)), books.clock)
    assert (
        await step_of(books, ids[0]) == "6 segments of it are charged in its month so far: the step of 0.04"
    )
    await reversing.reverse(SHOP, ids[1:2], "sent twice")
    assert (
        await step_of(books, ids[0]) == "4 segments of it are charged in its month so far: the step of 0.045"
    )


async def step_of(books: Books, message_id: int) -> str:
    part = await one_part(books, message_id)
    (told,) = [fact.sentence for fact in part.told if fact.name == "tier"]
    return told.partition("; ")[2].partition(". A message")[0]


async def test_a_changed_amount_is_found_by_computing_it_again(database: Database) -> None:
    books = await a_shop(database)
    ids = await books.take(SHOP, 2)
    await books.write_messages(SHOP, ids)
    await books.execute("UPDATE sent SET sell_micros = sell_micros + 1 WHERE message_id = $1", ids[0])
    assert (await explained(books, ids[0])).wrong == ("Its price is 0.045001, and 1 x 0.045 is not that.",)
    assert (await explained(books, ids[1])).wrong == ()


async def test_other_merchants_ids_ids_of_nothing_and_other_kinds_are_not_there(database: Database) -> None:
    books = await a_shop(database)
    (message_id,) = await books.take(SHOP, 1)
    await books.write_messages(SHOP, [message_id])
    assert (await explained(books, message_id, SHOP)).parts
    answers = []
    for text, merchant_id in (
        (IDS.encode(Kind.MESSAGE, message_id), OTHER),
        (IDS.encode(Kind.MESSAGE, 42), OTHER),
        (IDS.encode(Kind.MESSAGE, 42), None),
        (IDS.encode(Kind.ORDER, message_id), None),
        ("msg_nonsense", None),
        ("", SHOP),
    ):
        with pytest.raises(NotFound) as refused:
            await explaining(books).explain(text, merchant_id)
        answers.append(str(refused.value))
    assert set(answers) == {"No such object."}


async def test_a_message_whose_person_was_erased_says_so(database: Database) -> None:
    books = await a_shop(database)
    (message_id,) = await books.take(SHOP, 1)
    await books.write_messages(SHOP, [message_id])
    await books.execute("UPDATE message SET msisdn = 0, body = ''")
    with pytest.raises(DomainError) as refused:
        await explained(books, message_id)
    assert (refused.value.code, refused.value.http_status) == ("erased", 410)


async def test_what_real_flows_wrote_is_explained_to_the_last_micro(database: Database) -> None:
    """Messages, parts of a long text and replies: their amounts have the sum of the ledger."""
    await write_books(database)
    books = Books(database, ManualClock(datetime.now(UTC)))
    async with database.bulk() as connection:
        messages = [row[0] for row in await connection.fetch("SELECT DISTINCT message_id FROM sent")]
        replies = [row[0] for row in await connection.fetch("SELECT inbound_id FROM inbound_message")]
    assert len(replies) == REPLIES
    asked = [IDS.encode(Kind.MESSAGE, id_) for id_ in messages]
    asked += [IDS.encode(Kind.INBOUND_MESSAGE, id_) for id_ in replies]
    sums = dict.fromkeys(("mt", "mo"), 0)
    for text in asked:
        found = (await explaining(books).explain(text, MERCHANT)).explained
        assert found.wrong == ()
        for part in found.parts:
            assert len(part.facts.postings) == 1
            sums[found.facts.direction] += part.amount_micros
    assert sums["mo"] == REPLIES * MO_MICROS
    assert list(sums.values()) == [
        -(
            await books.value(
                "SELECT sum(amount_micros)::bigint FROM ledger_entry "
                "WHERE account = 'revenue' AND direction = $1",
                direction,
            )
        )
        for direction in sums
    ]
