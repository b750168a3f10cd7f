from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.errors import BodyError, NotBound, ProtocolError, WindowFull
from smsgate.protocol.columns import SubmitTemplate, submit_responses
from smsgate.protocol.commands import RESPONSE_BIT, CommandId, Status
from smsgate.protocol.frames import Frame, FrameDecoder
from smsgate.protocol.pdus import Pdu, decode_pdu, encode_pdu
from smsgate.protocol.session import Session
from smsgate.protocol.session_states import (
    TRANSITIONS,
    Alert,
    BindKind,
    BindRefused,
    Bound,
    Closed,
    CloseReason,
    Congested,
    Delivered,
    Event,
    Expired,
    Input,
    Outbind,
    PeerUnbound,
    Receipts,
    Responded,
    SessionSettings,
    State,
    SubmitAnswers,
    takes_tlvs,
)
from smsgate.protocol.tlvs import Tag
from smsgate.protocol.window import SEQUENCE_MAX

BODY = SubmitTemplate(source_addr=b"Boxman").bodies([b"33612345678"], b"Hi")[0]
RECEIPT = b"id:7 sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:"


def a_session(first: int = 1, **settings: Any) -> Session:
    return Session(SessionSettings(b"me", b"secret", **settings), first_sequence_number=first)


def sent(session: Session) -> list[Pdu]:
    return [decode_pdu(frame) for frame in FrameDecoder().feed(session.data_to_send())]


def bound_session(first: int = 1, **settings: Any) -> Session:
    session = a_session(first, **settings)
    session.start(0.0)
    (bind,) = sent(session)
    answer = Pdu(bind.command_id | RESPONSE_BIT, 0, bind.sequence_number, {"system_id": b"smsc"})
    assert session.receive_data(encode_pdu(answer), 0.0) == [Bound(b"smsc", None)]
    return session


def submit(session: Session, slots: Sequence[int], now: float = 0.0) -> list[int]:
    """Return the sequence numbers under which the slots left."""
    assert session.submit_slice([BODY] * len(slots), slots, now) == len(slots)
    return [pdu.sequence_number for pdu in sent(session)]


def deliver(number: int, **fields: Any) -> bytes:
    return encode_pdu(Pdu(CommandId.DELIVER_SM, 0, number, fields))


def a_receipt(number: int) -> bytes:
    return deliver(number, esm_class=4, short_message=RECEIPT)


# Binding


@pytest.mark.parametrize(
    ("kind", "command_id"),
    [
        (BindKind.TRANSCEIVER, CommandId.BIND_TRANSCEIVER),
        (BindKind.TRANSMITTER, CommandId.BIND_TRANSMITTER),
        (BindKind.RECEIVER, CommandId.BIND_RECEIVER),
    ],
)
@pytest.mark.parametrize("version", [0x33, 0x34, 0x50])
def test_each_kind_of_bind_says_who_we_are(kind: BindKind, command_id: int, version: int) -> None:
    session = a_session(kind=kind, interface_version=version, system_type=b"cp", address_range=b"123")
    session.start(0.0)
    (bind,) = sent(session)
    assert bind.command_id == command_id
    assert bind.fields == {
        "system_id": b"me",
        "password": b"secret",
        "system_type": b"cp",
        "interface_version": version,
        "addr_ton": 0,
        "addr_npi": 0,
        "address_range": b"123",
    }
    answer = Pdu(command_id | RESPONSE_BIT, 0, 1, {"system_id": b"x"}, ((Tag.SC_INTERFACE_VERSION, b"\x34"),))
    assert session.receive_data(encode_pdu(answer), 0.1) == [Bound(b"x", 0x34)]
    assert session.room() == (0 if kind is BindKind.RECEIVER else 10)


def test_the_password_is_not_in_the_repr_of_the_settings() -> None:
    assert "secret" not in repr(a_session().settings)


@pytest.mark.parametrize("command_id", [CommandId.BIND_TRANSCEIVER_RESP, CommandId.GENERIC_NACK])
def test_a_refused_bind_tells_its_status_and_closes(command_id: int) -> None:
    session = a_session()
    session.start(0.0)
    events = session.receive_data(encode_pdu(Pdu(command_id, Status.ALYBND, 1)), 0.1)
    assert events == [BindRefused(Status.ALYBND), Closed(CloseReason.BIND_REFUSED, [], [])]
    assert session.deadline() is None


def test_a_bind_without_answer_is_given_up_at_its_deadline_and_not_before() -> None:
    session = a_session(bind_timeout_s=5.0)
    session.start(1.0)
    assert session.deadline() == 6.0
    assert session.handle_deadline(5.9) == []
    assert session.handle_deadline(6.0) == [Closed(CloseReason.BIND_TIMEOUT, [], [])]


def test_a_session_starts_once() -> None:
    with pytest.raises(ProtocolError):
        bound_session().start(1.0)


def test_what_comes_in_the_same_read_as_the_bind_response_is_told_after_bound() -> None:
    session = a_session()
    session.start(0.0)
    answer = encode_pdu(Pdu(CommandId.BIND_TRANSCEIVER_RESP, 0, 1))
    bound, receipts = session.receive_data(answer + a_receipt(5), 0.1)
    assert isinstance(bound, Bound)
    assert isinstance(receipts, Receipts)


# Submitting


def test_one_read_of_answers_is_one_event_of_columns() -> None:
    session = bound_session()
    numbers = submit(session, [70, 71, 72])
    octets = submit_responses(numbers, [0, Status.THROTTLED, 0], [b"a", b"", b"c"])
    assert session.receive_data(octets, 0.1) == [
        SubmitAnswers([70, 71, 72], [0, Status.THROTTLED, 0], [b"a", b"", b"c"])
    ]
    assert session.in_flight() == 0


def test_a_nack_is_an_answer_too() -> None:
    session = bound_session()
    (number,) = submit(session, [70])
    nack = encode_pdu(Pdu(CommandId.GENERIC_NACK, Status.INVCMDLEN, number))
    assert session.receive_data(nack, 0.1) == [SubmitAnswers([70], [Status.INVCMDLEN], [b""])]


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=30), st.integers(1, 10))
def test_the_window_is_never_exceeded_and_refills_by_what_was_answered(
    steps: list[tuple[int, int]], window_max: int
) -> None:
    session = bound_session(window_max=window_max)
    waiting: list[int] = []
    for wanted, answered in steps:
        room = window_max - len(waiting)
        assert session.room() == room
        assert session.submit_slice([BODY] * wanted, range(wanted), 0.0) == min(wanted, room)
        waiting += [pdu.sequence_number for pdu in sent(session)]
        assert len(waiting) <= window_max
        now, waiting = waiting[:answered], waiting[answered:]
        session.receive_data(submit_responses(now, [0] * len(now), [b"x"] * len(now)), 0.0)


def test_sequence_numbers_wrap_and_answers_still_match() -> None:
    session = bound_session(first=SEQUENCE_MAX - 2, response_timeout_s=5.0)
    assert submit(session, [1, 2, 3, 4]) == [SEQUENCE_MAX - 1, SEQUENCE_MAX, 1, 2]
    octets = submit_responses([SEQUENCE_MAX, 1], [0, 0], [b"b", b"c"])
    assert session.receive_data(octets, 0.1) == [SubmitAnswers([2, 3], [0, 0], [b"b", b"c"])]
    assert session.deadline() == 5.0
    assert session.handle_deadline(5.0) == [Expired([1, 4], [])]
    assert submit(session, [5]) == [3]


def test_the_last_number_is_followed_by_one() -> None:
    session = bound_session(first=SEQUENCE_MAX)
    assert submit(session, [1]) == [1]


def test_an_unanswered_submit_expires_at_its_deadline_and_not_before() -> None:
    session = bound_session(response_timeout_s=10.0)
    first = submit(session, [1, 2], now=5.0)
    submit(session, [3], now=6.0)
    session.receive_data(submit_responses(first[:1], [0], [b"a"]), 7.0)
    assert session.deadline() == 15.0
    assert session.handle_deadline(14.9) == []
    assert session.handle_deadline(15.0) == [Expired([2], [])]
    assert session.deadline() == 16.0
    assert session.receive_data(submit_responses(first[1:], [0], [b"late"]), 15.5) == []
    assert session.counts.stray_responses == 1


def test_a_peer_that_answers_enquiries_and_no_submit_is_silent() -> None:
    session = bound_session(window_max=20, response_timeout_s=10.0)
    early = submit(session, range(5), now=0.0)
    session.receive_data(submit_responses(early[:1], [0], [b"a"]), 1.0)
    submit(session, range(5, 14), now=2.0)
    assert session.handle_deadline(10.0) == [Expired([1, 2, 3, 4], [])]  # written before the last answer
    submit(session, [14, 15], now=11.0)
    session.receive_data(encode_pdu(Pdu(CommandId.ENQUIRE_LINK, 0, 1)), 11.5)
    assert session.handle_deadline(12.0) == [Expired([*range(5, 14)], [])]  # nine may be lost answers
    submit(session, [16], now=20.0)
    expired, closed = session.handle_deadline(21.0)
    assert expired == Expired([14, 15], [])
    assert closed == Closed(CloseReason.SILENT, [16], [], "submits have no answer")


@pytest.mark.parametrize("status", [Status.OK, Status.THROTTLED])
@pytest.mark.parametrize("waits", [True, False])
def test_one_answer_to_a_submit_shows_that_others_were_only_lost(waits: bool, status: int) -> None:
    """Also a refusal, and an answer that comes when nobody waits for it any more."""
    session = bound_session(window_max=1_000, response_timeout_s=10.0)
    for start in (0.0, 10.0, 20.0, 30.0):
        lost = submit(session, range(9), now=start)
        answered = submit(session, [9], now=start + 0.5) if waits else lost[:1]
        if not waits:
            assert session.handle_deadline(start + 10.0) == [Expired([*range(9)], [])]
        session.receive_data(submit_responses(answered, [status], [b"a"]), start + 10.0)
        if waits:
            assert session.handle_deadline(start + 10.0) == [Expired([*range(9)], [])]
    assert session.state is State.BOUND


def test_a_session_that_leaves_ends_in_order_though_nothing_is_answered() -> None:
    session = bound_session(window_max=20, response_timeout_s=10.0)
    submit(session, range(20), now=0.0)
    session.unbind(1.0)
    assert session.handle_deadline(10.0) == [Expired([*range(20)], [])]
    assert session.state is State.UNBINDING


def test_a_million_slices_leave_no_trace() -> None:
    """Scaled down: what is kept never grows beyond what waits."""
    session = bound_session(window_max=3, response_timeout_s=1e9)
    for slot in range(2_000):
        (number,) = submit(session, [slot])
        if slot % 1_000:
            session.receive_data(submit_responses([number], [0], [b"x"]), 0.0)
    assert session.in_flight() == 2
    assert len(session._window._slices) <= 2_000  # all after the oldest that waits
    session.receive_data(submit_responses([2, 1_002], [0, 0], [b"x", b"x"]), 0.0)
    session.deadline()
    assert len(session._window._slices) == 0


def test_after_a_million_unanswered_requests_the_memory_is_where_it_was() -> None:
    """M12, counted in blocks of Python's allocator: a tenth of a block per 100 requests would show."""
    session = bound_session(window_max=1_000, response_timeout_s=10.0)
    query, bodies = Pdu(CommandId.QUERY_SM, 0, 0), [BODY] * 990

    def a_thousand(now: float) -> None:
        assert session.submit_slice(bodies, range(990), now) == 990
        for _ in range(10):
            session.request(query, now)
        session.data_to_send()
        stray = submit_responses([SEQUENCE_MAX], [0], [b"x"])  # the peer lives, and answers submits
        session.receive_data(encode_pdu(Pdu(CommandId.ENQUIRE_LINK, 0, 1)) + stray, now + 9.0)
        expired = session.handle_deadline(now + 10.0)
        assert isinstance(expired[0], Expired)
        assert (len(expired[0].slots), len(expired[0].requests)) == (990, 10)

    a_thousand(0.0)
    gc.collect()
    before = sys.getallocatedblocks()
    for round_ in range(1, 1_001):
        a_thousand(round_ * 20.0)
    gc.collect()
    assert session.in_flight() == 0
    assert sys.getallocatedblocks() - before < 1_000


@pytest.mark.parametrize("number", [0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])
def test_any_number_of_the_peers_is_echoed(number: int) -> None:
    session = bound_session()
    session.receive_data(encode_pdu(Pdu(CommandId.ENQUIRE_LINK, 0, number)), 1.0)
    (delivered,) = session.receive_data(deliver(number, short_message=b"OK"), 1.0)
    assert isinstance(delivered, Delivered)
    session.respond(delivered.pdu)
    session.receive_data(Frame(0x0BAD, number).encode(), 1.0)
    session.receive_data(encode_pdu(Pdu(CommandId.UNBIND, 0, number)), 1.0)
    answers = sent(session)
    assert [pdu.sequence_number for pdu in answers] == [number] * 4
    assert [pdu.command_id for pdu in answers] == [
        CommandId.ENQUIRE_LINK_RESP,
        CommandId.DELIVER_SM_RESP,
        CommandId.GENERIC_NACK,
        CommandId.UNBIND_RESP,
    ]


@pytest.mark.parametrize("kind", [BindKind.RECEIVER, BindKind.TRANSCEIVER])
def test_who_is_not_bound_for_sending_cannot_submit(kind: BindKind) -> None:
    session = bound_session(kind=kind) if kind is BindKind.RECEIVER else a_session()
    assert session.room() == 0
    with pytest.raises(NotBound):
        session.submit_slice([BODY], [1], 0.0)
    with pytest.raises(NotBound):
        session.request(Pdu(CommandId.QUERY_SM, 0, 0), 0.0)


def test_a_rarer_request_takes_a_place_of_the_window_and_has_its_answer() -> None:
    session = bound_session(window_max=2)
    query = Pdu(CommandId.QUERY_SM, 0, 0, {"message_id": b"7"})
    first, second = session.request(query, 0.0), session.request(query, 0.0)
    assert [pdu.sequence_number for pdu in sent(session)] == [first, second]
    with pytest.raises(WindowFull):
        session.request(query, 0.0)
    answer = Pdu(CommandId.QUERY_SM_RESP, 0, first, {"message_id": b"7", "message_state": 2})
    answer.fields.update(final_date=b"", error_code=0)
    assert session.receive_data(encode_pdu(answer), 0.1) == [Responded(answer)]
    assert session.room() == 1
    assert session.handle_deadline(10.0) == [Expired([], [second])]


def test_a_request_that_cannot_be_encoded_costs_no_number() -> None:
    session = bound_session()
    with pytest.raises(BodyError):
        session.request(Pdu(CommandId.QUERY_SM, 0, 0, {"message_id": b"a\0b"}), 0.0)
    assert submit(session, [1]) == [2]
    assert session.in_flight() == 1


# Deliveries


def test_receipts_are_columns_and_are_acknowledged_in_one_piece() -> None:
    session = bound_session()
    (receipts,) = session.receive_data(a_receipt(5) + a_receipt(0xFFFF_FFFF), 0.1)
    assert receipts == Receipts([5, 0xFFFF_FFFF], [b"7", b"7"], [b"", b""], [2, 2], [b"000", b"000"])
    assert session.data_to_send() == b""
    session.acknowledge([5, 0xFFFF_FFFF])
    assert sent(session) == [
        Pdu(CommandId.DELIVER_SM_RESP, 0, number, {"message_id": b""}) for number in (5, 0xFFFF_FFFF)
    ]


@pytest.mark.parametrize("command_id", [CommandId.DELIVER_SM, CommandId.DATA_SM])
def test_an_mo_is_handed_up_and_answered_when_its_owner_says_so(command_id: int) -> None:
    session = bound_session()
    octets = encode_pdu(Pdu(command_id, 0, 0, {"source_addr": b"336"}))
    (event,) = session.receive_data(octets, 0.1)
    assert isinstance(event, Delivered)
    assert session.data_to_send() == b""
    session.respond(event.pdu, Status.MSGQFUL)
    assert sent(session) == [Pdu(command_id | RESPONSE_BIT, Status.MSGQFUL, 0, {"message_id": b""})]


def test_columns_come_before_the_rare_pdus_of_their_read() -> None:
    session = bound_session()
    (number,) = submit(session, [1])
    octets = deliver(8, short_message=b"OK") + a_receipt(9) + submit_responses([number], [0], [b"7"])
    assert [type(event) for event in session.receive_data(octets, 0.1)] == [
        SubmitAnswers,
        Receipts,
        Delivered,
    ]


def test_a_broken_deliver_sm_is_answered_and_the_session_lives() -> None:
    session = bound_session()
    assert session.receive_data(Frame(CommandId.DELIVER_SM, 4, 0, b"\0\1\1").encode(), 0.1) == []
    assert [(pdu.command_id, pdu.status, pdu.sequence_number) for pdu in sent(session)] == [
        (CommandId.DELIVER_SM_RESP, Status.INVCMDLEN, 4)
    ]
    assert session.state is State.BOUND
    assert session.counts.broken_bodies == 1


def test_a_delivery_before_the_bind_is_refused() -> None:
    session = a_session()
    session.start(0.0)
    session.data_to_send()
    assert session.receive_data(a_receipt(4), 0.1) == []
    assert [(pdu.status, pdu.sequence_number) for pdu in sent(session)] == [(Status.INVBNDSTS, 4)]


def test_an_alert_has_no_answer() -> None:
    session = bound_session()
    alert = Pdu(CommandId.ALERT_NOTIFICATION, 0, 3, {"source_addr": b"336"})
    (event,) = session.receive_data(encode_pdu(alert), 0.1)
    assert isinstance(event, Alert)
    assert session.data_to_send() == b""


# Life signs


@pytest.mark.parametrize("state", [state for state in State if state is not State.CLOSED])
def test_enquire_link_is_answered_in_every_state(state: State) -> None:
    session = session_in(state)
    session.data_to_send()
    octets = Frame(CommandId.ENQUIRE_LINK, 0xFFFF_FFF0, 0, b"with a body").encode()
    assert session.receive_data(octets, 0.1) == []
    assert sent(session) == [Pdu(CommandId.ENQUIRE_LINK_RESP, 0, 0xFFFF_FFF0)]
    assert session.state is state


def test_silence_is_asked_about_and_then_ends_the_session_with_everything_settled() -> None:
    session = bound_session(enquire_interval_s=30.0, response_timeout_s=10.0)
    assert session.deadline() == 30.0
    assert session.handle_deadline(29.9) == []
    assert session.data_to_send() == b""
    assert session.handle_deadline(30.0) == []
    (enquiry,) = sent(session)
    assert enquiry.command_id == CommandId.ENQUIRE_LINK
    submit(session, [7, 8], now=35.0)
    assert session.deadline() == 40.0
    assert session.handle_deadline(40.0) == [Closed(CloseReason.SILENT, [7, 8], [])]


def test_enquire_link_takes_no_slot_of_the_window() -> None:
    session = bound_session(window_max=2)
    submit(session, [1, 2], now=29.0)
    session.handle_deadline(30.0)
    assert session.in_flight() == 2
    assert session.room() == 0


def test_an_answered_enquiry_and_any_other_octet_are_signs_of_life() -> None:
    session = bound_session(enquire_interval_s=30.0, response_timeout_s=10.0)
    session.handle_deadline(30.0)
    (enquiry,) = sent(session)
    session.receive_data(encode_pdu(Pdu(CommandId.ENQUIRE_LINK_RESP, 0, enquiry.sequence_number)), 31.0)
    assert session.deadline() == 61.0
    session.handle_deadline(61.0)
    session.receive_data(b"\0", 65.0)
    assert session.handle_deadline(71.0) == []
    assert session.counts.enquiries_missed == 1
    assert session.deadline() == 95.0


def test_we_ask_nothing_before_the_bind_response() -> None:
    session = a_session(enquire_interval_s=1.0, bind_timeout_s=60.0)
    session.start(0.0)
    session.data_to_send()
    session.handle_deadline(30.0)
    assert session.data_to_send() == b""


# Nonsense


def test_an_unknown_request_gets_a_nack_and_an_unknown_response_nothing() -> None:
    session = bound_session()
    octets = Frame(0x0001_0203, 0xDEAD_BEEF, 0, b"?").encode() + Frame(0x8001_0203, 4, 0, b"?").encode()
    assert session.receive_data(octets, 0.1) == []
    assert sent(session) == [Pdu(CommandId.GENERIC_NACK, Status.INVCMDID, 0xDEAD_BEEF)]
    assert (session.counts.unknown_requests, session.counts.stray_responses) == (1, 1)
    assert session.state is State.BOUND


def test_a_broken_stream_closes_after_its_good_part() -> None:
    session = bound_session()
    numbers = submit(session, [1, 2])
    octets = submit_responses(numbers[:1], [0], [b"a"]) + b"HTTP/1.1 200 OK"
    answers, closed = session.receive_data(octets, 0.1)
    assert answers == SubmitAnswers([1], [0], [b"a"])
    assert isinstance(closed, Closed)
    assert (closed.reason, closed.slots) == (CloseReason.BROKEN, [2])
    assert "HTTP" in closed.detail
    assert session.receive_data(octets, 0.2) == session.lost(0.3) == []


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_random_octets_are_events_and_never_exceptions(reads: list[bytes]) -> None:
    session = bound_session()
    submit(session, [1, 2])
    for data in reads:
        session.receive_data(data, 0.1)


@given(
    st.lists(
        st.builds(
            Frame,
            st.sampled_from([*range(0x16), *(0x8000_0000 + n for n in range(0x16)), 0x102, 0x103, 0x21]),
            st.integers(0, 6),
            st.integers(0, 2),
            st.binary(max_size=30),
        ),
        max_size=12,
    ),
    st.sampled_from(list(State)),
)
def test_random_pdus_in_any_state_are_events_and_settle_once(frames: list[Frame], state: State) -> None:
    session = session_in(state)
    events = session.receive_data(b"".join(frame.encode() for frame in frames), 0.1)
    events += session.lost(0.2)
    closed = [event for event in events if isinstance(event, Closed)]
    assert len(closed) == (0 if state is State.CLOSED else 1)
    assert not closed or closed == events[-1:]
    sent(session)


@given(st.integers(1, 15), st.integers(0, 500))
def test_columns_survive_any_cut_of_the_stream(count: int, cut: int) -> None:
    session = bound_session(window_max=20)
    numbers = submit(session, list(range(count)))
    octets = submit_responses(numbers, [0] * count, [b"x"] * count) + a_receipt(4)
    cut %= len(octets)
    events = session.receive_data(octets[:cut], 0.1) + session.receive_data(octets[cut:], 0.1)
    slots = [slot for event in events if isinstance(event, SubmitAnswers) for slot in event.slots]
    assert slots == list(range(count))
    assert sum(isinstance(event, Receipts) for event in events) == 1


# Leaving


def test_unbind_waits_for_open_answers_in_both_directions() -> None:
    session = bound_session()
    (number,) = submit(session, [1])
    session.receive_data(a_receipt(5), 0.5)
    assert session.unbind(1.0) == []
    assert session.room() == 0
    with pytest.raises(NotBound):
        session.submit_slice([BODY], [2], 1.0)
    assert session.receive_data(submit_responses([number], [0], [b"a"]), 1.1) == [
        SubmitAnswers([1], [0], [b"a"])
    ]
    assert session.data_to_send() == b""
    session.acknowledge([5])
    assert session.deadline() == 1.1
    assert session.handle_deadline(1.2) == []
    acknowledged, unbind = sent(session)
    assert (acknowledged.command_id, unbind.command_id) == (CommandId.DELIVER_SM_RESP, CommandId.UNBIND)
    answer = encode_pdu(Pdu(CommandId.UNBIND_RESP, 0, unbind.sequence_number))
    assert session.receive_data(answer, 1.3) == [Closed(CloseReason.UNBOUND, [], [])]


def test_unbind_does_not_wait_longer_than_the_response_timeout() -> None:
    session = bound_session(response_timeout_s=10.0)
    session.receive_data(a_receipt(5), 0.5)
    session.unbind(1.0)
    assert session.deadline() == 11.0
    assert session.handle_deadline(11.0) == []
    assert [pdu.command_id for pdu in sent(session)] == [CommandId.UNBIND]
    assert session.deadline() == 21.0
    assert session.handle_deadline(21.0) == [Closed(CloseReason.UNBIND_TIMEOUT, [], [])]


@pytest.mark.parametrize("state", [State.OPEN, State.BINDING])
def test_leaving_before_bound_just_closes(state: State) -> None:
    assert session_in(state).unbind(1.0) == [Closed(CloseReason.UNBOUND, [], [])]


def test_the_peers_unbind_is_answered_at_once_and_open_answers_are_awaited() -> None:
    session = bound_session()
    (number,) = submit(session, [1])
    unbind = encode_pdu(Pdu(CommandId.UNBIND, 0, 77))
    assert session.receive_data(unbind, 1.0) == [PeerUnbound()]
    assert sent(session) == [Pdu(CommandId.UNBIND_RESP, 0, 77)]
    assert session.room() == 0
    assert session.receive_data(submit_responses([number], [0], [b"a"]), 1.1) == [
        SubmitAnswers([1], [0], [b"a"]),
        Closed(CloseReason.PEER_UNBOUND, [], []),
    ]


def test_a_peer_that_unbinds_with_nothing_open_is_let_go_at_once() -> None:
    session = bound_session()
    events = session.receive_data(encode_pdu(Pdu(CommandId.UNBIND, 0, 77)), 1.0)
    assert events == [PeerUnbound(), Closed(CloseReason.PEER_UNBOUND, [], [])]
    assert [pdu.command_id for pdu in sent(session)] == [CommandId.UNBIND_RESP]


def test_two_unbinds_that_cross_are_both_answered() -> None:
    session = bound_session()
    session.unbind(1.0)
    (ours,) = sent(session)
    octets = encode_pdu(Pdu(CommandId.UNBIND, 0, 5)) + encode_pdu(
        Pdu(CommandId.UNBIND_RESP, 0, ours.sequence_number)
    )
    assert session.receive_data(octets, 1.1) == [Closed(CloseReason.UNBOUND, [], [])]
    assert sent(session) == [Pdu(CommandId.UNBIND_RESP, 0, 5)]


def test_a_peer_that_hangs_up_instead_of_answering_our_unbind_has_answered_it() -> None:
    session = bound_session()
    session.unbind(1.0)
    assert session.lost(1.1) == [Closed(CloseReason.UNBOUND, [], [])]


def test_a_lost_connection_settles_what_waits_and_late_acknowledgements_go_nowhere() -> None:
    session = bound_session()
    submit(session, [1, 2])
    number = session.request(Pdu(CommandId.QUERY_SM, 0, 0), 0.0)
    session.data_to_send()
    assert session.lost(1.0) == [Closed(CloseReason.LOST, [1, 2], [number])]
    session.acknowledge([5])
    session.respond(Pdu(CommandId.DELIVER_SM, 0, 6))
    assert session.data_to_send() == b""
    assert session.lost(2.0) == session.unbind(2.0) == session.handle_deadline(99.0) == []


# What other versions do


def an_outbind() -> bytes:
    return encode_pdu(Pdu(CommandId.OUTBIND, 0, 8, {"system_id": b"smsc", "password": b"theirs"}))


def test_an_outbind_asks_us_to_bind_and_has_no_answer() -> None:
    session = a_session()
    (event,) = session.receive_data(an_outbind(), 0.0)
    assert isinstance(event, Outbind)
    assert event.pdu.fields == {"system_id": b"smsc", "password": b"theirs"}
    assert "theirs" not in repr(event)
    assert session.data_to_send() == b""
    session.start(1.0)
    (bind,) = sent(session)
    assert bind.command_id == CommandId.BIND_TRANSCEIVER
    assert session.receive_data(an_outbind(), 1.0) == []  # it crossed our bind
    assert session.data_to_send() == b""


def test_an_outbind_in_a_bound_session_is_refused_and_the_session_lives() -> None:
    session = bound_session()
    assert session.receive_data(an_outbind(), 1.0) == []
    (nack,) = sent(session)
    assert (nack.command_id, nack.status, nack.sequence_number) == (
        CommandId.GENERIC_NACK,
        Status.INVBNDSTS,
        8,
    )
    assert session.state is State.BOUND


@pytest.mark.parametrize(
    ("own", "peer", "missing_is_33", "takes"),
    [
        (0x34, 0x34, False, True),
        (0x34, 0x50, False, True),
        (0x34, 0x33, False, False),
        (0x34, 0x00, False, False),
        (0x34, 34, False, True),  # 3.4 in decimal
        (0x34, None, False, True),
        (0x34, None, True, False),
        (0x33, 0x34, False, False),
        (0x50, 50, True, True),
    ],
)
def test_tlvs_go_to_who_can_read_them(own: int, peer: int | None, missing_is_33: bool, takes: bool) -> None:
    assert takes_tlvs(own, peer, missing_is_33=missing_is_33) is takes


def test_the_congestion_state_of_any_response_is_told() -> None:
    session = bound_session(enquire_interval_s=10.0)
    tlvs = ((Tag.CONGESTION_STATE, b"\x5a"),)
    number = session.request(Pdu(CommandId.QUERY_SM, 0, 0), 0.0)
    fields = {"message_id": b"7", "final_date": b"", "message_state": 2, "error_code": 0}
    answer = Pdu(CommandId.QUERY_SM_RESP, 0, number, fields, tlvs)
    responded, congested = session.receive_data(encode_pdu(answer), 1.0)
    assert isinstance(responded, Responded)
    assert congested == Congested(90)
    session.data_to_send()
    session.handle_deadline(11.0)
    (enquiry,) = sent(session)
    answer = Pdu(CommandId.ENQUIRE_LINK_RESP, 0, enquiry.sequence_number, {}, tlvs)
    assert session.receive_data(encode_pdu(answer), 12.0) == [Congested(90)]


def test_the_time_of_an_answer_is_taken_once_a_read() -> None:
    session = bound_session()
    numbers = submit(session, [1, 2, 3], now=5.0)
    session.receive_data(submit_responses(numbers[1:], [0, 0], [b"x", b"y"]), 5.1)
    assert session.response_s == 0.0  # the timed one is still out
    session.receive_data(submit_responses(numbers[:1], [0], [b"x"]), 5.25)
    assert session.response_s == pytest.approx(0.25)
    submit(session, [4], now=6.0)
    session.handle_deadline(16.0)
    (number,) = submit(session, [5], now=20.0)
    session.receive_data(submit_responses([number], [0], [b"x"]), 20.5)
    assert session.response_s == pytest.approx(0.5)


# The grid


def session_in(state: State) -> Session:
    """Return a session in `state`, with a submit in flight where there can be one."""
    if state is State.OPEN:
        return a_session()
    if state is State.BINDING:
        session = a_session()
        session.start(0.0)
        return session
    session = bound_session()
    if state is State.UNBINDING:
        session.unbind(0.0)
        return session
    submit(session, [1])
    if state is State.DRAINING:
        session.unbind(0.0)
    elif state is State.LEAVING:
        session.receive_data(encode_pdu(Pdu(CommandId.UNBIND, 0, 9)), 0.0)
    elif state is State.CLOSED:
        session.lost(0.0)
    return session


def apply(session: Session, input_: Input) -> list[Event]:
    """Do to the session what the input stands for."""
    number = session._phase_number
    match input_:
        case Input.SEND_BIND:
            session.start(0.1)
            return []
        case Input.SUBMIT:
            session.submit_slice([BODY], [2], 0.1)
            return []
        case Input.UNBIND:
            return session.unbind(0.1)
        case Input.DRAINED:
            answer = (
                submit_responses(list(session._window.submits), [0], [b"x"]) if session.in_flight() else b""
            )
            return session.receive_data(answer, 0.1)
        case Input.RECV_BIND_OK:
            return session.receive_data(encode_pdu(Pdu(CommandId.BIND_TRANSCEIVER_RESP, 0, number)), 0.1)
        case Input.RECV_BIND_REFUSED:
            return session.receive_data(encode_pdu(Pdu(CommandId.BIND_TRANSCEIVER_RESP, 13, number)), 0.1)
        case Input.RECV_OUTBIND:
            return session.receive_data(encode_pdu(Pdu(CommandId.OUTBIND, 0, 8)), 0.1)
        case Input.RECV_DELIVER:
            return session.receive_data(deliver(3, short_message=b"OK"), 0.1)
        case Input.RECV_UNBIND:
            return session.receive_data(encode_pdu(Pdu(CommandId.UNBIND, 0, 4)), 0.1)
        case Input.RECV_UNBIND_RESP:
            return session.receive_data(encode_pdu(Pdu(CommandId.UNBIND_RESP, 0, number)), 0.1)
        case Input.TIMED_OUT:
            return session.handle_deadline(1_000.0) + session.handle_deadline(2_000.0)
        case Input.BROKEN:
            return session.receive_data(bytes(16), 0.1)
        case Input.LOST:
            return session.lost(0.1)


# Leaving goes on by itself within the same call once nothing is open.
FURTHER = {
    (State.BOUND, Input.TIMED_OUT): State.CLOSED,
    (State.DRAINING, Input.TIMED_OUT): State.CLOSED,
    (State.LEAVING, Input.TIMED_OUT): State.CLOSED,
}
OURS = {Input.SEND_BIND, Input.SUBMIT}
GRID = list(product(State, Input))


@pytest.mark.parametrize(("state", "input_"), GRID, ids=[f"{s.name}-{i.name}" for s, i in GRID])
def test_every_pair_of_state_and_input_does_what_the_table_says(state: State, input_: Input) -> None:
    session = session_in(state)
    assert session.state is state
    target = FURTHER.get((state, input_)) or TRANSITIONS.get((state, input_))
    if target is None and input_ in OURS:
        with pytest.raises(ProtocolError):
            apply(session, input_)
        assert session.state is state
        return
    events = apply(session, input_)
    assert session.state is (target or state)
    closed = [event for event in events if isinstance(event, Closed)]
    assert len(closed) == (session.state is State.CLOSED and state is not State.CLOSED)
