"""Long MOs as ESMEs get them that want them in one piece."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from smsgate.flows.esme_mos import joined
from smsgate.flows.records import MobileOriginated
from smsgate.protocol.commands import CommandId
from smsgate.protocol.frames import Frame
from smsgate.protocol.mo_text import read_mo
from smsgate.protocol.pdus import decode_pdu


def fields_of(**changes: Any) -> dict[str, Any]:
    """Return what an ESME gets for a joined MO."""
    said: dict[str, Any] = {"msisdn": 33612345678, "source": "33612345678", "raw": b"x", "data_coding": 0}
    at = datetime(2026, 11, 26, tzinfo=UTC)
    mo = MobileOriginated(carrier_id=1, destination="38123", text="x", received_at=at, **{**said, **changes})
    return decode_pdu(Frame(CommandId.DELIVER_SM, 0, 0, joined(mo))).fields


@pytest.mark.parametrize(
    ("data_coding", "codec", "shown"),
    [(0, "gsm7", 0), (1, "gsm7", 0), (0, "latin-1", 3), (8, "utf-16-be", 8), (0xF1, "gsm7", 0xF1)],
)
def test_the_alphabet_is_told_by_numbers_that_every_esme_knows(
    data_coding: int, codec: str, shown: int
) -> None:
    assert fields_of(data_coding=data_coding, codec=codec)["data_coding"] == shown


def test_a_sender_that_is_no_number_is_not_called_one() -> None:
    assert fields_of()["source_addr_ton"] == 1
    bank = fields_of(msisdn=0, source="BANK")
    assert (bank["source_addr_ton"], bank["source_addr_npi"], bank["source_addr"]) == (5, 0, b"BANK")


def test_the_language_tables_of_the_parts_are_told_of_the_whole() -> None:
    turkish = fields_of(codec="gsm7/1/0", raw=b"\x1bc")
    assert (turkish["esm_class"], turkish["data_coding"]) == (0x40, 0)
    assert read_mo(turkish["short_message"], 0, 0x40).text == "ç"
    assert fields_of()["esm_class"] == 0
