"""
Seven-bit characters packed into octets, as they go over the air and as some SMSCs want them.

Source: 3GPP TS 23.038 §6.1.2.1. The first character takes the low bits of the first octet.
"""

from __future__ import annotations

from typing import Final

SEPTET_MASK: Final = 0x7F
_PADDING: Final = (0x00, 0x0D)  # zero bits (SMS), or CR (§6.1.2.3.1, meant for USSD and sent by some)


def fill_bits_after(header_octets: int) -> int:
    """Return how many zero bits follow a header, so that text begins on a septet (TS 23.040 §9.2.3.24)."""
    return -header_octets * 8 % 7


def pack(septets: bytes, fill_bits: int = 0) -> bytes:
    """Return `septets` (one an octet) packed after `fill_bits` zero bits; what is left over is zero bits."""
    assert 0 <= fill_bits < 7
    number = 0
    for position, septet in enumerate(septets):
        assert septet <= SEPTET_MASK
        number |= septet << (7 * position)
    bits = 7 * len(septets) + fill_bits
    return (number << fill_bits).to_bytes((bits + 7) // 8, "little")


def unpack(octets: bytes, fill_bits: int = 0, count: int | None = None) -> bytes:
    """
    Return the septets, one an octet; `count` says how many there are, when that is known.

    When it is not, seven bits that are left over could be padding or an eighth character: zero bits or CR
    there are read as padding, for eight characters that end in @ are rarer than seven of any kind.
    """
    assert 0 <= fill_bits < 7
    number = int.from_bytes(octets, "little") >> fill_bits
    room = max(0, len(octets) * 8 - fill_bits) // 7
    known = room if count is None else min(count, room)
    septets = bytes((number >> (7 * position)) & SEPTET_MASK for position in range(known))
    spare = (len(octets) * 8 - fill_bits) % 7 == 0
    if count is None and spare and septets and septets[-1] in _PADDING:
        return septets[:-1]
    return septets
