"""Profiles: sessions, framing, PDUs and TLS."""

from __future__ import annotations

from typing import Final

from smsgate.protocol.commands import CommandId, Status
from smsgate.simulator.profile import Profile

_HTTP: Final = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
_TLS_ALERT: Final = b"\x15\x03\x01\x00\x02\x02\x46"  # fatal, protocol_version
_ALERT: Final = b"\x01\x0133639980001\x00\x03\x0136111\x00"
_NETWORK_ERROR: Final = b"\x04\x23\x00\x03\x03\x00\x0b"  # the TLV of GSM's error 11
_CERTIFICATE: Final = "jsmpp#113, #177; node-smpp#136; telenordigital#118"
_NO_BIND: Final = "no bind, no password on the wire, an alarm"

SESSION_PROFILES: Final = (
    Profile(
        "enquire-before-bind-response",
        "The SMSC asks enquire_link before it answers the bind, and refuses who asks first.",
        "mozes/smpp.pdu#7; smppjs#49; twitter/cloudhopper PR#101, PR#102; jsmpp#65",
        "answer in every state; ask only when bound",
        {"enquires_before_bound": True},
    ),
    Profile(
        "enquire-flood",
        "The SMSC asks 500 enquire_links a second.",
        "mozes/smpp.pdu#7; twitter/cloudhopper PR#101; Rusmpp's own test",
        "answer each within 1 s, and go on sending",
        {"enquires_per_s": 500},
    ),
    Profile(
        "enquire-with-body",
        "enquire_link, unbind and their responses have a body, which none should have.",
        "php-smpp#49",
        "accept and ignore the body",
        {"empty_pdu_body": b"\x00smsc", "enquires_per_s": 20},
    ),
    Profile(
        "half-open",
        "After five messages, or 20 s, the SMSC reads on and never says anything more; then it is well.",
        "node-smpp#57, #106",
        "no octet within interval and time-out: close, rebind; what is open is unknown, not resent",
        {"end": "silence", "end_after_submits": 5, "end_after_s": 20.0},
    ),
    Profile(
        "already-bound-after-loss",
        "The line is cut after five messages, and then binds get ESME_RALYBND for 2 s.",
        "vumi#624, PR#420; uudashr/jsmpp#54; node-smpp#250; naz#29; ksmppd#49, #118",
        "back off; it is no wrong password, and no bind",
        {"end": "cut", "end_after_submits": 5, "already_bound_s": 2.0},
    ),
    Profile(
        "unbind-by-smsc",
        "After five messages the SMSC unbinds; it takes binds again at once.",
        "ksmppd#118; smpplib never answers",
        "answer, let open responses come, rebind after a delay",
        {"end": "unbind", "end_after_submits": 5},
    ),
    Profile(
        "unbind-with-body",
        "After five messages the SMSC unbinds with a body in the unbind.",
        "php-smpp#49",
        "as for any unbind",
        {"end": "unbind", "end_after_submits": 5, "empty_pdu_body": b"\x00\x00\x00\x00"},
    ),
    Profile(
        "disconnect-mid-pdu",
        "The fifth answer of a bind breaks off in its middle with the connection.",
        "go-smpp#2; jsmpp#63; jasmin#247, #564",
        "that message is unknown, not resent; rebind",
        {"end": "torn", "end_after_submits": 5},
    ),
    Profile(
        "messages-per-bind",
        "A bind takes 20 messages; more get ESME_RINVBNDSTS until the next bind.",
        "Oracle Messaging Server's setting (1,024 by default)",
        "a limit per carrier and a planned rebind before it; no message is refused",
        {"submits_per_bind_max": 20},
    ),
    Profile(
        "version-missing",
        "The bind's answer does not say sc_interface_version.",
        "uudashr/jsmpp#44; smppex#61",
        "go on as bound",
        {"sc_interface_version": 0},
    ),
    Profile(
        "version-3.3",
        "The SMSC takes binds of version 0x33 only.",
        "Rusmpp#42; uudashr/jsmpp#44",
        "a version per carrier",
        {"sc_interface_version": 0x33, "interface_versions": (0x33,)},
    ),
    Profile(
        "version-3.4-only",
        "The SMSC refuses every interface_version but 0x34.",
        "naz#184, #194 (34 sent in decimal); Infobip refuses 3.3 and 5.0",
        "0x34 unless told otherwise",
        {"interface_versions": (0x34,)},
    ),
    Profile(
        "version-5.0",
        "The SMSC takes 5.0 binds only and says so.",
        "node-smpp#58 (0x50 by default); smppex#61",
        "a version per carrier",
        {"sc_interface_version": 0x50, "interface_versions": (0x50,)},
    ),
    Profile(
        "tls-self-signed",
        "TLS with a certificate that signs itself.",
        _CERTIFICATE,
        _NO_BIND,
        {"tls": "self-signed"},
    ),
    Profile(
        "tls-wrong-name",
        "TLS with a certificate of a known CA for another host.",
        _CERTIFICATE,
        _NO_BIND,
        {"tls": "wrong-name"},
    ),
    Profile(
        "tls-expired",
        "TLS with a certificate of a known CA that has expired.",
        _CERTIFICATE,
        _NO_BIND,
        {"tls": "expired"},
    ),
    Profile(
        "tls-good",
        "TLS with a good certificate of its own CA: for comparison.",
        _CERTIFICATE,
        "bind",
        {"tls": "good"},
    ),
)

PDU_PROFILES: Final = (
    Profile(
        "sequence-zero",
        "The SMSC's own sequence numbers begin at 0.",
        "cloudhopper's SequenceNumber.java (AT&T)",
        "echo it",
        {"sequence_offset": 0xFFFF_FFFF},
    ),
    Profile(
        "sequence-above-31-bits",
        "The SMSC's own sequence numbers begin above 0x80000000 and wrap at 32 bits.",
        "vumi#88",
        "echo any 32-bit number",
        {"sequence_offset": 0xFFFF_FFF8},
    ),
    Profile(
        "errors-with-body",
        "Half of the submit_sm are refused with 0x0B: without a body, with one, with TLVs, with both.",
        "vumi PR#804; gosmpp#113, #117, #118, #119; twitter PR#31; node-smpp#9, #65; smppex#6; jsmpp#163",
        "accept them all; the status counts",
        {
            "refuse_share": 0.5,
            "refuse_status": int(Status.INVDSTADR),
            "refusal_bodies": (b"", b"0\x00", _NETWORK_ERROR, b"0\x00" + _NETWORK_ERROR),
        },
    ),
    Profile(
        "responses-without-body",
        "bind_resp has no body, and neither have refusals of submit_sm.",
        "node-smpp#9, #65; smppex#6; gosmpp#117",
        "accept them; a missing body is an empty one",
        {"bare_bind_response": True, "refuse_share": 0.3, "refuse_status": int(Status.INVDSTADR)},
    ),
    Profile(
        "trailing-garbage",
        "After the body of every PDU come NULs or other octets, within command_length.",
        "praekelt/python-smpp PR#7; twitter/cloudhopper#64; jsmpp#214",
        "keep the whole fields, drop and count the rest",
        {"tails": (b"\x00", b"\x00\x00\x00\x00\x00\x00", b"\xff\xfe\xfd")},
    ),
    Profile(
        "cut-tlv",
        "Receipts end in a receipted_message_id of 0x41 octets that has four.",
        "a Netfors receipt in mozes' suite; jsmpp#214",
        "keep the whole fields, drop and count the rest",
        {"receipt_parts": "text", "tails": (b"\x00\x1e\x00\x41\x31\x32\x33\x34",)},
    ),
    Profile(
        "unknown-tlvs",
        "Every answer and receipt holds TLVs that no specification knows.",
        "jasmin#322, #325, #449, #577; jsmpp#11, #16; smpplib#2",
        "keep them as octets; the rest counts",
        {
            "tlvs": (
                (0x1400, b"1101234567890\x00"),
                (0x1502, b"cust-42"),
                (0x3FFF, b""),
                (0x4001, b"\x00\xff" * 20),
            ),
            "enquires_per_s": 5,
        },
    ),
    Profile(
        "vendor-status",
        "A third of the submit_sm are refused with numbers of 0x400 to 0x4FF and beyond.",
        "aiosmpplib drops the bind (measured); Jasmin loses the number (measured)",
        "keep the number; it is permanent unless the carrier's configuration says otherwise",
        {
            "refuse_share": 0.33,
            "refuse_status": 0x0400,
            "refuse_statuses": (0x0400, 0x04FF, 0x7000_0001),
        },
    ),
    Profile(
        "vendor-commands",
        "Requests and responses with unknown command ids come between the others.",
        "aiosmpplib drops the bind (measured); Jasmin closes (measured)",
        "generic_nack 0x03 to the requests, nothing to the responses; the session lives",
        {
            "extra_pdus": (
                (0x0001_0200, b"\x01vendor\x00"),
                (0x8001_0201, b"vendor\x00"),
                (0x0000_00FE, b""),
                (0x8000_0FFF, b"\xff" * 40),
            )
        },
    ),
    Profile(
        "http-on-the-port",
        "The first connection hears HTTP, the second a TLS alert; then the SMSC is there.",
        "node-smpp#109, #168, #230 (1213486160 is HTTP)",
        "close within one read, allocate nothing, come again",
        {"first_octets": (_HTTP, _TLS_ALERT)},
    ),
    Profile(
        "giant-length",
        "After five messages a header announces 4 GB; after the next bind it is well.",
        "OpenSIPS#3846, #3847, PR#3891",
        "close within one read, allocate nothing, rebind",
        {
            "end": "silence",
            "end_after_submits": 5,
            "end_octets": b"\xff\xff\xff\xff\x80\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x01",
        },
    ),
    Profile(
        "zero-length",
        "After five messages a header says command_length 0; after the next bind it is well.",
        "OpenSIPS#3846; node-smpp#168",
        "close within one read, rebind",
        {"end": "silence", "end_after_submits": 5, "end_octets": bytes(16)},
    ),
    Profile(
        "octets-one-by-one",
        "Every octet comes in a write of its own.",
        "smpplib loses the framing (measured)",
        "wait for the whole PDU",
        {"write_octets": 1},
    ),
    Profile(
        "alert-notification",
        "alert_notification comes after the bind and after every submit_sm.",
        "smpplib PR#20, #27; jsmpp#122, #123; Kannel answers generic_nack (read)",
        "no answer at all; held messages of that number go out",
        {"extra_pdus": ((int(CommandId.ALERT_NOTIFICATION), _ALERT + b"\x04\x22\x00\x01\x00"),)},
    ),
    Profile(
        "odd-fields",
        "Receipts and MOs have reserved bits, an unknown TON and NPI and a priority of 9.",
        "SMPP 3.4 §5.2: reserved values; no complaint found",
        "accept and keep them",
        {"odd_fields": True},
    ),
)
