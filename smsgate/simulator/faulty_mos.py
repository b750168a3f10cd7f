"""
A phone's text as some SMSCs write it: other concatenation, other alphabets, parts cut anywhere.

Source: 3GPP TS 23.040 §9.2.3.24 (user data header), TS 23.038 §6.1.2.1.1 (packing) and annex A (Turkish
single shift table); SMPP 3.4 §5.3.2.22 to 24 (SAR). Written by tables of its own, so that it proves what
reads it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from smsgate.protocol.commands import CommandId
from smsgate.protocol.gsm0338 import encode_gsm, is_gsm
from smsgate.protocol.pdus import encode_body
from smsgate.protocol.segmentation import SEGMENT_OCTETS
from smsgate.protocol.tlvs import Tag, encode_tlvs
from smsgate.simulator.faults import Faults
from smsgate.simulator.mobile_originated import INTERNATIONAL, Mo

UDHI: Final = 0x40
UCS2: Final = 0x08
IA5: Final = 0x01
PORT_ELEMENT: Final = bytes.fromhex("05041f401f40")  # 16-bit ports 8000 and 8000
TURKISH_ELEMENT: Final = bytes.fromhex("240101")  # single shift, language 1
TURKISH: Final = {"Ğ": 0x47, "İ": 0x49, "Ş": 0x53, "ç": 0x63, "ğ": 0x67, "ı": 0x69, "ş": 0x73}


class _Text(NamedTuple):
    """`characters` are octets, one or two septets or words each."""

    data_coding: int
    characters: list[bytes]
    elements: bytes  # of a user data header that the text needs whatever its length
    septets: bool  # one octet is one septet


def mo_bodies(mo: Mo, faults: Faults) -> list[bytes]:
    """
    Return the deliver_sm bodies of `mo`, in the order of its parts.

    Raises:
        TextError: no alphabet can carry it.
    """
    text = _encode(mo.text, faults)
    port = PORT_ELEMENT if faults.mo_concat == "port-udh8" else b""
    whole = b"".join(text.characters)
    if faults.mo_concat == "payload":
        return [_body(mo, text, faults, [text.elements], whole)]
    # How many octets the header takes decides where the parts end.
    concat_size = {"sar": 0, "udh16": 6}.get(faults.mo_concat, 5)
    header_single = len(port + text.elements)
    if len(whole) <= _capacity(text, header_single + bool(header_single)):
        return [_body(mo, text, faults, [port, text.elements], whole)]
    header = header_single + concat_size
    parts = _cut(text, _capacity(text, header + bool(header)), pairs=faults.mo_cuts_pairs)
    reference = mo.reference if faults.mo_reference < 0 else faults.mo_reference
    bodies = []
    for index, octets in enumerate(parts, 1):
        place = bytes((len(parts), index))
        concat = {
            "sar": b"",
            "udh16": b"\x08\x04" + (0xA500 | reference).to_bytes(2, "big") + place,
        }.get(faults.mo_concat, b"\x00\x03" + bytes((reference,)) + place)
        tlvs = {
            Tag.SAR_MSG_REF_NUM: (0xA500 | reference).to_bytes(2, "big"),
            Tag.SAR_TOTAL_SEGMENTS: place[:1],
            Tag.SAR_SEGMENT_SEQNUM: place[1:],
        }
        elements = [port, text.elements, concat]
        bodies.append(_body(mo, text, faults, elements, octets, tlvs if faults.mo_concat == "sar" else None))
    return bodies


def pack(septets: bytes, fill_bits: int = 0) -> bytes:
    """Return septets packed into octets from their low bits up, after `fill_bits` zero bits."""
    bits = sum(septet << (fill_bits + 7 * i) for i, septet in enumerate(septets))
    return bits.to_bytes((fill_bits + 7 * len(septets) + 7) // 8, "little")


def _encode(text: str, faults: Faults) -> _Text:
    alphabet = faults.mo_alphabet
    if alphabet == "latin1" and all(ord(character) <= 0xFF for character in text):
        return _Text(0, [character.encode("latin-1") for character in text], b"", septets=False)
    if alphabet == "turkish" and is_gsm("".join(c for c in text if c not in TURKISH)):
        characters = [bytes((0x1B, TURKISH[c])) if c in TURKISH else encode_gsm(c) for c in text]
        return _Text(0, characters, TURKISH_ELEMENT, septets=True)
    if is_gsm(text):
        return _Text(IA5 if alphabet == "gsm-as-1" else 0, [encode_gsm(c) for c in text], b"", septets=True)
    return _Text(UCS2, [c.encode("utf-16-be") for c in text], b"", septets=False)


def _capacity(text: _Text, header_octets: int) -> int:
    """Return how many octets of the text a part holds; a septet counts as one."""
    room = SEGMENT_OCTETS - header_octets
    if text.septets:
        return room * 8 // 7
    return room // 2 * 2 if text.data_coding == UCS2 else room


def _cut(text: _Text, size: int, *, pairs: bool) -> list[bytes]:
    if pairs:
        whole = b"".join(text.characters)
        return [whole[start : start + size] for start in range(0, len(whole), size)]
    parts, part = [], b""
    for character in text.characters:
        if len(part) + len(character) > size:
            parts.append(part)
            part = b""
        part += character
    return [*parts, part]


def _body(
    mo: Mo,
    text: _Text,
    faults: Faults,
    elements: list[bytes],
    octets: bytes,
    tlvs: dict[int, bytes] | None = None,
) -> bytes:
    header = b"".join(elements)
    if header:
        header = bytes((len(header),)) + header
    if faults.mo_alphabet == "packed" and text.septets:
        octets = pack(octets, -len(header) * 8 % 7)
    user_data = header + octets
    optional = dict(tlvs or {})
    if faults.mo_concat in {"payload", "udh-in-payload"}:
        optional[Tag.MESSAGE_PAYLOAD] = user_data
        user_data = b""
    fields = {
        "source_addr_ton": INTERNATIONAL[0],
        "source_addr_npi": INTERNATIONAL[1],
        "source_addr": b"%d" % mo.msisdn,
        "dest_addr_ton": mo.kind[0],
        "dest_addr_npi": mo.kind[1],
        "destination_addr": mo.destination,
        "esm_class": UDHI if header else 0,
        "data_coding": text.data_coding,
        "short_message": user_data,
    }
    return encode_body(CommandId.DELIVER_SM, fields) + encode_tlvs(optional.items())
