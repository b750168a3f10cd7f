"""M7 on a real socket: enquire_link finds its answer while both directions are full."""

from __future__ import annotations

import asyncio
import time

from smsgate.flows.records import CarrierReceipts, Lane
from smsgate.links.carrier import CarrierAccount
from smsgate.protocol.commands import CommandId
from smsgate.protocol.frames import Frame
from tests.links.fake_smsc import Peer, Recorder, a_profile, an_account, fake_smsc, some_bodies, until

RATE = 1_000  # each way, a second
SECONDS = 2.0
TICK_S = 0.01
ANSWER_MAX_S = 1.0


class Acknowledging(Recorder):
    """Answers receipts at once, as after a commit."""

    account: CarrierAccount

    def receipts(self, receipts: CarrierReceipts) -> None:
        super().receipts(receipts)
        self.account.acknowledge([receipts.ack])


class Enquiries:
    """The peer's enquire_links: when each was asked, and how long its answer took."""

    def __init__(self, peer: Peer) -> None:
        self.waits_s: list[float] = []
        self._peer = peer
        self._asked: dict[int, float] = {}
        self._seen = 0

    def ask(self) -> None:
        number = 0x8000_0000 + len(self._asked) + len(self.waits_s)  # peers use any 32 bits
        self._asked[number] = time.monotonic()
        self._peer.write(Frame(CommandId.ENQUIRE_LINK, number))

    def look(self) -> None:
        for frame in self._peer.frames[self._seen :]:
            if frame.command_id == CommandId.ENQUIRE_LINK_RESP:
                self.waits_s.append(time.monotonic() - self._asked.pop(frame.sequence_number))
        self._seen = len(self._peer.frames)

    def open(self) -> int:
        return len(self._asked)


async def test_enquire_link_is_answered_within_a_second_under_1000_submits_and_1000_receipts_a_second() -> (
    None
):
    async with fake_smsc() as smsc:
        events = Acknowledging()
        profile = a_profile(smsc.port, window_max=500, rate_per_s=RATE, interactive_share=0)
        async with an_account(profile, events=events) as (account, _):
            events.account = account
            (peer,) = smsc.live
            enquiries = Enquiries(peer)
            events.fill = lambda: submit_all(account, events)
            started, receipts = time.monotonic(), 0
            while (passed := time.monotonic() - started) < SECONDS:
                submit_all(account, events)
                while receipts < RATE * passed:
                    receipts += 1
                    peer.receipt(b"r-%d" % receipts)
                enquiries.ask()
                await asyncio.sleep(TICK_S)
                enquiries.look()
            events.fill = lambda: None

            def all_answered() -> bool:
                enquiries.look()
                return not enquiries.open()

            await until(all_answered)
            await until(lambda: len(peer.answers()) == receipts)
            assert len(enquiries.waits_s) >= 50
            assert max(enquiries.waits_s) <= ANSWER_MAX_S
            assert receipts >= 0.95 * RATE * SECONDS
            assert len(smsc.submits) >= 0.9 * RATE * SECONDS


def submit_all(account: CarrierAccount, events: Recorder) -> None:
    while room := account.room(Lane.BULK):
        first = account.counts.submitted
        account.submit(some_bodies(account, room), range(first, first + room), Lane.BULK)
