"""A carrier's configuration is refused at start-up with the key and the mend, or it works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from smsgate.clock import SystemClock
from smsgate.errors import ConfigError
from smsgate.flows.ports import Carrier
from smsgate.links.profile import CarrierProfile, read_profile
from smsgate.links.profile_changes import needs_new_bind
from smsgate.links.profile_senders import Address
from smsgate.links.profile_values import Host
from smsgate.links.switchboard import Switchboard
from smsgate.links.tls import tls_context
from smsgate.protocol.encodings import GSM, UCS2, Alphabet
from smsgate.protocol.shift_tables import Shift
from tests.links.fake_smsc import a_profile


def settings(**changes: Any) -> dict[str, Any]:
    return {
        "name": "orange",
        "hosts": ["smpp.example.net:3550"],
        "system_id": "us",
        "password": "secret",
        **changes,
    }


DEFAULTS: dict[str, Any] = {
    "interface_version": 0x34,
    "bind": "trx",
    "tls": "verify",
    "enquire_interval_s": 30.0,
    "response_timeout_s": 10.0,
    "bind_timeout_s": 5.0,
    "window_max": 10,
    "rate_per_s": 10,
    "rate_control": "contract",
    "throttle_statuses": (0x58, 0x14, 0x45),
    "mo_busy_status": 0x14,
    "default_alphabet": "gsm7",
    "gsm_data_coding": 0,
    "msisdn_ton_npi": (1, 1),
    "validity": "absolute",
    "receipts": "esm_class",
    "tlvs_out": (),
    "max_messages_per_bind": None,
    "password_max": 8,
    "missing_version_is_old": False,
    "query": False,
    "unreachable_statuses": (),
    "opted_out_statuses": (),
    "opted_out_errors": (),
}


def test_defaults_are_what_most_carriers_take() -> None:
    profile = read_profile(settings())
    assert {key: getattr(profile, key) for key in DEFAULTS} == DEFAULTS
    assert profile.hosts == (Host("smpp.example.net", 3550),)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"hosts": ["smpp.example.net"]}, "carriers.hosts.0"),
        ({"hosts": ["smpp.example.net:70000"]}, "carriers.hosts.0"),
        ({"hosts": []}, "carriers.hosts"),
        ({"windowmax": 10}, "carriers.windowmax"),
        ({"window_max": 0}, "carriers.window_max"),
        ({"rate_per_s": "fast"}, "carriers.rate_per_s"),
        ({"password": "123456789"}, "carriers.orange.password"),
        ({"password": "sécret"}, "carriers.orange.password"),
        ({"tls": "none"}, "carriers.orange.tls"),
        ({"cert_file": "a.pem"}, "carriers.orange.cert_file"),
        ({"mo_busy_status": 0}, "carriers.mo_busy_status"),
        ({"mo_busy_status": 0x64}, "carriers.orange.mo_busy_status"),
        ({"senders": [{"number": "MUCHTOOLONGNAME"}]}, "carriers.senders.0"),
        ({"senders": [{"number": "BOXMAN", "receives": True}]}, "carriers.senders.0"),
        ({"senders": [{"number": "38123"}, {"number": "38123"}]}, "carriers.orange.senders"),
        ({"rebind": {"lost_s": [0, 1]}}, "carriers.rebind.lost_s.0"),
        ({"shift": ["single:fr"]}, "carriers.shift.0"),
        ({"shift": ["locking:es"]}, "carriers.shift.0"),
        ({"shift": ["single:pt"], "default_alphabet": "latin1"}, "carriers.orange.shift"),
        ({"packed": True, "default_alphabet": "latin1"}, "carriers.orange.packed"),
        ({"concat": "udh"}, "carriers.concat"),
        ({"concat": "sar", "interface_version": 0x33}, "carriers.orange.concat"),
        ({"concat": "payload", "packed": True}, "carriers.orange.concat"),
        ({"interface_version": 34}, "carriers.interface_version"),
        ({"tlvs_out": [{"tag": 0x1400}]}, "carriers.tlvs_out.0"),
        ({"message_tlvs": [0x0005]}, "carriers.message_tlvs.0"),
        ({"tlvs_out": [{"tag": 0x1400, "value": "1", "hex": "31"}]}, "carriers.tlvs_out.0"),
        ({"tlvs_out": [{"tag": 0x1400, "hex": "1"}]}, "carriers.tlvs_out.0.hex"),
        ({"tlvs_out": [{"tag": 0x0424, "value": "text"}]}, "carriers.tlvs_out.0"),
        ({"tlvs_out": [{"tag": 0, "value": "1"}]}, "carriers.tlvs_out.0.tag"),
        ({"hosts_use": "random"}, "carriers.hosts_use"),
        ({"max_messages_per_bind": 1}, "carriers.max_messages_per_bind"),
        ({"rate_control": "fast"}, "carriers.rate_control"),
    ],
)
def test_a_setting_that_cannot_work_names_its_key_and_what_to_write(
    changes: dict[str, Any], where: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        read_profile(settings(**changes))
    assert refused.value.where == where
    assert refused.value.mend


def test_a_missing_key_is_named() -> None:
    values = settings()
    del values["system_id"]
    with pytest.raises(ConfigError) as refused:
        read_profile(values)
    assert refused.value.where == "carriers.system_id"


def test_a_long_password_is_whole_when_the_profile_allows_it() -> None:
    profile = read_profile(settings(password="sixteen-octets-x", password_max=16))
    assert profile.password.get_secret_value() == "sixteen-octets-x"


def test_the_password_shows_in_no_text_of_the_profile_or_its_errors() -> None:
    assert "s3cr3t" not in repr(read_profile(settings(password="s3cr3t")))
    with pytest.raises(ConfigError) as refused:
        read_profile(settings(password="s3cr3t-too-long"))
    assert "s3cr3t" not in f"{refused.value}{refused.value.mend}"
    with pytest.raises(ConfigError) as refused:
        read_profile(settings(password=["s3cr3t"]))
    assert "s3cr3t" not in f"{refused.value}{refused.value.mend}"


@pytest.mark.parametrize(
    ("sender", "address"),
    [
        ("BOXMAN", Address(5, 0, b"BOXMAN")),
        ("38123", Address(3, 0, b"38123")),
        ("33612345678", Address(1, 1, b"33612345678")),
        ("+33612345678", Address(1, 1, b"33612345678")),
        ("36111", Address(0, 0, b"36111")),
    ],
)
def test_ton_and_npi_follow_from_the_sender_or_from_its_entry(sender: str, address: Address) -> None:
    profile = read_profile(settings(senders=[{"number": "36111", "ton": 0, "npi": 0}]))
    assert profile.source_address(sender) == address


def test_a_certificate_file_that_is_not_there_is_refused_before_any_connection() -> None:
    with pytest.raises(ConfigError) as refused:
        tls_context(read_profile(settings(ca_file="/nowhere/ca.pem")))
    assert refused.value.where == "carriers.orange.ca_file"


def a_switchboard(*profiles: CarrierProfile) -> Switchboard:
    return Switchboard(enumerate(profiles, start=1), clock=SystemClock(), random=lambda: 0.0)


def test_a_sender_leads_to_its_carrier_and_to_who_may_use_it() -> None:
    switchboard = a_switchboard(
        read_profile(settings(senders=[{"number": "38123", "receives": True, "merchants": ["boxman"]}])),
        read_profile(settings(name="free", senders=[{"number": "BOXMAN"}])),
    )
    ports: Mapping[int, Carrier] = switchboard.carriers  # for the type checker: accounts are what flows want
    assert list(ports) == [1, 2]
    orange, free = switchboard.by_id(1), switchboard.by_name("free")
    assert switchboard.route("38123") is orange
    assert switchboard.route("BOXMAN") is free
    assert switchboard.route("99999") is None
    assert switchboard.may_send("boxman", "38123")
    assert not switchboard.may_send("other", "38123")
    assert switchboard.may_send("other", "BOXMAN")
    assert [bind.state for bind in switchboard.binds()] == []


def test_the_carrier_that_receives_owns_a_sender_that_two_may_send_from() -> None:
    sends, receives = [{"number": "+38123"}], [{"number": "38123", "receives": True}]
    for order in ((sends, receives), (receives, sends)):
        switchboard = a_switchboard(
            read_profile(settings(senders=order[0])), read_profile(settings(name="free", senders=order[1]))
        )
        assert switchboard.carrier_of_sender == {"38123": 1 + order.index(receives)}
    neither = [read_profile(settings(name=name, senders=sends)) for name in ("orange", "free")]
    assert a_switchboard(*neither).carrier_of_sender == {"38123": 1}


def test_one_sender_that_receives_at_two_carriers_is_refused() -> None:
    sender = [{"number": "38123", "receives": True}]
    with pytest.raises(ConfigError, match="38123 receives at carriers orange and free"):
        a_switchboard(
            read_profile(settings(senders=sender)), read_profile(settings(name="free", senders=sender))
        )


def test_permitted_tables_are_tried_between_gsm_and_ucs2_and_locking_ones_last() -> None:
    profile = read_profile(settings(shift=["both:tr", "single:pt"]))
    pt, tr = Alphabet("gsm7", Shift(single=3)), Alphabet("gsm7", Shift(single=1, locking=1))
    assert profile.alphabets == (GSM, pt, UCS2, tr)
    assert read_profile(settings()).alphabets == (GSM, UCS2)
    assert profile.long_alphabets == profile.alphabets
    assert read_profile(settings(default_alphabet="latin1")).long_alphabets == (Alphabet("latin1"), UCS2)


def test_a_carrier_without_ucs2_has_no_alphabet_of_it_for_short_and_long_texts() -> None:
    pt = Alphabet("gsm7", Shift(single=3))
    without = read_profile(settings(shift=["single:pt"], ucs2=False))
    assert without.alphabets == without.long_alphabets == (GSM, pt)
    latin = read_profile(settings(default_alphabet="latin1", ucs2=False))
    assert (latin.alphabets, latin.long_alphabets) == ((GSM,), (Alphabet("latin1"),))


def test_what_sessions_hold_needs_a_new_bind() -> None:
    """Each connection answers "busy" by itself when too many MOs wait."""
    profile = a_profile(2775)
    assert needs_new_bind(profile, a_profile(2775, mo_busy_status=0x58))
    assert not needs_new_bind(profile, a_profile(2775, rate_per_s=7))


def test_a_plus_before_a_senders_number_means_nothing() -> None:
    entry = {"number": "+33612345678", "ton": 0, "npi": 1, "tlvs_out": [{"tag": 0x1401, "value": "1107"}]}
    profile = a_profile(2775, senders=[entry])
    for sender in ("33612345678", "+33612345678"):
        assert profile.source_address(sender) == Address(0, 1, b"33612345678")
        assert profile.tlvs_of(sender) == ((0x1401, b"1107"),)
    with pytest.raises(ConfigError, match="33612345678 stands there twice"):
        a_profile(2775, senders=[entry, {"number": "33612345678"}])
