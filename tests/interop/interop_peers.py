"""
Peers that we did not write, as children that all speak the same lines of JSON.

An SMSC tells: listening {port}; bind {session, mode, system_id, status}; submit {session, id, status, source,
destination, text, udh, data_coding, esm_class, registered_delivery}; deliver_answered {what, id, status};
enquire_link, enquire_link_resp, unbind, unbind_resp, closed {session}. It is told (`Child.tell`):

    mo from, to, text or octets (hexadecimal), data_coding, esm_class    a person writes
    throttle count                  refuse the next submit_sm
    enquire_link, unbind            ask that of every bind
    cut                             drop every connection without a word

An ESME tells: connected; deliver_sm {source, destination, esm_class, data_coding, text, receipted_message_id,
message_state}; every response by its name {status, message_id, message_state, system_id, number}; unbind,
closed. It is told the name of a request with its fields; `short_message` is text in the alphabet of
`data_coding`, `octets` and `payload` (for message_payload) are hexadecimal:

    bind_transceiver system_id, password
    submit_sm source_addr, destination_addr, short_message, data_coding, ...
    enquire_link, unbind
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from tests.interop.interop_processes import HERE, Child, node_command
from tests.interop.interop_tshark import judge
from tests.interop.interop_wire import Wire

SYSTEM_ID, PASSWORD = "boxman", "changeit"


def twisted_command(script: str, *args: str) -> list[str]:
    python = HERE / ".venv" / "bin" / "python"
    assert python.is_file(), "smpp.twisted3 is missing: run tests/interop/install"
    return [str(python), str(HERE / script), *args]


def perl_command(script: str, *args: str) -> list[str]:
    perl = shutil.which("perl")
    assert perl is not None, "Perl is missing: run tests/interop/install"
    return [perl, str(HERE / script), *args]


SMSCS = {
    "npm-smpp-0.5": lambda: node_command("npm_smsc.js", "smpp05", SYSTEM_ID, PASSWORD),
    "npm-smpp-0.6": lambda: node_command("npm_smsc.js", "smpp06", SYSTEM_ID, PASSWORD),
    "smpp.twisted3": lambda: twisted_command("twisted_smsc.py", SYSTEM_ID, PASSWORD),
    "Net::SMPP": lambda: perl_command("net_smpp_smsc.pl", SYSTEM_ID, PASSWORD),
}
ESMES = {
    "npm-smpp-0.5": lambda port: node_command("npm_esme.js", "smpp05", str(port)),
    "npm-smpp-0.6": lambda port: node_command("npm_esme.js", "smpp06", str(port)),
    "smpp.twisted3": lambda port: twisted_command("twisted_esme.py", str(port)),
    "Net::SMPP": lambda port: perl_command("net_smpp_esme.pl", str(port)),
}


class Smsc(Child):
    """An SMSC; `port` leads to it over a wire that tshark judges at the end."""

    port = 0


@contextmanager
def an_smsc_of(peer: str) -> Iterator[Smsc]:
    with Smsc(SMSCS[peer]()) as smsc:
        (listening,) = smsc.wait_for("listening")
        with Wire(listening["port"]) as wire:
            smsc.port = wire.port
            yield smsc
        judge(wire, by_client=True)


@contextmanager
def an_esme_of(peer: str, port: int) -> Iterator[Child]:
    """Connect that ESME."""
    with Child(ESMES[peer](port)) as esme:
        esme.wait_for("connected")
        yield esme
