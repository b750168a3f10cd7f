"""The demonstration's configuration: a file, so that commands beside it and after it work on its books."""

from __future__ import annotations

import socket
from pathlib import Path
from string import Template
from typing import Final

from smsgate.config import Settings, load_settings
from smsgate.links.profile_values import Host

DATABASE: Final = "smsgate_demo"  # made anew at each start; `smsgate run` has its own beside it
SETTINGS_FILE: Final = "demo.toml"
SYSTEM_ID: Final = "smsgate"
PASSWORD: Final = "secret"  # noqa: S105  # of the simulator, on this machine alone

_TEXT: Final = Template("""\
# Written anew by each `smsgate demo`. Name it to have a command work on what the demonstration left:
#   SMSGATE_CONFIG=$path smsgate billing invoice boxman
[node]
state_dir = "$state_dir"

[database]
name = "$database"

[http]
port = $http_port

[hours]
enforce = false

[caps]
person_per_day_max = 0
person_per_week_max = 0
merchant_per_day_max = 0
merchant_per_week_max = 0

[webhooks]
allow_http = true
allow_networks = ["127.0.0.0/8"]
any_port = true
per_host = 32
per_host_per_s = 1000

# Who writes the invoices.
[billing]
name = "Passerelle SAS"
street = "1 rue de la Paix"
postcode = "75002"
city = "Paris"
siren = "732829320"
vat_number = "FR44732829320"
iban = "FR1420041010050500013M02606"

# The SMSC simulator, which ends with the demonstration.
[[carriers]]
name = "sim"
hosts = ["127.0.0.1:$smpp_port"]
system_id = "$system_id"
password = "$password"
tls = "none"
insecure_plaintext = true
rate_per_s = 500
window_max = 100
cost_list = "sim-cost"

[[carriers.senders]]
number = "$sender"
receives = true
""")


def write_settings(state_dir: Path, *, sender: str, smpp_port: int, http_port: int) -> Settings:
    """
    Write the configuration into the state directory, for its owner alone, and return what it says.

    Raises:
        ConfigError: the directory's name cannot stand in TOML.
    """
    path = state_dir.absolute() / SETTINGS_FILE
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(
        _TEXT.substitute(
            path=path,
            state_dir=str(state_dir.absolute()).replace("\\", "\\\\").replace('"', '\\"'),
            database=DATABASE,
            http_port=http_port,
            smpp_port=smpp_port,
            sender=sender,
            system_id=SYSTEM_ID,
            password=PASSWORD,
        ),
        encoding="utf-8",
    )
    return load_settings(path, {})


def settings_at(settings: Settings, smpp_port: int, http_port: int) -> Settings:
    """Return the same settings at another simulator and port."""
    carriers = tuple(
        carrier.model_copy(update={"hosts": (Host("127.0.0.1", smpp_port),)}) for carrier in settings.carriers
    )
    http = settings.http.model_copy(update={"port": http_port})
    return settings.model_copy(update={"http": http, "carriers": carriers})


def free_port(wanted: int) -> int:
    """Return `wanted` if nobody has it, else 0: any free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
    return wanted
