"""A stop ends in time whoever is just connecting, on the loop that `smsgate run` has as on asyncio's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
import uvloop

from smsgate.config.esmes import EsmesSettings
from smsgate.daemon.process import running
from tests.acceptance.town import Ground, an_empty_town
from tests.simulator.smsc_peers import RawEsme

ARRIVING = 5


@pytest.mark.parametrize("new_event_loop", [None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_stop_does_not_wait_for_connections_that_are_just_being_accepted(
    ground: Ground, new_event_loop: Callable[[], asyncio.AbstractEventLoop] | None
) -> None:
    async def story() -> tuple[float, int]:
        async with an_empty_town(ground) as town:
            listen = EsmesSettings(plain_port=0, insecure_plaintext=True)
            town.settings = town.settings.model_copy(update={"esmes": listen})
            async with asyncio.timeout(20), running(town.settings, say=print, clock=town.clock) as process:
                assert process.esmes is not None
                port = process.esmes.listener.plain_port
                assert port is not None
                arriving = [await RawEsme.connect(port) for _ in range(ARRIVING)]
                began = time.monotonic()
            took_s = time.monotonic() - began
            for esme in arriving:
                esme.writer.close()
                with suppress(OSError):
                    await esme.writer.wait_closed()
            return took_s, len(process.esmes.desk._connections)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        took_s, left = runner.run(story())
    assert left == 0
    assert took_s < 8.0
