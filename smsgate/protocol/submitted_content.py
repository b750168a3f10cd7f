"""
What a submit_sm or data_sm asks of a handset, and how many segments it makes.

Source: 3GPP TS 23.038 §4 (message class), TS 23.040 §9.2.3.9 (protocol identifier) and §9.2.3.24 (elements of
the user data header), SMPP 3.4 §5.2.12 (esm_class).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from smsgate.protocol.commands import Status
from smsgate.protocol.gsm0338 import ESM_CLASS_UDHI
from smsgate.protocol.mo_text import codec_of
from smsgate.protocol.tlvs import Tag, tlv_number, tlv_value

if TYPE_CHECKING:
    from smsgate.protocol.tlvs import Tlvs

INVDCS: Final = 0x0104  # ESME_RINVDCS, SMPP 5.0 §4.7.6
SEGMENTS_MAX: Final = 255  # TS 23.040 §9.2.3.24.1

_MODE: Final = 0x03  # esm_class: 0 default, 1 datagram, 2 transaction, 3 store and forward
_TRANSACTION: Final = 2
_MESSAGE_TYPE: Final = 0x3C  # esm_class: only receipts and acknowledgements of SMEs set it
# Type 0 (the phone acknowledges and shows nothing), ANSI-136, ME data download, de-personalisation, SIM data
# download: tools of operators, and of attackers.
_PROTOCOLS_REFUSED: Final = frozenset({0x40, 0x7C, 0x7D, 0x7E, 0x7F})
_CLASS_SIM: Final = 2
_SUBUNIT_SIM: Final = 3  # dest_addr_subunit: smart card
# Elements of a text: concatenation with 8 and 16 bits, national language single and locking shift.
_ELEMENTS_OF_TEXT: Final = frozenset({0x00, 0x08, 0x24, 0x25})
_PORT_TAGS: Final = frozenset({Tag.SOURCE_PORT, Tag.DESTINATION_PORT})
# Optional parameters of submit_sm and data_sm in SMPP 3.4 §4.4.1, §4.7.1, by the octets that a value has at
# most (§5.3.2; 5.0's figure where it is greater). Vendors' tags go to carriers that let them through; others
# are between the ESME and us, and no carrier's business.
_PASSING: Final[dict[int, tuple[int, ...]]] = {
    1: (
        *(0x0005, 0x0006, 0x0007),  # dest_addr_subunit, dest_network_type, dest_bearer_type
        *(0x000D, 0x000E, 0x000F),  # the same of the source
        *(0x0019, 0x0201, 0x0205),  # payload_type, privacy_indicator, user_response_code
        *(0x020D, 0x020E, 0x020F),  # language_indicator, SAR total and number
        *(0x0302, 0x0304, 0x0426),  # callback_num_pres_ind, number_of_messages, more_messages_to_send
        *(0x1201, 0x130C, 0x1380),  # display_time, alert_on_message_delivery, its_reply_type
    ),
    2: (
        *(0x0008, 0x0010, 0x0204),  # telematics ids, user_message_reference
        *(0x020A, 0x020B, 0x020C),  # ports, sar_msg_ref_num
        *(0x1203, 0x1383),  # sms_signal, its_session_info
    ),
    4: (0x1204,),  # ms_validity
    19: (0x0381,),  # callback_num
    65: (0x0303,),  # callback_num_atag
    0xFFFF: (0x0424,),  # message_payload
}
PASSING_TAGS: Final = {tag: octets_max for octets_max, tags in _PASSING.items() for tag in tags}
VENDOR_TAGS: Final = range(0x1400, 0x4000)  # SMPP 3.4 §5.3.1
VENDOR_OCTETS_MAX: Final = 255  # of one value, as in a message of the API
VENDOR_TAGS_MAX: Final = 16  # of one message, as in a message of the API
_REPEATED: Final = frozenset({0x0302, 0x0303, 0x0381})  # a call-back number with its form and its name
REPEATED_MAX: Final = 10  # of each: under 1 kB, and more numbers than a phone shows
# (octets of one segment, octets of each of several): septets of the default alphabet are one octet each here.
_SIZES_TEXT: Final = (160, 153)
_SIZES_OCTETS: Final = (140, 134)


def content_refusal(fields: dict[str, Any], tlvs: Tlvs, *, allow_binary: bool) -> int:
    """Return the command_status that refuses this content, or 0; binary and ports need `allow_binary`."""
    esm_class, data_coding = fields["esm_class"], fields["data_coding"]
    if esm_class & _MODE == _TRANSACTION or esm_class & _MESSAGE_TYPE:
        return Status.INVESMCLASS
    if fields.get("protocol_id", 0) in _PROTOCOLS_REFUSED:
        return Status.SUBMITFAIL
    if message_class(data_coding) == _CLASS_SIM or tlv_number(tlvs, Tag.DEST_ADDR_SUBUNIT) == _SUBUNIT_SIM:
        return INVDCS
    if refusal := optional_refusal(tlvs):
        return refusal
    payload = tlv_value(tlvs, Tag.MESSAGE_PAYLOAD)
    short_message = fields.get("short_message", b"")
    if payload and short_message:
        return Status.INVMSGLEN
    if not allow_binary:
        if codec_of(data_coding) == "binary":
            return INVDCS
        if any(tag in _PORT_TAGS for tag, _ in tlvs):
            return Status.OPTPARNOTALLWD
    if esm_class & ESM_CLASS_UDHI:
        elements = header_elements(payload or short_message)
        if elements is None or not (allow_binary or elements <= _ELEMENTS_OF_TEXT):
            return Status.INVESMCLASS
    if segments_of(fields, tlvs) > SEGMENTS_MAX:
        return Status.INVMSGLEN
    return Status.OK


def optional_refusal(tlvs: Tlvs) -> int:
    """
    Return the command_status that refuses these optional parameters, or 0.

    We read the first of a kind and a carrier perhaps the last: a second one would be neither judged nor paid.
    """
    counts: Counter[int] = Counter()
    for tag, value in tlvs:
        if not passes(tag):
            continue
        if len(value) > PASSING_TAGS.get(tag, VENDOR_OCTETS_MAX):
            return Status.INVPARLEN
        counts[tag] += 1
        if counts[tag] > (REPEATED_MAX if tag in _REPEATED else 1):
            return Status.INVOPTPARSTREAM
    if sum(tag in VENDOR_TAGS for tag in counts) > VENDOR_TAGS_MAX:
        return Status.INVOPTPARSTREAM
    return Status.OK


def passes(tag: int) -> bool:
    """Return whether what an ESME says in this optional parameter is kept for the carrier."""
    return tag in PASSING_TAGS or tag in VENDOR_TAGS


def message_class(data_coding: int) -> int | None:
    """Return the class of the message: 0 flash, 1 ME, 2 SIM, 3 TE; None: it has none."""
    group = data_coding >> 4
    if group == 0xF or (group < 0x8 and data_coding & 0x10):
        return data_coding & 0x03
    return None


def header_elements(octets: bytes) -> frozenset[int] | None:
    """Return the information elements of a user data header; None: it is no whole header."""
    if not octets or octets[0] >= len(octets):
        return None
    found: set[int] = set()
    position, end = 1, octets[0] + 1
    while position < end:
        if position + 2 > end or position + 2 + octets[position + 1] > end:
            return None
        found.add(octets[position])
        position += 2 + octets[position + 1]
    return frozenset(found)


def segments_of(fields: dict[str, Any], tlvs: Tlvs) -> int:
    """
    Return how many segments go over the air; what is longer than one is cut by the carrier.

    Texts count by the octet, so one of escape pairs may take a segment more than is said here.
    """
    octets = tlv_value(tlvs, Tag.MESSAGE_PAYLOAD) or fields.get("short_message", b"")
    text = codec_of(fields["data_coding"]) in {"gsm7", "latin-1"}
    one, each = _SIZES_TEXT if text else _SIZES_OCTETS
    return 1 if len(octets) <= one else -(-len(octets) // each)
