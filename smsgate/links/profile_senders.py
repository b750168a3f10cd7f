"""Numbers and names to send from, and how submit_sm carries them."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, Self

from pydantic import BaseModel, Field, model_validator

from smsgate.links.profile_tlvs import TlvsOut
from smsgate.links.profile_values import FROZEN, Octet
from smsgate.protocol.gsm0338 import is_gsm

ALPHANUMERIC_SENDER_MAX: Final = 11  # characters; 3GPP TS 23.040 §9.1.2.5: 10 octets hold 11 septets
SHORT_CODE_DIGITS_MAX: Final = 6  # longer digit senders are MSISDNs, unless the entry says ton and npi
DIGITS: Final = re.compile(r"\+?[0-9]{1,20}", re.ASCII)


class Address(NamedTuple):
    """A sender as submit_sm carries it."""

    ton: int
    npi: int
    addr: bytes


class SenderNumber(BaseModel):
    """One number or name that this carrier lets us send from."""

    model_config = FROZEN

    number: str = Field(description='digits ("38123", "33612345678") or up to 11 letters ("BOXMAN")')
    receives: bool = Field(
        default=False, description="true when answers to this number come over this carrier"
    )
    merchants: Literal["*"] | tuple[str, ...] = Field(
        default="*", description='names of the merchants that may use it, or "*" for all'
    )
    ton: Octet | None = Field(default=None, description="TON, when it does not follow from the number's form")
    npi: Octet | None = Field(default=None, description="NPI, when it does not follow from the number's form")
    tlvs_out: TlvsOut = Field(
        default=(),
        description="TLVs for this sender, [{tag = 0x1401, value = ...}]; they go before the carrier's",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if DIGITS.fullmatch(self.number):
            return self
        ascii_gsm = self.number.isascii() and is_gsm(self.number)  # SMPP names no alphabet for addresses
        if not 1 <= len(self.number) <= ALPHANUMERIC_SENDER_MAX or not ascii_gsm:
            raise ValueError(f"{self.number!r} is neither digits nor 1 to 11 ASCII characters of GSM 03.38")
        if self.receives:
            raise ValueError(
                f"nobody can answer {self.number!r}: letters receive nothing, set receives = false"
            )
        return self
