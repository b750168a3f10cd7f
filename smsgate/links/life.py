"""One connection of a link, from the attempt to the end, and what it is made from."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from smsgate.links.backoff import Setback
from smsgate.protocol.session_states import CloseReason, SessionSettings

if TYPE_CHECKING:
    from smsgate.links.connection import Connection
    from smsgate.links.profile import CarrierProfile
    from smsgate.links.profile_values import Host
    from smsgate.protocol.session_states import BindKind


class Life:
    """One connection of a link, from the attempt to the end."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.connection: Connection | None = None
        self.bound_at: float | None = None
        self.setback = Setback.LOST
        self.status = 0  # of a refused bind
        self.reason = CloseReason.LOST
        self.decided = asyncio.Event()  # bound, or over
        self.worn = asyncio.Event()  # most of its messages are used up, or all where it is `alone`
        self.alone = False  # a session beside it was refused: it leaves once all of its messages are used up


def session_settings(profile: CarrierProfile, kind: BindKind) -> SessionSettings:
    return SessionSettings(
        system_id=profile.system_id.encode("ascii"),
        password=profile.password.get_secret_value().encode("ascii"),
        kind=kind,
        system_type=profile.system_type.encode("ascii"),
        interface_version=profile.interface_version,
        window_max=profile.window_max,
        enquire_interval_s=profile.enquire_interval_s,
        response_timeout_s=profile.response_timeout_s,
        bind_timeout_s=profile.bind_timeout_s,
        command_length_max=profile.command_length_max,
    )


def reason_of(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no connection in time"
    return f"no connection: {error.strerror or error}" if isinstance(error, OSError) else str(error)
