"""A carrier that asks us to bind (outbind): what waits there comes, and is in the books once."""

from __future__ import annotations

from ipaddress import ip_network

from pydantic import SecretStr

from smsgate.links.profile_values import Host
from smsgate.simulator.smsc_settings import OutbindTo
from smsgate.store.pool import Database
from tests.flows.world import a_world, eventually
from tests.links.test_links_binding import an_unused_port


async def test_what_waits_at_an_smsc_that_we_cannot_reach_comes_by_its_outbind(database: Database) -> None:
    async with a_world(database, subscribers=1) as world:
        world.profile_changes = {
            "hosts": (Host("127.0.0.1", an_unused_port()),),
            "outbind_port": 0,
            "outbind_from": (ip_network("127.0.0.1/32"),),
            "outbind_system_id": "smsgate-smsc",
            "outbind_password": SecretStr("theirs"),
        }
        async with world.gateway() as gateway:
            (account,) = gateway.switchboard
            outbinds = account._binds.outbinds
            assert outbinds is not None
            await eventually(lambda: outbinds.port)
            mo = world.answer(0, "Bonjour, une question")
            smsc = world.simulator.smsc
            assert outbinds.port is not None
            smsc.settings.outbind = OutbindTo("127.0.0.1", outbinds.port, "theirs")
            await eventually(lambda: mo.taken)
            assert await world.value("SELECT count(*) FROM inbound_message") == 1
            assert (smsc.log.outbinds, smsc.log.binds) == (1, 1)
            # Nothing waits any more: it does not ask again, and a second MO takes the session that is there.
            other = world.answer(0, "Et encore une")
            await eventually(lambda: other.taken)
            assert smsc.log.outbinds == 1
        assert await world.value("SELECT count(*) FROM inbound_message") == 2
