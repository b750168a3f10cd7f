"""A faulty SMSC is for any client: here for smpplib's, over a real socket."""

from __future__ import annotations

from smsgate.simulator.faulty_smsc import FaultySmsc
from smsgate.simulator.profiles import find_profile, with_profiles
from smsgate.simulator.serve import SimulatorSettings
from smsgate.simulator.smsc_settings import SmscSettings
from tests.simulator.smsc_peers import bound, eventually, running


def settings_of(*names: str) -> SimulatorSettings:
    profiles = [find_profile(name) for name in names]
    return SimulatorSettings(smsc=with_profiles(SmscSettings(), profiles), profiles=names)


async def test_a_receipt_comes_in_message_payload_under_a_number_of_32_bits() -> None:
    async with running(settings_of("receipt-in-payload", "sequence-above-31-bits")) as simulator:
        async with bound(simulator) as esme:
            esme.submit("33639980001", b"hello")
            await eventually(lambda: esme.delivered)
            (receipt,) = esme.delivered
            assert receipt.short_message == b""
            assert receipt.message_payload.startswith(b"id:")
            assert receipt.sequence >= 0x8000_0000
            await eventually(lambda: simulator.smsc.log.receipts_acknowledged == 1)


async def test_messages_stay_unanswered_by_the_seed() -> None:
    async with running(settings_of("no-answer")) as simulator:
        smsc = simulator.smsc
        assert isinstance(smsc, FaultySmsc)
        async with bound(simulator) as esme:
            for _ in range(20):
                esme.submit("33639980001", b"hello")
            await eventually(lambda: smsc.log.submits == 20)
            await eventually(lambda: len(esme.responses) == 20 - smsc.injected["unanswered"])
            assert 0 < smsc.injected["unanswered"] < 20
