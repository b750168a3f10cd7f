"""The header of an MO, kept as it came: part of the proof of an order."""

from __future__ import annotations

from typing import Final, NamedTuple


class MoHeader(NamedTuple):
    """
    What stood in an MO's PDU beside its text, as it came; None: there was no PDU. Source: SMPP 3.4 §4.6.1.

    Of a long text the first part's, and the TLVs of all parts in their order.
    """

    esm_class: int | None = None
    source_ton: int | None = None
    source_npi: int | None = None
    destination_ton: int | None = None
    destination_npi: int | None = None
    tlvs: bytes | None = None  # encoded, but for message_payload, whose octets are the text's


NO_PDU: Final = MoHeader()
