"""Keys of a carrier's profile: what it delivers to us, and how we answer."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from smsgate.links.profile_values import FROZEN, CommandStatus
from smsgate.protocol.commands import Status
from smsgate.protocol.message_ids import IdForm, forms_of


class InboundKeys(BaseModel):
    model_config = FROZEN

    mo_busy_status: CommandStatus = Field(
        default=Status.MSGQFUL, description="what makes the carrier deliver an MO again later: 0x14 or 0x58"
    )
    receipts: Literal["esm_class", "text"] = Field(
        default="esm_class",
        description='"esm_class"; "text" for a carrier that marks receipts by nothing else (forgeable)',
    )
    id_resp: Literal["as_is", "hex_to_dec", "dec_to_hex"] = Field(
        default="as_is",
        description="what is done to message ids of submit_sm_resp before they are compared with those of "
        'receipts: "as_is", "hex_to_dec" or "dec_to_hex"; case and leading zeros never count',
    )
    id_receipt: Literal["as_is", "hex_to_dec", "dec_to_hex", "auto"] = Field(
        default="auto",
        description="what is done to message ids of receipts before they are compared: "
        '"as_is", "hex_to_dec", "dec_to_hex", or "auto": learned from the first receipts',
    )

    def receipt_id_forms(self) -> tuple[IdForm, ...]:
        """Return what may make a receipt's id one of a response; empty when the two keys never meet."""
        return forms_of(IdForm(self.id_resp), IdForm(self.id_receipt))
