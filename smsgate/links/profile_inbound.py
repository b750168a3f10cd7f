"""Keys of a carrier's profile: what it delivers to us, and how we answer."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from smsgate.links.profile_values import FROZEN, CommandStatus
from smsgate.protocol.commands import Status


class InboundKeys(BaseModel):
    model_config = FROZEN

    mo_busy_status: CommandStatus = Field(
        default=Status.MSGQFUL, description="what makes the carrier deliver an MO again later: 0x14 or 0x58"
    )
    receipts: Literal["esm_class", "text"] = Field(
        default="esm_class",
        description='"esm_class"; "text" for a carrier that marks receipts by nothing else (forgeable)',
    )
