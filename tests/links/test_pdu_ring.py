from __future__ import annotations

from smsgate.links.pdu_ring import AGE_MAX_S, RECORD_OVERHEAD_OCTETS, PduRing
from smsgate.protocol.commands import CommandId
from smsgate.protocol.frames import Frame

ENDS = (("127.0.0.1", 40_000), ("127.0.0.1", 2775))


def an_enquiry(number: int) -> bytes:
    return Frame(CommandId.ENQUIRE_LINK, number).encode()


def kept(ring: PduRing) -> list[bytes]:
    return [pdu.octets for pdu in ring.pdus()]


def test_a_read_of_many_pdus_is_shown_pdu_by_pdu() -> None:
    ring = PduRing(10_000)
    ring.add(1.0, 5, an_enquiry(1) + an_enquiry(2), ENDS, outgoing=False)
    ring.add(2.0, 5, an_enquiry(3), ENDS, outgoing=True)
    shown = [(pdu.at_s, pdu.connection, pdu.outgoing, pdu.octets) for pdu in ring.pdus()]
    assert shown == [
        (1.0, 5, False, an_enquiry(1)),
        (1.0, 5, False, an_enquiry(2)),
        (2.0, 5, True, an_enquiry(3)),
    ]


def test_the_oldest_make_room_and_memory_stays_within_the_limit() -> None:
    ring = PduRing(5 * (RECORD_OVERHEAD_OCTETS + 16))
    for number in range(1, 1_001):
        ring.add(float(number), 1, an_enquiry(number), ENDS, outgoing=True)
    assert kept(ring) == [an_enquiry(number) for number in range(996, 1_001)]


def test_what_is_older_than_a_day_is_not_kept() -> None:
    ring = PduRing(1_000_000)
    ring.add(0.0, 1, an_enquiry(1), ENDS, outgoing=True)
    ring.add(60.0, 1, an_enquiry(2), ENDS, outgoing=True)
    ring.add(AGE_MAX_S, 1, an_enquiry(3), ENDS, outgoing=True)
    assert kept(ring) == [an_enquiry(number) for number in (1, 2, 3)]
    ring.add(AGE_MAX_S + 30.0, 1, an_enquiry(4), ENDS, outgoing=True)
    assert kept(ring) == [an_enquiry(number) for number in (2, 3, 4)]


def test_one_read_larger_than_the_ring_is_kept_alone() -> None:
    ring = PduRing(100)
    ring.add(1.0, 1, an_enquiry(1), ENDS, outgoing=True)
    ring.add(2.0, 1, an_enquiry(2) * 50, ENDS, outgoing=True)
    assert kept(ring) == [an_enquiry(2)] * 50


def test_of_octets_that_are_no_smpp_the_first_are_shown() -> None:
    ring = PduRing(10_000)
    ring.add(1.0, 1, an_enquiry(1) + b"HTTP/1.1 400 Bad Request\r\n\r\n", ENDS, outgoing=False)
    assert kept(ring) == [an_enquiry(1), b"HTTP/1.1 400 Bad"]
