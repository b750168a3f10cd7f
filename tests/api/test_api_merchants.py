"""The operator changes, suspends and resumes a merchant; memories of keys follow at once."""

from __future__ import annotations

import asyncio

import pytest

from smsgate.api.app import build_app
from smsgate.api.app_keys import AUTHENTICATOR
from smsgate.api.auth import Authenticator
from smsgate.api.limits import ApiSettings
from smsgate.api.problems import Refusal
from smsgate.clock import SystemClock
from smsgate.flows.ports_api import Principal
from smsgate.store.merchants import PgApiKeys
from smsgate.store.notices import Notices
from smsgate.store.pool import Database
from tests.api.api_server import MAC_KEY, Api, a_context, a_merchant

SOURCE = "192.0.2.1"


async def test_a_merchant_is_suspended_and_resumed_without_waiting_for_any_cache(api: Api) -> None:
    merchant, another = await api.merchant(), await api.merchant()
    path = f"/v1/merchants/{merchant.merchant_id}"
    assert (await merchant.get("/v1/subscribers")).status == 200
    suspended = await api.operator.call("PATCH", path, {"state": "suspended"})
    assert (suspended.status, suspended.body["state"]) == (200, "suspended")
    refused = await merchant.get("/v1/subscribers")
    assert (refused.status, refused.code) == (403, "merchant_suspended")
    assert (await another.get("/v1/subscribers")).status == 200
    resumed = await api.operator.call("PATCH", path, {"state": "active"})
    assert (resumed.status, resumed.body["state"]) == (200, "active")
    assert (await merchant.get("/v1/subscribers")).status == 200


async def test_name_and_contact_are_changed_and_the_rest_stays(api: Api) -> None:
    made = (await api.operator.post("/v1/merchants", a_merchant(contact="old"))).body
    path = f"/v1/merchants/{made['id']}"
    changed = await api.operator.call("PATCH", path, {"contact": "bxm.fr", "name": "Boxman FR"})
    assert changed.body == {**made, "contact": "bxm.fr", "name": "Boxman FR"}
    assert made["sending_weight"] == 1
    assert (await api.operator.get(path)).body == changed.body
    assert (await api.operator.call("PATCH", path, {"contact": ""})).body["contact"] == ""
    assert (await api.operator.call("PATCH", path, {"sending_weight": 3})).body["sending_weight"] == 3


@pytest.mark.parametrize(
    ("currency", "code"),
    [("KWD", "currency_not_invoiced"), ("CLF", "currency_not_invoiced"), ("XXX", "currency_unknown")],
)
async def test_who_could_never_be_invoiced_is_not_added(api: Api, currency: str, code: str) -> None:
    answer = await api.operator.post("/v1/merchants", a_merchant(currency=currency))
    assert (answer.status, answer.code) == (422, code)
    assert [error["pointer"] for error in answer.body["errors"]] == ["/currency"]
    assert (await api.operator.post("/v1/merchants", a_merchant(currency="JPY"))).status == 201


@pytest.mark.parametrize(
    "body",
    [{"state": "closed"}, {"name": ""}, {"slug": "other"}, {"contact": "x" * 41}, {"sending_weight": 0}],
)
async def test_a_change_that_cannot_be_meant_is_refused(api: Api, body: dict[str, object]) -> None:
    merchant = await api.merchant()
    answer = await api.operator.call("PATCH", f"/v1/merchants/{merchant.merchant_id}", body)
    assert (answer.status, answer.code) == (422, "invalid")


async def test_an_unknown_merchant_is_not_changed_and_no_merchant_changes_itself(api: Api) -> None:
    merchant = await api.merchant()
    nobody = f"/v1/merchants/mer_{'0' * 22}"
    assert (await api.operator.call("PATCH", nobody, {"state": "suspended"})).code == "not_found"
    own = f"/v1/merchants/{merchant.merchant_id}"
    assert (await merchant.call("PATCH", own, {"state": "active"})).code == "operator_only"


async def test_the_processes_that_listen_hear_of_every_key_of_a_suspended_merchant(
    api: Api, database: Database
) -> None:
    heard: list[str] = []
    notices = Notices(
        database,
        on_stop=lambda _merchant, _msisdn: None,
        on_withdrawal=lambda _merchant, _msisdn: None,
        on_ended=lambda _merchant, _campaign, _why: None,
        on_key=heard.append,
        on_prices=lambda: None,
        on_gap=lambda: None,
    )
    merchant = await api.merchant()
    listening = asyncio.create_task(notices.run())
    try:
        async with asyncio.timeout(5):
            await notices.connected.wait()
            path = f"/v1/merchants/{merchant.merchant_id}"
            await api.operator.call("PATCH", path, {"contact": "no news for keys"})
            await api.operator.call("PATCH", path, {"state": "suspended"})
            while not heard:
                await asyncio.sleep(0.01)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    (listed,) = (await api.operator.get(f"{path}/api_keys")).body["data"]
    assert heard == [listed["public_id"]]


async def test_after_a_gap_a_revoked_key_is_looked_up_again(api: Api, database: Database) -> None:
    merchant = await api.merchant()
    authenticator = build_app(a_context(database))[AUTHENTICATOR]
    authorization = f"Bearer {merchant.key}"
    await authenticator.principal(authorization, SOURCE)
    async with database.bulk() as connection:
        await connection.execute("UPDATE api_key SET revoked_at = now() WHERE owner_id <> 0")
    await authenticator.principal(authorization, SOURCE)  # from memory: nobody said anything
    authenticator.forget_all()
    with pytest.raises(Refusal, match="not accepted"):
        await authenticator.principal(authorization, SOURCE)


async def test_a_look_up_that_a_revocation_overtook_is_not_remembered(api: Api, database: Database) -> None:
    class Slow(PgApiKeys):
        async def find(self, public_id: str) -> Principal | None:
            found = await super().find(public_id)
            read.set()
            await go_on.wait()
            return found

    read, go_on = asyncio.Event(), asyncio.Event()
    merchant = await api.merchant()
    authenticator = Authenticator(Slow(database), MAC_KEY, SystemClock(), ApiSettings())
    asking = asyncio.create_task(authenticator.principal(f"Bearer {merchant.key}", SOURCE))
    await read.wait()
    async with database.bulk() as connection:
        await connection.execute("UPDATE api_key SET revoked_at = now() WHERE owner_id <> 0")
    authenticator.forget_all()
    go_on.set()
    await asking
    with pytest.raises(Refusal, match="not accepted"):
        await authenticator.principal(f"Bearer {merchant.key}", SOURCE)
