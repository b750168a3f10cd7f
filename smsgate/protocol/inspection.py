"""
PDUs as plain values and back, for people on call and for tools: the specification's names, values for JSON.

C-octet strings are Latin-1 text, short_message and TLVs hexadecimal digits: nothing is lost either way.

A verdict is what octets are worth to the gateway:

* accept                     well formed
* accept_lenient             bent but usable; `note` says how
* accept_or_nack             of SMPP 5.0: a 3.4 peer may refuse it by generic_nack
* reject_request             cannot be meant: to answer with an error status
* nack_invalid_command_id    an unknown request: answered by generic_nack
* ignore                     an unknown response: counted, not answered
* incomplete                 more octets have to come
* stream                     the PDU is followed by more octets, where the next one begins
* fatal_framing              no length a PDU can have: the link is dropped
* not_a_receipt              a text that an SMSC did not write
"""

from __future__ import annotations

from typing import Any, Final, TypedDict

from smsgate.errors import BodyError, FramingError, Invalid
from smsgate.protocol.commands import COMMAND_NAMES, RESPONSE_BIT, CommandId, Status, status_name
from smsgate.protocol.frames import COMMAND_LENGTH_MAX, HEADER, HEADER_SIZE, Frame, framing_error
from smsgate.protocol.gsm0338 import ESM_CLASS_UDHI
from smsgate.protocol.oddities import oddities
from smsgate.protocol.pdus import (
    DEST_ADDRESS,
    DEST_FLAG_ADDRESS,
    DEST_FLAG_LIST,
    LAYOUTS,
    SHORT_MESSAGE,
    UNSUCCESS_SME,
    Address,
    Pdu,
    Unsuccess,
    decode_pdu,
    encode_pdu,
)
from smsgate.protocol.receipts import is_receipt_form, is_terse_form, receipt_date, receipt_fields
from smsgate.protocol.tlvs import Tlvs

ESM_CLASS_MESSAGE_TYPE: Final = 0x3C  # bits 5 to 2, SMPP 3.4 §5.2.12
ESM_CLASS_RECEIPT: Final = 0x04
UNKNOWN: Final = "unknown"  # instead of a PDU's name
_LENGTH_SIZE: Final = 4  # octets of a command_length
_MAY_BE_RECEIPTS: Final = frozenset({CommandId.DELIVER_SM, CommandId.DATA_SM})
_OF_5_0: Final = frozenset(
    {
        *(CommandId.BROADCAST_SM, CommandId.BROADCAST_SM_RESP),
        *(CommandId.QUERY_BROADCAST_SM, CommandId.QUERY_BROADCAST_SM_RESP),
        *(CommandId.CANCEL_BROADCAST_SM, CommandId.CANCEL_BROADCAST_SM_RESP),
    }
)
_COMMAND_IDS: Final = {name: number for number, name in COMMAND_NAMES.items()}
_HEADER_FIELDS: Final = ("command_length", "command_id", "command_status", "sequence_number")
# Follow from what they count or are part of: written by the decoder, not read by the encoder.
_DERIVED: Final = frozenset({"command_length", "sm_length", "udh", "number_of_dests", "no_unsuccess"})
_SHOWN_AS: Final = {DEST_ADDRESS: "dests", UNSUCCESS_SME: "unsuccess"}


class TlvValue(TypedDict):
    """`tag` as "0x0427", `value` in hexadecimal digits, `len` in octets."""

    tag: str
    len: int
    value: str


class Inspection(TypedDict, total=False):
    """What octets are; `error` and `note` are sentences for people."""

    verdict: str
    pdu: str
    fields: dict[str, Any]
    tlvs: list[TlvValue]
    is_receipt: bool
    note: str
    error: str


def inspect_pdu(octets: bytes, command_length_max: int = COMMAND_LENGTH_MAX) -> Inspection:
    """Read one PDU, whatever it is. Never raises."""
    name = UNKNOWN
    if len(octets) >= 2 * _LENGTH_SIZE:
        name = COMMAND_NAMES.get(int.from_bytes(octets[4:8], "big"), UNKNOWN)
    try:
        length = _announced(octets, command_length_max)
    except FramingError as exc:
        return _unread("fatal_framing", name, str(exc))
    if length is None or len(octets) < length:
        return _unread("incomplete", name, _still_to_come(length, len(octets)))
    _, command_id, status, number = HEADER.unpack_from(octets)
    frame = Frame(command_id, number, status, octets[HEADER_SIZE:length])
    found = _inspect_frame(frame, name)
    left = len(octets) - length
    if left and found["verdict"] != "reject_request":
        found["verdict"] = "stream"
        note = f"command_length {length} with {len(octets)} octets: {left} are of the next PDU"
        found["note"] = "; ".join(filter(None, (note, found.get("note"))))
    return found


def _still_to_come(length: int | None, came: int) -> str:
    if length is None:
        return "the header of the PDU is still to come"
    missing = length - came
    return f"{missing} octet{' of the PDU is' if missing == 1 else 's of the PDU are'} still to come"


def _announced(octets: bytes, command_length_max: int) -> int | None:
    """Return command_length, None when it is not whole. Raises FramingError when no PDU has it."""
    if len(octets) < _LENGTH_SIZE:
        return None
    length = int.from_bytes(octets[:_LENGTH_SIZE], "big")
    if not HEADER_SIZE <= length <= command_length_max:
        raise framing_error(length)
    return length


def _unread(verdict: str, name: str, error: str) -> Inspection:
    return {"verdict": verdict, "pdu": name, "fields": {}, "tlvs": [], "error": error}


def _inspect_frame(frame: Frame, name: str) -> Inspection:
    if frame.command_id not in LAYOUTS:
        response = frame.command_id & RESPONSE_BIT
        verdict = "ignore" if response else "nack_invalid_command_id"
        found = _unread(verdict, name, f"unknown command_id 0x{frame.command_id:08x}")
        found["fields"] = _header_fields(frame)
        return found
    try:
        pdu = decode_pdu(frame)
        _check_user_data_header(pdu)
    except BodyError as exc:
        found = _unread("reject_request", name, f"{exc} (answer {status_name(exc.status)})")
        found["fields"] = {"sequence_number": frame.sequence_number}
        return found
    notes = oddities(frame, pdu)
    if frame.command_id in _OF_5_0:
        verdict = "accept_or_nack"
        notes.insert(0, "a PDU of SMPP 5.0")
    else:
        verdict = "accept_lenient" if notes else "accept"
    found = {"verdict": verdict, "pdu": name, "fields": _fields(frame, pdu), "tlvs": _tlvs(pdu.tlvs)}
    if (
        frame.command_id in _MAY_BE_RECEIPTS
        and pdu.fields["esm_class"] & ESM_CLASS_MESSAGE_TYPE == ESM_CLASS_RECEIPT
    ):
        found["is_receipt"] = True
    if notes:
        found["note"] = "; ".join(notes)
    return found


def _check_user_data_header(pdu: Pdu) -> None:
    """Raise BodyError for a header that announces more octets than the message has, as Kannel does."""
    message = pdu.fields.get(SHORT_MESSAGE)
    if message and pdu.fields.get("esm_class", 0) & ESM_CLASS_UDHI and message[0] >= len(message):
        text = f"UDH length {message[0]} larger than the {len(message)} octets of the message"
        raise BodyError(text, Status.INVESMCLASS)


def _header_fields(frame: Frame) -> dict[str, Any]:
    return {
        "command_length": HEADER_SIZE + len(frame.body),
        "command_id": f"0x{frame.command_id:08x}",
        "command_status": frame.status,
        "sequence_number": frame.sequence_number,
    }


def _fields(frame: Frame, pdu: Pdu) -> dict[str, Any]:
    shown = _header_fields(frame)
    for name, value in pdu.fields.items():
        if name == SHORT_MESSAGE:
            shown["sm_length"] = len(value)
            shown[name] = value.hex()
            if value and pdu.fields.get("esm_class", 0) & ESM_CLASS_UDHI:
                shown["udh"] = value[: value[0] + 1].hex()
        elif name == DEST_ADDRESS:
            shown["number_of_dests"] = len(value)
            shown["dests"] = [_destination(each) for each in value]
        elif name == UNSUCCESS_SME:
            shown["no_unsuccess"] = len(value)
            shown["unsuccess"] = [{**each._asdict(), "addr": each.addr.decode("latin-1")} for each in value]
        else:
            shown[name] = value.decode("latin-1") if isinstance(value, bytes) else value
    return shown


def _destination(address: Address) -> dict[str, Any]:
    if address.list_name is not None:
        return {"dest_flag": DEST_FLAG_LIST, "dl_name": address.list_name.decode("latin-1")}
    addr = address.addr.decode("latin-1")
    return {"dest_flag": DEST_FLAG_ADDRESS, "ton": address.ton, "npi": address.npi, "addr": addr}


def _tlvs(tlvs: Tlvs) -> list[TlvValue]:
    return [{"tag": f"0x{tag:04x}", "len": len(value), "value": value.hex()} for tag, value in tlvs]


def inspect_receipt_text(octets: bytes, esm_class: int | None = None) -> Inspection:
    """
    Read the text of a receipt. Never raises.

    `esm_class` is that of the PDU it came in, when it is known: it decides. Else the text has to prove that
    an SMSC wrote it.
    """
    fields = receipt_fields(octets)
    if esm_class is None:
        by_smsc = is_receipt_form(octets, fields) or is_terse_form(octets, fields)
    else:
        by_smsc = esm_class & ESM_CLASS_MESSAGE_TYPE != 0 and "stat" in fields
    if not by_smsc:
        error = "an MO: nothing but its words says that an SMSC wrote it"
        return _unread("not_a_receipt", "receipt_text", error)
    shown: dict[str, Any] = {}
    for name, value in fields.items():
        text = value.decode("latin-1")
        if name in {"submit_date", "done_date"}:
            if (date := receipt_date(text)) is not None:
                shown[name] = date.isoformat()
        else:
            shown[name] = text
    return {"verdict": "accept", "pdu": "receipt_text", "fields": shown, "tlvs": []}


def encode_inspected(fields: dict[str, Any], tlvs: list[Any], name: object = None) -> bytes:
    """
    Return the octets of a PDU as `inspect_pdu` shows it; `name` when the fields have no command_id.

    Lengths and counts are found anew. Fields that are left out are 0 or empty.

    Raises:
        Invalid: a field that does not exist, or has not the form in which it is shown; says which.
        BodyError: a value that SMPP cannot hold.
    """
    command_id = _command_id(fields, name)
    values: dict[str, Any] = {}
    for key, value in fields.items():
        if key in _SHOWN_AS:
            raise Invalid(f"{key} is written as {_SHOWN_AS[key]}, a list of objects, as decode does")
        if key == "dests":
            values[DEST_ADDRESS] = tuple(_address(each) for each in _listed(key, value))
        elif key == "unsuccess":
            values[UNSUCCESS_SME] = tuple(_unsuccess(each) for each in _listed(key, value))
        elif key == SHORT_MESSAGE:
            values[key] = _octets(key, value)
        elif key not in _DERIVED and key not in _HEADER_FIELDS:
            values[key] = _plain(key, value)
    pdu = Pdu(
        command_id,
        _number("command_status", fields.get("command_status", 0)),
        _number("sequence_number", fields.get("sequence_number", 1)),
        values,
        tuple(_tlv(each) for each in _listed("tlvs", tlvs)),
    )
    return encode_pdu(pdu)


def _command_id(fields: dict[str, Any], name: object) -> int:
    if "command_id" in fields:
        return _number("command_id", fields["command_id"])
    if isinstance(name, str) and name in _COMMAND_IDS:
        return _COMMAND_IDS[name]
    raise Invalid('name the PDU: fields.command_id as "0x00000004", or pdu as "submit_sm"')


def _number(name: str, value: object, maximum: int = 0xFFFF_FFFF) -> int:
    """Return a number, also when it is written as text in base 16."""
    try:
        number = int(value, 16) if isinstance(value, str) else value
    except ValueError:
        number = None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= maximum:
        raise Invalid(f"{name} is no number from 0 to {maximum}")
    return number


def _octets(name: str, value: object) -> bytes:
    try:
        return bytes.fromhex(value) if isinstance(value, str) else bytes.fromhex("?")
    except ValueError:
        raise Invalid(f"{name} is not written in hexadecimal digits") from None


def _plain(name: str, value: object) -> bytes | int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    return _latin1(name, value)


def _latin1(name: str, value: object) -> bytes:
    if not isinstance(value, str):
        raise Invalid(f"{name} is neither a text nor a number")
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        raise Invalid(f"{name} has characters above U+00FF: octets are written as Latin-1") from None


def _listed(name: str, value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise Invalid(f"{name} is no list of objects")
    return value


def _address(each: dict[str, Any]) -> Address:
    flag = _number("dest_flag", each.get("dest_flag", DEST_FLAG_ADDRESS), 0xFF)
    if flag not in {DEST_FLAG_ADDRESS, DEST_FLAG_LIST}:
        raise Invalid(f"dest_flag is {DEST_FLAG_ADDRESS}, an address, or {DEST_FLAG_LIST}, a list's name")
    if flag == DEST_FLAG_LIST:
        return Address(list_name=_latin1("dl_name", each.get("dl_name", "")))
    ton, npi = (_number(name, each.get(name, 0), 0xFF) for name in ("ton", "npi"))
    return Address(ton, npi, _latin1("addr", each.get("addr", "")))


def _unsuccess(each: dict[str, Any]) -> Unsuccess:
    ton, npi = (_number(name, each.get(name, 0), 0xFF) for name in ("ton", "npi"))
    return Unsuccess(ton, npi, _latin1("addr", each.get("addr", "")), _number("error", each.get("error", 0)))


def _tlv(each: dict[str, Any]) -> tuple[int, bytes]:
    tag = _number("tag", each.get("tag"), 0xFFFF)
    if "value" not in each:
        raise Invalid(f'TLV 0x{tag:04x} has no value: write "value":"" for one of no octets')
    return tag, _octets("value", each["value"])
