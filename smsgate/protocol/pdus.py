"""
PDU bodies by field tables, both directions. Source: SMPP 3.4 §4 and, for the broadcast PDUs, SMPP 5.0 §4.4 to
§4.6; a new PDU is a new row of LAYOUTS.

This is the general road, for what is rare; submit_sm, its responses and receipts in bulk go by `columns`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from smsgate.errors import BodyError
from smsgate.protocol.commands import RESPONSE_BIT, CommandId, Status, command_name
from smsgate.protocol.frames import HEADER, HEADER_SIZE, Frame
from smsgate.protocol.tlvs import Tlvs, encode_tlvs, parse_tlvs

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORT_MESSAGE_MAX: Final = 255  # octets: sm_length is one octet; 3.4 says 254, a peer may use the last one
DEST_FLAG_ADDRESS: Final = 1
DEST_FLAG_LIST: Final = 2
# Names of the fields that are counted: see `Pdu`.
SHORT_MESSAGE: Final = "short_message"
DEST_ADDRESS: Final = "dest_address"
UNSUCCESS_SME: Final = "unsuccess_sme"


class Pdu(NamedTuple):
    """
    One PDU, read. C-octet strings and short_message are `bytes` without NUL or length, the rest ints.

    `sm_length`, `number_of_dests` and `no_unsuccess` are not fields: they follow from what they count.
    A response holds only the fields that came. `dropped` counts octets of the body that were no whole field
    or TLV (a cut TLV, padding): they are not kept and not sent again.
    """

    command_id: int
    status: int
    sequence_number: int
    fields: dict[str, Any] = {}  # noqa: RUF012 - nobody writes into the fields of a PDU
    tlvs: Tlvs = ()
    dropped: int = 0

    def __repr__(self) -> str:
        """Show numbers, and of octets how many: passwords, texts and numbers of people are octets."""
        fields = ", ".join(
            f"{name}={value}" if isinstance(value, int) else f"{name}=<{len(value)}>"
            for name, value in self.fields.items()
        )
        tlvs = ", ".join(f"0x{tag:04x}=<{len(value)}>" for tag, value in self.tlvs)
        head = (
            f"{command_name(self.command_id)}, status={self.status}, sequence_number={self.sequence_number}"
        )
        return f"Pdu({head}, {{{fields}}}, ({tlvs}))"


class Address(NamedTuple):
    """One destination of submit_multi: an SME, or when `list_name` is set a distribution list."""

    ton: int = 0
    npi: int = 0
    addr: bytes = b""
    list_name: bytes | None = None


class Unsuccess(NamedTuple):
    """One destination of submit_multi that was refused, and the command_status why."""

    ton: int
    npi: int
    addr: bytes
    error: int


U8: Final = 0  # one octet
TEXT: Final = 1  # C-octet string
MESSAGE: Final = 2  # sm_length and that many octets
ADDRESSES: Final = 3  # number_of_dests and that many destinations
UNSUCCESSES: Final = 4  # no_unsuccess and that many refused destinations

Layout = tuple[tuple[str, int], ...]

_DEFAULTS: Final[tuple[object, ...]] = (0, b"", b"", (), ())
_SOURCE: Final[Layout] = (("source_addr_ton", U8), ("source_addr_npi", U8), ("source_addr", TEXT))
_DESTINATION: Final[Layout] = (("dest_addr_ton", U8), ("dest_addr_npi", U8), ("destination_addr", TEXT))
_BIND: Final[Layout] = (
    *(("system_id", TEXT), ("password", TEXT), ("system_type", TEXT), ("interface_version", U8)),
    *(("addr_ton", U8), ("addr_npi", U8), ("address_range", TEXT)),
)
_MESSAGE: Final[Layout] = (
    *(("esm_class", U8), ("protocol_id", U8), ("priority_flag", U8)),
    *(("schedule_delivery_time", TEXT), ("validity_period", TEXT)),
    *(("registered_delivery", U8), ("replace_if_present_flag", U8)),
    *(("data_coding", U8), ("sm_default_msg_id", U8), (SHORT_MESSAGE, MESSAGE)),
)
_SM: Final[Layout] = (("service_type", TEXT), *_SOURCE, *_DESTINATION, *_MESSAGE)
_DATA: Final[Layout] = (("esm_class", U8), ("registered_delivery", U8), ("data_coding", U8))
_SYSTEM_ID: Final[Layout] = (("system_id", TEXT),)
_MESSAGE_ID: Final[Layout] = (("message_id", TEXT),)

LAYOUTS: Final[dict[int, Layout]] = {
    CommandId.GENERIC_NACK: (),
    CommandId.BIND_RECEIVER: _BIND,
    CommandId.BIND_RECEIVER_RESP: _SYSTEM_ID,
    CommandId.BIND_TRANSMITTER: _BIND,
    CommandId.BIND_TRANSMITTER_RESP: _SYSTEM_ID,
    CommandId.BIND_TRANSCEIVER: _BIND,
    CommandId.BIND_TRANSCEIVER_RESP: _SYSTEM_ID,
    CommandId.OUTBIND: (("system_id", TEXT), ("password", TEXT)),
    CommandId.UNBIND: (),
    CommandId.UNBIND_RESP: (),
    CommandId.ENQUIRE_LINK: (),
    CommandId.ENQUIRE_LINK_RESP: (),
    CommandId.SUBMIT_SM: _SM,
    CommandId.SUBMIT_SM_RESP: _MESSAGE_ID,
    CommandId.DELIVER_SM: _SM,
    CommandId.DELIVER_SM_RESP: _MESSAGE_ID,
    CommandId.DATA_SM: (("service_type", TEXT), *_SOURCE, *_DESTINATION, *_DATA),
    CommandId.DATA_SM_RESP: _MESSAGE_ID,
    CommandId.QUERY_SM: (("message_id", TEXT), *_SOURCE),
    CommandId.QUERY_SM_RESP: (
        *(("message_id", TEXT), ("final_date", TEXT)),
        *(("message_state", U8), ("error_code", U8)),
    ),
    CommandId.CANCEL_SM: (("service_type", TEXT), ("message_id", TEXT), *_SOURCE, *_DESTINATION),
    CommandId.CANCEL_SM_RESP: (),
    CommandId.REPLACE_SM: (
        *(("message_id", TEXT), *_SOURCE, ("schedule_delivery_time", TEXT), ("validity_period", TEXT)),
        *(("registered_delivery", U8), ("sm_default_msg_id", U8), (SHORT_MESSAGE, MESSAGE)),
    ),
    CommandId.REPLACE_SM_RESP: (),
    CommandId.SUBMIT_MULTI: (("service_type", TEXT), *_SOURCE, (DEST_ADDRESS, ADDRESSES), *_MESSAGE),
    CommandId.SUBMIT_MULTI_RESP: (("message_id", TEXT), (UNSUCCESS_SME, UNSUCCESSES)),
    CommandId.ALERT_NOTIFICATION: (
        *_SOURCE,
        *(("esme_addr_ton", U8), ("esme_addr_npi", U8), ("esme_addr", TEXT)),
    ),
    CommandId.BROADCAST_SM: (
        *(("service_type", TEXT), *_SOURCE, ("message_id", TEXT), ("priority_flag", U8)),
        *(("schedule_delivery_time", TEXT), ("validity_period", TEXT)),
        *(("replace_if_present_flag", U8), ("data_coding", U8), ("sm_default_msg_id", U8)),
    ),
    CommandId.BROADCAST_SM_RESP: _MESSAGE_ID,
    CommandId.QUERY_BROADCAST_SM: (("message_id", TEXT), *_SOURCE),
    CommandId.QUERY_BROADCAST_SM_RESP: _MESSAGE_ID,
    CommandId.CANCEL_BROADCAST_SM: (("service_type", TEXT), ("message_id", TEXT), *_SOURCE),
    CommandId.CANCEL_BROADCAST_SM_RESP: (),
}


def decode_pdu(frame: Frame) -> Pdu:
    """
    Read a body, forgiving what peers do: responses may lack fields, TLVs may be unknown or cut.

    Raises:
        BodyError: an unknown command_id, or a request whose mandatory fields are not all there; `status`
            is the command_status to answer.
    """
    layout = LAYOUTS.get(frame.command_id)
    if layout is None:
        raise BodyError(f"unknown command_id {command_name(frame.command_id)}", Status.INVCMDID)
    body, status = frame.body, frame.status
    response = bool(frame.command_id & RESPONSE_BIT)
    fields, position = _read_fields(body, layout, lenient=response)
    tlvs, end = parse_tlvs(body, position, len(body))
    if response and status and end < len(body):
        # Some SMSCs leave out the mandatory fields of an error response but not its TLVs.
        bare, bare_end = parse_tlvs(body, 0, len(body))
        if bare_end == len(body):
            fields, tlvs, end = {}, bare, bare_end
    return Pdu(frame.command_id, status, frame.sequence_number, fields, tlvs, len(body) - end)


def _read_fields(body: bytes, layout: Layout, *, lenient: bool) -> tuple[dict[str, Any], int]:
    fields: dict[str, Any] = {}
    position, stop = 0, len(body)
    for name, kind in layout:
        if position >= stop:
            if lenient:
                break
            raise BodyError(f"the body ends before {name}", Status.INVCMDLEN)
        if kind == U8:
            fields[name] = body[position]
            position += 1
        elif kind == TEXT:
            end = body.find(0, position)
            if end < 0:
                if not lenient:
                    raise BodyError(f"{name} has no end", Status.INVCMDLEN)
                end = stop  # the last field of a response, without its NUL
            fields[name] = body[position:end]
            position = min(end + 1, stop)
        elif kind == MESSAGE:
            end = position + 1 + body[position]
            if end > stop:
                raise BodyError(f"sm_length {body[position]} is more than there is", Status.INVMSGLEN)
            fields[name] = body[position + 1 : end]
            position = end
        else:
            try:
                fields[name], position = (_read_addresses if kind == ADDRESSES else _read_unsuccesses)(
                    body, position
                )
            except (IndexError, ValueError):
                if not lenient:
                    raise BodyError(f"the body ends inside {name}", Status.INVCMDLEN) from None
                break
    return fields, position


def _read_addresses(body: bytes, position: int) -> tuple[tuple[Address, ...], int]:
    addresses: list[Address] = []
    count, position = body[position], position + 1
    for _ in range(count):
        flag = body[position]
        if flag == DEST_FLAG_ADDRESS:
            end = body.index(0, position + 3)
            addresses.append(Address(body[position + 1], body[position + 2], body[position + 3 : end]))
        elif flag == DEST_FLAG_LIST:
            end = body.index(0, position + 1)
            addresses.append(Address(list_name=body[position + 1 : end]))
        else:
            raise BodyError(f"dest_flag {flag}", Status.INVDESTFLAG)
        position = end + 1
    return tuple(addresses), position


def _read_unsuccesses(body: bytes, position: int) -> tuple[tuple[Unsuccess, ...], int]:
    refused: list[Unsuccess] = []
    count, position = body[position], position + 1
    for _ in range(count):
        end = body.index(0, position + 2)
        if end + 5 > len(body):
            raise ValueError(position)
        error = int.from_bytes(body[end + 1 : end + 5], "big")
        refused.append(Unsuccess(body[position], body[position + 1], body[position + 2 : end], error))
        position = end + 5
    return tuple(refused), position


def encode_pdu(pdu: Pdu) -> bytes:
    """
    Return the octets of `pdu`. Fields that a request lacks are 0 or empty; a response ends before them.

    Raises:
        BodyError: a field or TLV that has no such form: unknown name, NUL inside, too long, out of range; a
            field of a response after one that it lacks.
    """
    body = encode_body(pdu.command_id, pdu.fields) + encode_tlvs(pdu.tlvs)
    return HEADER.pack(HEADER_SIZE + len(body), pdu.command_id, pdu.status, pdu.sequence_number) + body


def encode_body(command_id: int, fields: dict[str, Any]) -> bytes:
    """Return the mandatory part of a body, as `encode_pdu` does."""
    layout = LAYOUTS.get(command_id)
    if layout is None:
        raise BodyError(f"unknown command_id {command_name(command_id)}", Status.INVCMDID)
    if unknown := fields.keys() - {name for name, _ in layout}:
        raise BodyError(f"{command_name(command_id)} has no {sorted(unknown)}", Status.SYSERR)
    parts: list[bytes] = []
    for name, kind in layout:
        value = fields.get(name)
        if value is None:
            if command_id & RESPONSE_BIT:
                _check_end(command_id, layout[len(parts) :], fields)
                break
            value = _DEFAULTS[kind]
        try:
            parts.append(_encode_field(kind, value))
        except (ValueError, TypeError, OverflowError):
            raise BodyError(f"{name} cannot be {type(value).__name__} of this size", Status.SYSERR) from None
    return b"".join(parts)


def _check_end(command_id: int, rest: Layout, fields: dict[str, Any]) -> None:
    """Raise BodyError when a response holds more after the first field that it lacks."""
    if left := [name for name, _ in rest if fields.get(name) is not None]:
        missing = rest[0][0]
        raise BodyError(f"{command_name(command_id)} has {left[0]} and no {missing}", Status.SYSERR)


def _encode_field(kind: int, value: Any) -> bytes:
    if kind == U8:
        return bytes((value,))
    if kind == TEXT:
        return _text(value)
    if kind == MESSAGE:
        return _sized(value)
    if kind == ADDRESSES:
        return bytes((len(value),)) + b"".join(map(_encode_address, value))
    return _encode_unsuccesses(value)


def _text(value: bytes) -> bytes:
    if 0 in value:
        raise ValueError(value)
    return value + b"\0"


def _sized(value: bytes) -> bytes:
    return bytes((len(value),)) + value


def _encode_address(address: Address) -> bytes:
    if address.list_name is not None:
        return bytes((DEST_FLAG_LIST,)) + _text(address.list_name)
    return bytes((DEST_FLAG_ADDRESS, address.ton, address.npi)) + _text(address.addr)


def _encode_unsuccesses(refused: Sequence[Unsuccess]) -> bytes:
    parts = [bytes((len(refused),))]
    for each in refused:
        parts += (bytes((each.ton, each.npi)), _text(each.addr), each.error.to_bytes(4, "big"))
    return b"".join(parts)
