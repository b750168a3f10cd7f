"""A phone's text as an SMSC writes it: deliver_sm bodies, long ones in parts. Source: SMPP 3.4 §4.6."""

from __future__ import annotations

from typing import Final

from smsgate.protocol.commands import CommandId
from smsgate.protocol.pdus import encode_body
from smsgate.protocol.segmentation import segment

INTERNATIONAL: Final = b"\x01\x01"  # TON and NPI of an MSISDN
UNKNOWN_KIND: Final = b"\x00\x01"


class Mo:
    """One text of a phone; done when all its parts have an answer."""

    __slots__ = ("bodies", "destination", "kind", "msisdn", "reference", "statuses", "text")

    def __init__(self, msisdn: int, destination: bytes, text: str, kind: bytes, reference: int) -> None:
        """
        Encode the text.

        Raises:
            TextError: no alphabet can carry it, or it has more than 255 segments.
        """
        self.msisdn = msisdn
        self.destination = destination
        self.text = text
        self.kind = kind
        self.reference = reference
        self.statuses: list[int] = []  # of deliver_sm_resp, one per part
        segments = segment(text, reference=reference)
        self.bodies = [
            encode_body(
                CommandId.DELIVER_SM,
                {
                    "source_addr_ton": INTERNATIONAL[0],
                    "source_addr_npi": INTERNATIONAL[1],
                    "source_addr": b"%d" % msisdn,
                    "dest_addr_ton": kind[0],
                    "dest_addr_npi": kind[1],
                    "destination_addr": destination,
                    "esm_class": segments.esm_class,
                    "data_coding": segments.data_coding,
                    "short_message": short_message,
                },
            )
            for short_message in segments.short_messages
        ]

    @property
    def taken(self) -> bool:
        """Whether the ESME has just answered 0 for every part, or for every part once more."""
        whole, rest = divmod(len(self.statuses), len(self.bodies))
        return whole > 0 and not rest and not any(self.statuses)


class MoPart:
    """One deliver_sm of an MO on its way."""

    __slots__ = ("body", "mo")

    def __init__(self, mo: Mo, body: bytes) -> None:
        self.mo = mo
        self.body = body
