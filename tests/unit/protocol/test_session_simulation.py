"""Many lives of a session against a peer that does anything, in order or not: each slot is settled once."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from smsgate.protocol.columns import SubmitTemplate
from smsgate.protocol.commands import RESPONSE_BIT, CommandId, Status
from smsgate.protocol.frames import Frame, FrameDecoder
from smsgate.protocol.pdus import Pdu, encode_pdu
from smsgate.protocol.session import Session
from smsgate.protocol.session_states import (
    Closed,
    CloseReason,
    Delivered,
    Event,
    Expired,
    Receipts,
    Responded,
    SessionSettings,
    State,
    SubmitAnswers,
)
from smsgate.protocol.window import SEQUENCE_MAX

BODIES = SubmitTemplate(source_addr=b"1").bodies([b"336"] * 30, b"x")
RECEIPT = b"id:7 sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:"
STEPS_MAX = 120
LIVES = 5_000
LIVES_OF_ONE_TEST = 1_000
# How hostile a peer is: of an honest one, of one that mostly keeps silent, of one that answers what nobody
# asked, and of one that leaves or breaks the stream all the time.
MOODS = {
    "honest": {"lost": 0.01, "unbind": 0.05, "noise": 0.0, "ignored": 0.02, "twice": 0.0, "stray": 0.05},
    "usual": {"lost": 0.03, "unbind": 0.1, "noise": 0.05, "ignored": 0.1, "twice": 0.05, "stray": 0.3},
    "mute": {"lost": 0.01, "unbind": 0.02, "noise": 0.0, "ignored": 0.95, "twice": 0.0, "stray": 0.02},
    "liar": {"lost": 0.01, "unbind": 0.05, "noise": 0.01, "ignored": 0.3, "twice": 0.5, "stray": 1.0},
    "breaker": {"lost": 0.3, "unbind": 0.5, "noise": 0.5, "ignored": 0.3, "twice": 0.1, "stray": 0.3},
}


class Life:
    """One session, its books, and its peer."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.mood = MOODS[self.random.choice(list(MOODS))]
        self.window_max = self.random.randint(1, 20)
        settings = SessionSettings(
            b"me", b"pw", window_max=self.window_max, enquire_interval_s=20.0, response_timeout_s=8.0
        )
        first = self.random.choice([1, SEQUENCE_MAX - self.random.randrange(40)])
        self.session = Session(settings, first_sequence_number=first)
        self.now = 100.0
        self.next_slot = 0
        self.settled: Counter[int] = Counter()
        self.asked: list[int] = []
        self.settled_requests: Counter[int] = Counter()
        self.closed = 0
        self.seen: Counter[str] = Counter()
        self.to_acknowledge: list[int] = []
        self.to_respond: list[Pdu] = []
        self.received = FrameDecoder()
        self.unanswered: list[Frame] = []
        self.wire = b""

    def take(self, events: list[Event]) -> None:
        for event in events:
            assert not self.closed, "Closed is the last event"
            self.seen[event.reason if isinstance(event, Closed) else type(event).__name__] += 1
            match event:
                case SubmitAnswers(slots, statuses, message_ids, _):
                    assert len(slots) == len(statuses) == len(message_ids) > 0
                    self.settled.update(slots)
                case Expired(slots, requests):
                    self.settled.update(slots)
                    self.settled_requests.update(requests)
                case Responded(pdu):
                    self.settled_requests[pdu.sequence_number] += 1
                case Receipts(numbers):
                    self.to_acknowledge += numbers
                case Delivered(pdu):
                    self.to_respond.append(pdu)
                case Closed(_, slots, requests, _):
                    self.closed += 1
                    self.settled.update(slots)
                    self.settled_requests.update(requests)
                case _:
                    pass

    def flush(self) -> None:
        self.unanswered += self.received.feed(self.session.data_to_send())
        assert self.session.in_flight() <= self.window_max

    def we_act(self) -> None:
        session, rnd = self.session, self.random
        match rnd.randrange(8):
            case 0 | 1 | 2 if session.state is State.BOUND:
                wanted = rnd.randint(0, 30)
                slots = range(self.next_slot, self.next_slot + wanted)
                self.next_slot += session.submit_slice(BODIES[:wanted], slots, self.now)
            case 3 if session.room() > 0:
                self.asked.append(session.request(Pdu(CommandId.QUERY_SM, 0, 0), self.now))
            case 4:
                session.acknowledge(self.to_acknowledge)
                self.to_acknowledge = []
            case 5 if self.to_respond:
                session.respond(self.to_respond.pop())
            case 6 if rnd.random() < 0.1:
                self.take(session.unbind(self.now))
            case 7 if rnd.random() < self.mood["lost"]:
                self.take(session.lost(self.now))

    def peer_acts(self) -> None:
        rnd = self.random
        self.wire += self.something()
        cut = rnd.choice([len(self.wire), rnd.randint(0, len(self.wire))])
        data, self.wire = self.wire[:cut], self.wire[cut:]
        self.take(self.session.receive_data(data, self.now))

    def something(self) -> bytes:
        rnd = self.random
        number = rnd.choice([rnd.randrange(60), rnd.getrandbits(32)])
        match rnd.randrange(12):
            case 0:
                return Frame(CommandId.ENQUIRE_LINK, number).encode()
            case 1:
                fields = {"esm_class": 4, "short_message": RECEIPT}
                return encode_pdu(Pdu(CommandId.DELIVER_SM, 0, number, fields)) * rnd.randint(1, 5)
            case 2:
                return encode_pdu(Pdu(CommandId.DATA_SM, 0, number))
            case 3 if rnd.random() < self.mood["unbind"]:
                return Frame(CommandId.UNBIND, number).encode()
            case 4 if rnd.random() < self.mood["stray"]:
                known = [CommandId.SUBMIT_SM_RESP, CommandId.GENERIC_NACK, CommandId.DELIVER_SM]
                known += [CommandId.OUTBIND, CommandId.QUERY_SM_RESP, CommandId.UNBIND_RESP]
                command_id, body = rnd.choice([*known, rnd.getrandbits(32)]), rnd.randbytes(rnd.randrange(20))
                return Frame(command_id, number, rnd.choice([0, 8]), body).encode()
            case 5 if rnd.random() < self.mood["noise"]:
                return rnd.randbytes(20)
            case _:
                count = rnd.randint(0, len(self.unanswered))
                return b"".join(self.answer() for _ in range(count))

    def answer(self) -> bytes:
        """Answer a request in any order: well, badly, twice or never."""
        rnd = self.random
        request = self.unanswered.pop(rnd.choice([0, rnd.randrange(len(self.unanswered))]))
        if request.command_id & RESPONSE_BIT or rnd.random() < self.mood["ignored"]:
            return b""
        command_id = request.command_id | RESPONSE_BIT
        status = rnd.choice([0] * 20 + [Status.THROTTLED])
        if rnd.random() < 0.03:
            command_id, status = CommandId.GENERIC_NACK, Status.SYSERR
        body = b"" if status else b"77\0"
        times = 2 if rnd.random() < self.mood["twice"] else 1
        return Frame(command_id, request.sequence_number, status, body).encode() * times

    def live(self) -> None:
        self.session.start(self.now)
        if self.random.random() < 0.8:  # else the bind is a matter of chance, as all the rest
            self.flush()
            (bind,) = self.unanswered
            self.unanswered = []
            answer = Frame(bind.command_id | RESPONSE_BIT, bind.sequence_number, 0, b"smsc\0")
            self.take(self.session.receive_data(answer.encode(), self.now))
        for _ in range(self.random.randint(1, STEPS_MAX)):
            self.flush()
            if self.closed:
                break
            deadline = self.session.deadline()
            assert deadline is not None
            if deadline <= self.now or self.random.random() < 0.05:
                self.now = max(self.now, deadline)
                self.take(self.session.handle_deadline(self.now))
                continue
            self.now += self.random.random() * 0.5
            self.random.choice([self.we_act, self.peer_acts])()
        self.take(self.session.lost(self.now))


@pytest.mark.parametrize("first_seed", range(0, LIVES, LIVES_OF_ONE_TEST))
def test_every_submit_is_settled_exactly_once_whatever_the_peer_does(first_seed: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(first_seed, first_seed + LIVES_OF_ONE_TEST):
        life = Life(seed)
        life.live()
        assert life.closed == 1, seed
        assert life.settled == Counter(range(life.next_slot)), seed
        assert life.settled_requests == Counter(life.asked), seed
        seen.update(life.seen)
    # The lives are worth the name: each thousand of them see every event and every end.
    assert set(CloseReason) <= set(seen)
    assert seen["SubmitAnswers"] > 500
    assert min(seen[kind.__name__] for kind in (Receipts, Delivered, Responded, Expired)) > 50
