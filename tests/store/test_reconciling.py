"""A carrier's month against ours in the database: every row has one reason, a file counts once."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from smsgate.billing import reconciliation
from smsgate.billing.bill_differences import Difference, Reason
from smsgate.billing.carrier_files import CarrierFile, FileTerms
from smsgate.billing.networks import default_table
from smsgate.billing.reconciliation import Tolerance, Verdict
from smsgate.errors import Invalid, NotFound
from smsgate.flows import reconciling as reconciling_flow
from smsgate.flows.commerce_records import PageAsk
from smsgate.flows.dispute_pack import LETTER, MANIFEST, MESSAGES, SEALED, SUMS, MatchFile, write_pack
from smsgate.flows.margins import By, Margins
from smsgate.flows.pricing import Pricing
from smsgate.flows.reconciling import BillQuestion, BillResult, Reconciling
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.security.proof_chain import ProofKey, verify
from smsgate.security.public_ids import Kind, PublicIds
from smsgate.store.margins import PgMargins
from smsgate.store.pool import Database
from smsgate.store.portability import PgPortability
from smsgate.store.reconciling import PgReconciling
from smsgate.store.usage import PgPriceData
from tests.store.books import CARRIER, IN_OCTOBER, ITEM, OCTOBER, Books, some_books

SHOP, OTHER = 7, 8
COST, DELIVERED_COST = 31, 32
UNIT = 30_000
MONTH_END = datetime.fromisoformat("2026-11-01T00:00:00+00:00")


async def a_month(database: Database) -> Books:
    books = await some_books(database)
    await books.partitions(IN_OCTOBER + timedelta(days=3), MONTH_END - timedelta(days=1), MONTH_END)
    await books.prices((COST, "mt", "*", UNIT), list_id=3, side="cost")
    await books.prices((DELIVERED_COST, "mt", "*", 20_000), list_id=4, side="cost", basis="delivered")
    await books.execute("INSERT INTO carrier (carrier_id, name) VALUES ($1, 'sim'), (2, 'other')", CARRIER)
    for merchant_id in (SHOP, OTHER):
        await books.merchant(merchant_id)
    return books


async def took(books: Books, merchant_id: int, count: int, **more: Any) -> list[str]:
    """Return the carrier's ids of messages to 33612345678, which is of network 20810."""
    ids = await books.take(merchant_id, count, **{"cost": (COST, UNIT), **more})
    await books.write_messages(merchant_id, ids)
    return [f"{id_:X}" for id_ in ids]


def a_bill(rows: list[tuple[str, datetime, int, str]], *, header: str = "id,at,parts,cost,mccmnc") -> str:
    lines = [f"{id_},{at.isoformat()},{parts},{cost},20810" for id_, at, parts, cost in rows]
    return "\n".join([header, *lines, ""])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def reconciling(books: Books) -> Reconciling:
    return Reconciling(
        PgReconciling(books.database), PgPortability(books.database), default_table(), books.clock,
        lambda: next(books.ids),
    )  # fmt: skip


async def reconciled(
    books: Books, text: str, *writers: MatchFile, invoiced: int | None = None, carrier: str = "sim"
) -> BillResult:
    question = BillQuestion(
        carrier, OCTOBER, "UTC", "EUR", Tolerance(1_000_000, 0), "bill.csv",
        hashlib.sha256(text.encode()).digest(), invoiced,
    )  # fmt: skip
    bill = CarrierFile(text.splitlines(keepends=True), "bill.csv", FileTerms(), "EUR")
    return await reconciling(books).reconcile(question, bill, writers)


async def test_a_bill_that_is_ours_is_accepted_whatever_its_order_and_spelling(database: Database) -> None:
    books = await a_month(database)
    ids = await took(books, SHOP, 5, segments=2) + await took(books, OTHER, 4, segments=2)
    await took(books, SHOP, 3, accepted_at=MONTH_END + timedelta(hours=1))  # of the carrier's November
    rows = [(f"00{id_}", IN_OCTOBER, 2, "0.06") for id_ in reversed(ids)]
    result = await reconciled(books, a_bill(rows))
    assert (result.verdict, result.counts) == (Verdict.ACCEPTED, {"matched": 9})
    assert result.our_micros == result.invoiced_micros == 9 * 60_000
    assert result.lines == [Difference("20810", UNIT, UNIT, 18, 18, 540_000, 540_000)]
    assert await books.value("SELECT count(*) FROM carrier_record") == 0


async def test_every_row_that_differs_has_its_reason_and_the_pack_proves_itself(
    database: Database, tmp_path: Path
) -> None:
    books = await a_month(database)
    ids = await took(books, SHOP, 6)
    free = await took(books, OTHER, 2, cost=(DELIVERED_COST, 20_000))
    message_id = int(free[0], 16)
    await books.receipt(OTHER, message_id, ReceiptState.UNDELIV, IN_OCTOBER, recorded_at=IN_OCTOBER)
    text = a_bill([
        (ids[0], IN_OCTOBER, 1, "0.03"),
        (ids[1], IN_OCTOBER, 1, "0.035"),
        (ids[2], IN_OCTOBER, 2, "0.06"),
        (ids[3], IN_OCTOBER, 1, "0.03"),
        (ids[3], IN_OCTOBER + timedelta(hours=2), 1, "0.03"),
        (ids[4], MONTH_END, 1, "0.03"),  # the carrier has it in November
        ("ffff", IN_OCTOBER, 1, "0.03"),
        (free[0], IN_OCTOBER, 1, "0.02"),
    ])  # fmt: skip
    messages, everything = (
        MatchFile(tmp_path / MESSAGES),
        MatchFile(tmp_path / "all.csv", PublicIds(bytes(32))),
    )
    result = await reconciled(books, text, messages, everything)
    everything.close()
    assert result.counts == {
        "matched": 2, "price_differs": 1, "segments_differ": 1, "duplicate": 1, "cut_off": 1,
        "only_carrier": 1, "not_owed": 1, "only_ours": 1,
    }  # fmt: skip
    assert result.our_micros == 5 * UNIT  # without what lies in November, and what was not delivered
    assert result.invoiced_micros == 30_000 + 35_000 + 60_000 + 60_000 + 30_000 + 20_000
    assert result.verdict is Verdict.DISPUTE
    assert sum(line.difference_micros for line in result.lines) == result.difference_micros
    key = ProofKey(bytes(range(32)))
    manifest = write_pack(tmp_path, result, messages, key, "Passerelle SAS")
    rows = rows_of(tmp_path / MESSAGES)
    assert Counter(row["reason"] for row in rows) + Counter({"matched": 2}) == Counter(result.counts)
    by_id = {row["message_id"]: row for row in rows if row["reason"] != "duplicate"}
    assert by_id[ids[1].lower()]["difference"] == "0.005"
    assert by_id[free[0].lower()]["receipt"] == "UNDELIV"
    for name, told in manifest["files"].items():
        octets = (tmp_path / name).read_bytes()
        assert (len(octets), hashlib.sha256(octets).hexdigest()) == (told["octets"], told["sha256"])
    for line in (tmp_path / SUMS).read_text().splitlines():
        sha256, name = line.split("  ")
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == sha256
    sealed = (tmp_path / SEALED).read_bytes()
    assert verify(sealed, key.public).wrong is None
    assert verify(sealed.replace(b'"dispute"', b'"accepted"', 1)).wrong == 1
    assert orjson.loads((tmp_path / MANIFEST).read_bytes())["messages"] == result.counts
    letter = (tmp_path / LETTER).read_text()
    assert f", SHA-256 {result.file_sha256.hex()}, rows: 8.\n" in letter  # also of one row
    assert "You ask 0.235 EUR. We count 0.15 EUR." in letter
    assert "not_owed (1): charged on delivery only" in letter
    for name in (MESSAGES, LETTER, MANIFEST, "lines.csv"):  # nothing that is not the carrier's business
        text = (tmp_path / name).read_text()
        assert [word for word in ("33612345678", "shop-7", "msg_", "0.045") if word in text] == []
    own = rows_of(tmp_path / "all.csv")
    assert len(own) == sum(result.counts.values())
    assert own[0]["message"].startswith("msg_") or own[0]["message"] == ""
    known = {row["message"] for row in own}
    assert PublicIds(bytes(32)).encode(Kind.MESSAGE, int(ids[5], 16)) in known


@pytest.mark.parametrize(
    ("again", "verdict"),
    [(1, Verdict.ACCEPTED), (2, Verdict.DISPUTE), (50, Verdict.DISPUTE)],  # 0.03 of 3.00 is tolerated
)
async def test_messages_of_another_month_that_a_file_asks_for_again_are_disputed(
    database: Database, tmp_path: Path, again: int, verdict: Verdict
) -> None:
    books = await a_month(database)
    september = datetime.fromisoformat("2026-09-30T12:00:00+00:00")
    await books.partitions(september)
    billed_before = await took(books, SHOP, 50, accepted_at=september)
    ids = await took(books, SHOP, 100)
    rows = [(id_, IN_OCTOBER, 1, "0.03") for id_ in ids]
    rows += [(id_, september, 1, "0.03") for id_ in billed_before[:again]]
    messages = MatchFile(tmp_path / MESSAGES)
    result = await reconciled(books, a_bill(rows), messages)
    assert (result.our_micros, result.invoiced_micros) == (3_000_000, 3_000_000)
    assert (result.counts, result.verdict) == ({"matched": 100, "cut_off": again}, verdict)
    write_pack(tmp_path, result, messages, ProofKey(bytes(range(32))), "Passerelle SAS")
    letter = (tmp_path / LETTER).read_text()
    assert ("With the messages of other months" in letter) is (verdict is Verdict.DISPUTE)
    assert f"cut_off ({again}): it lies in another month" in letter
    # Who says what the invoice asks is asked for no more by the file.
    told = await reconciled(books, a_bill(rows), invoiced=3_000_000)
    assert told.verdict is Verdict.ACCEPTED


async def test_a_file_counts_once_and_is_listed_with_its_lines(database: Database) -> None:
    books = await a_month(database)
    ids = await took(books, SHOP, 2)
    text = a_bill([(id_, IN_OCTOBER, 1, "0.03") for id_ in ids])
    first, again = await reconciled(books, text), await reconciled(books, text)
    assert (first.is_new, again.is_new, again.reconciliation_id) == (True, False, first.reconciliation_id)
    await took(books, SHOP, 1)
    other = await reconciled(books, text + "beef,2026-10-05T08:00:00Z,1,9.00,20810\n")
    assert other.is_new
    page = await reconciling(books).page(PageAsk(10))
    assert [row.reconciliation_id for row in page.rows] == [other.reconciliation_id, first.reconciliation_id]
    assert await reconciling(books).get(first.reconciliation_id) == first
    with pytest.raises(NotFound):
        await reconciling(books).get(4_711)


async def test_ids_that_a_carrier_uses_twice_are_paired_one_by_one(database: Database) -> None:
    books = await a_month(database)
    ids = await took(books, SHOP, 1) + await took(books, SHOP, 1, accepted_at=IN_OCTOBER + timedelta(days=3))
    await books.execute("UPDATE sent SET smsc_id = 'a1'")
    assert len(ids) == 2
    rows = [("A1", IN_OCTOBER, 1, "0.03"), ("a1", IN_OCTOBER + timedelta(days=3), 1, "0.03")]
    assert (await reconciled(books, a_bill(rows))).counts == {"matched": 2}
    assert (await reconciled(books, a_bill([*rows, rows[0]]))).counts == {"matched": 2, "duplicate": 1}
    assert (await reconciled(books, a_bill(rows[:1]))).counts == {"matched": 1, "only_ours": 1}


@pytest.mark.parametrize("reverse", [False, True])
async def test_a_line_for_each_part_of_a_long_message_is_that_message(
    database: Database, reverse: bool
) -> None:
    books = await a_month(database)
    three, two, short, single = [
        (await took(books, SHOP, 1, segments=segments))[0] for segments in (3, 2, 3, 1)
    ]

    def part(id_: str, second: int, cost: str = "0.03") -> tuple[str, datetime, int, str]:
        return id_, IN_OCTOBER + timedelta(seconds=second), 1, cost

    rows = [
        *(part(three, second) for second in (0, 0, 1)),
        *(part(two, second) for second in (0, 1, 2)),  # a line too many
        *(part(short, second) for second in (0, 1)),  # a line too few
        part(single, 0),
        part(single, 0),
    ]
    result = await reconciled(books, a_bill(rows[::-1] if reverse else rows))
    assert result.counts == {"matched": 3, "duplicate": 2, "segments_differ": 1}
    assert (result.our_micros, result.invoiced_micros) == (9 * UNIT, 10 * UNIT)


async def test_parts_that_were_sent_one_by_one_are_matched_by_their_own_ids(database: Database) -> None:
    books = await a_month(database)
    (first,) = await took(books, SHOP, 1)
    await books.execute(
        "INSERT INTO sent (merchant_id, message_id, segment, carrier_id, status, segments, smsc_id, "
        "sell_item_id, sell_micros, cost_item_id, cost_micros, sent_at) "
        "SELECT merchant_id, message_id, segment + 1, carrier_id, status, segments, 'beef', sell_item_id, "
        "sell_micros, cost_item_id, cost_micros, sent_at FROM sent"
    )
    result = await reconciled(books, a_bill([(id_, IN_OCTOBER, 1, "0.03") for id_ in (first, "BEEF")]))
    assert (result.verdict, result.counts) == (Verdict.ACCEPTED, {"matched": 2})


@pytest.mark.parametrize("id_", ["0", "0000", "00a0"])
async def test_an_id_of_zeros_is_one_and_leading_zeros_are_none(database: Database, id_: str) -> None:
    books = await a_month(database)
    await took(books, SHOP, 1)
    await books.execute("UPDATE sent SET smsc_id = convert_to($1, 'UTF8')", id_)
    for other in (id_, id_.replace("00", "0").upper()):
        assert (await reconciled(books, a_bill([(other, IN_OCTOBER, 1, "0.03")]))).counts == {"matched": 1}


async def test_an_id_that_a_carrier_gives_to_all_its_messages_is_paired_row_by_row(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of ours with each of theirs would be a million rows for a thousand messages."""
    monkeypatch.setattr(reconciling_flow, "SAME_ID_MAX", 64)
    books = await a_month(database)
    await took(books, SHOP, 1_000)
    await books.execute("UPDATE sent SET smsc_id = 'same'")
    result = await reconciled(books, a_bill([("same", IN_OCTOBER, 1, "0.03")] * 1_000))
    assert (result.verdict, result.counts) == (Verdict.ACCEPTED, {"matched": 1_000})


async def test_a_bill_with_more_prices_or_lines_than_any_bill_has_is_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling_flow, "LINES_MAX", 5)
    monkeypatch.setattr(reconciliation, "PRICES_MAX", 5)
    books = await a_month(database)
    for count, refused in ((5, False), (6, True)):
        rows = [(f"{n}", IN_OCTOBER, 1, f"0.0{n + 1}") for n in range(count)]
        lines = "".join(f"20801,1,0.0{n + 1}\n" for n in range(count))
        for text in (a_bill(rows), f"network,quantity,price\n{lines}"):
            if not refused:
                assert (await reconciled(books, text)).file_rows == count
                continue
            with pytest.raises(Invalid, match="more than 5") as caught:
                await reconciled(books, text)
            assert caught.value.code == "bill_invalid"
    assert await books.value("SELECT count(*) FROM carrier_record") == 0


async def test_a_bill_without_messages_is_compared_by_network_and_price(database: Database) -> None:
    books = await a_month(database)
    await took(books, SHOP, 10, segments=2)
    text = "network,quantity,price\n208,25,0.031\n"
    result = await reconciled(books, text)
    (line,) = result.lines
    assert (line.network, line.reason, line.our_segments, line.their_segments) == (
        "208", Reason.COUNT_AND_PRICE, 20, 25,
    )  # fmt: skip
    assert (line.count_micros, line.price_micros) == (5 * UNIT, 25 * 1_000)
    assert (result.by_message, result.counts, result.difference_micros) == (False, {}, 175_000)
    told = await reconciled(
        books, text + "*,1,0\n", invoiced=20 * UNIT
    )  # what it asks, not what its lines say
    assert told.verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("invoiced", "verdict"),
    [
        (101_000_000, Verdict.ACCEPTED),  # 1 % above is what is tolerated
        (101_000_001, Verdict.DISPUTE),
        (99_000_000, Verdict.ACCEPTED),
        (98_999_999, Verdict.UNDERBILLED),
    ],
)
async def test_what_is_equal_to_the_tolerance_is_accepted(
    database: Database, invoiced: int, verdict: Verdict
) -> None:
    books = await a_month(database)
    await took(books, SHOP, 1, segments=100, cost=(COST, 1_000_000))
    result = await reconciled(books, "network,quantity,price\n*,100,1\n", invoiced=invoiced)
    assert (result.our_micros, result.verdict) == (100_000_000, verdict)


async def test_other_carriers_messages_and_empty_files_are_nothing(database: Database) -> None:
    books = await a_month(database)
    ids = await took(books, SHOP, 2)
    text = a_bill([(id_, IN_OCTOBER, 1, "0.03") for id_ in ids])
    assert (await reconciled(books, text, carrier="other")).counts == {"only_carrier": 2}
    with pytest.raises(NotFound):
        await reconciled(books, text, carrier="nobody")
    with pytest.raises(Invalid, match="no rows"):
        await reconciled(books, a_bill([]))
    assert await books.value("SELECT count(*) FROM carrier_record") == 0


async def test_margins_add_up_to_the_ledger_by_whatever_is_asked(database: Database) -> None:
    books = await a_month(database)
    await took(books, SHOP, 10, segments=2)  # 0.045 against 0.03
    await took(books, OTHER, 4, item=(ITEM, 45_000), cost=(COST, 50_000))  # sold below cost
    await books.take(OTHER, 3)  # nobody knows what it costs
    await took(books, SHOP, 5, accepted_at=MONTH_END - timedelta(minutes=30))  # November in Paris
    pricing = Pricing(PgPriceData(database), books.clock)
    margins = Margins(PgMargins(database), pricing, books.clock, lambda: ["List 3"])
    report = await margins.report(OCTOBER, By.MERCHANT)
    assert [
        (row.merchant, row.margin_micros, row.loses, row.uncosted_segments) for row in report.margins
    ] == [
        ("shop-8", 7 * 45_000 - 4 * 50_000, False, 3),
        ("shop-7", 20 * 15_000, False, 0),
    ]
    by_carrier = (await margins.report(OCTOBER, By.CARRIER)).margins
    assert [(row.carrier, row.revenue_micros, row.cost_micros) for row in by_carrier] == [
        ("sim", 27 * 45_000, 20 * UNIT + 4 * 50_000)
    ]
    (only,) = (await margins.report(OCTOBER, By.CAMPAIGN, SHOP)).margins
    assert (only.merchant, only.campaign_id, only.messages) == ("shop-7", None, 10)
    assert report.losses == []


async def test_a_price_in_force_below_a_cost_in_force_is_in_the_report(database: Database) -> None:
    books = await a_month(database)
    await books.prices((41, "mt", "20801", 50_000), list_id=5, side="cost")
    pricing = Pricing(PgPriceData(database), books.clock)
    margins = Margins(PgMargins(database), pricing, books.clock, lambda: ["List 5"])
    (loss,) = (await margins.report(OCTOBER, By.MERCHANT)).losses
    assert (loss.found.network, loss.found.sell_micros, loss.found.cost_micros, loss.found.cost_list) == (
        "20801", 45_000, 50_000, "List 5",
    )  # fmt: skip
