"""Which bind a carrier takes: kind of session and version, tried in the order in which carriers want them."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from smsgate.errors import LinkError
from smsgate.links.doctor_verdicts import Finding
from smsgate.links.probe import ProbeBind
from smsgate.protocol.commands import Status, status_text
from smsgate.protocol.session_states import BindKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from smsgate.clock import Clock
    from smsgate.links.probe import Listener
    from smsgate.links.profile import CarrierProfile
    from smsgate.links.profile_values import Host

VERSIONS: Final = (0x34, 0x33, 0x50)
# Statuses after which another kind or version cannot help; hammering wrong credentials locks an account.
HOPELESS: Final = frozenset({Status.INVPASWD, Status.INVSYSID, Status.ALYBND})
_MENDS: Final = {
    Status.INVPASWD: "compare system_id and password with what the carrier gave you",
    Status.INVSYSID: "compare system_id and password with what the carrier gave you",
    Status.ALYBND: "a gateway holds the sessions: stop it, or ask the carrier for one more",
}


class Opened(NamedTuple):
    """`bind` sends; what is heard comes to the listener by it, or by its receiver."""

    bind: ProbeBind
    profile: CarrierProfile
    finding: Finding


@asynccontextmanager
async def open_bind(
    profile: CarrierProfile, host: Host, clock: Clock, listener: Listener
) -> AsyncIterator[Opened]:
    """
    Bind in the first way that the carrier takes, the profile's own first.

    Raises:
        LinkError: it takes none; the message says what it answered to the last.
        ConfigError: a TLS file that cannot be read.
    """
    reason = ""
    for changes in _ways(profile):
        tried = profile.model_copy(update=changes)
        async with AsyncExitStack() as stack:
            kinds = [BindKind.TRANSCEIVER]
            if tried.bind == "tx+rx":
                kinds = [BindKind.TRANSMITTER, BindKind.RECEIVER]
            binds = [
                await stack.enter_async_context(ProbeBind(tried, host, kind, clock, listener))
                for kind in kinds
            ]
            refused = next((bind for bind in binds if bind.bound is None), None)
            if refused is None:
                yield Opened(binds[0], tried, _finding(host, tried, changes, binds[0]))
                return
            status = None if refused.refused is None else refused.refused.status
            reason = refused.reason or "no answer in time"
            if status is None or status in HOPELESS:
                mend = _MENDS.get(
                    status or 0, "check hosts and tls, and whether the carrier lets this address in"
                )
                raise LinkError(f"{host}: {status_text(status) if status else reason}; {mend}")
    raise LinkError(f"{host}: no kind of bind and no version is taken: {reason}")


def _ways(profile: CarrierProfile) -> list[dict[str, Any]]:
    binds = [profile.bind, "tx+rx" if profile.bind == "trx" else "trx"]
    versions = [profile.interface_version, *(each for each in VERSIONS if each != profile.interface_version)]
    ways = [{"bind": bind, "interface_version": version} for version in versions for bind in binds]
    return [{key: value for key, value in way.items() if value != getattr(profile, key)} for way in ways]


def _finding(host: Host, profile: CarrierProfile, changes: dict[str, Any], bind: ProbeBind) -> Finding:
    assert bind.bound is not None
    smsc = bind.bound.system_id.decode("ascii", "replace") or "nothing"
    told = bind.bound.sc_interface_version
    version = "does not say its version" if told is None else f"speaks 0x{told:02x}"
    detail = (
        f"bound at {host} as {profile.bind} with version 0x{profile.interface_version:02x} in "
        f"{bind.took_s * 1000:.0f} ms; the SMSC calls itself {smsc} and {version}"
    )
    return Finding("bind", "found", detail, changes)
