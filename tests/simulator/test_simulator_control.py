"""The simulator as `smsgate smsc` runs it: started, looked at and typed on over HTTP, stopped."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from smsgate.errors import ConfigError, Invalid, NotFound
from smsgate.protocol.gsm0338 import encode_gsm
from smsgate.simulator.control_client import fetch_inbox, fetch_stats, send_reply
from smsgate.simulator.phones import Behaviour
from smsgate.simulator.serve import Simulator, SimulatorSettings, run_simulator
from smsgate.simulator.smsc_settings import SmscSettings
from tests.simulator.smsc_peers import OFFER, bound, eventually, running

PHONE = "33639980001"


async def test_an_inbox_is_shown_and_a_typed_reply_reaches_the_esme() -> None:
    async with running() as simulator, bound(simulator) as esme:
        assert simulator.control_url is not None
        esme.submit(PHONE, encode_gsm(OFFER))
        await eventually(lambda: simulator.phones.received)
        (message,) = await fetch_inbox(simulator.control_url, "+" + PHONE)
        assert (message.sender, message.text) == ("36111", OFFER)
        assert await send_reply(simulator.control_url, PHONE, "OK 2") == "36111"
        await eventually(lambda: simulator.smsc.log.mos_acknowledged)
        assert esme.delivered[-1].short_message == b"OK 2"
        stats = await fetch_stats(simulator.control_url)
        assert stats["smsc"]["accepted"] == 1
        assert stats["phones"]["replies"]["other"] == 1


async def test_refusals_say_what_is_wrong() -> None:
    async with running() as simulator:
        url = simulator.control_url
        assert url is not None
        with pytest.raises(NotFound):
            await fetch_inbox(url, PHONE)
        with pytest.raises(NotFound):
            await send_reply(url, PHONE, "OK")
        with pytest.raises(Invalid):
            await fetch_inbox(url, "12")
        with pytest.raises(Invalid):
            await send_reply(url, PHONE, "", to="36111")
        with pytest.raises(Invalid):
            await send_reply(url, PHONE, "OK", to="Boxman")
        with pytest.raises(Invalid):
            await send_reply(url, PHONE, "x" * 40_000, to="36111")
        async with aiohttp.ClientSession() as session:
            form = await session.post(f"{url}/phones/{PHONE}/reply", data={"text": "OK", "to": "36111"})
            assert form.status == 415
            broken = await session.post(
                f"{url}/phones/{PHONE}/reply", data=b"{", headers={"Content-Type": "application/json"}
            )
            assert broken.status == 400
    with pytest.raises(ConfigError) as refusal:
        await fetch_stats(url)
    assert "smsgate smsc" in refusal.value.mend


async def test_it_runs_until_told_to_stop_and_returns_its_counts() -> None:
    stop, ready = asyncio.Event(), asyncio.Event()
    started: list[Simulator] = []

    def on_ready(simulator: Simulator) -> None:
        started.append(simulator)
        ready.set()

    settings = SimulatorSettings(behaviour=Behaviour(ok=1.0, delay_s=(0.01, 0.02)))
    task = asyncio.create_task(run_simulator(settings, stop, on_ready))
    await ready.wait()
    described = started[0].describe()
    assert described["smpp"] == f"127.0.0.1:{started[0].smpp_port}"
    assert "secret" not in str(described)
    async with bound(started[0]) as esme:
        for i in range(10):
            esme.submit(f"3363998000{i}", encode_gsm(OFFER))
        await eventually(lambda: started[0].smsc.log.mos_acknowledged == 10)
    stop.set()
    simulator = await asyncio.wait_for(task, 5.0)
    assert len(simulator.phones.buyers) == 10
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", int(described["smpp"].split(":")[1]))


async def test_a_taken_port_is_an_error_and_leaves_nothing_open() -> None:
    async with running() as simulator:
        taken = SimulatorSettings(port=simulator.smpp_port)
        with pytest.raises(OSError):
            await Simulator(taken).start()
        assert simulator.control_url is not None
        control_port = int(simulator.control_url.rsplit(":", 1)[1])
        other = Simulator(SimulatorSettings(control_port=control_port))
        with pytest.raises(OSError):
            await other.start()
        assert other.smsc.connections == 0


@pytest.mark.parametrize(
    "settings",
    [
        SmscSettings(refuse_share=1.5),
        SmscSettings(undelivered_share=0.6, expired_share=0.6),
        SmscSettings(receipt_delay_s=(2.0, 1.0)),
        SmscSettings(accounts=()),
    ],
)
async def test_settings_that_cannot_work_are_refused(settings: SmscSettings) -> None:
    with pytest.raises(ConfigError) as refusal:
        Simulator(SimulatorSettings(smsc=settings))
    assert refusal.value.mend
