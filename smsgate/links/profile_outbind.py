"""Keys of a carrier's profile: where its SMSC may ask us to bind (outbind)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr

from smsgate.links.profile_session import SYSTEM_ID_OCTETS_MAX
from smsgate.links.profile_values import FROZEN, Ascii

_Network = IPv4Network | IPv6Network


class OutbindKeys(BaseModel):
    model_config = FROZEN

    outbind_port: Annotated[int, Field(strict=True, ge=0, le=65_535)] | None = Field(
        default=None, description="port on which the SMSC may ask us to bind; 0 takes any free one"
    )
    outbind_host: IPv4Address | IPv6Address = Field(
        default=IPv4Address("127.0.0.1"), description='an address of this machine, "0.0.0.0" for all'
    )
    outbind_from: tuple[_Network, ...] = Field(
        default=(), max_length=32, description='networks like "192.0.2.16/28" that the SMSC asks from'
    )
    outbind_system_id: Ascii = Field(
        default="", max_length=SYSTEM_ID_OCTETS_MAX, description="what the SMSC calls itself in its outbind"
    )
    outbind_password: SecretStr | None = Field(
        default=None, description="what the SMSC proves itself by in its outbind"
    )
    outbind_cert_file: str | None = Field(default=None, description="PEM file of our certificate there")
    outbind_key_file: str | None = Field(default=None, description="PEM file of that certificate's key")

    def may_outbind(self, source: str) -> bool:
        """Return whether the SMSC connects from this address."""
        address = ip_address(source.partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self.outbind_from)

    def lacking_for_outbind(self, *, tls: bool) -> str | None:
        """Return the first key that an open port needs and that is not set."""
        if self.outbind_port is None:
            return None
        needed = {
            "outbind_from": self.outbind_from,
            "outbind_system_id": self.outbind_system_id,
            "outbind_password": self.outbind_password and self.outbind_password.get_secret_value(),
        }
        if tls:
            needed |= {"outbind_cert_file": self.outbind_cert_file, "outbind_key_file": self.outbind_key_file}
        return next((key for key, value in needed.items() if not value), None)
