"""Keys of a carrier's profile: what submit_sm carries besides the text, and in which alphabet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, get_args

from pydantic import BaseModel, Field

from smsgate.links.profile_senders import DIGITS, SHORT_CODE_DIGITS_MAX, Address, SenderNumber
from smsgate.links.profile_tlvs import TLVS_MAX, TlvsOut, VendorTag, merged
from smsgate.links.profile_values import FROZEN, Ascii, Octet
from smsgate.protocol.encodings import SHIFTS_BY_NAME, UCS2, Alphabet, permitted
from smsgate.protocol.segmentation import Concat
from smsgate.protocol.tlvs import parse_tlvs

if TYPE_CHECKING:
    from smsgate.protocol.tlvs import Tlvs

VALIDITY_MAX_S: Final = 30 * 86_400  # the relative form is read safely in days; SMSCs keep a message for days

# Language tables of 3GPP TS 23.038 that exist; "both" takes a language's two tables at once.
ShiftName = Literal["single:tr", "locking:tr", "both:tr", "single:es", "single:pt", "locking:pt", "both:pt"]


class TextKeys(BaseModel):
    model_config = FROZEN

    service_type: Ascii = Field(
        default="", max_length=5, description="empty, or what the carrier's manual says"
    )
    default_alphabet: Literal["gsm7", "latin1"] = Field(
        default="gsm7", description='what the carrier means by data_coding 0: "gsm7" or "latin1"'
    )
    gsm_data_coding: Octet = Field(
        default=0, description="data_coding of texts in the default alphabet: 0 or 1"
    )
    shift: tuple[ShiftName, ...] = Field(
        default=(),
        max_length=len(get_args(ShiftName)),
        description="language tables that texts may be written in besides the default alphabet: "
        + ", ".join(f'"{name}"' for name in get_args(ShiftName)),
    )
    ucs2: bool = Field(
        default=True,
        description="false: the carrier takes no UCS-2; what needs it goes by another carrier or not at all",
    )
    concat: Concat = Field(
        default="udh8",
        description='how the parts of a long text are told: "udh8" or "udh16" (headers), "sar" (TLVs), or '
        '"payload" (the carrier cuts what message_payload brings)',
    )
    packed: bool = Field(
        default=False, description="true: septets are packed, eight characters in seven octets"
    )
    alphanumeric_ton_npi: tuple[Octet, Octet] = Field(default=(5, 0), description="[TON, NPI]")
    short_code_ton_npi: tuple[Octet, Octet] = Field(
        default=(3, 0), description="[TON, NPI]: [3, 0] or [0, 0]"
    )
    msisdn_ton_npi: tuple[Octet, Octet] = Field(
        default=(1, 1), description="[TON, NPI] of MSISDNs, both sides"
    )
    validity: Literal["absolute", "relative", "none"] = Field(
        default="absolute", description='form of validity_period: "absolute", "relative" or "none"'
    )
    validity_s: int = Field(default=86_400, ge=60, le=VALIDITY_MAX_S, description="seconds, 60 to 30 days")
    registered_delivery: Octet = Field(default=1, description="1 asks for final receipts, 0 for none")
    tlvs_out: TlvsOut = Field(
        default=(), description="TLVs on every submit_sm, [{tag = 0x1400, value = ...}]"
    )
    message_tlvs: tuple[VendorTag, ...] = Field(
        default=(),
        max_length=TLVS_MAX,
        description="tags 0x1400 to 0x3FFF that a message may bring of its own, [0x1401]",
    )
    senders: tuple[SenderNumber, ...] = Field(default=(), description="numbers and names we may send from")

    def tlvs_of(self, sender: str, own: bytes = b"") -> Tlvs:
        """Return the TLVs that a submit_sm from `sender` carries; `own` are the message's, encoded."""
        entry = self._entry(sender)
        tlvs = merged(self.tlvs_out, () if entry is None else entry.tlvs_out)
        if not own:
            return tlvs
        passing = {tag: value for tag, value in parse_tlvs(own, 0, len(own))[0] if tag in self.message_tlvs}
        return tuple((dict(tlvs) | passing).items())

    @property
    def alphabets(self) -> tuple[Alphabet, ...]:
        """Return what texts may be written in, in the order in which they are tried."""
        return permitted([SHIFTS_BY_NAME[name] for name in self.shift], ucs2=self.ucs2)

    @property
    def long_alphabets(self) -> tuple[Alphabet, ...]:
        """Return the same for texts of several segments, which are not translated afterwards."""
        if self.default_alphabet == "gsm7":
            return self.alphabets
        return (Alphabet("latin1"), UCS2) if self.ucs2 else (Alphabet("latin1"),)

    def source_address(self, sender: str) -> Address:
        """Return TON, NPI and octets for `sender`: by its entry, else by its form."""
        entry = self._entry(sender)
        if DIGITS.fullmatch(sender):
            digits = sender.removeprefix("+")
            short = len(digits) <= SHORT_CODE_DIGITS_MAX
            ton, npi = self.short_code_ton_npi if short else self.msisdn_ton_npi
            addr = digits.encode("ascii")
        else:
            ton, npi = self.alphanumeric_ton_npi
            addr = sender.encode("ascii")
        if entry is not None:
            ton = ton if entry.ton is None else entry.ton
            npi = npi if entry.npi is None else entry.npi
        return Address(ton, npi, addr)

    def _entry(self, sender: str) -> SenderNumber | None:
        """Return the entry of a sender; a "+" before a number means nothing, in the file or a message."""
        number = sender.removeprefix("+")
        return next((each for each in self.senders if each.number.removeprefix("+") == number), None)
