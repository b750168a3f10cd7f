"""
submit_sm bodies of what ESMEs handed in: their octets, in one carrier's manner.

What the ESME says about its message passes as it is: short_message with its header, data_coding,
esm_class, priority, TLVs; of vendors' those that this carrier lets a message bring. What is between us and
the carrier is the profile's: addresses, service_type, validity, receipts.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from smsgate.errors import BodyError, TextError
from smsgate.protocol.commands import CommandId, Status
from smsgate.protocol.frames import Frame
from smsgate.protocol.gsm0338 import DATA_CODING, ESM_CLASS_UDHI, decode_gsm
from smsgate.protocol.packing import SEPTET_MASK, fill_bits_after, pack
from smsgate.protocol.pdus import decode_pdu, encode_body
from smsgate.protocol.submitted_content import VENDOR_TAGS
from smsgate.protocol.times import absolute_time, relative_time
from smsgate.protocol.tlvs import Tag, encode_tlvs, tlv_number, tlv_value

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from smsgate.clock import Clock
    from smsgate.links.profile import CarrierProfile
    from smsgate.protocol.tlvs import Tlvs

_DEFAULT: Final = DATA_CODING["gsm7"]
_INTERMEDIATE: Final = 0x10  # registered_delivery: SMPP 3.4 §5.2.17
_PORTS: Final = frozenset({Tag.SOURCE_PORT, Tag.DESTINATION_PORT})
_VALIDITY_MIN: Final = timedelta(seconds=60)  # a shorter one is over before the SMSC has looked at it


def submitted_bodies(
    profile: CarrierProfile,
    clock: Clock,
    sender: str,
    msisdns: Sequence[int],
    bodies: Sequence[bytes],
    expires_at: datetime,
    *,
    with_tlvs: bool,
) -> list[bytes]:
    """
    Return one body per recipient; see `flows.ports.Carrier.submitted_bodies`.

    Raises:
        TextError: code `not_in_alphabet`; this carrier's default alphabet lacks a character of the text.
        BodyError: a stored body that cannot be read; for a carrier without TLVs one that is too long, or that
            is a part of a text, or meant for a port, by its TLVs.
    """
    assert len(msisdns) == len(bodies)
    source = profile.source_address(sender)
    ton, npi = profile.msisdn_ton_npi
    common: dict[str, Any] = {
        "service_type": profile.service_type.encode("ascii"),
        "source_addr_ton": source.ton,
        "source_addr_npi": source.npi,
        "source_addr": source.addr,
        "dest_addr_ton": ton,
        "dest_addr_npi": npi,
        "validity_period": _validity(profile, expires_at - clock.now(), expires_at),
    }
    return [
        _body(profile, sender, {**common, "destination_addr": b"%d" % msisdn}, body, with_tlvs=with_tlvs)
        for msisdn, body in zip(msisdns, bodies, strict=True)
    ]


def _body(
    profile: CarrierProfile, sender: str, ours: dict[str, Any], body: bytes, *, with_tlvs: bool
) -> bytes:
    """Return one body; SMPP 3.3 takes no TLVs at all."""
    pdu = decode_pdu(Frame(CommandId.SUBMIT_SM, 0, 0, body))
    fields = {**pdu.fields, **ours}
    fields["registered_delivery"] = profile.registered_delivery | (
        pdu.fields["registered_delivery"] & _INTERMEDIATE
    )
    tlvs = pdu.tlvs
    if fields["data_coding"] == _DEFAULT:
        fields["data_coding"] = profile.gsm_data_coding
        write = _to_latin1 if profile.default_alphabet == "latin1" else _packed if profile.packed else None
        if write is not None:
            udhi = fields["esm_class"] & ESM_CLASS_UDHI
            fields["short_message"] = write(fields["short_message"], udhi)
            tlvs = tuple(
                (tag, write(value, udhi) if tag == Tag.MESSAGE_PAYLOAD else value) for tag, value in tlvs
            )
    if not with_tlvs:
        _refuse_what_needs_tlvs(tlvs)
        payload = tlv_value(tlvs, Tag.MESSAGE_PAYLOAD)
        text = payload or fields["short_message"]
        return encode_body(CommandId.SUBMIT_SM, {**fields, "short_message": text})
    return encode_body(CommandId.SUBMIT_SM, fields) + encode_tlvs(_merged(profile, sender, tlvs))


def _refuse_what_needs_tlvs(tlvs: Tlvs) -> None:
    """Refuse what would be another message without its TLVs: shown apart, or shown at all."""
    part = (tlv_number(tlvs, Tag.SAR_TOTAL_SEGMENTS) or 1) > 1
    if part or any(tag in _PORTS for tag, _ in tlvs):
        raise BodyError("this carrier takes no TLVs, which tell a part or a port", Status.OPTPARNOTALLWD)


def _merged(profile: CarrierProfile, sender: str, tlvs: Tlvs) -> Tlvs:
    """Return what the carrier demands, and of a message's TLVs those that it lets through."""
    vendors = tuple(each for each in tlvs if each[0] in VENDOR_TAGS)
    wanted = profile.tlvs_of(sender, encode_tlvs(vendors))
    theirs = {tag for tag, _ in wanted}
    return (*wanted, *(each for each in tlvs if each[0] not in theirs and each[0] not in VENDOR_TAGS))


def _validity(profile: CarrierProfile, left: timedelta, until: datetime) -> bytes:
    """Return the rest of the message's life, at most the profile's, in the profile's form."""
    longest = timedelta(seconds=profile.validity_s)
    if profile.validity == "none":
        return b""
    if left > longest:
        until, left = until - (left - longest), longest
    if left < _VALIDITY_MIN:
        until, left = until + (_VALIDITY_MIN - left), _VALIDITY_MIN
    return absolute_time(until) if profile.validity == "absolute" else relative_time(left)


def _packed(octets: bytes, udhi: int) -> bytes:
    """Pack GSM text, eight characters in seven octets, as this carrier wants it; a header stays as it is."""
    start = 1 + octets[0] if udhi and octets else 0
    text = octets[start:]
    if text and max(text) > SEPTET_MASK:
        raise TextError("the text has octets that are no characters of GSM 03.38", code="not_in_alphabet")
    return octets[:start] + pack(text, fill_bits_after(start))


def _to_latin1(octets: bytes, udhi: int) -> bytes:
    """Write GSM text as Latin-1, which this carrier means by data_coding 0; a header stays as it is."""
    start = 1 + octets[0] if udhi and octets else 0
    text = decode_gsm(octets[start:])
    try:
        return octets[:start] + text.encode("latin-1")
    except UnicodeEncodeError:
        lacking = tuple(dict.fromkeys(c for c in text if ord(c) > 0xFF))
        raise TextError(
            "this carrier's default alphabet is Latin-1, which lacks a character of the text",
            code="not_in_alphabet",
            characters=lacking,
        ) from None
