"""What objects say of themselves, in logs and tracebacks: no password, text or number of a person (M29)."""

from __future__ import annotations

from datetime import UTC, datetime

from smsgate.errors import CarrierRefused
from smsgate.flows.records import InteractiveClaim, MobileOriginated
from smsgate.links.life import session_settings
from smsgate.protocol.session_states import BindKind
from tests.links.fake_smsc import a_profile

NOW = datetime(2026, 11, 26, tzinfo=UTC)
SECRETS = ("s3cr3t", "33612345678", "Bonjour")


def assert_silent(shown: object) -> None:
    for secret in SECRETS:
        assert secret not in repr(shown)


def test_a_profile_and_the_sessions_settings_do_not_tell_the_password() -> None:
    profile = a_profile(2775, password="s3cr3t")
    assert_silent(profile)
    assert_silent(session_settings(profile, BindKind.TRANSCEIVER))


def test_a_reply_and_a_claim_do_not_tell_whose_they_are_or_what_they_say() -> None:
    number = 33612345678
    assert_silent(
        MobileOriginated(
            carrier_id=1,
            msisdn=number,
            source="33612345678",
            destination="38123",
            text="Bonjour",
            raw=b"Bonjour",
            data_coding=0,
            received_at=NOW,
            deliver_sm=b"33612345678 Bonjour",
        )
    )
    assert_silent(
        InteractiveClaim(
            merchant_id=1,
            message_ids=[1],
            msisdns=[number],
            senders=["38123"],
            bodies=["Bonjour"],
            expires_at=[NOW],
        )
    )


def test_a_refusal_tells_its_status_alone() -> None:
    assert str(CarrierRefused(0x58)) == "the carrier refused with command_status 0x58"
