"""A delivery receipt as an SMSC writes it. Source: SMPP 3.4 Appendix B, §5.2.12 and the TLVs of §5.3.2."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from smsgate.protocol.commands import CommandId
from smsgate.protocol.pdus import encode_body
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.protocol.tlvs import Tag, Tlvs, encode_tlvs

ESM_RECEIPT: Final = 0x04
ESM_INTERMEDIATE: Final = 0x20
TEXT_OCTETS: Final = 20  # of the message, which a receipt quotes
INTERMEDIATE: Final = frozenset({ReceiptState.ENROUTE, ReceiptState.ACCEPTD})
_GSM_NETWORK: Final = b"\x03"  # network_error_code: type GSM, then 16 bits
_ERROR_DIGITS: Final = 3


def receipt_body(
    *,
    message_id: bytes,
    state: ReceiptState,
    error: bytes,
    submitted_at: datetime,
    done_at: datetime,
    source: tuple[int, int, bytes],
    destination: tuple[int, int, bytes],
    quoted: bytes = b"",
    with_tlvs: bool = True,
    user_message_reference: bytes | None = None,
) -> bytes:
    """
    Return the body of a deliver_sm; `source` is whom the message went to, both are (TON, NPI, octets).

    Instants are written as YYMMDDhhmm of the zone that they are in.
    """
    code = error if error.isalnum() and len(error) <= _ERROR_DIGITS else b""
    delivered = state is ReceiptState.DELIVRD
    text = b"id:%b sub:001 dlvrd:%b submit date:%b done date:%b stat:%b err:%b text:%b" % (
        message_id,
        b"001" if delivered else b"000",
        f"{submitted_at:%y%m%d%H%M}".encode("ascii"),
        f"{done_at:%y%m%d%H%M}".encode("ascii"),
        state.name.encode("ascii"),
        code.rjust(_ERROR_DIGITS, b"0"),
        quoted[:TEXT_OCTETS],
    )
    fields = {
        "source_addr_ton": source[0],
        "source_addr_npi": source[1],
        "source_addr": source[2],
        "dest_addr_ton": destination[0],
        "dest_addr_npi": destination[1],
        "destination_addr": destination[2],
        "esm_class": ESM_INTERMEDIATE if state in INTERMEDIATE else ESM_RECEIPT,
        "short_message": text,
    }
    tlvs: Tlvs = ()
    if with_tlvs:
        tlvs = (
            (Tag.RECEIPTED_MESSAGE_ID, message_id + b"\0"),
            (Tag.MESSAGE_STATE, bytes((state,))),
        )
        if code.isdigit():
            tlvs += ((Tag.NETWORK_ERROR_CODE, _GSM_NETWORK + int(code).to_bytes(2, "big")),)
        if user_message_reference is not None:
            tlvs += ((Tag.USER_MESSAGE_REFERENCE, user_message_reference),)
    return encode_body(CommandId.DELIVER_SM, fields) + encode_tlvs(tlvs)
