"""Kannel 1.4.5 as an ESME of ours, with somebody to take what it hands on by HTTP."""

from __future__ import annotations

import os
import random
import shutil
import socket
import string
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.interop.interop_processes import DEADLINE_S, HERE, Child, until

WHERE = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"  # Debian has its daemons there
PORTS = range(20_000, 30_000)  # below those that systems give out by themselves
DLR_ALL = 31  # delivered, failed, buffered, accepted by the SMSC, refused by it
BOUNDARY = "kannel-push"
PAP = """<?xml version="1.0"?>
<!DOCTYPE pap PUBLIC "-//WAPFORUM//DTD PAP 1.0//EN" "http://www.wapforum.org/DTD/pap_1.0.dtd">
<pap><push-message push-id="{push_id}"><address address-value="WAPPUSH=+{to}/TYPE=PLMN@ppg.example.com"/>
<quality-of-service network="GSM" bearer="SMS" delivery-method="unconfirmed"/></push-message></pap>"""


class Kannel:
    def __init__(
        self, sender: str, ports: dict[str, int], events: list[tuple[str, dict[str, bytes]]]
    ) -> None:
        self._sender = sender
        self._ports = ports
        self._events = events
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def send(self, to: str, text: str, **options: str) -> None:
        """Send by smsbox; its reports come as `reports`."""
        report = f"http://127.0.0.1:{self._ports['http']}/report?status=%d&to=%p&text=%A"
        query = {
            "username": "tester",
            "password": "secret",
            "from": self._sender,
            "to": to,
            "text": text,
            "charset": "UTF-8",
            "dlr-mask": str(DLR_ALL),
            "dlr-url": report,
            **options,
        }
        said = self._get(f"http://127.0.0.1:{self._ports['sendsms']}/cgi-bin/sendsms?{urlencode(query)}")
        assert said.startswith("0:"), said

    def push(self, to: str, content_type: str, document: str) -> None:
        """Send a WAP Push by the Push Access Protocol (WAP-164)."""
        parts = (("application/xml", PAP.format(push_id=1, to=to)), (content_type, document))
        body = "".join(f"--{BOUNDARY}\r\nContent-Type: {kind}\r\n\r\n{text}\r\n\r\n" for kind, text in parts)
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._ports['ppg']}/wappush?username=tester&password=secret",
            f"{body}--{BOUNDARY}--\r\n".encode(),
            {"Content-Type": f'multipart/related; boundary={BOUNDARY}; type="application/xml"'},
        )
        with self._opener.open(request, timeout=DEADLINE_S) as answer:
            assert b'code ="1001"' in answer.read()  # accepted for processing

    def mos(self) -> list[dict[str, bytes]]:
        return [facts for path, facts in list(self._events) if path == "/mo"]

    def reports(self, status: int) -> list[dict[str, bytes]]:
        """Return reports of one kind: 1 delivered, 2 failed, 8 accepted by the SMSC, 16 refused by it."""
        wanted = str(status).encode()
        return [
            facts for path, facts in list(self._events) if path == "/report" and facts["status"] == wanted
        ]

    def is_online(self) -> bool:
        """Return whether bearerbox is bound to us and smsbox is connected to it."""
        with suppress(OSError):
            status = self._get(f"http://127.0.0.1:{self._ports['admin']}/status.xml?password=secret")
            return "<status>online" in status and "<type>smsbox" in status and "<type>wapbox" in status
        return False

    def _get(self, url: str) -> str:
        with self._opener.open(url, timeout=DEADLINE_S) as answer:
            return str(answer.read().decode())


@contextmanager
def a_kannel(smpp_port: int, *, system_id: str, password: str, sender: str) -> Iterator[Kannel]:
    events: list[tuple[str, dict[str, bytes]]] = []
    names = ("admin", "smsbox", "wapbox", "sendsms", "ppg")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = dict(zip(names, _free_ports(len(names)), strict=True))
        ports["http"] = stack.enter_context(_taker_of_events(events))
        configuration = directory / "kannel.conf"
        values = {f"{name}_port": str(port) for name, port in {**ports, "smpp": smpp_port}.items()}
        template = string.Template((HERE / "kannel.conf").read_text(encoding="utf-8"))
        texts = {"directory": str(directory), "system_id": system_id, "password": password, "sender": sender}
        configuration.write_text(template.substitute(values, **texts), encoding="utf-8")
        router = stack.enter_context(_child("bearerbox", configuration))
        until(lambda: _listens(ports["smsbox"]), "Kannel's router is up")
        for box in ("smsbox", "wapbox"):
            stack.enter_context(_child(box, configuration))
        kannel = Kannel(sender, ports, events)
        until(kannel.is_online, "Kannel is bound")
        until(lambda: _listens(ports["sendsms"]) and _listens(ports["ppg"]), "Kannel's boxes are up")
        yield kannel
        assert router.terminate() == 0  # it unbinds


def _child(program: str, configuration: Path) -> Child:
    found = shutil.which(program, path=WHERE)
    assert found is not None, "Kannel is missing: run tests/interop/install"
    return Child([found, "-v", "2", str(configuration)], cwd=configuration.parent)


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
        if len(found) == count:
            break
    return found


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@contextmanager
def _taker_of_events(events: list[tuple[str, dict[str, bytes]]]) -> Iterator[int]:
    class Taker(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            split = urlsplit(self.path)
            # Latin-1 keeps every octet of what Kannel escapes.
            facts = parse_qs(split.query, keep_blank_values=True, encoding="latin-1")
            events.append((split.path, {name: values[0].encode("latin-1") for name, values in facts.items()}))
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join(DEADLINE_S)
        server.server_close()
