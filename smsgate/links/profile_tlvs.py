"""TLVs that a carrier wants on every submit_sm: India's DLT numbers, a vendor's own tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, Field, model_validator

from smsgate.links.profile_values import FROZEN
from smsgate.protocol.tlvs import Tag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smsgate.protocol.tlvs import Tlvs

TLVS_MAX = 16  # of one submit_sm; carriers ask for one to three

# What the gateway sets by itself where it is due; twice in one PDU, a carrier may take either.
_OURS = frozenset({Tag.MESSAGE_PAYLOAD, Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM})


class TlvOut(BaseModel):
    """One TLV: its octets are `value` as ASCII, or `hex`."""

    model_config = FROZEN

    tag: int = Field(ge=1, le=0xFFFF, description="the tag by the carrier's manual, 0x1400")
    value: str | None = Field(
        default=None, pattern=r"^[ -~]*$", max_length=255, description="the octets as ASCII text"
    )
    hex: str | None = Field(
        default=None, pattern=r"^([0-9A-Fa-f]{2})*$", max_length=510, description="or the octets in hex"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.value is None) == (self.hex is None):
            raise ValueError("a TLV has either a value or hex")
        if self.tag in _OURS:
            raise ValueError(f"tag 0x{self.tag:04x} is set by the gateway itself")
        return self

    def octets(self) -> bytes:
        return bytes.fromhex(self.hex) if self.hex is not None else (self.value or "").encode("ascii")


# Reserved for vendors (SMPP 3.4 §5.3.2): all that a merchant may set; others mean something to a phone or the
# price.
VendorTag = Annotated[int, Field(ge=0x1400, le=0x3FFF)]
TlvsOut = Annotated[tuple[TlvOut, ...], Field(max_length=TLVS_MAX)]


def merged(account: Iterable[TlvOut], sender: Iterable[TlvOut]) -> Tlvs:
    """Return the TLVs of an account, where those of the sender with the same tag go before them."""
    values = {each.tag: each.octets() for each in account}
    values.update((each.tag, each.octets()) for each in sender)
    return tuple(values.items())
