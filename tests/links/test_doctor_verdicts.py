from __future__ import annotations

import tomllib
from typing import Any

import pytest

from smsgate.links.doctor_knobs import ALPHANUMERIC, MSISDN, SHORT_CODE, TURNED_BY, Knobs, concats, sender_key
from smsgate.links.doctor_mail import ProbeReceipt
from smsgate.links.doctor_verdicts import (
    LongTry,
    alphabet_finding,
    id_finding,
    knob_findings,
    long_finding,
    receipt_finding,
)
from smsgate.links.profile import CarrierProfile, read_profile
from smsgate.links.profile_toml import carrier_block
from smsgate.protocol.commands import Status
from smsgate.protocol.message_ids import IdForm

SETTINGS = {
    "name": "sms-fr",
    "hosts": ["smpp1.example.com:3550", "[2001:db8::1]:3550"],
    "system_id": "boxman",
    "password": "s3cret",
    "mo_busy_status": 0x58,
    "throttle_statuses": [0x58, 0x14],
    "default_alphabet": "latin1",
    "short_code_ton_npi": [0, 0],
    "senders": [
        {"number": "38123", "receives": True, "merchants": ["boxman"], "ton": 3, "npi": 0},
        {"number": 'BOX"MAN'},
    ],
    "rebind": {"lost_s": [0.5, 10.0]},
}


def a_profile(**changes: object) -> CarrierProfile:
    return read_profile(SETTINGS | changes)


def test_a_written_profile_is_read_as_the_same_profile() -> None:
    profile = a_profile()
    block = carrier_block(profile, 'password = "s3cret"', {"default_alphabet": "the phone said so"})
    [table] = tomllib.loads(block)["carriers"]
    assert read_profile(table) == profile
    assert '# the phone said so\ndefault_alphabet = "latin1"' in block
    assert "mo_busy_status = 0x58" in block


def test_words_of_a_carrier_stay_in_their_comment() -> None:
    said = 'no\r\n[[carriers]]\nname = "evil"\x7f\u2028\udc80 é'
    block = carrier_block(a_profile(), 'password = "s3cret"', {"default_alphabet": said})
    [table] = tomllib.loads(block)["carriers"]
    assert table["name"] == a_profile().name
    assert '# no\\r\\n[[carriers]]\\nname = "evil"\\x7f\\u2028\\udc80 é\n' in block


def test_a_password_is_never_written() -> None:
    assert "s3cret" not in carrier_block(a_profile(), 'password_env = "X"', {})


def test_where_an_outbind_may_come_from_is_written_and_its_password_is_not() -> None:
    settings = {
        "outbind_port": 2776,
        "outbind_host": "0.0.0.0",
        "outbind_from": ["192.0.2.16/28", "2001:db8::/32"],
        "outbind_system_id": "smsc-fr",
        "outbind_password": "th3irs",
        "outbind_cert_file": "/etc/smsgate/smpp.pem",
        "outbind_key_file": "/etc/smsgate/smpp.key",
    }
    profile = a_profile(**settings)
    block = carrier_block(profile, 'password = "s3cret"', {})
    assert "th3irs" not in block
    assert '#outbind_password = "..."' in block
    [table] = tomllib.loads(block)["carriers"]
    assert read_profile({**table, "outbind_password": "th3irs"}) == profile


@pytest.mark.parametrize(
    ("sender", "key"), [("38123", SHORT_CODE), ("BOXMAN", ALPHANUMERIC), ("33612345678", MSISDN)]
)
def test_the_kind_of_a_sender_names_the_key_of_its_ton_and_npi(sender: str, key: str) -> None:
    assert sender_key(sender) == key


@pytest.mark.parametrize("status", TURNED_BY)
def test_every_status_that_blames_a_setting_turns_it_until_nothing_is_left(status: int) -> None:
    knobs = Knobs.of(a_profile(), SHORT_CODE)
    seen = [dict(knobs.values)]
    while knobs.turn(status) is not None:
        assert knobs.values not in seen
        seen.append(dict(knobs.values))
        assert len(seen) < 20
    assert len(seen) > 1


def test_what_was_turned_is_a_finding_and_the_rest_is_not() -> None:
    knobs = Knobs.of(a_profile(), SHORT_CODE)
    assert knob_findings(knobs) == []
    knobs.turn(Status.INVEXPIRY)
    [finding] = knob_findings(knobs)
    assert finding.keys == {"validity": "relative"}


@pytest.mark.parametrize(
    ("response", "receipt", "form"),
    [
        (b"1A2B3C4D5E", b"112394521950", IdForm.DEC_TO_HEX),
        (b"112394521950", b"1a2b3c4d5e", IdForm.HEX_TO_DEC),
        (b"00ABCDEFGH", b"abcdefgh", IdForm.AS_IS),
    ],
)
def test_the_form_that_fits_every_receipt_is_found(response: bytes, receipt: bytes, form: IdForm) -> None:
    assert id_finding([response], [(receipt,)]).keys == {"id_resp": IdForm.AS_IS, "id_receipt": form}


def test_an_id_that_fits_by_two_forms_decides_nothing() -> None:
    finding = id_finding([b"7"], [(b"7",)])
    assert (finding.state, finding.keys) == ("kept", {})
    assert "more than one form fits" in finding.detail


def test_ids_that_never_meet_decide_nothing() -> None:
    finding = id_finding([b"abc-1"], [(b"xyz-9",)])
    assert (finding.state, finding.keys) == ("kept", {})


def test_a_receipt_that_only_its_text_marks_needs_the_key_and_a_warning() -> None:
    finding = receipt_finding([ProbeReceipt((b"1",), 2, "text")], 0.5)
    assert finding.keys == {"receipts": "text"}
    assert "can forge one" in finding.detail
    assert receipt_finding([], 60.0).state == "failed"
    assert receipt_finding([ProbeReceipt((b"1",), 2, "tlvs")], 0.5).keys == {"receipts": "esm_class"}


@pytest.mark.parametrize(
    ("seen", "keys"),
    [
        (["A"], {"default_alphabet": "gsm7"}),
        (["B", "A"], {"default_alphabet": "latin1"}),
        (["B", "B"], {}),
        (["B", None], {}),
        ([None], {}),
        (["MAYBE"], {}),
    ],
)
def test_what_the_phone_shows_decides_the_alphabet(seen: list[str | None], keys: dict[str, str]) -> None:
    assert alphabet_finding(seen).keys == keys


@pytest.mark.parametrize(
    ("tried", "state", "keys"),
    [
        ([LongTry("udh8", "", "A")], "found", {"concat": "udh8"}),
        ([LongTry("udh8", "", None)], "found", {}),
        ([LongTry("udh8", "0x43", None), LongTry("udh16", "", None)], "found", {"concat": "udh16"}),
        ([LongTry("udh8", "", "B"), LongTry("sar", "", "A")], "found", {"concat": "sar"}),
        ([LongTry("udh8", "", "B"), LongTry("payload", "0xC3", None)], "failed", {}),
        ([LongTry("udh8", "0x43", None)], "failed", {}),
    ],
)
def test_a_long_text_goes_as_it_came_whole_or_as_it_was_taken(
    tried: list[LongTry], state: str, keys: dict[str, str]
) -> None:
    finding = long_finding(tried, "udh8")
    assert (finding.state, finding.keys) == (state, keys)
    assert bool(finding.mend) == (state == "failed")


@pytest.mark.parametrize(
    ("changes", "ways"),
    [
        ({}, ["udh8", "udh16", "sar", "payload"]),
        ({"concat": "payload"}, ["payload", "udh8", "udh16", "sar"]),
        ({"packed": True}, ["udh8", "udh16", "sar"]),
        ({"interface_version": 0x33}, ["udh8", "udh16"]),
    ],
)
def test_long_texts_are_tried_in_the_ways_that_a_profile_may_have(
    changes: dict[str, Any], ways: list[str]
) -> None:
    profile = a_profile(default_alphabet="gsm7").model_copy(update=changes)
    assert concats(profile) == ways
