"""
PDUs as a capture file that tshark and Wireshark read: each PDU a TCP segment of its connection.

Format: the classic pcap file (draft-ietf-opsawg-pcap), link type RAW: packets begin with their IP header.
What went over TLS stands here in the clear. There are no handshakes of TCP: only what SMPP said.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MEDIA_TYPE: Final = "application/vnd.tcpdump.pcap"
SNAPLEN: Final = 262_144  # octets of one packet that readers have to expect
SEGMENT_OCTETS_MAX: Final = 65_000  # the IP length has 16 bits, headers included

_LINKTYPE_RAW: Final = 101
_FILE_HEAD: Final = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAPLEN, _LINKTYPE_RAW)
_PACKET_HEAD: Final = struct.Struct("<IIII")
_TCP_HEAD: Final = struct.Struct(">HHIIBBHHH")
_TCP: Final = 6
_PSH_ACK: Final = 0x18
_SEQUENCE_MODULUS: Final = 1 << 32
_NOWHERE: Final = "0.0.0.0"  # noqa: S104 - shown where the address is not known, nothing listens there

Endpoint = tuple[str, int]


class TracedPdu(NamedTuple):
    """One PDU of a connection: `at_s` is Unix time, `local` and `peer` are (address, port)."""

    at_s: float
    connection: int
    outgoing: bool
    octets: bytes
    local: Endpoint
    peer: Endpoint


def pcap_octets(pdus: Iterable[TracedPdu]) -> bytes:
    """Return a whole capture file; `pdus` in the order of their time."""
    return b"".join([_FILE_HEAD, *_packets(pdus)])


def _packets(pdus: Iterable[TracedPdu]) -> Iterator[bytes]:
    sent: dict[tuple[int, bool], int] = {}  # octets of each direction so far
    for pdu in pdus:
        source, destination = (pdu.local, pdu.peer) if pdu.outgoing else (pdu.peer, pdu.local)
        here, there = (pdu.connection, pdu.outgoing), (pdu.connection, not pdu.outgoing)
        for start in range(0, len(pdu.octets), SEGMENT_OCTETS_MAX):
            payload = pdu.octets[start : start + SEGMENT_OCTETS_MAX]
            number = sent.get(here, 0)
            packet = _ip_packet(source, destination, 1 + number, 1 + sent.get(there, 0), payload)
            sent[here] = number + len(payload)
            seconds = int(pdu.at_s)
            micros = int((pdu.at_s - seconds) * 1_000_000)
            yield _PACKET_HEAD.pack(seconds, micros, len(packet), len(packet)) + packet


def _ip_packet(source: Endpoint, destination: Endpoint, sequence: int, ack: int, payload: bytes) -> bytes:
    from_ip, to_ip = _address(source[0]), _address(destination[0])
    tcp = _TCP_HEAD.pack(
        *(source[1], destination[1], sequence % _SEQUENCE_MODULUS, ack % _SEQUENCE_MODULUS),
        *(5 << 4, _PSH_ACK, 0xFFFF, 0, 0),
    )
    length = len(tcp) + len(payload)
    if from_ip.version == to_ip.version == 4:
        pseudo = from_ip.packed + to_ip.packed + struct.pack(">HH", _TCP, length)
        head = struct.pack(
            ">BBHHHBBH4s4s", 0x45, 0, 20 + length, 0, 0, 64, _TCP, 0, from_ip.packed, to_ip.packed
        )
        head = head[:10] + _checksum(head).to_bytes(2, "big") + head[12:]
    else:
        from_octets, to_octets = _as_ipv6(from_ip), _as_ipv6(to_ip)
        pseudo = from_octets + to_octets + struct.pack(">II", length, _TCP)
        head = struct.pack(">IHBB16s16s", 6 << 28, length, _TCP, 64, from_octets, to_octets)
    checksum = _checksum(pseudo + tcp + payload)
    return head + tcp[:16] + checksum.to_bytes(2, "big") + tcp[18:] + payload


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ipaddress.IPv4Address(_NOWHERE)


def _as_ipv6(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bytes:
    return address.packed if address.version == 6 else b"\0" * 10 + b"\xff\xff" + address.packed


def _checksum(octets: bytes) -> int:
    """Return the Internet checksum. Source: RFC 1071."""
    padded = octets + b"\0" * (len(octets) % 2)
    total: int = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
