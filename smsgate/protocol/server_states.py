"""A session seen from the SMSC: its settings, its states, what moves it, and what it tells its owner."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Final

from smsgate.protocol.commands import CommandId
from smsgate.protocol.frames import COMMAND_LENGTH_MAX
from smsgate.protocol.pdus import Pdu
from smsgate.protocol.session_states import BindKind


class ServerState(Enum):
    OPEN = "open"  # connected, no bind came yet
    JUDGING = "judging"  # a bind came, and its answer is not decided
    BOUND = "bound"
    DRAINING = "draining"  # we leave: requests are told to come back, answers we owe are awaited
    UNBINDING = "unbinding"  # our unbind is sent
    LEAVING = "leaving"  # the ESME unbound: it gets the answers that we owe, then unbind_resp
    CLOSED = "closed"


class ServerInput(Enum):
    RECV_BIND = "bind"
    ADMIT = "admit"
    REFUSE = "refuse"
    RECV_REQUEST = "request"
    RECV_UNBIND = "peer's unbind"
    RECV_UNBIND_RESP = "unbind_resp"
    DELIVER = "deliver"
    UNBIND = "unbind"
    DRAINED = "drained"
    TIMED_OUT = "timed out"
    BROKEN = "framing broken"
    LOST = "connection lost"


_S, _I = ServerState, ServerInput
WITH_PEER: Final = frozenset({_S.BOUND, _S.DRAINING, _S.UNBINDING, _S.LEAVING})

# Every pair that is not here is refused: an error for what we do, an answer for what the ESME does.
TRANSITIONS: Final[dict[tuple[ServerState, ServerInput], ServerState]] = {
    (_S.OPEN, _I.RECV_BIND): _S.JUDGING,
    (_S.JUDGING, _I.ADMIT): _S.BOUND,
    (_S.JUDGING, _I.REFUSE): _S.CLOSED,
    (_S.BOUND, _I.RECV_REQUEST): _S.BOUND,
    (_S.BOUND, _I.DELIVER): _S.BOUND,
    (_S.OPEN, _I.RECV_UNBIND): _S.CLOSED,
    (_S.JUDGING, _I.RECV_UNBIND): _S.CLOSED,
    (_S.BOUND, _I.RECV_UNBIND): _S.LEAVING,
    (_S.DRAINING, _I.RECV_UNBIND): _S.LEAVING,
    (_S.UNBINDING, _I.RECV_UNBIND): _S.UNBINDING,  # both unbind at once: ours is still to be answered
    (_S.LEAVING, _I.RECV_UNBIND): _S.LEAVING,
    (_S.UNBINDING, _I.RECV_UNBIND_RESP): _S.CLOSED,
    (_S.OPEN, _I.UNBIND): _S.CLOSED,
    (_S.JUDGING, _I.UNBIND): _S.CLOSED,
    (_S.BOUND, _I.UNBIND): _S.DRAINING,
    (_S.DRAINING, _I.UNBIND): _S.DRAINING,
    (_S.UNBINDING, _I.UNBIND): _S.UNBINDING,
    (_S.LEAVING, _I.UNBIND): _S.LEAVING,
    (_S.CLOSED, _I.UNBIND): _S.CLOSED,
    (_S.DRAINING, _I.DRAINED): _S.UNBINDING,
    (_S.LEAVING, _I.DRAINED): _S.CLOSED,
    **{(state, _I.TIMED_OUT): _S.CLOSED for state in ServerState if state is not _S.CLOSED},
    **{(state, _I.BROKEN): _S.CLOSED for state in ServerState if state is not _S.CLOSED},
    **{(state, _I.LOST): _S.CLOSED for state in ServerState},
}

BIND_KINDS: Final[dict[int, BindKind]] = {
    CommandId.BIND_TRANSCEIVER: BindKind.TRANSCEIVER,
    CommandId.BIND_TRANSMITTER: BindKind.TRANSMITTER,
    CommandId.BIND_RECEIVER: BindKind.RECEIVER,
}
# What an ESME asks of an SMSC; only one that is bound to transmit may.
REQUESTS: Final = frozenset(
    {
        CommandId.SUBMIT_SM,
        CommandId.SUBMIT_MULTI,
        CommandId.DATA_SM,
        CommandId.QUERY_SM,
        CommandId.CANCEL_SM,
        CommandId.REPLACE_SM,
    }
)
INTERFACE_VERSION: Final = 0x34  # ours, for ESMEs of 3.4 and later
TLV_VERSION_MIN: Final = 0x34  # SMPP 3.4 §3.3: an older ESME must get no optional parameter
VERSION_50: Final = 0x50


class EndReason(StrEnum):
    LOST = "lost"  # the connection ended under us
    SILENT = "silent"  # no octet came within enquire interval + response time-out
    BROKEN = "broken"  # the stream is no SMPP, or not any more
    BIND_REFUSED = "bind_refused"
    BIND_TIMEOUT = "bind_timeout"  # connected, and never bound
    UNBOUND = "unbound"  # we left, and the ESME agreed
    UNBIND_TIMEOUT = "unbind_timeout"  # we left, and the ESME said nothing
    PEER_UNBOUND = "peer_unbound"


@dataclass(frozen=True, slots=True)
class ServerSettings:
    system_id: bytes = b"smsgate"  # what bind answers say who we are
    window_max: int = 10  # deliver_sm without an answer; the account may say otherwise
    owed_max: int = 1_000  # requests that wait for our answer; what comes on top is told to slow down
    enquire_interval_s: float = 30.0  # of silence from the ESME
    response_timeout_s: float = 10.0
    bind_timeout_s: float = 10.0  # from the connection to the bind
    command_length_max: int = COMMAND_LENGTH_MAX  # octets


@dataclass(slots=True)
class ServerCounts:
    """What an ESME does wrong and a session survives."""

    stray_responses: int = 0  # to nothing that waits
    unknown_requests: int = 0  # answered by generic_nack
    broken_bodies: int = 0  # answered by the status that says why
    out_of_state: int = 0  # answered ESME_RINVBNDSTS
    overruns: int = 0  # answered ESME_RTHROTTLED: too many wait for our answer


@dataclass(frozen=True, slots=True)
class BindAsked:
    """Decide, then `admit` or `refuse`; the bind's time-out goes on meanwhile."""

    kind: BindKind
    system_id: bytes
    password: bytes = field(repr=False)
    system_type: bytes
    interface_version: int


@dataclass(frozen=True, slots=True)
class Asked:
    """Requests of one read, in their order; each is answered once by `answer` or `answer_submits`."""

    pdus: list[Pdu]


@dataclass(frozen=True, slots=True)
class Delivered:
    """Answers to deliver_sm of one read: the slots that `deliver` was given, and command_status of each."""

    slots: list[int]
    statuses: list[int]


@dataclass(frozen=True, slots=True)
class Undelivered:
    """No deliver_sm_resp came in time: the ESME may have it or not."""

    slots: list[int]


@dataclass(frozen=True, slots=True)
class PeerUnbound:
    """The ESME ends the session: deliver no more. An `Ended` follows."""


@dataclass(frozen=True, slots=True)
class Ended:
    """
    The last event of every session, exactly once: send what is left and close the connection.

    `slots` were delivered and have no answer.
    """

    reason: EndReason
    slots: list[int]
    detail: str = ""


ServerEvent = BindAsked | Asked | Delivered | Undelivered | PeerUnbound | Ended
