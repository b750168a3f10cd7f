"""What a stream that is none does to a session: it ends, and nothing was allocated for what was announced."""

from __future__ import annotations

import tracemalloc

import pytest

from smsgate.protocol.frames import COMMAND_LENGTH_MAX, HEADER
from smsgate.protocol.session_states import Closed, CloseReason
from tests.unit.protocol.test_session import bound_session
from tests.unit.protocol.vectors import PDUS, Vector, ids, octets_of

FATAL = [row for row in PDUS if row["verdict"] == "fatal_framing"]


@pytest.mark.parametrize("size", [1, 5, 1_000])
@pytest.mark.parametrize("row", FATAL, ids=ids(FATAL))
def test_octets_that_are_no_pdu_end_the_session_within_the_read_that_shows_it(row: Vector, size: int) -> None:
    session, octets = bound_session(), octets_of(row)
    for at in range(0, len(octets), size):
        events = session.receive_data(octets[at : at + size], 1.0)
        if at + size >= 4:
            assert [type(event) for event in events] == [Closed]
            assert isinstance(events[0], Closed)
            assert events[0].reason is CloseReason.BROKEN
            return


@pytest.mark.parametrize("length", [0xFFFF_FFFF, COMMAND_LENGTH_MAX])
def test_a_header_costs_less_than_64_kib_whatever_length_it_announces(length: int) -> None:
    session = bound_session()
    octets = HEADER.pack(length, 5, 0, 1)
    tracemalloc.start()
    try:
        for at in range(len(octets)):
            session.receive_data(octets[at : at + 1], 1.0)
        assert tracemalloc.get_traced_memory()[1] < 65_536
    finally:
        tracemalloc.stop()
