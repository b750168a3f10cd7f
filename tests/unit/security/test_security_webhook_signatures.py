"""Standard Webhooks 1.0.0: by its published vector, and both ways with its own library."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from smsgate.errors import ConfigError, SignatureInvalid
from smsgate.security.webhook_signatures import (
    MALFORMED,
    MISSING,
    NO_MATCH,
    TOO_NEW,
    TOO_OLD,
    check_secret,
    new_secret,
    sign,
    sign_all,
    signed_headers,
    verify,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT_S = 1_614_265_330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def some_headers(signature: str = SIGNATURE) -> dict[str, str]:
    return {"webhook-id": MESSAGE_ID, "webhook-timestamp": str(AT_S), "webhook-signature": signature}


def reason_of(headers: dict[str, str], body: bytes = BODY, now_s: float = AT_S, secret: str = SECRET) -> str:
    with pytest.raises(SignatureInvalid) as refusal:
        verify([secret], headers, body, now_s)
    assert (refusal.value.code, refusal.value.http_status) == ("signature_invalid", 401)
    return refusal.value.reason


def test_the_published_vector_is_signed_and_verified() -> None:
    assert sign(SECRET, MESSAGE_ID, AT_S, BODY) == SIGNATURE
    assert verify([SECRET], some_headers(), BODY, AT_S) == MESSAGE_ID


def test_a_secret_that_is_kept_signs_each_time_as_the_first_time() -> None:
    secrets = [new_secret() for _ in range(3)]
    first = [sign(secret, MESSAGE_ID, AT_S, BODY) for secret in secrets]
    assert len(set(first)) == 3
    sign(secrets[1], "another", AT_S, b"{}")
    assert [sign(secret, MESSAGE_ID, AT_S, BODY) for secret in secrets] == first


def test_the_library_takes_what_we_sign() -> None:
    secret, old = new_secret(), new_secret()
    headers = signed_headers([secret, old], "evt_1", int(time.time()), BODY)
    for holder in (secret, old):
        assert Webhook(holder).verify(BODY, headers) == {"test": 2432232314}


@given(st.binary(min_size=24, max_size=64), st.text(max_size=200))
def test_we_take_what_the_library_signs(octets: bytes, text: str) -> None:
    body = text.encode("utf-8", "replace")
    secret = "whsec_" + base64.b64encode(octets).decode()
    signature = Webhook(secret).sign("msg_1", datetime.fromtimestamp(AT_S, UTC), body.decode())
    headers = {"Webhook-Id": "msg_1", "WEBHOOK-TIMESTAMP": str(AT_S), "webhook-signature": signature}
    assert verify([secret], headers, body, AT_S) == "msg_1"


def test_octets_that_are_no_text_are_signed_as_they_are() -> None:
    body = b"\xff\x00\x80"
    assert verify([SECRET], signed_headers([SECRET], "m", AT_S, body), body, AT_S) == "m"


def test_both_secrets_hold_during_rotation_and_neither_without_the_other() -> None:
    old, new = new_secret(), new_secret()
    both = some_headers(sign_all([new, old], MESSAGE_ID, AT_S, BODY))
    for secrets_ in ([old], [new], [new, old]):
        assert verify(secrets_, both, BODY, AT_S) == MESSAGE_ID
    assert verify([new, old], some_headers(sign(old, MESSAGE_ID, AT_S, BODY)), BODY, AT_S) == MESSAGE_ID
    assert reason_of(some_headers(sign(old, MESSAGE_ID, AT_S, BODY)), secret=new) == NO_MATCH


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_or_empty_header_is_named(name: str) -> None:
    headers = some_headers()
    assert reason_of({key: value for key, value in headers.items() if key != name}) == MISSING
    assert reason_of({**headers, name: ""}) == MISSING


@pytest.mark.parametrize(
    ("now_s", "reason"), [(AT_S + 301, TOO_OLD), (AT_S - 301, TOO_NEW), (AT_S + 360, TOO_OLD), (0, TOO_NEW)]
)
def test_a_timestamp_outside_five_minutes_is_refused(now_s: float, reason: str) -> None:
    assert reason_of(some_headers(), now_s=now_s) == reason


@pytest.mark.parametrize("now_s", [AT_S - 300, AT_S + 300, AT_S + 299.9])
def test_a_timestamp_within_five_minutes_is_taken(now_s: float) -> None:
    assert verify([SECRET], some_headers(), BODY, now_s) == MESSAGE_ID


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-id", "a.1"),
        ("webhook-id", "a b"),
        ("webhook-id", "é"),
        ("webhook-id", "a\n"),
        ("webhook-id", "a" * 256),
        ("webhook-timestamp", "-1"),
        ("webhook-timestamp", "1614265330.0"),
        ("webhook-timestamp", "nan"),
        ("webhook-timestamp", "1_614_265_330"),
        ("webhook-timestamp", "9" * 5000),
        ("webhook-timestamp", "\u0661"),
        ("webhook-signature", "v1," + "A" * 5000),
    ],
)
def test_a_header_of_wrong_form_is_refused(name: str, value: str) -> None:
    assert reason_of({**some_headers(), name: value}) == MALFORMED


@pytest.mark.parametrize(
    "signature",
    [
        "v1",
        "v1,",
        "v1,é",
        "v1,AAAA",
        "v1a," + SIGNATURE[3:],
        "v2," + SIGNATURE[3:],
        "V1," + SIGNATURE[3:],
        SIGNATURE[3:],
        SIGNATURE[:-2] + "A=",
        " ".join(["v1,AAAA"] * 16 + [SIGNATURE]),
    ],
)
def test_a_signature_of_another_version_or_secret_does_not_match(signature: str) -> None:
    assert reason_of(some_headers(signature)) == NO_MATCH


def test_unknown_versions_and_garbage_beside_a_good_signature_are_passed_over() -> None:
    signature = f"v1a,hnO3f9T8 v9 v1,*** ,, {SIGNATURE}"
    assert verify([SECRET], some_headers(signature), BODY, AT_S) == MESSAGE_ID


def test_a_change_of_any_signed_octet_does_not_match() -> None:
    for place in range(len(BODY)):
        changed = BODY[:place] + bytes([BODY[place] ^ 1]) + BODY[place + 1 :]
        assert reason_of(some_headers(), body=changed) == NO_MATCH
    assert reason_of(some_headers(), body=BODY + b"\n") == NO_MATCH
    assert reason_of({**some_headers(), "webhook-id": "msg_other"}) == NO_MATCH
    assert reason_of({**some_headers(), "webhook-timestamp": str(AT_S + 1)}) == NO_MATCH


def test_no_secret_at_all_verifies_nothing() -> None:
    with pytest.raises(SignatureInvalid):
        verify([], some_headers(), BODY, AT_S)


def test_new_secrets_are_good_and_differ() -> None:
    made = {new_secret() for _ in range(50)}
    assert len(made) == 50
    for secret in made:
        check_secret(secret)


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", SECRET[6:], "whsec_c2hvcnQ=", "whsec_" + "A" * 88, "whsec_" + "!" * 40, "whsec_é"],
)
def test_a_secret_of_wrong_form_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        check_secret(secret)
    assert len(secret) < 7 or secret not in str(refusal.value)
