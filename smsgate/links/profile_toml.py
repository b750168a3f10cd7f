"""A carrier's profile written as the TOML block that it is read from; the password is never written."""

from __future__ import annotations

from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

import orjson

from smsgate.links.profile import CarrierProfile
from smsgate.links.profile_senders import SenderNumber

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

_NUMBERS_IN_HEX = frozenset({"interface_version", "mo_busy_status", "throttle_statuses"})


def carrier_block(profile: CarrierProfile, password: str, reasons: Mapping[str, str]) -> str:
    """
    Return a whole [[carriers]] block: keys that differ from their defaults, and those with a reason.

    `password` is the line that says where the password is; `reasons` are comments, by key.
    """
    lines = [
        "[[carriers]]",
        *_lines(profile, CarrierProfile, reasons, {"password", "outbind_password", "senders", "rebind"}),
    ]
    lines.append(password)
    if profile.outbind_port is not None:
        lines.append('#outbind_password = "..."  # as it stands in your configuration')
    for sender in profile.senders:
        lines += ["", "[[carriers.senders]]", *_lines(sender, SenderNumber, {}, set())]
    rebind = _lines(profile.rebind, type(profile.rebind), {}, set())
    if rebind:
        lines += ["", "[carriers.rebind]", *rebind]
    return "\n".join(lines) + "\n"


def _lines(model: BaseModel, kind: type[BaseModel], reasons: Mapping[str, str], but: set[str]) -> list[str]:
    lines: list[str] = []
    for key, field in kind.model_fields.items():
        value = getattr(model, key)
        if (
            key in but
            or value is None
            or (value == field.get_default(call_default_factory=True) and key not in reasons)
        ):
            continue
        if key in reasons:
            lines.append(f"# {_on_one_line(reasons[key])}")
        lines.append(f"{key} = {_value(key, value)}")
    return lines


def _on_one_line(text: str) -> str:
    """Return the text as a comment may hold it: words of a carrier can have ends of lines."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _value(key: str, value: Any) -> str:
    if isinstance(value, Enum):
        return _value(key, value.value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and key in _NUMBERS_IN_HEX:
        return f"0x{value:x}"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str | IPv4Address | IPv6Address):
        return orjson.dumps(str(value)).decode()  # a JSON string is a TOML basic string
    if key in {"hosts", "outbind_from"}:
        return f"[{', '.join(_value('', str(host)) for host in value)}]"
    return f"[{', '.join(_value(key, each) for each in value)}]"
