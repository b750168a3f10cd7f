"""`smsgate smsc` as a developer of an ESME has it: a command, a port, phones to type on."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.interop.interop_processes import DEADLINE_S, SMSGATE, Child
from tests.interop.interop_tshark import judge
from tests.interop.interop_wire import Wire

SYSTEM_ID, PASSWORD = "smsgate", "secret"  # what the command takes when nothing is said
NOTHING_CAME = 404


class Smsc:
    """One of interop_esme's servers."""

    name = "smsgate-smsc"
    system_id = SYSTEM_ID
    password = PASSWORD

    def __init__(self, process: Child) -> None:
        (ready,) = process.wait_for("listening")
        self.port = int(ready["smpp"].rpartition(":")[2])
        self.wire: Wire  # before that port
        self.process = process
        self._control = ready["control"]
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def inbox(self, msisdn: str) -> list[dict[str, Any]]:
        """Return what that phone got, oldest first: {sender, text, received_at}."""
        try:
            with self._opener.open(f"{self._control}/phones/{msisdn}", timeout=DEADLINE_S) as answer:
                return list(json.loads(answer.read())["messages"])
        except urllib.error.HTTPError as refusal:
            with refusal:
                if refusal.code == NOTHING_CAME:
                    return []
            raise

    def reply(self, msisdn: str, text: str) -> str:
        """Type a text on that phone; return to whom it goes: who wrote to it last."""
        body, headers = json.dumps({"text": text}).encode(), {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self._control}/phones/{msisdn}/reply", body, headers)
        with self._opener.open(request, timeout=DEADLINE_S) as answer:
            return str(json.loads(answer.read())["to"])

    def stop(self) -> dict[str, Any]:
        """End it by SIGTERM; return what its SMSC counted."""
        assert self.process.terminate() == 0
        (stopped,) = self.process.seen("stopped")
        return dict(stopped["smsc"])


@contextmanager
def an_smsc(*options: str) -> Iterator[Smsc]:
    """Run `smsgate smsc`; `port` leads to it over a wire, and tshark judges what it sent."""
    with Child([SMSGATE, "smsc", "--port", "0", "--control-port", "0", "--json", *options]) as process:
        smsc = Smsc(process)
        with Wire(smsc.port) as smsc.wire:
            smsc.port = smsc.wire.port
            yield smsc
        judge(smsc.wire, by_client=False)
