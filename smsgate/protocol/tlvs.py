"""Optional parameters: tag and length of 16 bits each, then octets. Source: SMPP 3.4 §3.2.4, §5.3."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from smsgate.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable

Tlvs = tuple[tuple[int, bytes], ...]

TLV_HEAD: Final = struct.Struct(">HH")
TLV_HEAD_SIZE: Final = 4  # octets
VALUE_LENGTH_MAX: Final = 0xFFFF  # octets: the length has 16 bits


class Tag:
    DEST_ADDR_SUBUNIT: Final = 0x0005
    QOS_TIME_TO_LIVE: Final = 0x0017
    RECEIPTED_MESSAGE_ID: Final = 0x001E
    USER_MESSAGE_REFERENCE: Final = 0x0204
    SOURCE_PORT: Final = 0x020A
    DESTINATION_PORT: Final = 0x020B
    SAR_MSG_REF_NUM: Final = 0x020C
    SAR_TOTAL_SEGMENTS: Final = 0x020E
    SAR_SEGMENT_SEQNUM: Final = 0x020F
    SC_INTERFACE_VERSION: Final = 0x0210
    CALLBACK_NUM: Final = 0x0381
    NETWORK_ERROR_CODE: Final = 0x0423
    MESSAGE_PAYLOAD: Final = 0x0424
    MORE_MESSAGES_TO_SEND: Final = 0x0426
    MESSAGE_STATE: Final = 0x0427
    CONGESTION_STATE: Final = 0x0428  # SMPP 5.0 §4.8.4.18; seen on 3.4 links too


def parse_tlvs(octets: bytes, start: int, stop: int) -> tuple[Tlvs, int]:
    """
    Return the whole TLVs of `octets[start:stop]`, unknown tags too, and where reading ended.

    Reading ends before a TLV that is cut, or whose tag is the reserved 0: what follows is padding or
    garbage, which peers do send; it is dropped and the PDU is kept.
    """
    tlvs: list[tuple[int, bytes]] = []
    unpack = TLV_HEAD.unpack_from
    while stop - start >= TLV_HEAD_SIZE:
        tag, length = unpack(octets, start)
        value = start + TLV_HEAD_SIZE
        end = value + length
        if tag == 0 or end > stop:
            break
        tlvs.append((tag, octets[value:end]))
        start = end
    return tuple(tlvs), start


def encode_tlvs(tlvs: Iterable[tuple[int, bytes]]) -> bytes:
    """
    Return the octets of `tlvs`, in their order.

    Raises:
        ProtocolError: a tag outside 1..0xFFFF, or a value longer than VALUE_LENGTH_MAX.
    """
    parts: list[bytes] = []
    for tag, value in tlvs:
        if not 0 < tag <= 0xFFFF or len(value) > VALUE_LENGTH_MAX:
            raise ProtocolError(f"TLV 0x{tag:04x} of {len(value)} octets")
        parts += (TLV_HEAD.pack(tag, len(value)), value)
    return b"".join(parts)


def tlv_value(tlvs: Tlvs, tag: int) -> bytes | None:
    """Return the value of the first TLV with this tag."""
    for candidate, value in tlvs:
        if candidate == tag:
            return value
    return None


def tlv_number(tlvs: Tlvs, tag: int) -> int | None:
    """Return the value read as an unsigned number; an empty value is no number."""
    value = tlv_value(tlvs, tag)
    return int.from_bytes(value, "big") if value else None
