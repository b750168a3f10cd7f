"""A session of an ESME: its settings, its states, what moves it, and what it tells its owner."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Final

from smsgate.protocol.commands import CommandId
from smsgate.protocol.frames import COMMAND_LENGTH_MAX
from smsgate.protocol.pdus import Pdu


class State(Enum):
    OPEN = "open"  # connected, nothing sent
    BINDING = "binding"
    BOUND = "bound"
    DRAINING = "draining"  # we leave: nothing new is sent, open answers are awaited
    UNBINDING = "unbinding"  # our unbind is sent
    LEAVING = "leaving"  # the peer unbound and has its answer; open answers are awaited
    CLOSED = "closed"


class Input(Enum):
    SEND_BIND = "send bind"
    SUBMIT = "submit"
    UNBIND = "unbind"
    DRAINED = "drained"
    RECV_BIND_OK = "bind_resp 0"
    RECV_BIND_REFUSED = "bind_resp not 0"
    RECV_OUTBIND = "peer's outbind"
    RECV_DELIVER = "deliver_sm or data_sm"
    RECV_UNBIND = "peer's unbind"
    RECV_UNBIND_RESP = "unbind_resp"
    TIMED_OUT = "timed out"
    BROKEN = "framing broken"
    LOST = "connection lost"


VERSION_3_3: Final = 0x33
_DECIMAL_VERSIONS: Final = frozenset({34, 50})
DELIVERING: Final = frozenset({State.BOUND, State.DRAINING, State.UNBINDING, State.LEAVING})

# Every pair that is not here is refused: an error for what we do, an answer for what the peer does.
TRANSITIONS: Final[dict[tuple[State, Input], State]] = {
    (State.OPEN, Input.SEND_BIND): State.BINDING,
    (State.OPEN, Input.RECV_OUTBIND): State.OPEN,  # the SMSC connected to us; the owner answers by binding
    (State.BINDING, Input.RECV_OUTBIND): State.BINDING,  # it crossed our bind
    (State.BINDING, Input.RECV_BIND_OK): State.BOUND,
    (State.BINDING, Input.RECV_BIND_REFUSED): State.CLOSED,
    (State.BOUND, Input.SUBMIT): State.BOUND,
    **{(state, Input.RECV_DELIVER): state for state in DELIVERING},
    (State.OPEN, Input.UNBIND): State.CLOSED,
    (State.BINDING, Input.UNBIND): State.CLOSED,
    (State.BOUND, Input.UNBIND): State.DRAINING,
    (State.DRAINING, Input.UNBIND): State.DRAINING,
    (State.UNBINDING, Input.UNBIND): State.UNBINDING,
    (State.LEAVING, Input.UNBIND): State.LEAVING,
    (State.CLOSED, Input.UNBIND): State.CLOSED,
    (State.DRAINING, Input.DRAINED): State.UNBINDING,
    (State.LEAVING, Input.DRAINED): State.CLOSED,
    (State.OPEN, Input.RECV_UNBIND): State.CLOSED,
    (State.BINDING, Input.RECV_UNBIND): State.CLOSED,
    (State.BOUND, Input.RECV_UNBIND): State.LEAVING,
    (State.DRAINING, Input.RECV_UNBIND): State.LEAVING,
    (State.UNBINDING, Input.RECV_UNBIND): State.UNBINDING,
    (State.LEAVING, Input.RECV_UNBIND): State.LEAVING,
    (State.UNBINDING, Input.RECV_UNBIND_RESP): State.CLOSED,
    (State.BINDING, Input.TIMED_OUT): State.CLOSED,
    **{(state, Input.TIMED_OUT): State.CLOSED for state in DELIVERING},
    **{(state, Input.BROKEN): State.CLOSED for state in State if state is not State.CLOSED},
    **{(state, Input.LOST): State.CLOSED for state in State},
}


def takes_tlvs(own_version: int, peer_version: int | None, *, missing_is_33: bool) -> bool:
    """
    Return whether the SMSC may be sent optional parameters, by the version that each side named.

    Some write 3.4 and 5.0 in decimal (34, 50): those mean what they say. A peer that names none is taken for
    a 3.3 one only when `missing_is_33`. Source: SMPP 3.4 §5.2.4, §5.3.2.25.
    """
    if own_version <= VERSION_3_3:
        return False
    if peer_version is None:
        return not missing_is_33
    return peer_version > VERSION_3_3 or peer_version in _DECIMAL_VERSIONS


class CloseReason(StrEnum):
    LOST = "lost"  # the connection ended under us
    SILENT = "silent"  # no octet within enquire interval + response time-out, or no answer to submits
    BROKEN = "broken"  # the stream is no SMPP, or not any more
    BIND_REFUSED = "bind_refused"
    BIND_TIMEOUT = "bind_timeout"
    UNBOUND = "unbound"  # we left, and the peer agreed
    UNBIND_TIMEOUT = "unbind_timeout"  # we left, and the peer said nothing
    PEER_UNBOUND = "peer_unbound"


class BindKind(Enum):
    TRANSCEIVER = "trx"
    TRANSMITTER = "tx"
    RECEIVER = "rx"


_BIND_COMMANDS: Final = {
    BindKind.TRANSCEIVER: CommandId.BIND_TRANSCEIVER,
    BindKind.TRANSMITTER: CommandId.BIND_TRANSMITTER,
    BindKind.RECEIVER: CommandId.BIND_RECEIVER,
}


@dataclass(frozen=True, slots=True)
class SessionSettings:
    system_id: bytes
    password: bytes = field(repr=False)
    kind: BindKind = BindKind.TRANSCEIVER
    system_type: bytes = b""
    interface_version: int = 0x34
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: bytes = b""
    window_max: int = 10  # submits and requests without an answer
    enquire_interval_s: float = 30.0  # of silence from the peer
    response_timeout_s: float = 10.0
    bind_timeout_s: float = 5.0
    command_length_max: int = COMMAND_LENGTH_MAX  # octets

    def bind_command(self) -> int:
        return _BIND_COMMANDS[self.kind]

    def bind_pdu(self, sequence_number: int) -> Pdu:
        fields = {
            "system_id": self.system_id,
            "password": self.password,
            "system_type": self.system_type,
            "interface_version": self.interface_version,
            "addr_ton": self.addr_ton,
            "addr_npi": self.addr_npi,
            "address_range": self.address_range,
        }
        return Pdu(self.bind_command(), 0, sequence_number, fields)


@dataclass(slots=True)
class Counts:
    """What a peer does wrong and a session survives; for the owner's metrics, once per read or less."""

    stray_responses: int = 0  # to nothing that waits: late, doubled or invented
    unknown_requests: int = 0  # answered by generic_nack
    broken_bodies: int = 0  # answered by the status that says why
    dropped_octets: int = 0  # of bodies: cut TLVs and padding
    enquiries_missed: int = 0  # no enquire_link_resp in time, though other octets came


@dataclass(frozen=True, slots=True)
class Outbind:
    """
    The SMSC connected to us and asks us to bind: `start` does it. It has no answer. SMPP 3.4 §4.1.7.

    Its system_id and password are the SMSC's own; the owner checks them before it shows ours.
    """

    pdu: Pdu = field(repr=False)


@dataclass(frozen=True, slots=True)
class Congested:
    """A congestion_state of another response than submit_sm_resp (whose own are in SubmitAnswers)."""

    state: int


@dataclass(frozen=True, slots=True)
class Bound:
    """`sc_interface_version` is None when the SMSC did not say it, as many do not."""

    system_id: bytes
    sc_interface_version: int | None


@dataclass(frozen=True, slots=True)
class BindRefused:
    """A `Closed(BIND_REFUSED)` follows."""

    status: int


@dataclass(frozen=True, slots=True)
class SubmitAnswers:
    """
    Rows of answers to submit_sm, status 0 or not; the message id is empty when none came.

    `congestion_state` is the last one that the rows held (SMPP 5.0: 0 idle to 100 full).
    """

    slots: list[int]
    statuses: list[int]
    message_ids: list[bytes]
    congestion_state: int | None = None


@dataclass(frozen=True, slots=True)
class Receipts:
    """
    Rows of delivery receipts of the common form, to be acknowledged by their sequence numbers.

    `message_ids` are of the TLV, else of the text; `other_ids` hold the text's id where it differs, else are
    empty. States are numbers of `ReceiptState`; `errors` are the octets after `err:`.
    """

    sequence_numbers: list[int]
    message_ids: list[bytes]
    other_ids: list[bytes]
    states: list[int]
    errors: list[bytes]


@dataclass(frozen=True, slots=True)
class Delivered:
    """A deliver_sm or data_sm: an MO, or a receipt that is not of the common form. Answer with `respond`."""

    pdu: Pdu


@dataclass(frozen=True, slots=True)
class Responded:
    """The answer to `request`, with the same sequence number; may be a generic_nack."""

    pdu: Pdu


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert_notification: the MS can be reached again. It has no answer."""

    pdu: Pdu


@dataclass(frozen=True, slots=True)
class Expired:
    """No response came in time; whether the SMSC took the messages is unknown."""

    slots: list[int]
    requests: list[int]  # sequence numbers that `request` returned


@dataclass(frozen=True, slots=True)
class PeerUnbound:
    """The SMSC ends the session: submit no more. A `Closed` follows."""


@dataclass(frozen=True, slots=True)
class Closed:
    """
    The last event of every session, exactly once: send what is left and close the connection.

    `slots` and `requests` were in flight: whether the SMSC took them is unknown.
    """

    reason: CloseReason
    slots: list[int]
    requests: list[int]
    detail: str = ""


Event = (
    Outbind
    | Bound
    | Congested
    | BindRefused
    | SubmitAnswers
    | Receipts
    | Delivered
    | Responded
    | Alert
    | Expired
    | PeerUnbound
    | Closed
)
