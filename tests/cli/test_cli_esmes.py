"""
`smsgate esme`, as an operator uses it; and what a kill -9 leaves of what an ESME submitted.

The gateway is a process of its own and is killed without warning in the middle of the traffic: each submit
that it answered with 0 is sent once, or listed as unknown, never twice and never forgotten.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from smsgate.protocol.commands import CommandId
from smsgate.protocol.frames import Frame
from smsgate.protocol.pdus import Pdu, decode_pdu, encode_pdu
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.protocol.tlvs import Tag
from smsgate.simulator.control_client import fetch_inbox
from tests.acceptance.esmes import a_submit, bind_octets
from tests.cli.carriers import SENDER, write_config
from tests.cli.command_shell import LIMIT_S, Running, Shell, free_ports
from tests.simulator.smsc_peers import RawEsme

PHONES = [str(33639980020 + number) for number in range(6)]  # a phone shows its last 100 texts
SUBMITS = 300
KILLED_AFTER = 150  # answers
PRICES = "direction,network,unit_price\nmt,*,0.05\n"


@pytest.fixture(scope="module")
def ports(shell: Shell) -> dict[str, int]:
    smpp, control, http, esmes = free_ports(4)
    write_config(
        shell.cwd / "smsgate.toml",
        smpp=f"127.0.0.1:{smpp}",
        http_port=http,
        rate_per_s=150,
        more=f"\n[esmes]\nplain_port = {esmes}\ninsecure_plaintext = true\n",
    )
    shell.extra["SMSGATE_CONFIG"] = str(shell.cwd / "smsgate.toml")
    shell.ok("merchant", "add", "clinic", "--name", "Clinic", "--country", "FR")
    shell.ok("billing", "publish", "clinic", "-", "--yes", stdin=PRICES)
    shell.ok("merchant", "price-list", "clinic", "clinic")
    return {"smpp": smpp, "control": control, "esmes": esmes}


def test_accounts_are_made_shown_and_given_new_passwords(shell: Shell, ports: dict[str, int]) -> None:
    added = shell.ok("esme", "add", "clinic", "clinic-1", "--sender", SENDER, "--binary", "--json").json()
    assert len(added["password"]) == 8
    assert (added["merchant"], added["senders"], added["allow_binary"]) == ("clinic", [SENDER], True)
    assert "password" not in listed(shell, "clinic-1")
    again = shell.ok("esme", "set-password", "clinic-1", "--json").json()
    assert again["password"] != added["password"]
    shell.ok("esme", "disable", "clinic-1")
    assert listed(shell, "clinic-1")["active"] is False
    taken = shell.run("esme", "add", "clinic", "clinic-1", "--sender", SENDER)
    assert taken.code == 1
    assert "belongs to another account" in taken.err
    refused = shell.run("esme", "add", "clinic", "other", "--sender", "36999")
    assert refused.code == 2
    assert "'36999' is no sender number of a carrier that clinic may use." in refused.err


def listed(shell: Shell, system_id: str) -> dict[str, Any]:
    [found] = [
        each for each in shell.ok("esme", "list", "clinic", "--json").json() if each["system_id"] == system_id
    ]
    return dict(found)


def test_a_kill_9_sends_nothing_twice_and_forgets_nothing_that_was_answered(
    shell: Shell, ports: dict[str, int], started: Callable[..., Running]
) -> None:
    account = shell.ok(
        "esme", "add", "clinic", "killed", "--sender", SENDER, "--rate-per-s", "1000", "--json"
    ).json()
    started("smsc", "--port", str(ports["smpp"]), "--control-port", str(ports["control"]))
    gateway = started("run")
    answered = asyncio.run(submit_until_killed(ports["esmes"], account, gateway))
    assert KILLED_AFTER <= len(answered) < SUBMITS
    gateway.process.wait(LIMIT_S)  # its port takes connections until it is really gone
    started("run")
    states = asyncio.run(receipts_of(ports["esmes"], account, set(answered.values())))
    assert set(states.values()) <= {ReceiptState.DELIVRD, ReceiptState.UNKNOWN}
    control = f"http://127.0.0.1:{ports['control']}"
    seen = asyncio.run(texts_of(control))
    assert set(seen.values()) == {1}
    delivered = {text for text, message_id in answered.items() if states[message_id] == ReceiptState.DELIVRD}
    assert delivered <= seen.keys()
    unknown = answered.keys() - delivered
    assert len(unknown) < 150  # a quarter of a second of the carrier's rate, and its window


async def texts_of(control: str) -> Counter[str]:
    inboxes = [await fetch_inbox(control, phone) for phone in PHONES]
    return Counter(message.text for inbox in inboxes for message in inbox)


async def connected(port: int) -> RawEsme:
    """Connect as soon as the gateway listens."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                return await RawEsme.connect(port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)


async def submit_until_killed(port: int, account: dict[str, str], gateway: Running) -> dict[str, bytes]:
    """Submit; kill the gateway after some answers; return the id of each text that was answered with 0."""
    esme = await connected(port)
    esme.send(CommandId.BIND_TRANSMITTER, 1, bind_octets(account))
    assert (await esme.read()).status == 0
    writing = asyncio.create_task(submit_all(esme))  # the kill comes in its midst
    answered: dict[str, bytes] = {}
    try:
        while True:
            pdu = await esme.read()
            if pdu.command_id == CommandId.SUBMIT_SM_RESP and not pdu.status:
                answered[f"n{pdu.number}"] = pdu.body.rstrip(b"\0")
            if len(answered) == KILLED_AFTER:
                gateway.process.send_signal(signal.SIGKILL)
    except (asyncio.IncompleteReadError, ConnectionError):
        writing.cancel()
        esme.writer.close()
    return answered


async def submit_all(esme: RawEsme) -> None:
    for number in range(1, SUBMITS + 1):
        fields = {"source_addr": SENDER.encode(), "destination_addr": PHONES[number % len(PHONES)].encode()}
        esme.writer.write(a_submit(number, short_message=b"n%d" % number, **fields))
        await asyncio.sleep(0.002)


async def receipts_of(port: int, account: dict[str, str], ids: set[bytes]) -> dict[bytes, int]:
    """Bind again and take receipts until there is a final word, or `unknown`, for every id."""
    esme = await connected(port)
    esme.send(CommandId.BIND_TRANSCEIVER, 1, bind_octets(account))
    states: dict[bytes, int] = {}
    async with asyncio.timeout(60):
        while not ids <= states.keys():
            pdu = await esme.read()
            if pdu.command_id == CommandId.ENQUIRE_LINK:
                esme.writer.write(encode_pdu(Pdu(CommandId.ENQUIRE_LINK_RESP, 0, pdu.number)))
            if pdu.command_id != CommandId.DELIVER_SM:
                continue
            tlvs = dict(decode_pdu(Frame(pdu.command_id, pdu.number, 0, pdu.body)).tlvs)
            message_id = tlvs[Tag.RECEIPTED_MESSAGE_ID].rstrip(b"\0")
            state = tlvs[Tag.MESSAGE_STATE][0]
            if states.get(message_id) != ReceiptState.DELIVRD:  # a late receipt knows more than "unknown"
                states[message_id] = state
            esme.send(CommandId.DELIVER_SM_RESP, pdu.number, b"\0")
            await esme.writer.drain()
    esme.writer.close()
    return states
