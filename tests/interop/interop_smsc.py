"""`smsgate smsc` as a developer of an ESME has it: a command, a port, phones to type on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.interop.interop_processes import DEADLINE_S, SMSGATE, Child, environment
from tests.interop.interop_tshark import judge
from tests.interop.interop_wire import Wire

SYSTEM_ID, PASSWORD = "smsgate", "secret"  # what the command takes when nothing is said
SENDER = "36111"
PHONE = "33639980001"


class Smsc:
    def __init__(self, process: Child) -> None:
        (ready,) = process.wait_for("listening")
        self.port = int(ready["smpp"].rpartition(":")[2])
        self.process = process
        self._control = ready["control"]

    def phone(self, command: str, *args: str) -> Any:
        """Run `smsgate phone`; return the JSON that it wrote."""
        done = subprocess.run(
            [SMSGATE, "phone", command, *args, "--json"],
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=environment(SMSGATE_PHONES=self._control),
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

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
        with Wire(smsc.port) as wire:
            smsc.port = wire.port
            yield smsc
        judge(wire, by_client=False)
