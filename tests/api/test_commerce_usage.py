from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from smsgate.security.public_ids import Kind
from tests.api.commerce_setup import Shop

PATH = "/v1/usage/statements"
NOVEMBER = datetime(2026, 11, 15, 12, tzinfo=UTC)


async def post(
    shop: Shop,
    segments: int,
    *,
    at: datetime = NOVEMBER,
    direction: str = "mt",
    campaign_id: int | None = None,
    messages: int | None = None,
) -> None:
    """Write a posting of accepted messages as the flush does."""
    [item] = await shop.fetch(
        "SELECT item_id, unit_micros FROM price_item WHERE direction = $1 ORDER BY item_id DESC LIMIT 1",
        direction,
    )
    posting_id, amount = shop.next_id(), item["unit_micros"] * segments
    for line, (account, signed) in enumerate((("unbilled", amount), ("revenue", -amount))):
        await shop.execute_as_owner(
            "INSERT INTO ledger_entry (merchant_id, posting_id, line, account, currency, amount_micros, "
            "direction, item_id, campaign_id, carrier_id, messages, segments, at, accepted_at) "
            "VALUES ($1, $2, $3, $4, 'EUR', $5, $6, $7, $8, 1, $9, $10, $11, $12)",
            shop.merchant_id, posting_id, line, account, signed, direction, item["item_id"], campaign_id,
            messages if messages is not None else segments, segments, at, at,
        )  # fmt: skip


async def csv_rows(shop: Shop, month: str) -> list[dict[str, str]]:
    answer = await shop.caller.get(f"{PATH}/{month}.csv")
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert all(line.endswith("\r") for line in answer.body.split("\n")[:-1])
    return list(csv.DictReader(io.StringIO(answer.body, newline="")))


async def test_statement_ledger_and_csv_have_the_same_sums(shop: Shop) -> None:
    campaign = await shop.campaign(external_id=None)
    campaign_id = shop.id_of(Kind.CAMPAIGN, campaign["id"])
    await post(shop, 997, campaign_id=campaign_id)
    await post(shop, 3, campaign_id=campaign_id)
    await post(shop, 11)
    await post(shop, 120, direction="mo")
    body = (await shop.caller.get(f"{PATH}/2026-11")).body
    ledger = await shop.fetch(
        "SELECT direction, -sum(amount_micros)::bigint AS micros, sum(segments)::bigint AS segments "
        "FROM ledger_entry WHERE account = 'revenue' GROUP BY 1 ORDER BY 1"
    )
    assert [
        (line["direction"], int(Decimal(line["amount"]) * 1_000_000), line["segments"])
        for line in body["lines"]
    ] == [(row["direction"], row["micros"], row["segments"]) for row in ledger]
    rows = await csv_rows(shop, "2026-11")
    assert sum(Decimal(row["amount"]) for row in rows) == Decimal(body["amount"]) == Decimal("46.695")
    assert sum(int(row["segments"]) for row in rows) == body["segments"] == 1_131
    assert sum(int(row["messages"]) for row in rows) == body["messages"] == 1_131
    assert (body["total"], body["rounding"], body["currency"]) == ("46.70", "0.005", "EUR")
    by_campaign = {row["campaign"]: row["segments"] for row in rows if row["direction"] == "mt"}
    assert by_campaign == {campaign["id"]: "1000", "": "11"}
    for line in body["lines"]:
        assert Decimal(line["unit_price"]) * line["segments"] == Decimal(line["amount"])


async def test_a_month_is_the_merchants_own(shop: Shop) -> None:
    await post(shop, 1, at=datetime(2026, 10, 31, 22, 59, 59, tzinfo=UTC))  # 23:59:59 in Paris
    await post(shop, 10, at=datetime(2026, 10, 31, 23, 0, tzinfo=UTC))  # midnight there
    await post(shop, 100, at=datetime(2026, 11, 30, 22, 59, 59, 999_999, tzinfo=UTC))
    await post(shop, 1_000, at=datetime(2026, 11, 30, 23, 0, tzinfo=UTC))
    months = (await shop.caller.get(PATH)).body["data"]
    assert [(row["month"], row["segments"]) for row in months] == [
        ("2026-12", 1_000), ("2026-11", 110), ("2026-10", 1),
    ]  # fmt: skip
    for row in months:
        body = (await shop.caller.get(f"{PATH}/{row['month']}")).body
        assert (body["segments"], body["amount"], body["zone"]) == (
            row["segments"],
            row["amount"],
            "Europe/Paris",
        )


async def test_messages_in_doubt_stand_apart_and_are_not_charged(shop: Shop) -> None:
    first, second = await shop.subscribers(2)
    campaign = await shop.campaign()
    await shop.sent_message(campaign, first, status=-1)
    await shop.sent_message(campaign, second, status=88)
    month = f"{shop.clock.now():%Y-%m}"
    body = (await shop.caller.get(f"{PATH}/{month}")).body
    assert (body["unknown_messages"], body["lines"], body["total"]) == (1, [], "0.00")


@pytest.mark.parametrize(
    "month", ["2026", "2026-13", "2026-1", "November", "2026-11-01", "..", "2026-11.CSV"]
)
async def test_what_is_no_month_is_refused(shop: Shop, month: str) -> None:
    answer = await shop.caller.get(f"{PATH}/{month}")
    assert answer.status in {404, 422}
    if answer.status == 422:
        assert answer.code == "month_invalid"


async def test_books_that_do_not_add_up_are_our_mistake_and_not_the_callers(shop: Shop) -> None:
    await post(shop, 10)
    await shop.execute_as_owner(
        "UPDATE ledger_entry SET amount_micros = amount_micros + 1 WHERE account = 'revenue'"
    )
    answer = await shop.caller.get(f"{PATH}/2026-11")
    assert (answer.status, answer.code) == (500, "internal")


async def test_another_merchant_sees_an_empty_month(shop: Shop) -> None:
    await post(shop, 10)
    stranger = await shop.api.merchant()
    body: dict[str, Any] = (await stranger.get(f"{PATH}/2026-11")).body
    assert (body["lines"], body["total"], body["messages"]) == ([], "0.00", 0)
    assert (await stranger.get(PATH)).body == {"data": []}


async def test_a_key_without_the_scope_sees_no_bill(shop: Shop) -> None:
    reader = await shop.api.merchant(scopes=["read"])
    assert (await reader.get(PATH)).status == 403


async def test_a_month_after_the_last_id_is_an_empty_one(shop: Shop) -> None:
    body = (await shop.caller.get(f"{PATH}/2099-11")).body
    assert (body["lines"], body["unknown_messages"]) == ([], 0)
    assert (await shop.caller.get(f"{PATH}/2100-12")).code == "month_invalid"
