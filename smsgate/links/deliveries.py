"""
What a deliver_sm or data_sm of no common form says: a receipt, an MO, or a receipt that nobody can read.

A receipt is known by its esm_class, or by the TLVs that only an SMSC can set; the text of an MO proves
nothing, since a customer can write "id:1 stat:DELIVRD". Source: SMPP 3.4 §5.2.12 and Appendix B.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.flows.mo_header import MoHeader
from smsgate.flows.records import Ack, MobileOriginated
from smsgate.msisdn import is_e164, is_simulated
from smsgate.protocol.commands import CommandId
from smsgate.protocol.gsm0338 import ESM_CLASS_UDHI
from smsgate.protocol.mo_text import MoText, data_coding_of, read_mo
from smsgate.protocol.pdus import SHORT_MESSAGE_MAX, encode_body
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.protocol.receipts import MESSAGE_ID_OCTETS_MAX, parse_receipt
from smsgate.protocol.session_states import Receipts
from smsgate.protocol.tlvs import Tag, encode_tlvs, tlv_number, tlv_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from smsgate.links.profile import CarrierProfile
    from smsgate.protocol.pdus import Pdu

ESM_MESSAGE_TYPE: Final = 0x3C  # bits 5 to 2
ESM_RECEIPT: Final = 0x04
ESM_INTERMEDIATE: Final = 0x20
TON_ALPHANUMERIC: Final = 5
UNREADABLE_OCTETS_MAX: Final = 1_024  # kept of each: more than any receipt says
STATES: Final = frozenset(int(state) for state in ReceiptState)


class ReadReceipt(NamedTuple):
    """
    `message_id` is the TLV's, else the text's, and never empty; `state` is a number of ReceiptState.

    `other_id` is the text's id where the TLV has another, else empty.
    """

    message_id: bytes
    other_id: bytes
    state: int
    error: bytes


class Unreadable(NamedTuple):
    """Marked as a receipt, and does not say for which message: its text and TLVs as they came, cut."""

    octets: bytes


def read_deliveries(
    pdus: Iterable[Pdu], profile: CarrierProfile, carrier_id: int, token: int, received_at: datetime
) -> tuple[list[MobileOriginated], Receipts, list[bytes]]:
    """
    Return the MOs of one read, its receipts as columns, and the octets of receipts that nobody can read.

    The sequence numbers of those are the last ones in the receipts' column. Never raises for what the peer
    sent.
    """
    mos: list[MobileOriginated] = []
    receipts = Receipts([], [], [], [], [])
    unreadable: list[tuple[int, bytes]] = []
    for pdu in pdus:
        read = read_delivery(pdu, profile, carrier_id, token, received_at)
        if isinstance(read, MobileOriginated):
            mos.append(read)
        elif isinstance(read, Unreadable):
            unreadable.append((pdu.sequence_number, read.octets))
        else:
            receipts.sequence_numbers.append(pdu.sequence_number)
            receipts.message_ids.append(read.message_id)
            receipts.other_ids.append(read.other_id)
            receipts.states.append(read.state)
            receipts.errors.append(read.error)
    receipts.sequence_numbers.extend(number for number, _ in unreadable)
    return mos, receipts, [octets for _, octets in unreadable]


def read_delivery(
    pdu: Pdu, profile: CarrierProfile, carrier_id: int, token: int, received_at: datetime
) -> ReadReceipt | MobileOriginated | Unreadable:
    """Never raises for what the peer sent."""
    fields = pdu.fields
    esm_class = fields["esm_class"]
    message_type = esm_class & ESM_MESSAGE_TYPE
    # What we have to mark so, this carrier marks so too.
    in_default_alphabet = fields["data_coding"] == profile.gsm_data_coding
    mo = read_mo(
        fields.get("short_message", b""),
        0 if in_default_alphabet else fields["data_coding"],
        esm_class,
        message_payload=tlv_value(pdu.tlvs, Tag.MESSAGE_PAYLOAD),
        sar=_sar(pdu),
        default_alphabet=profile.default_alphabet,
        packed=profile.packed and not message_type,  # receipts are octets of ASCII all the same
    )
    if message_type in {ESM_RECEIPT, ESM_INTERMEDIATE}:
        return _read_receipt(pdu, mo.user_data)
    if message_type == 0:
        by_tlvs = (
            tlv_value(pdu.tlvs, Tag.RECEIPTED_MESSAGE_ID) is not None
            and tlv_number(pdu.tlvs, Tag.MESSAGE_STATE) is not None
        )
        by_text = profile.receipts == "text" and parse_receipt(mo.user_data, marked=False) is not None
        if by_tlvs or by_text:
            return _read_receipt(pdu, mo.user_data)
    handed_on = partial(_handed_on, pdu, mo, in_default_alphabet=in_default_alphabet, packed=profile.packed)
    return _mobile_originated(pdu, mo, carrier_id, token, received_at, handed_on)


def _read_receipt(pdu: Pdu, octets: bytes) -> ReadReceipt | Unreadable:
    """Return what TLVs and text say together, the TLVs first."""
    parsed = parse_receipt(octets)
    tlv_id = (tlv_value(pdu.tlvs, Tag.RECEIPTED_MESSAGE_ID) or b"").rstrip(b"\0")
    text_id = b"" if parsed is None else parsed.message_id
    ids = [each for each in (tlv_id, text_id) if 0 < len(each) <= MESSAGE_ID_OCTETS_MAX]
    state = tlv_number(pdu.tlvs, Tag.MESSAGE_STATE)
    if not ids or (parsed is None and state is None):
        return Unreadable((octets + encode_tlvs(pdu.tlvs))[:UNREADABLE_OCTETS_MAX])
    if state not in STATES:  # some SMSCs send 0, which is no state
        state = int(ReceiptState.UNKNOWN) if parsed is None else parsed.state
    error = b"" if parsed is None else parsed.error.encode("latin-1")
    other_id = ids[1] if len(ids) > 1 and ids[1] != ids[0] else b""
    return ReadReceipt(ids[0], other_id, state, error or _network_error(pdu))


def _network_error(pdu: Pdu) -> bytes:
    """Return network_error_code as receipts write errors; a few SMSCs put three digits there as text."""
    value = tlv_value(pdu.tlvs, Tag.NETWORK_ERROR_CODE)
    if value is None or len(value) != 3:
        return b""
    return value if value.isdigit() else b"%03d" % int.from_bytes(value[1:], "big")


def _mobile_originated(
    pdu: Pdu, mo: MoText, carrier_id: int, token: int, received_at: datetime, handed_on: Callable[[], bytes]
) -> MobileOriginated:
    fields = pdu.fields
    source = fields["source_addr"].decode("latin-1")
    digits = source.removeprefix("+")
    is_number = fields["source_addr_ton"] != TON_ALPHANUMERIC and is_e164(digits)
    msisdn = int(digits) if is_number else 0
    place = mo.concat
    return MobileOriginated(
        carrier_id=carrier_id,
        msisdn=0 if is_simulated(msisdn) else msisdn,  # whoever sends it is no phone of a test
        source=source,
        destination=fields["destination_addr"].decode("latin-1").removeprefix("+"),
        text=mo.text,
        raw=mo.user_data,
        data_coding=fields["data_coding"],
        received_at=received_at,
        ref=0 if place is None else place.reference,
        total=1 if place is None else place.total,
        part=1 if place is None else place.index,
        ack=Ack(carrier_id, token, [pdu.sequence_number]),
        handed_on=handed_on,
        codec=mo.codec,
        header=_header(pdu),
    )


def _header(pdu: Pdu) -> MoHeader:
    fields = pdu.fields
    return MoHeader(
        fields["esm_class"],
        fields["source_addr_ton"],
        fields["source_addr_npi"],
        fields["dest_addr_ton"],
        fields["dest_addr_npi"],
        encode_tlvs((tag, value) for tag, value in pdu.tlvs if tag != Tag.MESSAGE_PAYLOAD),
    )


def _handed_on(pdu: Pdu, mo: MoText, *, in_default_alphabet: bool, packed: bool) -> bytes:
    """Return the body as ESMEs get it, whatever the carrier's habits: 0 is GSM 03.38, unpacked, 3 Latin-1."""
    fields, tlvs = dict(pdu.fields), pdu.tlvs
    if in_default_alphabet:
        fields["data_coding"] = data_coding_of(mo.codec, fields["data_coding"])
    if packed and mo.codec.startswith("gsm7"):
        payload = tlv_value(tlvs, Tag.MESSAGE_PAYLOAD)
        short_message = fields.get("short_message", b"")
        octets = short_message or payload or b""
        header = octets[0] + 1 if fields["esm_class"] & ESM_CLASS_UDHI and octets else 0
        unpacked = octets[:header] + mo.user_data if header < len(octets) else octets
        fits = bool(short_message) and len(unpacked) <= SHORT_MESSAGE_MAX
        fields["short_message"] = unpacked if fits else b""
        if unpacked and not fits:
            others = [(tag, value) for tag, value in tlvs if tag != Tag.MESSAGE_PAYLOAD]
            tlvs = (*others, (Tag.MESSAGE_PAYLOAD, unpacked))
    return encode_body(CommandId.DELIVER_SM, fields) + encode_tlvs(tlvs)


def _sar(pdu: Pdu) -> tuple[int, int, int] | None:
    ref = tlv_number(pdu.tlvs, Tag.SAR_MSG_REF_NUM)
    total = tlv_number(pdu.tlvs, Tag.SAR_TOTAL_SEGMENTS)
    index = tlv_number(pdu.tlvs, Tag.SAR_SEGMENT_SEQNUM)
    return None if ref is None or total is None or index is None else (ref, total, index)
