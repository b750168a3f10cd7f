"""congestion_state outside of submit_sm_resp, whose own is read by `columns`. Source: SMPP 5.0 §4.8.4.18."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smsgate.errors import BodyError
from smsgate.protocol.pdus import LAYOUTS, decode_pdu
from smsgate.protocol.session_states import Congested
from smsgate.protocol.tlvs import TLV_HEAD, Tag, tlv_number

if TYPE_CHECKING:
    from smsgate.protocol.frames import Frame
    from smsgate.protocol.session_states import Event


def congestion_of(frame: Frame) -> list[Event]:
    """Return what a response says of the SMSC's load; nothing when it says none."""
    if len(frame.body) <= TLV_HEAD.size or frame.command_id not in LAYOUTS:
        return []
    try:
        state = tlv_number(decode_pdu(frame).tlvs, Tag.CONGESTION_STATE)
    except BodyError:
        return []
    return [] if state is None else [Congested(state)]
