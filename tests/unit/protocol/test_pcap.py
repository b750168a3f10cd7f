from __future__ import annotations

import struct

from smsgate.protocol.pcap import SEGMENT_OCTETS_MAX, TracedPdu, pcap_octets

HERE, THERE = ("192.0.2.7", 40_000), ("198.51.100.9", 2775)


def a_pdu(
    octets: bytes, *, outgoing: bool = True, at_s: float = 1_764_000_000.25, v6: bool = False
) -> TracedPdu:
    local, peer = (("2001:db8::7%eth0", 40_000), ("2001:db8::9", 2775)) if v6 else (HERE, THERE)
    return TracedPdu(at_s, 1, outgoing, octets, local, peer)


def packets(octets: bytes) -> list[tuple[float, bytes]]:
    magic, major, minor, _, _, snaplen, linktype = struct.unpack_from("<IHHiIII", octets)
    assert (magic, major, minor, linktype) == (0xA1B2C3D4, 2, 4, 101)
    found, position = [], 24
    while position < len(octets):
        seconds, micros, kept, length = struct.unpack_from("<IIII", octets, position)
        assert kept == length <= snaplen
        found.append((seconds + micros / 1e6, octets[position + 16 : position + 16 + kept]))
        position += 16 + kept
    return found


def ones_complement_sum(octets: bytes) -> int:
    padded = octets + b"\0" * (len(octets) % 2)
    total = sum(int.from_bytes(padded[i : i + 2], "big") for i in range(0, len(padded), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_each_pdu_is_a_packet_with_its_time_addresses_and_checksums() -> None:
    [(at_s, packet)] = packets(pcap_octets([a_pdu(b"0123456789abcdef")]))
    assert at_s == 1_764_000_000.25
    assert packet[12:20] == bytes((192, 0, 2, 7, 198, 51, 100, 9))
    assert struct.unpack_from(">HH", packet, 20) == (40_000, 2775)
    assert packet[40:] == b"0123456789abcdef"
    assert ones_complement_sum(packet[:20]) == 0xFFFF
    pseudo = packet[12:20] + struct.pack(">HH", 6, len(packet) - 20)
    assert ones_complement_sum(pseudo + packet[20:]) == 0xFFFF


def test_sequence_and_acknowledgement_numbers_follow_both_directions() -> None:
    traced = [a_pdu(b"x" * 20), a_pdu(b"y" * 17, outgoing=False), a_pdu(b"z" * 16)]
    numbers = [struct.unpack_from(">HHII", packet, 20) for _, packet in packets(pcap_octets(traced))]
    assert numbers == [(40_000, 2775, 1, 1), (2775, 40_000, 1, 21), (40_000, 2775, 21, 18)]


def test_a_pdu_larger_than_a_packet_is_cut_without_a_gap() -> None:
    octets = bytes(range(256)) * 273  # 69,888
    cut = [packet for _, packet in packets(pcap_octets([a_pdu(octets)]))]
    assert b"".join(packet[40:] for packet in cut) == octets
    assert struct.unpack_from(">HHI", cut[1], 20)[2] == 1 + SEGMENT_OCTETS_MAX


def test_ipv6_ends_are_written_as_ipv6() -> None:
    [(_, packet)] = packets(pcap_octets([a_pdu(b"0123456789abcdef", v6=True)]))
    assert packet[0] >> 4 == 6
    assert packet[8:24].hex() == "20010db8000000000000000000000007"
    assert packet[60:] == b"0123456789abcdef"


def test_an_end_without_an_address_is_nowhere() -> None:
    traced = TracedPdu(1.0, 1, True, b"0123456789abcdef", ("", 0), THERE)
    [(_, packet)] = packets(pcap_octets([traced]))
    assert packet[12:16] == b"\0\0\0\0"
