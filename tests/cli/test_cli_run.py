"""`smsgate run` as a supervisor sees it: ready, signalled, ended, started again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smsgate.cli.exits import Exit
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database
from tests.cli.carriers import SENDER, write_config
from tests.cli.command_shell import Running, Shell, free_ports, until

TEXT = (
    "Boxman: CD Madonna 19,90€ port compris. Répondez OK = commande avec obligation de paiement. "
    "Rétractation 14 j. Infos bxm.fr/m1 STOP 36111"
)
PRICES = "direction,network,unit_price\nmt,*,0.045\nmo,*,0\n"
PEOPLE = 1_500
RATE_PER_S = 400


class Api:
    def __init__(self, port: int, key: str) -> None:
        self._base, self._key = f"http://127.0.0.1:{port}", key

    def call(self, method: str, path: str, body: object = None, media_type: str = "application/json") -> Any:
        data = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": media_type}
        request = urllib.request.Request(self._base + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def campaign_to_everybody(self) -> str:
        """Import PEOPLE with their consent and start a campaign to them; return its path."""
        agreed_at = (datetime.now(UTC) - timedelta(days=3)).isoformat()
        rows = [
            json.dumps(
                {
                    "msisdn": f"+336120{n:05d}",
                    "consent_at": agreed_at,
                    "consent_source": "form",
                    "wording_version": "v1",
                    "country": "FR",
                }
            )
            for n in range(PEOPLE)
        ]
        job = self.call("POST", "/v1/imports", "\n".join(rows), "application/x-ndjson")
        assert (job["rows_ok"], job["rows_failed"]) == (PEOPLE, 0), job
        offer = self.call(
            "POST",
            "/v1/offers",
            {
                "text": TEXT,
                "item": "CD Madonna",
                "price": "19.90",
                "sender": SENDER,
                "expires_at": (datetime.now(UTC) + timedelta(hours=10)).isoformat(),
            },
        )
        made = self.call("POST", "/v1/campaigns", {"offer": offer["id"], "audience": {"all": True}})
        path = f"/v1/campaigns/{made['id']}"
        self.call("POST", f"{path}/start")
        return path


@pytest.fixture
def alone(directory: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Shell, Callable[..., Running]]]:
    """Give a shell without any database yet, and a way to start commands in it."""
    shell = Shell(directory / f"alone-{request.node.name[-20:]}")
    shell.cwd.mkdir(mode=0o711)
    running: list[Running] = []

    def start(*arguments: str) -> Running:
        running.append(shell.start(*arguments))
        return running[-1]

    yield shell, start
    for each in running:
        each.end()
        each.close()
    if (shell.state_dir / "postgres" / "postmaster.pid").exists():  # after a process that was cut
        shell.ok("migrate")


def a_simulator(start: Callable[..., Running], *options: str) -> tuple[str, str]:
    """Start one; return where it speaks SMPP and where it is controlled."""
    smsc = start("smsc", "--port", "0", "--control-port", "0", "--json", *options)
    smsc.await_line("\n")
    described = json.loads(smsc.out.splitlines()[0])
    return described["smpp"], described["control"]


def stats(control: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{control}/stats", timeout=10) as response:
        return dict(json.load(response)["smsc"])


def a_priced_merchant(shell: Shell) -> str:
    """Add a merchant beside the running daemon; return its key."""
    shell.ok("merchant", "add", "boxman", "--name", "Boxman", "--country", "FR", "--contact", "bxm.fr")
    shell.ok("billing", "publish", "fr", "-", "--yes", stdin=PRICES)
    shell.ok("merchant", "price-list", "boxman", "fr")
    return shell.ok("key", "add", "boxman", "--name", "shop").out.strip()


def test_sigterm_mid_campaign_ends_in_order_and_the_next_start_finishes_it(
    alone: tuple[Shell, Callable[..., Running]],
) -> None:
    shell, start = alone
    smpp, control = a_simulator(start, "--latency-ms", "50", "--receipt-delay-s", "0.1,0.5")
    (port,) = free_ports(1)
    config = write_config(shell.cwd / "c.toml", smpp=smpp, http_port=port, rate_per_s=RATE_PER_S)
    daemon = start("run", "--config", str(config))
    daemon.await_line("smsgate runs as api, gateway, webhooks")
    api = Api(port, a_priced_merchant(shell))
    campaign = api.campaign_to_everybody()
    until(lambda: stats(control)["accepted"] >= PEOPLE // 5)

    asked_at = time.monotonic()
    assert daemon.end(signal.SIGTERM) == 0, daemon.err
    assert time.monotonic() - asked_at < 30.0
    assert "Stopped in order." in daemon.err
    sent = stats(control)["accepted"]
    assert PEOPLE // 5 <= sent < PEOPLE
    assert not (shell.state_dir / "postgres" / "postmaster.pid").exists()

    again = start("run", "--config", str(config))
    again.await_line("smsgate runs as")
    until(lambda: api.call("GET", campaign)["state"] == "finished")
    until(lambda: api.call("GET", campaign)["progress"]["delivered"] == PEOPLE)
    seen, progress = stats(control), api.call("GET", campaign)["progress"]
    assert (seen["accepted"], seen["submits"], seen["phones"]) == (PEOPLE, PEOPLE, PEOPLE)
    assert (progress["accepted"], progress["unknown"], progress["not_sent"]) == (PEOPLE, 0, 0)
    month = api.call("GET", "/v1/usage/statements")["data"][0]["month"]
    statement = shell.ok("billing", "statement", "boxman", month, "--json").json()
    assert (statement["messages"], statement["total"]) == (PEOPLE, "67.50")
    assert again.end(signal.SIGINT) == 0, again.err


def test_a_second_signal_does_not_wait_for_answers(alone: tuple[Shell, Callable[..., Running]]) -> None:
    shell, start = alone
    smpp, control = a_simulator(start, "--latency-ms", "60000")
    (port,) = free_ports(1)
    config = write_config(shell.cwd / "c.toml", smpp=smpp, http_port=port, more="response_timeout_s = 60.0\n")
    daemon = start("run", "--config", str(config))
    daemon.await_line("smsgate runs as")
    Api(port, a_priced_merchant(shell)).campaign_to_everybody()
    until(lambda: stats(control)["submits"] > 0)
    daemon.process.send_signal(signal.SIGTERM)
    daemon.await_line("A second signal does not wait")
    asked_at = time.monotonic()
    assert daemon.end(signal.SIGTERM) == 1
    assert time.monotonic() - asked_at < 8.0
    assert "Stopped without waiting" in daemon.err


@pytest.mark.parametrize(("command", "code"), [("run", Exit.OK), ("migrate", Exit.TERMINATED)])
def test_sigterm_before_the_configuration_is_read_ends_as_later(
    shell: Shell, started: Callable[..., Running], command: str, code: Exit
) -> None:
    config = shell.cwd / f"{command}.toml"
    os.mkfifo(config, 0o600)
    daemon = started(command, "--config", str(config))
    with config.open("w"):  # somebody reads it, and waits for what it says
        assert daemon.end(signal.SIGTERM) == code, daemon.err
    assert daemon.err == ("Stopped before the start was complete.\n" if command == "run" else "")


def test_a_supervisor_is_told_and_what_is_missing_is_said_in_plain_words(
    shell: Shell, started: Callable[..., Running], tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "n"))
        supervisor.settimeout(5.0)
        shell.extra = {"NOTIFY_SOCKET": str(tmp_path / "n"), "SMSGATE_HTTP_PORT": "0"}
        try:
            daemon = started("run", "--roles", "api,gateway")
            daemon.await_line("smsgate runs as api, gateway. The API is at http://127.0.0.1:")
            assert supervisor.recv(1000) == b"READY=1\nSTATUS=serving"
            assert "Warning: no [[carriers]] are configured" in daemon.err
            assert daemon.end() == 0
            assert supervisor.recv(1000) == b"STOPPING=1"
        finally:
            shell.extra = {}


@pytest.mark.parametrize(
    ("roles", "key"), [("api,gateway,webhooks", "port"), ("gateway,webhooks", "health_port")]
)
def test_a_port_in_use_is_a_sentence(roles: str, key: str, shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = shell.run("run", "--roles", roles, env={f"SMSGATE_HTTP_{key.upper()}": str(port)})
    assert found.code == 1
    assert f"127.0.0.1:{port} cannot be had: set another http.host or http.{key}." in found.err
    assert "Traceback" not in found.err


def test_a_process_that_lost_its_lease_ends_so_that_its_supervisor_starts_it_anew(
    shell: Shell, started: Callable[..., Running]
) -> None:
    async def take_every_lease() -> None:
        async with EmbeddedPostgres(shell.state_dir) as server:
            async with (
                await Database.open(server, migrate=False) as database,
                database.control() as connection,
            ):
                await connection.execute("UPDATE node SET epoch = epoch + 1000")

    shell.extra = {"SMSGATE_HTTP_PORT": "0"}
    try:
        daemon = started("run", "--roles", "api")
        daemon.await_line("smsgate runs as api")
        asyncio.run(take_every_lease())
        until(lambda: daemon.process.poll() is not None)
    finally:
        shell.extra = {}
    assert daemon.process.returncode == 1
    assert "The node's lease was lost" in daemon.err
