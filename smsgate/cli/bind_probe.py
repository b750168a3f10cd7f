"""A short-lived bind at a carrier, with the real credentials, by the links' own code."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final

from smsgate.clock import Clock
from smsgate.errors import ConfigError
from smsgate.links.probe import ProbeBind
from smsgate.links.profile import CarrierProfile
from smsgate.links.profile_values import Host
from smsgate.links.tls import tls_context
from smsgate.protocol.commands import Status, status_text
from smsgate.protocol.session_states import BindKind

_CREDENTIALS: Final = frozenset({Status.INVPASWD, Status.INVSYSID, Status.BINDFAIL})


@dataclass(frozen=True, slots=True)
class Probe:
    """`mend` is empty when the host is as it must be; `in_use` when all sessions of the account are taken."""

    host: str
    detail: str
    mend: str = ""
    in_use: bool = False


async def probe_bind(profile: CarrierProfile, host: Host, clock: Clock) -> Probe:
    """Bind once at `host`, transmitter only where the profile has pairs, and unbind."""
    kind = BindKind.TRANSCEIVER if profile.bind == "trx" else BindKind.TRANSMITTER
    try:
        async with ProbeBind(profile, host, kind, clock) as probe:
            return _judge(profile, host, probe)
    except ConfigError as exc:
        return Probe(str(host), str(exc), exc.mend)


def _judge(profile: CarrierProfile, host: Host, bind: ProbeBind) -> Probe:
    where = f"carriers.{profile.name}"
    if bind.bound is not None:
        smsc = bind.bound.system_id.decode("ascii", "replace")
        return Probe(
            str(host), f"bound at {host} as {profile.system_id} (the SMSC calls itself {smsc or 'nothing'})"
        )
    if bind.refused is None:
        return Probe(
            str(host),
            f"{host}: {bind.reason or 'no answer in time'}",
            _mend_of_connection(where, bind.reason),
        )
    status = bind.refused.status
    detail = f"{host} refused the bind: {status_text(status)}"
    if status == Status.ALYBND:
        return Probe(
            str(host),
            f"{detail}: all sessions of the account are taken",
            "nothing, if the gateway runs now and holds them; else wait two minutes",
            in_use=True,
        )
    if status in _CREDENTIALS:
        return Probe(
            str(host),
            detail,
            f"compare {where}.system_id, password and system_type with what the carrier gave you",
        )
    return Probe(
        str(host), detail, "ask the carrier what this status means, and whether it knows our address"
    )


def _mend_of_connection(where: str, reason: str) -> str:
    if reason.startswith("certificate refused"):
        return (
            f"set {where}.ca_file if the authority is the carrier's own, and check the name in {where}.hosts"
        )
    return f"check {where}.hosts and {where}.tls, and whether the carrier lets this machine's address in"


async def probe_connection(profile: CarrierProfile, host: Host) -> Probe:
    """Connect and shake hands over TLS, without a word of SMPP."""
    try:
        tls = tls_context(profile)
        async with asyncio.timeout(profile.connect_timeout_s):
            _, writer = await asyncio.open_connection(
                host.name, host.port, ssl=tls, server_hostname=None if tls is None else host.name
            )
    except ConfigError as exc:
        return Probe(str(host), str(exc), exc.mend)
    except (OSError, TimeoutError) as exc:
        where = f"carriers.{profile.name}"
        words = (
            exc.verify_message
            if isinstance(exc, ssl.SSLCertVerificationError)
            else str(exc) or "no answer in time"
        )
        return Probe(
            str(host),
            f"{host}: no connection: {words}",
            f"check {where}.hosts, tls and ca_file, and the network",
        )
    writer.close()
    return Probe(str(host), f"{host} answers{'' if tls is None else ' over TLS'}; not bound, as asked")
