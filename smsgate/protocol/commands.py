"""
Numbers of the protocol, as plain ints: the bulk path compares them a million times.

Source: SMPP 3.4 §5.1.2.1 (command_id), §5.1.3 (command_status); 0x21 and above also SMPP 5.0.
"""

from __future__ import annotations

from typing import Final

from smpplib.consts import DESCRIPTIONS

RESPONSE_BIT: Final = 0x8000_0000


class CommandId:
    GENERIC_NACK: Final = 0x8000_0000
    BIND_RECEIVER: Final = 0x0000_0001
    BIND_RECEIVER_RESP: Final = 0x8000_0001
    BIND_TRANSMITTER: Final = 0x0000_0002
    BIND_TRANSMITTER_RESP: Final = 0x8000_0002
    QUERY_SM: Final = 0x0000_0003
    QUERY_SM_RESP: Final = 0x8000_0003
    SUBMIT_SM: Final = 0x0000_0004
    SUBMIT_SM_RESP: Final = 0x8000_0004
    DELIVER_SM: Final = 0x0000_0005
    DELIVER_SM_RESP: Final = 0x8000_0005
    UNBIND: Final = 0x0000_0006
    UNBIND_RESP: Final = 0x8000_0006
    REPLACE_SM: Final = 0x0000_0007
    REPLACE_SM_RESP: Final = 0x8000_0007
    CANCEL_SM: Final = 0x0000_0008
    CANCEL_SM_RESP: Final = 0x8000_0008
    BIND_TRANSCEIVER: Final = 0x0000_0009
    BIND_TRANSCEIVER_RESP: Final = 0x8000_0009
    OUTBIND: Final = 0x0000_000B
    ENQUIRE_LINK: Final = 0x0000_0015
    ENQUIRE_LINK_RESP: Final = 0x8000_0015
    SUBMIT_MULTI: Final = 0x0000_0021
    SUBMIT_MULTI_RESP: Final = 0x8000_0021
    ALERT_NOTIFICATION: Final = 0x0000_0102
    DATA_SM: Final = 0x0000_0103
    DATA_SM_RESP: Final = 0x8000_0103


class Status:
    """Names are those of the specification less `ESME_R`; vendors use 0x400-0x4FF and any other number."""

    OK: Final = 0x00
    INVMSGLEN: Final = 0x01
    INVCMDLEN: Final = 0x02
    INVCMDID: Final = 0x03
    INVBNDSTS: Final = 0x04
    ALYBND: Final = 0x05
    INVPRTFLG: Final = 0x06
    INVREGDLVFLG: Final = 0x07
    SYSERR: Final = 0x08
    INVSRCADR: Final = 0x0A
    INVDSTADR: Final = 0x0B
    INVMSGID: Final = 0x0C
    BINDFAIL: Final = 0x0D
    INVPASWD: Final = 0x0E
    INVSYSID: Final = 0x0F
    CANCELFAIL: Final = 0x11
    REPLACEFAIL: Final = 0x13
    MSGQFUL: Final = 0x14
    INVSERTYP: Final = 0x15
    INVNUMDESTS: Final = 0x33
    INVDLNAME: Final = 0x34
    INVDESTFLAG: Final = 0x40
    INVSUBREP: Final = 0x42
    INVESMCLASS: Final = 0x43
    CNTSUBDL: Final = 0x44
    SUBMITFAIL: Final = 0x45
    INVSRCTON: Final = 0x48
    INVSRCNPI: Final = 0x49
    INVDSTTON: Final = 0x50
    INVDSTNPI: Final = 0x51
    INVSYSTYP: Final = 0x53
    INVREPFLAG: Final = 0x54
    INVNUMMSGS: Final = 0x55
    THROTTLED: Final = 0x58
    INVSCHED: Final = 0x61
    INVEXPIRY: Final = 0x62
    INVDFTMSGID: Final = 0x63
    X_T_APPN: Final = 0x64
    X_P_APPN: Final = 0x65
    X_R_APPN: Final = 0x66
    QUERYFAIL: Final = 0x67
    INVOPTPARSTREAM: Final = 0xC0
    OPTPARNOTALLWD: Final = 0xC1
    INVPARLEN: Final = 0xC2
    MISSINGOPTPARAM: Final = 0xC3
    INVOPTPARAMVAL: Final = 0xC4
    DELIVERYFAILURE: Final = 0xFE
    UNKNOWNERR: Final = 0xFF


_NO_MEANING: Final = "<Desc Not Set>"  # smpplib's word for statuses that it only names


def _names(numbers: type) -> dict[int, str]:
    return {number: name for name, number in vars(numbers).items() if isinstance(number, int)}


COMMAND_NAMES: Final[dict[int, str]] = {number: name.lower() for number, name in _names(CommandId).items()}
STATUS_NAMES: Final[dict[int, str]] = {number: f"ESME_R{name}" for number, name in _names(Status).items()}


def command_name(command_id: int) -> str:
    return COMMAND_NAMES.get(command_id, f"0x{command_id:08x}")


def status_name(status: int) -> str:
    """Return the name and the number, as logs and operators want it; a vendor's number stays a number."""
    name = STATUS_NAMES.get(status)
    return f"0x{status:x}" if name is None else f"{name} (0x{status:02x})"


def status_text(status: int) -> str:
    """Return name, number and what it means (smpplib's dictionary of SMPP 3.4 §5.1.3), for people."""
    meaning = DESCRIPTIONS.get(status, "")
    known = meaning and meaning != _NO_MEANING
    return f"{status_name(status)}: {meaning}" if known else status_name(status)
