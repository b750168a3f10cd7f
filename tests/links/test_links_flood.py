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
MESSAGES = int(RATE * SECONDS)
TICK_S = 0.01
TICK_MAX = 20  # receipts of a tick: a process that stood still makes up for it bit by bit
ANSWER_MAX_S = 1.0
# What both directions carry meanwhile at these rates. Waits are counted in it, not by the clock: on a machine
# that does much else all is slow, and an answer that stands in a queue is behind as much of it.
ANSWER_MAX = int(2 * RATE * ANSWER_MAX_S)


class Acknowledging(Recorder):
    """Answers receipts at once, as after a commit."""

    account: CarrierAccount

    def receipts(self, receipts: CarrierReceipts) -> None:
        super().receipts(receipts)
        self.account.acknowledge([receipts.ack])


class Enquiries:
    """The peer's enquire_links: after how many frames of the ESME each was asked, and got its answer."""

    def __init__(self, peer: Peer) -> None:
        self.waits: list[int] = []  # frames that came between
        self._peer = peer
        self._asked: dict[int, int] = {}
        self._seen = 0

    def ask(self) -> None:
        number = 0x8000_0000 + len(self._asked) + len(self.waits)  # peers use any 32 bits
        self._asked[number] = len(self._peer.frames)
        self._peer.write(Frame(CommandId.ENQUIRE_LINK, number))

    def look(self) -> None:
        for at, frame in enumerate(self._peer.frames[self._seen :], self._seen):
            if frame.command_id == CommandId.ENQUIRE_LINK_RESP:
                self.waits.append(at - self._asked.pop(frame.sequence_number))
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
            started, receipts, used = time.monotonic(), 0, time.process_time()
            while receipts < MESSAGES or len(smsc.submits) < MESSAGES:
                submit_all(account, events)
                due = min(receipts + TICK_MAX, int(RATE * (time.monotonic() - started)), MESSAGES)
                for number in range(receipts, due):
                    peer.receipt(b"r-%d" % number)
                receipts = max(receipts, due)
                enquiries.ask()
                await asyncio.sleep(TICK_S)
                enquiries.look()
            events.fill = lambda: None
            used = time.process_time() - used

            def all_answered() -> bool:
                enquiries.look()
                return not enquiries.open()

            await until(all_answered)
            await until(lambda: len(peer.answers()) == receipts)
            assert len(enquiries.waits) >= 50
            assert max(enquiries.waits) <= ANSWER_MAX
            assert used <= SECONDS  # of CPU, for both ends: the rates are held where there is a core for them


def submit_all(account: CarrierAccount, events: Recorder) -> None:
    while room := account.room(Lane.BULK):
        first = account.counts.submitted
        account.submit(some_bodies(account, room), range(first, first + room), Lane.BULK)
