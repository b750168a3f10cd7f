"""The session seen from the SMSC: the whole grid of its table, its times, and seeded lives of it."""

from __future__ import annotations

import random
import struct
from collections import Counter

import pytest

from smsgate.errors import NotBound, ProtocolError
from smsgate.protocol.commands import RESPONSE_BIT, CommandId, Status
from smsgate.protocol.frames import Frame, FrameDecoder
from smsgate.protocol.pdus import Pdu, decode_pdu, encode_body, encode_pdu
from smsgate.protocol.server_session import ServerSession
from smsgate.protocol.server_states import (
    TRANSITIONS,
    WITH_PEER,
    Asked,
    BindAsked,
    Delivered,
    Ended,
    EndReason,
    PeerUnbound,
    ServerEvent,
    ServerInput,
    ServerSettings,
    ServerState,
    Undelivered,
)
from smsgate.protocol.session_states import BindKind
from smsgate.protocol.tlvs import Tag

SETTINGS = ServerSettings(window_max=3, owed_max=4, enquire_interval_s=30, response_timeout_s=10)
MO = encode_body(CommandId.DELIVER_SM, {"source_addr": b"33612345678", "short_message": b"OK"})
SUBMIT = {"destination_addr": b"33612345678", "short_message": b"Rendez-vous"}


def bind(command_id: int = CommandId.BIND_TRANSCEIVER, number: int = 1, version: int = 0x34) -> bytes:
    fields = {"system_id": b"company", "password": b"secret", "interface_version": version}
    return encode_pdu(Pdu(command_id, 0, number, fields))


def request(command_id: int, number: int = 7) -> bytes:
    fields = SUBMIT if command_id in {CommandId.SUBMIT_SM, CommandId.DATA_SM} else {}
    if command_id == CommandId.DATA_SM:
        fields = {"destination_addr": b"33612345678"}
    return encode_pdu(Pdu(command_id, 0, number, fields))


def frame(command_id: int, number: int, status: int = 0, body: bytes = b"") -> bytes:
    return Frame(command_id, number, status, body).encode()


def answers(session: ServerSession) -> list[tuple[int, int, int]]:
    """Return (command_id, status, sequence_number) of what leaves now."""
    frames = FrameDecoder().feed(session.data_to_send())
    return [(each.command_id, each.status, each.sequence_number) for each in frames]


def bound_session(
    command_id: int = CommandId.BIND_TRANSCEIVER, version: int = 0x34, now: float = 0.0
) -> ServerSession:
    session = ServerSession(SETTINGS, now)
    (asked,) = session.receive_data(bind(command_id, version=version), now)
    assert isinstance(asked, BindAsked)
    session.admit(now)
    session.data_to_send()
    return session


def in_state(state: ServerState) -> ServerSession:
    """Return a session in `state`; one request is owed and one delivery is open where it can be."""
    session = ServerSession(SETTINGS, 0.0)
    if state is ServerState.OPEN:
        return session
    session.receive_data(bind(), 0.0)
    if state is ServerState.JUDGING:
        return session
    session.admit(0.0)
    if state is ServerState.CLOSED:
        session.lost(0.0)
    if state in {ServerState.DRAINING, ServerState.LEAVING}:
        session.deliver([MO], [1], 0.0)
    if state in {ServerState.DRAINING, ServerState.UNBINDING}:
        session.unbind(0.0)
    if state is ServerState.LEAVING:
        session.receive_data(frame(CommandId.UNBIND, 9), 0.0)
    session.data_to_send()
    return session


@pytest.mark.parametrize("state", ServerState)
def test_each_state_can_be_reached(state: ServerState) -> None:
    assert in_state(state).state is state


@pytest.mark.parametrize("state", ServerState)
@pytest.mark.parametrize("input_", ServerInput)
def test_every_pair_outside_the_table_is_refused_and_every_pair_in_it_moves(
    state: ServerState, input_: ServerInput
) -> None:
    session = in_state(state)
    if (state, input_) in TRANSITIONS:
        session._move(input_)
        assert session.state is TRANSITIONS[state, input_]
    else:
        with pytest.raises(ProtocolError):
            session._move(input_)
        assert session.state is state


@pytest.mark.parametrize("state", [each for each in ServerState if each is not ServerState.CLOSED])
@pytest.mark.parametrize(
    "command_id", [CommandId.SUBMIT_SM, CommandId.DATA_SM, CommandId.QUERY_SM, CommandId.CANCEL_SM]
)
def test_a_request_is_handed_up_when_bound_and_else_answered_with_why_not(
    state: ServerState, command_id: int
) -> None:
    session = in_state(state)
    events = session.receive_data(request(command_id), 1.0)
    if state is ServerState.BOUND:
        (asked,) = events
        assert isinstance(asked, Asked)
        assert [pdu.command_id for pdu in asked.pdus] == [command_id]
        assert answers(session) == []
        return
    assert events == []
    leaving = state in {ServerState.DRAINING, ServerState.UNBINDING}
    status = Status.THROTTLED if leaving else Status.INVBNDSTS
    assert answers(session) == [(command_id | RESPONSE_BIT, status, 7)]


@pytest.mark.parametrize("state", [each for each in ServerState if each is not ServerState.CLOSED])
def test_enquire_link_is_answered_in_every_state(state: ServerState) -> None:
    session = in_state(state)
    assert session.receive_data(frame(CommandId.ENQUIRE_LINK, 0xFFFF_FFFF), 1.0) == []
    assert answers(session) == [(CommandId.ENQUIRE_LINK_RESP, 0, 0xFFFF_FFFF)]


@pytest.mark.parametrize("state", [each for each in ServerState if each is not ServerState.CLOSED])
def test_an_unknown_command_gets_a_generic_nack_and_ends_nothing(state: ServerState) -> None:
    session = in_state(state)
    session.receive_data(frame(0x0112, 5), 1.0)
    assert answers(session) == [(CommandId.GENERIC_NACK, Status.INVCMDID, 5)]
    assert session.state is state


@pytest.mark.parametrize(
    "state", [each for each in ServerState if each not in {ServerState.OPEN, ServerState.CLOSED}]
)
def test_a_second_bind_is_refused_and_the_first_stays(state: ServerState) -> None:
    session = in_state(state)
    session.receive_data(bind(CommandId.BIND_RECEIVER, number=3), 1.0)
    assert answers(session) == [(CommandId.BIND_RECEIVER_RESP, Status.ALYBND, 3)]
    assert session.state is state


@pytest.mark.parametrize(
    ("version", "said"), [(0x33, None), (0x34, b"\x34"), (0x50, b"\x50"), (0x00, None), (0x70, b"\x34")]
)
def test_the_bind_answer_names_us_and_our_version_where_the_esme_knows_tlvs(
    version: int, said: bytes | None
) -> None:
    session = ServerSession(SETTINGS, 0.0)
    session.receive_data(bind(version=version), 0.0)
    session.admit(0.0)
    (answer,) = [decode_pdu(each) for each in FrameDecoder().feed(session.data_to_send())]
    assert (answer.command_id, answer.status) == (CommandId.BIND_TRANSCEIVER_RESP, 0)
    assert answer.fields["system_id"] == b"smsgate"
    assert dict(answer.tlvs).get(Tag.SC_INTERFACE_VERSION) == said
    assert session.takes_tlvs() == (said is not None)


def test_a_refused_bind_gets_its_status_and_the_end() -> None:
    session = ServerSession(SETTINGS, 0.0)
    session.receive_data(bind(), 0.0)
    assert session.refuse(Status.INVPASWD, 1.0) == [Ended(EndReason.BIND_REFUSED, [])]
    assert answers(session) == [(CommandId.BIND_TRANSCEIVER_RESP, Status.INVPASWD, 1)]
    assert session.receive_data(bind(), 1.0) == []


def test_who_connects_and_never_binds_is_cut_off_at_its_time_and_not_before() -> None:
    session = ServerSession(SETTINGS, 5.0)
    session.receive_data(frame(CommandId.ENQUIRE_LINK, 1), 14.0)
    assert session.deadline() == 15.0
    assert session.handle_deadline(14.9) == []
    assert session.handle_deadline(15.0) == [Ended(EndReason.BIND_TIMEOUT, [])]


def test_a_receiver_may_not_submit_and_a_transmitter_gets_nothing() -> None:
    receiver = bound_session(CommandId.BIND_RECEIVER)
    assert receiver.receive_data(request(CommandId.SUBMIT_SM), 1.0) == []
    assert answers(receiver) == [(CommandId.SUBMIT_SM_RESP, Status.INVBNDSTS, 7)]
    transmitter = bound_session(CommandId.BIND_TRANSMITTER)
    assert (transmitter.kind, transmitter.room()) == (BindKind.TRANSMITTER, 0)
    with pytest.raises(NotBound):
        transmitter.deliver([MO], [1], 1.0)


def test_deliveries_fill_the_window_and_their_answers_free_it() -> None:
    session = bound_session()
    assert session.deliver([MO] * 5, [10, 11, 12, 13, 14], 1.0) == 3
    assert session.room() == 0
    assert answers(session) == [(CommandId.DELIVER_SM, 0, number) for number in (1, 2, 3)]
    events = session.receive_data(
        frame(CommandId.DELIVER_SM_RESP, 2) + frame(CommandId.DELIVER_SM_RESP, 1, Status.MSGQFUL), 2.0
    )
    assert events == [Delivered([11, 10], [0, Status.MSGQFUL])]
    assert session.room() == 2


def test_a_generic_nack_to_a_delivery_is_a_refusal_whatever_its_status() -> None:
    session = bound_session()
    session.deliver([MO], [10], 1.0)
    assert session.receive_data(frame(CommandId.GENERIC_NACK, 1), 2.0) == [
        Delivered([10], [Status.UNKNOWNERR])
    ]


def test_a_delivery_without_an_answer_comes_back_at_its_time() -> None:
    session = bound_session()
    session.deliver([MO], [10], 1.0)
    assert session.handle_deadline(10.9) == []
    assert session.handle_deadline(11.0) == [Undelivered([10])]
    session.receive_data(frame(CommandId.DELIVER_SM_RESP, 1), 12.0)
    assert session.counts.stray_responses == 1


def test_a_silent_esme_is_asked_and_then_given_up() -> None:
    session = bound_session()
    assert session.deadline() == 30.0
    assert session.handle_deadline(30.0) == []
    assert answers(session) == [(CommandId.ENQUIRE_LINK, 0, 1)]
    assert session.deadline() == 40.0
    assert session.handle_deadline(40.0) == [Ended(EndReason.SILENT, [])]


def test_an_esme_that_answers_enquire_link_stays() -> None:
    session = bound_session()
    session.handle_deadline(30.0)
    session.receive_data(frame(CommandId.ENQUIRE_LINK_RESP, 1), 31.0)
    assert session.deadline() == 61.0


def test_more_requests_than_we_answer_at_once_are_told_to_slow_down() -> None:
    session = bound_session()
    octets = b"".join(request(CommandId.SUBMIT_SM, number) for number in range(1, 7))
    (asked,) = session.receive_data(octets, 1.0)
    assert isinstance(asked, Asked)
    assert len(asked.pdus) == 4
    assert answers(session) == [(CommandId.SUBMIT_SM_RESP, Status.THROTTLED, number) for number in (5, 6)]
    session.answer_submits([1, 2], [0, Status.INVDSTADR], [b"msg_1", b""])
    assert answers(session) == [
        (CommandId.SUBMIT_SM_RESP, 0, 1),
        (CommandId.SUBMIT_SM_RESP, Status.INVDSTADR, 2),
    ]
    assert session.owed() == 2


def test_a_broken_body_is_answered_with_why_and_the_session_goes_on() -> None:
    session = bound_session()
    assert session.receive_data(frame(CommandId.SUBMIT_SM, 4, body=b"\0\1\1no end"), 1.0) == []
    ((command_id, status, number),) = answers(session)
    assert (command_id, number) == (CommandId.SUBMIT_SM_RESP, 4)
    assert status
    assert session.state is ServerState.BOUND


def test_a_stream_that_is_no_smpp_ends_with_a_nack() -> None:
    session = ServerSession(SETTINGS, 0.0)
    (ended,) = session.receive_data(b"GET / HTTP/1.1\r\n\r\n", 1.0)
    assert isinstance(ended, Ended)
    assert ended.reason is EndReason.BROKEN
    assert answers(session) == [(CommandId.GENERIC_NACK, Status.INVCMDLEN, 0)]


def test_an_unbind_is_answered_after_the_answers_that_we_owe() -> None:
    session = bound_session()
    session.receive_data(request(CommandId.SUBMIT_SM, 4), 1.0)
    assert session.receive_data(frame(CommandId.UNBIND, 5), 2.0) == [PeerUnbound()]
    assert answers(session) == []
    session.answer_submits([4], [0], [b"msg_1"])
    assert session.deadline() == 2.0
    assert session.handle_deadline(2.0) == [Ended(EndReason.PEER_UNBOUND, [])]
    assert answers(session) == [(CommandId.SUBMIT_SM_RESP, 0, 4), (CommandId.UNBIND_RESP, 0, 5)]


def test_an_unbind_is_answered_at_its_time_though_we_still_owe() -> None:
    session = bound_session()
    session.receive_data(request(CommandId.SUBMIT_SM, 4), 1.0)
    session.receive_data(frame(CommandId.UNBIND, 5), 2.0)
    assert session.handle_deadline(12.0) == [Ended(EndReason.PEER_UNBOUND, [])]
    assert answers(session) == [(CommandId.UNBIND_RESP, 0, 5)]


def test_we_unbind_after_what_is_open_and_end_with_the_answer() -> None:
    session = bound_session()
    session.deliver([MO], [10], 1.0)
    session.data_to_send()
    assert session.unbind(2.0) == []
    assert answers(session) == []
    assert session.receive_data(frame(CommandId.DELIVER_SM_RESP, 1), 3.0) == [Delivered([10], [0])]
    assert answers(session) == [(CommandId.UNBIND, 0, 2)]
    assert session.receive_data(frame(CommandId.UNBIND_RESP, 2), 4.0) == [Ended(EndReason.UNBOUND, [])]


def test_a_lost_connection_gives_back_what_was_delivered_and_not_answered() -> None:
    session = bound_session()
    session.deliver([MO, MO], [10, 11], 1.0)
    assert session.lost(2.0) == [Ended(EndReason.LOST, [10, 11])]
    assert session.lost(3.0) == []


@pytest.mark.parametrize("seed", range(200))
def test_every_delivery_is_settled_once_and_every_request_answered_once_whatever_the_esme_does(
    seed: int,
) -> None:
    life = _Life(random.Random(seed))
    life.run()
    assert life.settled == Counter(range(life.slots))
    assert life.answered.keys() <= life.asked
    assert set(life.answered.values()) <= {1}
    if life.ends[0].reason is EndReason.PEER_UNBOUND:
        assert life.owed == set() or life.late
    assert len(life.ends) == 1


def test_the_seeded_lives_reach_every_state_and_do_real_work() -> None:
    lives = [_Life(random.Random(seed)) for seed in range(200)]
    for life in lives:
        life.run()
    assert set().union(*(life.states for life in lives)) == set(ServerState)
    assert sum(life.slots for life in lives) > 500
    assert sum(life.answered.total() for life in lives) > 1_000
    assert len({life.ends[0].reason for life in lives}) >= 6


class _Life:
    """One seeded life of a session: what the ESME, the owner and the clock do, in random order and cuts."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.now = 0.0
        self.session = ServerSession(SETTINGS, 0.0)
        self.slots = 0
        self.settled: Counter[int] = Counter()
        self.asked: set[int] = set()  # sequence numbers of requests, each used once
        self.owed: set[int] = set()  # handed up and not answered by the owner
        self.answered: Counter[int] = Counter()
        self.ends: list[Ended] = []
        self.states: set[ServerState] = set()
        self.late = False
        self.number = 0
        self.open: list[int] = []  # sequence numbers of deliveries that the ESME has
        self.stream = bytearray()

    def run(self) -> None:
        for _ in range(160):
            steps = (self.peer_sends, self.peer_reads, self.owner_acts, self.wait)
            self.rng.choices(steps, (2, 1, 2, 1))[0]()
            self.states.add(self.session.state)
            if self.ends:
                return
        self.take(self.session.lost(self.now))

    def take(self, events: list[ServerEvent]) -> None:
        for event in events:
            assert not self.ends, "nothing comes after the end"
            match event:
                case Asked(pdus):
                    self.owed |= {pdu.sequence_number for pdu in pdus}
                case Delivered(slots, _) | Undelivered(slots):
                    self.settled.update(slots)
                case Ended(slots=slots):
                    self.settled.update(slots)
                    self.ends.append(event)
                case _:
                    pass
        for command_id, _, number in answers(self.session):
            if command_id == CommandId.SUBMIT_SM_RESP:
                self.answered[number] += 1
            elif command_id == CommandId.DELIVER_SM:
                self.open.append(number)

    def peer_sends(self) -> None:
        self.number += 1
        kind = self.rng.choices(
            ("bind", "submit", "answer", "stray", "enquire", "unbind", "unbind_resp", "broken"),
            (10, 40, 40, 3, 5, 0.5, 0.5, 0.3),
        )[0]
        if kind == "bind":
            octets = bind(self.rng.choice((1, 2, 9)), self.number)
        elif kind == "submit":
            octets = request(CommandId.SUBMIT_SM, self.number)
            self.asked.add(self.number)
        elif kind == "answer" and self.open:
            number = self.open.pop(self.rng.randrange(len(self.open)))
            octets = frame(CommandId.DELIVER_SM_RESP, number, self.rng.choice((0, 0, 0x14)))
        elif kind == "unbind_resp":
            octets = frame(CommandId.UNBIND_RESP, self.rng.randrange(1, 9))
        elif kind == "broken":
            octets = struct.pack(">I", self.rng.choice((0, 15, 1 << 30)))
        else:
            command_id = {"enquire": CommandId.ENQUIRE_LINK, "unbind": CommandId.UNBIND}
            octets = frame(command_id.get(kind, CommandId.DELIVER_SM_RESP), 1_000_000 + self.number)
        self.stream += octets

    def peer_reads(self) -> None:
        cut = self.rng.randrange(len(self.stream) + 1)
        octets, self.stream = bytes(self.stream[:cut]), self.stream[cut:]
        self.take(self.session.receive_data(octets, self.now))

    def owner_acts(self) -> None:
        session = self.session
        if session.state is ServerState.JUDGING:
            if self.rng.random() < 0.9:
                session.admit(self.now)
                self.take([])
            else:
                self.take(session.refuse(Status.INVPASWD, self.now))
            return
        if self.owed and self.rng.random() < 0.6:
            number = self.owed.pop()
            self.late = self.late or session.state not in WITH_PEER
            session.answer_submits([number], [0], [b"msg"])
            self.take([])
        elif session.room():
            count = self.rng.randrange(1, 5)
            taken = session.deliver([MO] * count, range(self.slots, self.slots + count), self.now)
            self.slots += taken
            self.take([])
        elif self.rng.random() < 0.02:
            self.take(session.unbind(self.now))

    def wait(self) -> None:
        self.now += self.rng.choices((0.01, 0.5, 3.0, 12.0), (8, 4, 2, 1))[0]
        deadline = self.session.deadline()
        if deadline is not None and deadline <= self.now:
            self.late = True
            self.take(self.session.handle_deadline(self.now))
