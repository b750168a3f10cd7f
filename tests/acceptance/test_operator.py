"""
What the operator sees: life, readiness, metrics, binds.

A carrier that is away makes no node unready, and shows in its binds. A node that stops says so. Binds that
the SMSC drops are made again. Counters agree with what the SMSC saw. Merchants do not come in here.
"""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from smsgate.config import Settings
from smsgate.daemon.control import ask_carriers
from smsgate.daemon.process import running
from smsgate.errors import LinkError
from smsgate.links.profile import CarrierProfile
from tests.acceptance.town import Ground, Town, a_carrier, a_town, an_empty_town, eventually


async def test_a_carrier_away_leaves_the_node_ready_and_shows_in_its_binds(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        (bind,) = await binds(town)
        assert (bind["state"], bind["window_used"], bind["last_error"]) == ("bound", 0, "")
        assert bind["host"].endswith(f":{town.simulator.smpp_port}")
        port = town.simulator.smpp_port
        await town.simulator.smsc.stop(0.2)

        async def seen_down() -> bool:
            (bind,) = await binds(town)
            return bind["state"] != "bound" and bool(bind["last_error"])

        await eventually(seen_down)
        assert (await town.anybody.ask("GET", "/readyz")).status == 200
        assert (await metrics(town))["smsgate_bind_up"] == 0.0
        campaign = await town.new_record()  # taken, and sent when the carrier is back
        await town.simulator.smsc.start(port=port)
        await eventually(town.bound)
        await town.finished(campaign)
        assert town.offers_to(town.msisdns[0]) == 1
        assert (await metrics(town))["smsgate_bind_up"] == 1.0


async def test_a_bind_that_the_smsc_drops_is_made_again(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        (before,) = await binds(town)
        town.simulator.smsc.drop_connections()
        await eventually(lambda: town.simulator.smsc.log.binds == 2 and town.bound())
        (after,) = await binds(town)
        assert (after["bind"], after["state"]) == (before["bind"], "bound")
        assert after["since"] > before["since"]


async def test_a_node_that_stops_says_so(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        town.process.draining = True  # as the first step of a stop does; the port closes with the next
        answer = await town.anybody.ask("GET", "/readyz")
        assert (answer.status, answer.body["status"]) == (503, "draining")
        assert (await town.anybody.ask("GET", "/livez")).status == 200


async def test_the_counters_agree_with_what_the_smsc_saw(ground: Ground) -> None:
    async with a_town(ground, subscribers=20) as town:
        await town.finished(await town.new_record())
        await town.answer(town.msisdns[0], "OK")
        await eventually(lambda: len(town.texts(town.msisdns[0])) == 2)
        log = town.simulator.smsc.log
        await eventually(lambda: log.receipts_acknowledged == 21)
        found = await metrics(town)
        assert found["smsgate_submitted_total"] == log.submits == 21
        assert found["smsgate_inbound_total"] == log.mos_acknowledged == 1
        assert found["smsgate_uncommitted"] == 0
        assert found["smsgate_bind_up"] == 1
        assert found["smsgate_flushes_total"] >= 1
        assert found["smsgate_flush_failures_total"] == 0
        assert found["smsgate_metrics_failures_total"] == 0
        assert found["smsgate_http_requests_total"] > 5
        (carrier,) = (await town.operator.get("/v1/carriers"))["data"]
        assert (carrier["name"], carrier["rate_per_s"], carrier["in_flight"]) == ("sim", 500, 0)


async def test_a_carrier_is_drained_stopped_and_started_over_the_api(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        for action, state, bound in (
            ("drain", "draining", True),
            ("start", "running", True),
            ("stop", "stopped", False),
            ("start", "running", True),
        ):
            answer = await town.operator.ask("POST", f"/v1/carriers/sim/{action}", {})
            assert (answer.status, answer.body["state"]) == (200, state), answer
            await eventually(lambda bound=bound: _bound(town, bound))  # type: ignore[misc]
            assert (await metrics(town)).get("smsgate_bind_up", 0) == bound  # a stopped carrier has no binds
        unknown = await town.operator.ask("POST", "/v1/carriers/nobody/drain", {})
        assert (unknown.status, unknown.code) == (404, "not_found")
        assert (await town.merchant.ask("POST", "/v1/carriers/sim/stop", {})).code == "operator_only"


async def test_metrics_tell_of_the_carriers_that_there_are_after_a_reload(ground: Ground) -> None:
    async with an_empty_town(ground) as town:
        (sim,) = town.settings.carriers
        wanted = [sim]

        def read() -> Settings:
            return town.settings.model_copy(update={"carriers": tuple(wanted)})

        async with running(town.settings, say=lambda _: None, clock=town.clock, read=read) as town.process:
            await eventually(lambda: _up_in(town, "sim"))
            # A mended key has it bind anew, as a corrected password does; `second` is new.
            wanted[:] = [sim.model_copy(update={"window_max": 50}), a_second_carrier(town)]
            await town.process.reloading.reload()
            await eventually(lambda: _up_in(town, "sim", "second"))
            assert (await metrics(town, "sim"))["smsgate_bind_window_max"] == 50
            wanted[:] = [a_second_carrier(town)]
            await town.process.reloading.reload()
            # What waits of it in the database is still told.
            assert set(await metrics(town, "sim")) <= {"smsgate_carrier_waiting"}
            assert await _up_in(town, "second")


def a_second_carrier(town: Town) -> CarrierProfile:
    return a_carrier(town.simulator.smpp_port, name="second", senders=())


async def _up_in(town: Town, *carriers: str) -> bool:
    return all([(await metrics(town, each)).get("smsgate_bind_up") == 1 for each in carriers])


async def _bound(town: Town, wanted: bool) -> bool:
    (carrier,) = (await town.operator.get("/v1/carriers"))["data"]
    return any(bind["state"] == "bound" for bind in carrier["binds"]) is wanted


async def test_a_second_gateway_on_one_state_directory_leaves_the_first_ones_control_socket_alone(
    ground: Ground,
) -> None:
    """With a PostgreSQL of the operator's own both may run; the commands then speak to the first."""
    async with an_empty_town(ground) as town:
        async with town.gateway():
            with capture_logs() as lines:
                async with running(town.settings, say=lambda _: None, clock=town.clock):
                    assert [carrier["name"] for carrier in await ask_carriers(ground.state_dir)] == ["sim"]
            (told,) = (line for line in lines if line["event"] == "control_socket_refused")
            assert "another gateway process answers" in told["error"]
            assert "a state_dir of its own" in told["error"]
            assert [carrier["name"] for carrier in await ask_carriers(ground.state_dir)] == ["sim"]
        with pytest.raises(LinkError):
            await ask_carriers(ground.state_dir)
        async with town.gateway():
            assert await ask_carriers(ground.state_dir)


async def test_the_operators_routes_are_the_operators_alone(ground: Ground) -> None:
    async with a_town(ground, subscribers=1) as town:
        for method, path in (("GET", "/v1/carriers"), ("GET", "/v1/merchants"), ("POST", "/v1/price_lists")):
            body: object = {} if method == "POST" else None
            assert (await town.merchant.ask(method, path, body)).code == "operator_only"
            assert (await town.anybody.ask(method, path, body)).code == "key_missing"
        assert (await town.operator.ask("GET", "/v1/orders")).code == "merchant_only"
        keys = await town.operator.all(f"/v1/merchants/{town.merchant_id}/api_keys")
        assert "key" not in keys[0]
        await town.operator.ask("DELETE", f"/v1/api_keys/{keys[0]['id']}")
        revoked = await town.merchant.ask("GET", "/v1/orders")
        assert (revoked.status, revoked.code) == (401, "key_invalid")


async def binds(town: Town) -> list[dict[str, Any]]:
    (carrier,) = (await town.operator.get("/v1/carriers"))["data"]
    found: list[dict[str, Any]] = carrier["binds"]
    return found


async def metrics(town: Town, carrier: str = "") -> dict[str, float]:
    """Return the sum of every family's samples, by the sample's name; of a carrier: of its own series."""
    text = (await town.anybody.get("/metrics")).decode()
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if carrier and sample.labels.get("carrier") != carrier:
                continue
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found
