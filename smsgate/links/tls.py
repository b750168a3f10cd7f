"""How a carrier's host proves who it is."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from smsgate.errors import ConfigError

if TYPE_CHECKING:
    from smsgate.links.profile import CarrierProfile


def outbind_tls_context(profile: CarrierProfile) -> ssl.SSLContext | None:
    """
    Return our side of TLS where the SMSC connects to us, or None for plain text that the profile allows.

    Raises:
        ConfigError: a certificate file that cannot be read.
    """
    if profile.tls == "none":
        return None
    assert profile.outbind_cert_file is not None
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(profile.outbind_cert_file, profile.outbind_key_file)
    except (OSError, ssl.SSLError) as error:
        raise _unusable(profile, "outbind_cert_file", error) from error
    return context


def tls_context(profile: CarrierProfile) -> ssl.SSLContext | None:
    """
    Return how to check the carrier's host, or None for plain text that the profile allows.

    Chain, dates and host name are checked, from TLS 1.2 on.

    Raises:
        ConfigError: a certificate file that cannot be read.
    """
    if profile.tls == "none":
        return None
    key = "ca_file"
    try:
        context = ssl.create_default_context(cafile=profile.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if profile.cert_file is not None:
            key = "cert_file"
            context.load_cert_chain(profile.cert_file, profile.key_file)
    except (OSError, ssl.SSLError) as error:
        raise _unusable(profile, key, error) from error
    return context


def _unusable(profile: CarrierProfile, key: str, error: OSError) -> ConfigError:
    return ConfigError(
        f"carrier {profile.name}: {key} cannot be used: {error}",
        where=f"carriers.{profile.name}.{key}",
        mend="name a readable PEM file",
    )
