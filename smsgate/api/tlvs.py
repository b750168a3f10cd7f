"""Optional parameters that a merchant gives a text, as its carrier's manual names them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from smsgate.api.models import AnswerModel, RequestModel, written_as
from smsgate.api.problems import ProblemType
from smsgate.errors import Invalid
from smsgate.protocol.tlvs import Tlvs, parse_tlvs

TLVS_MAX: Final = 16
TLV_PROBLEM: Final = ProblemType(
    "tlv_not_allowed",
    422,
    "The carrier takes no such optional parameter",
    "Only tags that the operator lets through by this sender may stand in tlvs.",
)


class TlvOfText(RequestModel):
    tag: Annotated[
        str, StringConstraints(pattern=r"^0x[0-9A-Fa-f]{4}$"), written_as('write four digits, as "0x1401"')
    ]
    value: Annotated[str, StringConstraints(pattern=r"^[ -~]*$", max_length=255)] | None = Field(
        default=None, description="Its octets as ASCII."
    )
    hex: Annotated[str, StringConstraints(pattern=r"^([0-9A-Fa-f]{2})*$", max_length=510)] | None = Field(
        default=None, description="Or in hexadecimal."
    )


TlvsOfText = Annotated[
    list[TlvOfText], Field(max_length=TLVS_MAX, description="Of vendors, for carriers that want them.")
]


class ShownTlv(AnswerModel):
    tag: str
    hex: str


def tlvs_of(asked: list[TlvOfText], pointer: str = "") -> Tlvs:
    """
    Return what a request says.

    Raises:
        Invalid: a tag twice, one without octets, or 0x0000, which is none.
    """
    found: dict[int, bytes] = {}
    for place, each in enumerate(asked):
        where = f"{pointer}/tlvs/{place}"
        if (each.value is None) == (each.hex is None):
            raise Invalid("give its value or its hex, one of them", pointer=where)
        tag = int(each.tag, 16)
        if not tag:
            raise Invalid(f"{each.tag} is no tag", pointer=where)
        if tag in found:
            raise Invalid(f"{each.tag} stands there twice", pointer=where)
        found[tag] = bytes.fromhex(each.hex) if each.hex is not None else (each.value or "").encode("ascii")
    return tuple(found.items())


def shown_tlvs(octets: bytes) -> list[ShownTlv]:
    return [
        ShownTlv(tag=f"0x{tag:04x}", hex=value.hex()) for tag, value in parse_tlvs(octets, 0, len(octets))[0]
    ]
