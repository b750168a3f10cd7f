"""What a particular carrier demands of a submit_sm, and what its phones make of the text."""

from __future__ import annotations

from typing import Final

from smsgate.errors import BodyError, TextError
from smsgate.protocol.commands import Status
from smsgate.protocol.frames import HEADER_SIZE, Frame
from smsgate.protocol.gsm0338 import ESM_CLASS_UDHI, encode_gsm
from smsgate.protocol.pdus import Pdu, decode_pdu, encode_pdu
from smsgate.protocol.segmentation import SEGMENT_OCTETS
from smsgate.protocol.tlvs import Tag, tlv_number, tlv_value
from smsgate.simulator.faults import Alphabet, Faults, Rule

PE_ID: Final = 0x1400  # India: who sends, and by which approved template
TEMPLATE_ID: Final = 0x1401
TON_ALPHANUMERIC: Final = 5
UCS2: Final = 0x08
IA5: Final = 0x01
SAR_TAGS: Final = (Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)
INVDCS: Final = 0x104  # SMPP 5.0 §4.7.6: data_coding is not supported


def broken_rule(frame: Frame, faults: Faults) -> int:
    """Return the command_status that a submit_sm deserves by the carrier's own rules; 0: none is broken."""
    try:
        pdu = decode_pdu(frame)
    except BodyError:
        return 0  # refused by its form already
    if faults.alphabet != "gsm" and len(pdu.fields["short_message"]) > SEGMENT_OCTETS:
        return Status.INVMSGLEN
    return next((status for rule in faults.rules if (status := _judge(pdu, rule))), 0)


def _judge(pdu: Pdu, rule: Rule) -> int:
    fields = pdu.fields
    match rule:
        case "no-validity":
            return Status.INVEXPIRY if fields["validity_period"] else 0
        case "no-udh":
            return Status.INVESMCLASS if fields["esm_class"] & ESM_CLASS_UDHI else 0
        case "vendor-tlvs":
            there = all(tlv_value(pdu.tlvs, tag) for tag in (PE_ID, TEMPLATE_ID))
            return 0 if there else Status.MISSINGOPTPARAM
        case "alphanumeric-ton":
            letters = not fields["source_addr"].removeprefix(b"+").isdigit()
            return Status.INVSRCTON if letters != (fields["source_addr_ton"] == TON_ALPHANUMERIC) else 0
        case "gsm-as-1":
            return INVDCS if fields["data_coding"] not in {1, UCS2} else 0


def as_network(frame: Frame, faults: Faults) -> Frame:
    """Return a submit_sm as the radio network will carry it: GSM 03.38 as data_coding 0, SAR as a header."""
    try:
        pdu = decode_pdu(frame)
    except BodyError:
        return frame
    fields = dict(pdu.fields)
    if "gsm-as-1" in faults.rules and fields["data_coding"] == IA5:
        fields["data_coding"] = 0
    place = [tlv_number(pdu.tlvs, tag) for tag in SAR_TAGS]
    if None not in place and not fields["esm_class"] & ESM_CLASS_UDHI:
        fields["esm_class"] |= ESM_CLASS_UDHI
        header = b"\x05\x00\x03" + bytes(number & 0xFF for number in place if number is not None)
        fields["short_message"] = header + fields["short_message"]
    octets = encode_pdu(pdu._replace(fields=fields))
    return Frame(frame.command_id, frame.sequence_number, frame.status, octets[HEADER_SIZE:])


def to_handset(octets: bytes, data_coding: int, esm_class: int, faults: Faults) -> tuple[bytes, int, int]:
    """
    Return text, data_coding and esm_class as the radio network carries them: GSM septets, one an octet.

    A character that the phone's alphabet lacks shows as a question mark, as on a phone.
    """
    header = b""
    if esm_class & ESM_CLASS_UDHI and octets:
        header, octets = octets[: octets[0] + 1], octets[octets[0] + 1 :]
    if data_coding in {0, 1}:
        octets = _septets(octets, len(header), faults.alphabet)
        data_coding = 0
    if faults.strips_udh:
        header, esm_class = b"", esm_class & ~ESM_CLASS_UDHI
    return header + octets, data_coding, esm_class


def _septets(octets: bytes, header_octets: int, alphabet: Alphabet) -> bytes:
    if alphabet == "latin1":
        return b"".join(map(_gsm_or_question_mark, octets.decode("latin-1")))
    if alphabet == "packed":
        return unpack(octets, -header_octets * 8 % 7)
    return octets


def _gsm_or_question_mark(character: str) -> bytes:
    try:
        return encode_gsm(character)
    except TextError:
        return b"?"


def unpack(octets: bytes, fill_bits: int = 0) -> bytes:
    """Return the septets of packed `octets`; a last septet of zeros or CR in full octets is padding."""
    bits = int.from_bytes(octets, "little") >> fill_bits
    count = (len(octets) * 8 - fill_bits) // 7
    septets = bytes((bits >> (7 * i)) & 0x7F for i in range(count))
    padded = (len(octets) * 8 - fill_bits) % 7 == 0 and septets[-1:] in {b"\0", b"\r"}
    return septets[:-1] if padded else septets
