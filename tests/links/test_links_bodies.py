"""submit_sm bodies in the carrier's manner."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from smsgate.clock import ManualClock
from smsgate.errors import TextError
from smsgate.links.bodies import TEMPLATE_AGE_MAX_S, TEMPLATES_MAX, BodyMaker
from smsgate.links.carrier import CarrierAccount
from smsgate.protocol.commands import CommandId
from smsgate.protocol.frames import Frame
from smsgate.protocol.gsm0338 import encode_gsm
from smsgate.protocol.packing import unpack
from smsgate.protocol.pdus import decode_pdu
from smsgate.protocol.tlvs import Tlvs, encode_tlvs
from tests.links.fake_smsc import a_profile

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def maker(clock: ManualClock | None = None, **settings: Any) -> BodyMaker:
    return BodyMaker(a_profile(2775, **settings), clock or ManualClock(NOON))


def fields(body: bytes) -> dict[str, Any]:
    return decode_pdu(Frame(CommandId.SUBMIT_SM, 1, 0, body)).fields


def test_a_body_carries_addresses_validity_and_the_wish_for_a_receipt() -> None:
    (body,) = maker().bodies("BOXMAN", [33612345678], [b"Bonjour"], 0)
    assert fields(body) == {
        "service_type": b"",
        "source_addr_ton": 5,
        "source_addr_npi": 0,
        "source_addr": b"BOXMAN",
        "dest_addr_ton": 1,
        "dest_addr_npi": 1,
        "destination_addr": b"33612345678",
        "esm_class": 0,
        "protocol_id": 0,
        "priority_flag": 0,
        "schedule_delivery_time": b"",
        "validity_period": b"261124120000000+",
        "registered_delivery": 1,
        "replace_if_present_flag": 0,
        "data_coding": 0,
        "sm_default_msg_id": 0,
        "short_message": b"Bonjour",
    }


def test_each_recipient_gets_its_own_text_or_all_the_same() -> None:
    each = maker().bodies("38123", [33612345678, 33612345679], [b"one", b"two"], 8)
    assert [(fields(body)["destination_addr"], fields(body)["short_message"]) for body in each] == [
        (b"33612345678", b"one"),
        (b"33612345679", b"two"),
    ]
    same = maker().bodies("38123", [33612345678, 33612345679], [b"one"] * 2, 8)
    assert [fields(body)["short_message"] for body in same] == [b"one", b"one"]
    assert maker().bodies("38123", [], [], 0) == []


@pytest.mark.parametrize(
    ("validity", "octets"),
    [("none", b""), ("relative", b"000001020304000R"), ("absolute", b"261124140304000+")],
)
def test_validity_has_the_form_that_the_profile_says(validity: str, octets: bytes) -> None:
    seconds = 86_400 + 2 * 3600 + 3 * 60 + 4
    (body,) = maker(validity=validity, validity_s=seconds).bodies("38123", [33612345678], [b"x"], 0)
    assert fields(body)["validity_period"] == octets


def test_an_absolute_validity_is_at_most_a_minute_old() -> None:
    clock = ManualClock(NOON)
    bodies = maker(clock)
    bodies.bodies("38123", [33612345678], [b"x"], 0)
    clock.advance(TEMPLATE_AGE_MAX_S)
    (body,) = bodies.bodies("38123", [33612345678], [b"x"], 0)
    assert fields(body)["validity_period"] == b"261124120100000+"


def test_templates_kept_are_bounded() -> None:
    bodies = maker()
    for number in range(TEMPLATES_MAX + 10):
        bodies.bodies(f"{30_000 + number}", [33612345678], [b"x"], 0)
    assert len(bodies._templates) == TEMPLATES_MAX


def test_the_default_alphabet_has_the_number_that_the_carrier_gave_it() -> None:
    bodies = maker(gsm_data_coding=1)
    assert fields(bodies.bodies("38123", [33612345678], [b"x"], 0)[0])["data_coding"] == 1
    assert fields(bodies.bodies("38123", [33612345678], [b"\0x"], 8)[0])["data_coding"] == 8


def test_a_latin1_carrier_gets_latin1_octets_or_a_refusal_that_names_the_character() -> None:
    bodies = maker(default_alphabet="latin1")
    (body,) = bodies.bodies("38123", [33612345678], [encode_gsm("Déjà @ 5£")], 0)
    assert fields(body)["short_message"] == "Déjà @ 5£".encode("latin-1")
    with pytest.raises(TextError) as refused:
        bodies.bodies("38123", [33612345678], [encode_gsm("5 €")], 0)
    assert refused.value.characters == ("€",)
    (long,) = maker(default_alphabet="latin1", gsm_data_coding=1).bodies("38123", [33612345678], [b"\xe9"], 3)
    assert (fields(long)["short_message"], fields(long)["data_coding"]) == (b"\xe9", 1)
    # What was written before the profile changed keeps its meaning, or is refused: never other letters.
    with pytest.raises(TextError):
        bodies.bodies("38123", [33612345678], [b"\x05\x00\x03\x01\x02\x01" + encode_gsm("Bonjour")], 0, 0x40)
    (other,) = maker().bodies("38123", [33612345678], [b"\xe9"], 3)
    assert (fields(other)["short_message"], fields(other)["data_coding"]) == (b"\xe9", 3)


def test_a_carrier_that_says_it_is_too_old_for_tlvs_gets_parts_by_headers() -> None:
    told = []
    for concat in ("sar", "udh16"):
        bodies = maker(concat=concat)
        told.append(bodies.concat)
        bodies.take_version(0x33)
        told.append(bodies.concat)
    assert told == ["sar", "udh8", "udh16", "udh16"]


INDIA: dict[str, Any] = {
    "tlvs_out": [{"tag": 0x1400, "value": "110123"}, {"tag": 0x1402, "hex": "00ff"}],
    "senders": [
        {"number": "BOXMAN", "tlvs_out": [{"tag": 0x1401, "value": "1107"}, {"tag": 0x1402, "hex": ""}]}
    ],
}


def tlvs(made: BodyMaker, sender: str, own: Tlvs = ()) -> dict[int, bytes]:
    (body,) = made.bodies(sender, [33612345678], [b"Bonjour"], 0, tlvs=encode_tlvs(own))
    return dict(decode_pdu(Frame(CommandId.SUBMIT_SM, 1, 0, body)).tlvs)


def test_a_carriers_tlvs_stand_in_each_body_and_a_senders_own_go_before_them() -> None:
    made = maker(**INDIA)
    assert tlvs(made, "38123") == {0x1400: b"110123", 0x1402: b"\x00\xff"}
    assert tlvs(made, "BOXMAN") == {0x1400: b"110123", 0x1401: b"1107", 0x1402: b""}


def test_a_messages_own_tlvs_go_before_its_senders_where_the_carrier_lets_their_tags_through() -> None:
    made = maker(**INDIA, message_tlvs=[0x1401])
    own = ((0x1401, b"1108"), (0x1402, b"not let through"), (0x1500, b"nor this"))
    assert tlvs(made, "BOXMAN", own) == {0x1400: b"110123", 0x1401: b"1108", 0x1402: b""}
    assert tlvs(made, "38123", own) == {0x1400: b"110123", 0x1402: b"\x00\xff", 0x1401: b"1108"}
    assert tlvs(made, "BOXMAN") == {0x1400: b"110123", 0x1401: b"1107", 0x1402: b""}  # of the next message
    assert tlvs(maker(**INDIA), "38123", own) == {0x1400: b"110123", 0x1402: b"\x00\xff"}
    old = maker(interface_version=0x33, message_tlvs=[0x1401])
    assert tlvs(old, "BOXMAN", own) == {}


def test_an_smsc_of_version_33_is_sent_no_tlvs() -> None:
    made = maker(**INDIA)
    assert tlvs(made, "38123")
    made.take_version(0x33)
    assert tlvs(made, "38123") == {}
    made.take_version(0x34)
    assert tlvs(made, "38123")
    assert tlvs(maker(interface_version=0x33, **INDIA), "38123") == {}


def test_an_smsc_that_names_no_version_is_an_old_one_only_if_the_profile_says_so() -> None:
    for old, kept in ((False, True), (True, False)):
        made = maker(missing_version_is_old=old, **INDIA)
        made.take_version(None)
        assert bool(tlvs(made, "38123")) is kept


def test_a_text_with_a_header_says_so_and_templates_do_not_mix() -> None:
    bodies = maker()
    (shifted,) = bodies.bodies("38123", [33612345678], [bytes.fromhex("03240103") + b"x"], 0, 0x40)
    (plain,) = bodies.bodies("38123", [33612345678], [b"x"], 0)
    assert (fields(shifted)["esm_class"], fields(plain)["esm_class"]) == (0x40, 0)
    assert fields(shifted)["short_message"] == bytes.fromhex("03240103") + b"x"


def test_a_carrier_that_wants_septets_packed_gets_them_with_fill_bits_after_a_header() -> None:
    bodies = maker(packed=True)
    header = bytes.fromhex("03240103")
    plain = bodies.bodies("38123", [33612345678, 33612345679], [b"hellohello", b"x"], 0)
    assert [fields(body)["short_message"].hex() for body in plain] == ["e8329bfd4697d9ec37", "78"]
    (shifted,) = bodies.bodies("38123", [33612345678], [header + b"hellohello"], 0, 0x40)
    octets = fields(shifted)["short_message"]
    assert octets[:4] == header
    assert unpack(octets[4:], fill_bits=3, count=10) == b"hellohello"
    (ucs2,) = bodies.bodies("38123", [33612345678], [b"\0x"], 8)
    assert fields(ucs2)["short_message"] == b"\0x"


def test_a_change_without_a_new_bind_keeps_what_the_smsc_said_of_itself() -> None:
    settings = {"missing_version_is_old": True, **INDIA}
    account = CarrierAccount(a_profile(2775, **settings), 1, clock=ManualClock(NOON), random=lambda: 0.5)
    account._bodies.take_version(None)  # bound to an SMSC that names no version
    account.adopt(a_profile(2775, rate_per_s=7, **settings))
    (body,) = account.bodies("BOXMAN", [33612345678], [b"Bonjour"], 0)
    assert decode_pdu(Frame(CommandId.SUBMIT_SM, 1, 0, body)).tlvs == ()
