from __future__ import annotations

import json
import struct
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smpplib import smpp
from smpplib.exceptions import UnknownCommandError

from smsgate.errors import BodyError, Invalid, ProtocolError
from smsgate.protocol.commands import CommandId
from smsgate.protocol.frames import COMMAND_LENGTH_MAX
from smsgate.protocol.inspection import encode_inspected, inspect_pdu, inspect_receipt_text
from smsgate.protocol.pdus import Pdu, decode_pdu, encode_pdu
from tests.unit.protocol.test_pdus import pdus
from tests.unit.protocol.vectors import (
    PDUS,
    READ,
    RECEIPTS,
    SUITES,
    VERIFIED,
    Vector,
    first_frame,
    ids,
    octets_of,
)

VERDICTS = {row["verdict"] for row in PDUS} | {"not_a_receipt"}
# Read, but not written again with the same octets: each with the reason.
CHANGED_BY_ENCODING = {
    ("deliver_sm-003", "ends in a cut TLV, which is dropped"),
    ("submit_sm_resp-005", "its message_id lacks the NUL"),
    ("unbind-004", "has a body, which no unbind has"),
    ("bind_transceiver_resp-005", "ends in a cut TLV, which is dropped"),
    ("bind_transceiver_resp-006", "ends in a cut TLV, which is dropped"),
    ("submit_sm_resp-021", "its message_id lacks the NUL"),
    ("enquire_link-010", "has a body, which no enquire_link has"),
    ("submit_sm_resp-024", "is padded"),
}


@pytest.mark.parametrize("row", VERIFIED, ids=ids(VERIFIED))
def test_verdict_and_fields_are_those_that_independent_decoders_agree_on(row: Vector) -> None:
    if row["pdu"] == "receipt_text":
        found = inspect_receipt_text(octets_of(row))
        assert row["fields"].items() <= found["fields"].items()
    else:
        found = inspect_pdu(octets_of(row))
        assert found["fields"] == row["fields"]
    assert found["verdict"] == row["verdict"]
    assert found["pdu"] == row["pdu"]
    assert found["tlvs"] == row.get("tlvs", [])
    assert found.get("is_receipt", False) == row.get("is_receipt", False)


@pytest.mark.parametrize("row", SUITES, ids=ids(SUITES))
def test_a_pdu_of_other_projects_suites_is_worth_what_its_reason_says(row: Vector) -> None:
    found = inspect_pdu(octets_of(row))
    assert (found["verdict"], found["pdu"]) == (row["verdict"], row["pdu"])
    assert found.get("is_receipt", False) == row.get("is_receipt", False)
    assert (found.get("note") or found.get("error")) == row.get("note")


@pytest.mark.parametrize("row", RECEIPTS, ids=ids(RECEIPTS))
def test_a_receipt_in_any_dialect_is_told_from_a_customers_words(row: Vector) -> None:
    found = inspect_receipt_text(octets_of(row))
    assert found["verdict"] == row["verdict"]
    assert row["fields"].items() <= found["fields"].items()


def test_the_esm_class_of_its_pdu_decides_what_a_receipt_text_is() -> None:
    words = b"id:1 sub:001 dlvrd:001 submit date:2611211200 done date:2611211201 stat:DELIVRD err:000 text:"
    assert inspect_receipt_text(words)["verdict"] == "accept"
    assert inspect_receipt_text(words, 0x00)["verdict"] == "not_a_receipt"
    assert inspect_receipt_text(b"id:1 stat:DELIVRD", 0x04)["verdict"] == "accept"


def test_every_pdu_that_was_read_is_made_again_with_the_same_octets_but_for_those_listed() -> None:
    changed = set()
    for row in PDUS:
        found = inspect_pdu(octets_of(row))
        if found["verdict"] not in READ or "error" in found:
            continue
        octets = first_frame(octets_of(row)).encode()
        as_json = json.loads(json.dumps(found))
        if encode_inspected(as_json["fields"], as_json["tlvs"]) != octets:
            changed.add(row["id"])
    assert changed == {name for name, _ in CHANGED_BY_ENCODING}


def test_fields_are_those_that_smpplib_reads_where_it_can() -> None:
    agreed, unread = 0, []
    for row in SUITES:
        if row["verdict"] not in {"accept", "accept_lenient"}:
            continue
        octets, client = octets_of(row), SimpleNamespace(next_sequence=lambda: 1)
        try:
            other = smpp.parse_pdu(octets, client=client, allow_unknown_opt_params=True)
        except (UnknownCommandError, struct.error, KeyError) as exc:
            unread.append((row["id"], type(exc)))
            continue
        for name, value in decode_pdu(first_frame(octets)).fields.items():
            theirs: Any = getattr(other, name)
            if isinstance(theirs, str):
                theirs = theirs.encode("latin-1")
            assert (name, value) == (name, type(value)() if theirs is None else theirs), row["id"]
        agreed += 1
    assert agreed == 151
    assert len(unread) == 28  # PDUs that it does not know; trailing octets; a TLV that it wants elsewhere


def test_the_limit_of_command_length_is_the_callers() -> None:
    octets = encode_pdu(Pdu(CommandId.SUBMIT_SM, 0, 1, {}, ((0x0424, bytes(65_000)),)))
    assert inspect_pdu(octets)["verdict"] == "accept"
    assert inspect_pdu(octets, 1024)["verdict"] == "fatal_framing"
    assert inspect_pdu((COMMAND_LENGTH_MAX + 1).to_bytes(4, "big"))["verdict"] == "fatal_framing"


@given(st.binary(max_size=120) | st.sampled_from(PDUS).map(octets_of), st.data())
def test_no_octets_raise_and_each_has_a_verdict(octets: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, max(0, len(octets) - 1)))
    for each in (octets, octets[:at], octets[:at] + data.draw(st.binary(max_size=4)) + octets[at + 1 :]):
        assert inspect_pdu(each)["verdict"] in VERDICTS
        assert inspect_receipt_text(each)["verdict"] in VERDICTS


@given(pdus())
def test_every_pdu_survives_the_way_through_json(pdu: Pdu) -> None:
    octets = encode_pdu(pdu)
    found = json.loads(json.dumps(inspect_pdu(octets)))
    if found["verdict"] != "reject_request":  # a header longer than its message
        assert encode_inspected(found["fields"], found["tlvs"]) == octets


def test_any_status_number_type_of_number_and_tlv_is_kept() -> None:
    fields = {"source_addr_ton": 0xEE, "source_addr_npi": 0xDD, "esm_class": 0xBF, "source_addr": b"\xff\x80"}
    pdu = Pdu(
        CommandId.SUBMIT_SM, 0x4FF, 0xFFFF_FFFF, fields, ((0xFFFE, b""), (0x1400, b"\0"), (0xFFFE, b"2"))
    )
    found = inspect_pdu(encode_pdu(pdu))
    assert found["fields"]["command_status"] == 0x4FF
    assert found["fields"]["sequence_number"] == 0xFFFF_FFFF
    assert found["fields"]["source_addr"] == "\xff\x80"
    assert [found["fields"][name] for name in list(fields)[:3]] == [0xEE, 0xDD, 0xBF]
    assert [(each["tag"], each["value"]) for each in found["tlvs"]] == [
        ("0xfffe", ""),
        ("0x1400", "00"),
        ("0xfffe", "32"),
    ]


@pytest.mark.parametrize(
    ("fields", "tlvs", "what"),
    [
        ({}, [], "name the PDU"),
        ({"command_id": "submit"}, [], "command_id"),
        ({"command_id": "0x7777"}, [], "unknown command_id"),
        ({"command_id": 4, "esm_class": "x"}, [], "esm_class"),
        ({"command_id": 4, "esm_class": 256}, [], "esm_class"),
        ({"command_id": 4, "short_message": "abc"}, [], "short_message"),
        ({"command_id": 4, "short_message": 7}, [], "short_message"),
        ({"command_id": 4, "short_message": "00" * 256}, [], "short_message"),
        ({"command_id": 4, "source_addr": "Skivhuset €"}, [], "source_addr"),
        ({"command_id": 4, "color": 1}, [], "color"),
        ({"command_id": 4, "sequence_number": True}, [], "sequence_number"),
        ({"command_id": 0x21, "dests": {}}, [], "dests"),
        ({"command_id": 0x21, "dests": [{"dest_flag": 1, "ton": 256}]}, [], "ton"),
        ({"command_id": 0x8000_0021, "message_id": "", "unsuccess": [{"error": -1}]}, [], "error"),
        ({"command_id": 4}, [7], "tlvs"),
        ({"command_id": 0x21, "dests": [{"dest_flag": 7}]}, [], "dest_flag"),
        ({"command_id": 0x21, "dests": [{"addr": 336}]}, [], "addr"),
        ({"command_id": 0x21, "dest_address": [5]}, [], "dest_address is written as dests"),
        ({"command_id": 0x8000_0021, "unsuccess_sme": [5]}, [], "unsuccess_sme is written as unsuccess"),
        ({"command_id": 0x8000_0021, "unsuccess": [{}]}, [], "message_id"),
        ({"command_id": 4, "esm_class": True}, [], "esm_class"),
        ({"command_id": 4, "esm_class": [4]}, [], "esm_class"),
        ({"command_id": 4}, [{"value": "00"}], "tag"),
        ({"command_id": 4}, [{"tag": 1}], "TLV 0x0001 has no value"),
        ({"command_id": 4}, [{"tag": "0x0", "value": ""}], "TLV"),
    ],
)
def test_what_cannot_be_made_is_said(fields: dict[str, Any], tlvs: list[Any], what: str) -> None:
    with pytest.raises((Invalid, BodyError, ProtocolError), match=what):
        encode_inspected(fields, tlvs)


@pytest.mark.parametrize(
    ("octets", "sentence"),
    [
        ("000000", "the header of the PDU is still to come"),
        ("0000001000000015000000000a342e", "1 octet of the PDU is still to come"),
        ("00000010", "12 octets of the PDU are still to come"),
    ],
)
def test_what_is_still_to_come_is_counted(octets: str, sentence: str) -> None:
    assert inspect_pdu(bytes.fromhex(octets))["error"] == sentence


def test_a_pdu_is_made_by_its_name_and_what_is_left_out_is_empty() -> None:
    assert encode_inspected({}, [], "enquire_link") == bytes.fromhex("00000010000000150000000000000001")
    made = inspect_pdu(encode_inspected({"destination_addr": "336"}, [], "submit_sm"))
    assert made["verdict"] == "accept"
    assert made["fields"]["destination_addr"] == "336"
