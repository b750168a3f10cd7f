"""Price lists over HTTP: their versions, and what publishing would change."""

from __future__ import annotations

import pytest

from smsgate.errors import StoreError
from tests.api.commerce_setup import Shop

LATER = "2099-01-01T00:00:00Z"


def item(network: str, price: str, direction: str = "mt") -> dict[str, str]:
    return {"direction": direction, "network": network, "unit_price": price}


async def a_list(shop: Shop, name: str, side: str, *items: dict[str, str]) -> str:
    operator = shop.api.operator
    made = await operator.post("/v1/price_lists", {"name": name, "side": side, "currency": "CHF"})
    path = f"/v1/price_lists/{made.body['id']}"
    body = {"effective_from": "2026-01-01T00:00:00Z", "items": list(items)}
    assert (await operator.post(f"{path}/versions", body)).status == 201
    return path


async def test_nothing_is_sold_in_a_currency_that_no_invoice_can_say_but_carriers_may_ask_for_it(
    shop: Shop,
) -> None:
    def asked(side: str) -> dict[str, str]:
        return {"name": f"tunisia {side}", "side": side, "currency": "TND"}

    refused = await shop.api.operator.post("/v1/price_lists", asked("sell"))
    assert (refused.status, refused.code) == (422, "currency_not_invoiced")
    assert "TND has 3 decimals" in refused.body["detail"]
    assert (await shop.api.operator.post("/v1/price_lists", asked("cost"))).status == 201


async def test_versions_are_read_newest_first_with_their_items(shop: Shop) -> None:
    path = await a_list(shop, "swiss", "sell", item("228", "0.05"))
    body = {"effective_from": LATER, "items": [item("228", "0.06"), item("*", "0.1")]}
    await shop.api.operator.post(f"{path}/versions", body)
    read = await shop.api.operator.get(f"{path}/versions")
    assert [(row["version"], len(row["items"])) for row in read.body["data"]] == [(2, 2), (1, 1)]
    assert read.body["data"][1]["items"] == [{**item("228", "0.05"), "basis": "submit", "tiers": None}]
    assert (await shop.caller.get(f"{path}/versions")).status == 403


async def test_differences_are_told_and_nothing_is_written(shop: Shop) -> None:
    await a_list(shop, "swiss cost", "cost", item("228", "0.055"))
    path = await a_list(shop, "swiss", "sell", item("228", "0.056"), item("*", "0.1"))
    body = {"effective_from": LATER, "items": [item("228", "0.052"), item("22801", "0.06")]}
    told = await shop.api.operator.post(f"{path}/differences", body)
    assert told.status == 200, told
    assert [(row["network"], row["old"], row["new"], row["change"]) for row in told.body["changes"]] == [
        ("*", "0.10", None, "removed"),
        ("228", "0.056", "0.052", "decrease"),
        ("22801", None, "0.06", "new"),
    ]
    assert told.body["unchanged"] == 0
    assert told.body["below_cost"] == [
        {"network": "228", "sell": "0.052", "cost": "0.055", "sell_list": "swiss", "cost_list": "swiss cost"}
    ]
    assert len((await shop.api.operator.get(f"{path}/versions")).body["data"]) == 1


async def test_prices_below_cost_are_published_by_who_says_so_and_by_nobody_else(shop: Shop) -> None:
    cost = await a_list(shop, "swiss cost", "cost", item("228", "0.055"))
    path = await a_list(shop, "swiss", "sell", item("228", "0.06"), item("22801", "0.06"))
    operator = shop.api.operator
    body = {"effective_from": LATER, "items": [item("228", "0.052"), item("22801", "0.056")]}
    refused = await operator.post(f"{path}/versions", body)
    assert (refused.status, refused.code, refused.body["networks"]) == (409, "below_cost", ["228"])
    assert len((await operator.get(f"{path}/versions")).body["data"]) == 1
    allowed = await operator.post(f"{path}/versions", {**body, "allow_below_cost": True})
    assert allowed.status == 201, allowed
    dearer = {"effective_from": LATER, "items": [item("228", "0.07")]}
    assert (await operator.post(f"{cost}/versions", dearer)).status == 201


async def test_differences_of_prices_that_are_none_are_refused(shop: Shop) -> None:
    path = await a_list(shop, "swiss", "sell", item("228", "0.05"))
    body = {"effective_from": LATER, "items": [item("228", "0.05"), item("228", "0.06")]}
    assert (await shop.api.operator.post(f"{path}/differences", body)).code == "price_invalid"
    other = path.rpartition("_")[0] + "_" + "1" * 11
    assert (await shop.api.operator.post(f"{other}/differences", body)).status in {404, 422}


TIERS = {"mode": "graduated", "steps": [{"first": 101, "unit_price": "0.04"}]}


async def test_prices_by_quantity_are_seen_before_they_are_published_and_read_again(shop: Shop) -> None:
    path = await a_list(shop, "swiss", "sell", item("228", "0.05"))
    tiered = {**item("228", "0.05"), "basis": "delivered", "tiers": TIERS}
    body = {"effective_from": LATER, "items": [tiered]}
    (told,) = (await shop.api.operator.post(f"{path}/differences", body)).body["changes"]
    assert (told["old_tiers"], told["new_tiers"], told["change"]) == (None, "graduated 101=0.04", "terms")
    assert (await shop.api.operator.post(f"{path}/versions", body)).status == 201
    read = (await shop.api.operator.get(f"{path}/versions")).body["data"][0]["items"]
    assert read == [tiered]


@pytest.mark.parametrize("steps", [[(101, "0.04"), (101, "0.03")], [(101, "2000")]])
async def test_steps_that_are_none_are_refused(shop: Shop, steps: list[tuple[int, str]]) -> None:
    path = await a_list(shop, "swiss", "sell", item("228", "0.05"))
    tiers = {"mode": "volume", "steps": [{"first": first, "unit_price": price} for first, price in steps]}
    body = {"effective_from": LATER, "items": [{**item("228", "0.05"), "tiers": tiers}]}
    for action in ("differences", "versions"):
        assert (await shop.api.operator.post(f"{path}/{action}", body)).code == "price_invalid"


async def test_costs_have_no_steps_for_nothing_counts_a_carriers_months(shop: Shop) -> None:
    path = await a_list(shop, "swiss cost", "cost", item("228", "0.05"))
    body = {"effective_from": LATER, "items": [{**item("228", "0.05"), "tiers": TIERS}]}
    for action in ("differences", "versions"):
        answer = await shop.api.operator.post(f"{path}/{action}", body)
        assert (answer.status, answer.code) == (422, "price_invalid")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE price_item SET unit_micros = 1",
        "DELETE FROM price_item",
        "UPDATE price_version SET effective_from = now()",
        "DELETE FROM price_version",
    ],
)
async def test_no_role_of_the_gateway_changes_what_was_published(shop: Shop, statement: str) -> None:
    with pytest.raises(StoreError, match="permission denied"):
        await shop.execute(statement)
    with pytest.raises(StoreError, match="permission denied"):
        async with shop.database.api() as connection:
            await connection.execute(statement)
