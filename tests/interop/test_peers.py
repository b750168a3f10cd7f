"""What tests with peers rest on: an SMSC does as told, and tells what it does, at any speed."""

from __future__ import annotations

import socket
from contextlib import suppress

import pytest

from smsgate.protocol.commands import CommandId
from smsgate.protocol.pdus import Pdu, encode_pdu
from tests.interop.interop_peers import PASSWORD, SMSCS, SYSTEM_ID, Smsc
from tests.interop.interop_wire import LOOPBACK

pytestmark = pytest.mark.interop

BIND = encode_pdu(
    Pdu(
        CommandId.BIND_TRANSCEIVER,
        0,
        1,
        {"system_id": SYSTEM_ID.encode(), "password": PASSWORD.encode(), "interface_version": 0x34},
    )
)
ENQUIRE_LINK = encode_pdu(Pdu(CommandId.ENQUIRE_LINK, 0, 2))
MANY = 4_000  # their events are more than a pipe holds, 64 KiB


@pytest.mark.parametrize("peer", SMSCS)
def test_an_smsc_that_cuts_a_line_with_octets_on_it_lets_the_next_one_in(peer: str) -> None:
    with Smsc(SMSCS[peer]()) as smsc:
        (listening,) = smsc.wait_for("listening")
        address = LOOPBACK, listening["port"]
        with socket.create_connection(address) as line:
            line.sendall(BIND)
            smsc.wait_for("bind", status=0)
            with smsc.standing_still():
                line.sendall(ENQUIRE_LINK)
                smsc.tell("cut")
            smsc.wait_for("closed", session=1)
        with socket.create_connection(address) as line:
            line.sendall(BIND)
            smsc.wait_for("bind", 2, status=0)


@pytest.mark.parametrize("peer", SMSCS)
def test_an_smsc_tells_of_everything_however_late_that_is_read(peer: str) -> None:
    with Smsc(SMSCS[peer]()) as smsc:
        (listening,) = smsc.wait_for("listening")
        with socket.create_connection((LOOPBACK, listening["port"]), timeout=1.0) as line:
            line.sendall(BIND)
            smsc.wait_for("bind", status=0)
            with smsc.unread(), suppress(TimeoutError):
                line.sendall(ENQUIRE_LINK * MANY)
                while line.recv(65_536):  # until it answers no more: it waits, or is done
                    pass
            smsc.wait_for("enquire_link", MANY)
