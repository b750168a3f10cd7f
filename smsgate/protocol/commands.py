"""
Numbers of the protocol, as plain ints: the bulk path compares them a million times.

Source: SMPP 3.4 §5.1.2.1 (command_id), §5.1.3 (command_status); 0x111 to 0x113 and the statuses from 0x100
are those of SMPP 5.0 §4.7.5, §4.7.6.
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
    BROADCAST_SM: Final = 0x0000_0111
    BROADCAST_SM_RESP: Final = 0x8000_0111
    QUERY_BROADCAST_SM: Final = 0x0000_0112
    QUERY_BROADCAST_SM_RESP: Final = 0x8000_0112
    CANCEL_BROADCAST_SM: Final = 0x0000_0113
    CANCEL_BROADCAST_SM_RESP: Final = 0x8000_0113


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
    SERTYPUNAUTH: Final = 0x100
    PROHIBITED: Final = 0x101
    SERTYPUNAVAIL: Final = 0x102
    SERTYPDENIED: Final = 0x103
    INVDCS: Final = 0x104
    INVSRCADDRSUBUNIT: Final = 0x105
    INVDSTADDRSUBUNIT: Final = 0x106
    INVBCASTFREQINT: Final = 0x107
    INVBCASTALIAS_NAME: Final = 0x108
    INVBCASTAREAFMT: Final = 0x109
    INVNUMBCAST_AREAS: Final = 0x10A
    INVBCASTCNTTYPE: Final = 0x10B
    INVBCASTMSGCLASS: Final = 0x10C
    BCASTFAIL: Final = 0x10D
    BCASTQUERYFAIL: Final = 0x10E
    BCASTCANCELFAIL: Final = 0x10F
    INVBCAST_REP: Final = 0x110
    INVBCASTSRVGRP: Final = 0x111
    INVBCASTCHANIND: Final = 0x112


# Statuses of SMPP 5.0, which smpplib does not know.
_MEANINGS: Final[dict[int, str]] = {
    Status.SERTYPUNAUTH: "Not authorised to use this service_type",
    Status.PROHIBITED: "Prohibited from using this operation",
    Status.SERTYPUNAVAIL: "This service_type is not available",
    Status.SERTYPDENIED: "This service_type is denied",
    Status.INVDCS: "Invalid data_coding",
    Status.INVSRCADDRSUBUNIT: "Invalid source_addr_subunit",
    Status.INVDSTADDRSUBUNIT: "Invalid dest_addr_subunit",
    Status.INVBCASTFREQINT: "Invalid broadcast_frequency_interval",
    Status.INVBCASTALIAS_NAME: "Invalid alias name of a broadcast area",
    Status.INVBCASTAREAFMT: "Invalid format of a broadcast area",
    Status.INVNUMBCAST_AREAS: "Invalid number of broadcast areas",
    Status.INVBCASTCNTTYPE: "Invalid broadcast_content_type",
    Status.INVBCASTMSGCLASS: "Invalid broadcast_message_class",
    Status.BCASTFAIL: "broadcast_sm failed",
    Status.BCASTQUERYFAIL: "query_broadcast_sm failed",
    Status.BCASTCANCELFAIL: "cancel_broadcast_sm failed",
    Status.INVBCAST_REP: "Invalid number of repeated broadcasts",
    Status.INVBCASTSRVGRP: "Invalid broadcast_service_group",
    Status.INVBCASTCHANIND: "Invalid broadcast_channel_indicator",
}
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
    meaning = _MEANINGS.get(status) or DESCRIPTIONS.get(status, "")
    known = meaning and meaning != _NO_MEANING
    return f"{status_name(status)}: {meaning}" if known else status_name(status)
