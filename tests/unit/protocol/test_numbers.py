"""Numbers and names of the specification, checked against another project's and by what tools show."""

from __future__ import annotations

import pytest
from smpplib import consts

from smsgate.protocol.commands import STATUS_NAMES, command_name, status_text
from smsgate.protocol.tlv_names import TLV_FORMS, tlv_text

STATUSES_3_4 = {number: name for name, number in vars(consts).items() if name.startswith("SMPP_ESME_")}


def test_tlvs_have_the_names_that_smpplib_gives_them() -> None:
    names = {form.name: tag for tag, form in TLV_FORMS.items()}
    assert {name: names.get(name) for name in consts.OPTIONAL_PARAMS} == consts.OPTIONAL_PARAMS


@pytest.mark.parametrize("number", STATUSES_3_4)
def test_statuses_have_the_names_that_smpplib_gives_them(number: int) -> None:
    assert f"SMPP_{STATUS_NAMES[number]}" == STATUSES_3_4[number]


def test_pdus_and_statuses_of_smpp_5_have_their_names() -> None:
    assert command_name(0x111) == "broadcast_sm"
    assert command_name(0x8000_0113) == "cancel_broadcast_sm_resp"
    assert status_text(0x10D) == "ESME_RBCASTFAIL (0x10d): broadcast_sm failed"
    assert {number for number in STATUS_NAMES if number >= 0x100} == set(range(0x100, 0x113))


@pytest.mark.parametrize(
    ("tag", "value", "shown"),
    [
        (0x0427, b"\x02", "message_state (0x0427) = 2"),
        (0x0427, b"", "message_state (0x0427) = (empty)"),
        (0x0204, b"\x01\x00", "user_message_reference (0x0204) = 256"),
        (0x001E, b"ab\0", "receipted_message_id (0x001e) = 'ab'"),
        (0x001E, b"ab", "receipted_message_id (0x001e) = 'ab'"),
        (0x0423, b"\3\0\7", "network_error_code (0x0423) = 030007"),
        (0x1400, b"\1\2", "0x1400 = 0102"),
        (0x1400, b"", "0x1400 = (empty)"),
        (0x0210, b"\0" * 5, "sc_interface_version (0x0210) = 0000000000"),
    ],
)
def test_a_tlv_is_shown_by_its_name_and_form(tag: int, value: bytes, shown: str) -> None:
    assert tlv_text(tag, value) == shown
