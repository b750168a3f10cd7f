"""What objects say of themselves, in logs and tracebacks: no password, text or number of a person (M29)."""

from __future__ import annotations

from datetime import UTC, datetime

from smsgate.errors import CarrierRefused
from smsgate.flows.esme_mos import HandedOver, SenderStop
from smsgate.flows.esme_records import EsmeAccount, EsmeDelivery, Purpose, Submission
from smsgate.flows.records import (
    Ack,
    CarrierReceipts,
    InteractiveClaim,
    MobileOriginated,
    SubmittedClaim,
)
from smsgate.links.life import session_settings
from smsgate.protocol.server_states import BindAsked
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
            handed_on=lambda: b"33612345678 Bonjour",
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
            refusable=[False],
            reasons=[None],
            tlvs=[b""],
        )
    )


def test_what_esmes_say_and_get_does_not_tell_passwords_people_or_texts() -> None:
    number, octets = 33612345678, b"33612345678 Bonjour"
    account = EsmeAccount(
        merchant_id=1,
        account_id=2,
        system_id="boxman-erp",
        purpose=Purpose.TRANSACTIONAL,
        active=True,
        password_mac=b"s3cr3t",
        senders=("38123",),
        numbers=(),
        binds_max=1,
        window_max=1,
        rate_per_s=1,
        queue_max=1,
        daily_max=None,
        allow_binary=False,
        join_mo=False,
        slug="boxman",
        created_at=NOW,
    )
    assert_silent(BindAsked(BindKind.TRANSCEIVER, b"boxman-erp", b"s3cr3t", b"", 0x34))
    assert_silent(Submission(account, number, "38123", 1, 1, octets, NOW))
    assert_silent(EsmeDelivery(1, 3, 2, 4, 2, b"", octets, NOW, 1, number, "38123", octets))
    assert_silent(HandedOver(1, 2, octets, NOW))
    assert_silent(SenderStop(1, "38123", number, stopped=True, at=NOW))
    claim = SubmittedClaim(1, 2, False, [4], [number], ["38123"], [octets], [1], [None], [NOW])
    claim.ported = {number: "20815"}
    assert_silent(claim)
    assert_silent(CarrierReceipts(1, [], [], [], [], Ack(1, 1, []), unreadable=[octets]))


def test_a_refusal_tells_its_status_alone() -> None:
    assert str(CarrierRefused(0x58)) == "the carrier refused with command_status 0x58"
