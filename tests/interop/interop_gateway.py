"""`smsgate run` as an operator has it, and its HTTP API as a shop's developer uses it."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from smsgate.store.embedded import EmbeddedPostgres
from tests.conftest import TEST_SETTINGS, in_own_loop
from tests.interop.interop_peers import PASSWORD, SYSTEM_ID
from tests.interop.interop_processes import DEADLINE_S, SMSGATE, Child, environment, until

SENDER, OTHER_SENDER = "36111", "36222"
TEXT = (
    "Boxman: CD Madonna 19,90€ port compris. Répondez OK = commande avec obligation de paiement. "
    "Rétractation 14 j. Infos bxm.fr/m1 STOP au numéro"
)
PRICES = "direction,network,unit_price\nmt,208,0.045\nmo,*,0\n"
PHONES = [f"336120{i:05}" for i in range(1, 201)]


def offers(smsc: Child, sender: str = SENDER) -> list[dict[str, Any]]:
    """Return the offers from that sender that the SMSC accepted."""
    return [seen for seen in smsc.seen("submit", status=0, text=TEXT) if seen["source"] == [3, 0, sender]]


def times_offered(smsc: Child, sender: str = SENDER) -> Counter[str]:
    return Counter(offer["destination"][2] for offer in offers(smsc, sender))


class Api:
    def __init__(self, base_url: str, key: str) -> None:
        self._base_url = base_url
        self._key = key
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(
        self, method: str, path: str, body: object = None, content_type: str = "application/json"
    ) -> Any:
        octets = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": content_type}
        request = urllib.request.Request(self._base_url + path, octets, headers, method=method)
        try:
            with self._opener.open(request, timeout=DEADLINE_S) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                raise AssertionError(f"{method} {path}: {refusal.code} {refusal.read()!r}") from None

    def import_subscribers(self, msisdns: Iterable[str]) -> None:
        agreed_at = (datetime.now(UTC) - timedelta(days=30)).isoformat()
        consent = {"consent_at": agreed_at, "consent_source": "form", "wording_version": "2026-11"}
        person = {"language": "fr", "country": "FR", "tags": ["music"], **consent}
        rows = "\n".join(json.dumps({"msisdn": f"+{msisdn}", **person}) for msisdn in msisdns)
        job = self.call("POST", "/v1/imports", rows.encode(), "application/x-ndjson")
        job = until(lambda: self._ended(job["id"]), "the import ends")
        assert (job["state"], job["rows_failed"]) == ("finished", 0), job

    def _ended(self, job_id: str) -> Any:
        job = self.call("GET", f"/v1/imports/{job_id}")
        return None if job["state"] == "running" else job

    def start_campaign(self, sender: str = SENDER) -> str:
        offer = {
            "text": TEXT,
            "item": "CD Madonna",
            "price": "19.90",
            "sender": sender,
            "expires_in_s": 36_000,
            "quantity_max": 5,
        }
        body = {"offer": offer, "audience": {"tags": ["music"]}, "start": True}
        return str(self.call("POST", "/v1/campaigns", body)["id"])

    def wait_until_finished(self, campaign: str, **progress: int) -> Any:
        """Wait until it is finished and its progress has come to these numbers; return the progress."""

        found: Any = None

        def come() -> bool:
            nonlocal found
            found = self.call("GET", f"/v1/campaigns/{campaign}")
            return bool(found["state"] == "finished" and progress.items() <= found["progress"].items())

        until(come, lambda: f"{progress} in {found}")
        return found["progress"]

    def orders(self) -> list[Any]:
        return list(self.call("GET", "/v1/orders")["data"])

    def offers_state(self, msisdn: str) -> str:
        (row,) = self.call("GET", f"/v1/subscribers?msisdn=%2B{msisdn}")["data"]
        return str(row["offers_state"])


class HasPort(Protocol):
    port: int  # of an SMSC


class Gateway:
    """
    A configuration file and a state directory of its own; the shop `boxman` has prices and a key.

    `tables` are further tables of the configuration, as text; `carrier` further keys of its carrier.
    """

    def __init__(self, directory: Path, smsc: HasPort, tables: str = "", **carrier: object) -> None:
        self.state_dir = directory / "state"
        self._directory = directory
        self._config = directory / "smsgate.toml"
        self._config.touch(mode=0o600)
        self._config.write_text(self._toml(smsc, tables, carrier), encoding="utf-8")
        self._key = ""

    def _toml(self, smsc: HasPort, tables: str, carrier: dict[str, object]) -> str:
        settings = {
            "name": "peer",
            "hosts": [f"127.0.0.1:{smsc.port}"],
            "system_id": SYSTEM_ID,
            "password": PASSWORD,
            "tls": "none",
            "insecure_plaintext": True,
            "rate_per_s": 200,
            "window_max": 20,
            # One bind and one answer to each request, however late a busy machine lets them come.
            **dict.fromkeys(("connect_timeout_s", "bind_timeout_s", "response_timeout_s"), DEADLINE_S),
            **carrier,
        }
        return "\n".join(
            (
                f"[node]\nstate_dir = {json.dumps(str(self.state_dir))}",
                "[hours]\nenforce = false\n[caps]\nperson_per_day_max = 0\nperson_per_week_max = 0",
                'merchant_per_day_max = 0\nmerchant_per_week_max = 0\n[http]\nport = 0\n[log]\nform = "json"',
                tables,
                "[[carriers]]",
                *(f"{key} = {json.dumps(value)}" for key, value in settings.items()),
                *(
                    f'[[carriers.senders]]\nnumber = "{number}"\nreceives = true\nmerchants = ["boxman"]'
                    for number in (SENDER, OTHER_SENDER)
                ),
            )
        )

    def command(self, *args: str, given: str | None = None) -> Any:
        """Run one command of smsgate; return the JSON that it wrote."""
        done = subprocess.run(
            [SMSGATE, *args, "--config", str(self._config), "--json"],
            input=given,
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=self._directory,
            env=environment(),
            timeout=2 * DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def open_shop(self) -> None:
        """Do what an operator does before a shop's first offer."""
        self.command("billing", "publish", "france", "-", "--yes", given=PRICES)
        self.command("merchant", "add", "boxman", "--name", "Boxman", "--country", "FR")
        self.command("merchant", "price-list", "boxman", "france")
        self._key = self.command("key", "add", "boxman", "--name", "shop")["key"]

    @contextmanager
    def running(self) -> Iterator[tuple[Child, Api]]:
        with Child([SMSGATE, "run", "--config", str(self._config)], cwd=self._directory) as process:
            line = process.wait_for_line("The API is at ")
            found = re.search(r"http://[\d.]+:\d+", line)
            assert found is not None, line
            yield process, Api(found[0], self._key)


@contextmanager
def a_gateway(directory: Path, smsc: HasPort, tables: str = "", **carrier: object) -> Iterator[Gateway]:
    gateway = Gateway(directory, smsc, tables, **carrier)
    # Ours for as long as the test runs: no command has to start it, and no killed process leaves it behind.
    database = EmbeddedPostgres(gateway.state_dir, settings=TEST_SETTINGS)
    in_own_loop(database.start())
    try:
        gateway.open_shop()
        yield gateway
    finally:
        in_own_loop(database.close())
