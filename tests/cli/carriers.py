"""Configuration files with one carrier: a simulator on this machine."""

from __future__ import annotations

from pathlib import Path

SENDER = "36111"


def write_config(
    path: Path,
    *,
    smpp: str,
    http_port: int = 0,
    password: str = "secret",
    rate_per_s: int = 500,
    receives: str = "true",
    more: str = "",
) -> Path:
    path.write_text(
        f"""
[http]
port = {http_port}
health_port = 0

[hours]
enforce = false
[caps]
person_per_day_max = 0
person_per_week_max = 0
merchant_per_day_max = 0
merchant_per_week_max = 0

[[carriers]]
name = "sim"
hosts = ["{smpp}"]
system_id = "smsgate"
password = "{password}"
tls = "none"
insecure_plaintext = true
rate_per_s = {rate_per_s}
window_max = 100
bind_timeout_s = 2.0
senders = [{{ number = "{SENDER}", receives = {receives} }}]
rebind = {{ lost_s = [0.1, 0.5], refused_tcp_s = [0.1, 0.5] }}
{more}
"""
    )
    path.chmod(0o600)
    return path
