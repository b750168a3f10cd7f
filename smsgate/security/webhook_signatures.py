"""
Webhooks signed and verified after Standard Webhooks 1.0.0, symmetric scheme `v1`.

Signed is `{id}.{timestamp}.{body}` with HMAC-SHA-256 over the raw octets; secrets are `whsec_` and base64 of
24 to 64 octets. Neither id nor timestamp may hold a full stop, or two requests could share one signature.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from smsgate.errors import ConfigError, SignatureInvalid
from smsgate.security.compare import same

ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  # the published prefix, no secret
SECRET_OCTETS: Final = 32
SECRET_OCTETS_MIN: Final = 24  # specification: 24 to 64 octets
SECRET_OCTETS_MAX: Final = 64
TOLERANCE_S: Final = 300
SIGNATURES_MAX: Final = 16  # compared in one header: rotation needs two, a version to come a few
SIGNATURE_HEADER_MAX: Final = 4096  # characters

# Stable reasons, in `SignatureInvalid.reason`.
MISSING: Final = "header_missing"
MALFORMED: Final = "header_malformed"
TOO_OLD: Final = "timestamp_too_old"
TOO_NEW: Final = "timestamp_too_new"
NO_MATCH: Final = "no_match"

KEYS_KEPT: Final = 1_000  # under a kilobyte each; the secrets of as many triggers or endpoints at work

_ID_FORM: Final = re.compile(r"[!-\-/-~]{1,255}")  # printable ASCII without space and full stop
_TIMESTAMP_FORM: Final = re.compile(r"[0-9]{1,12}")


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_OCTETS)).decode("ascii")


def check_secret(secret: str) -> None:
    """
    Accept a secret that a shop brings along.

    Raises:
        ConfigError: not `whsec_` and base64 of 24 to 64 octets; the sentence does not repeat it.
    """
    _secret_octets(secret)


def sign(secret: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    """Return one signature, `v1,` and base64."""
    assert _ID_FORM.fullmatch(message_id), message_id
    code = _code(secret, message_id, str(timestamp_s), body)
    return "v1," + base64.b64encode(code).decode("ascii")


def sign_all(secrets_: Sequence[str], message_id: str, timestamp_s: int, body: bytes) -> str:
    """Return the header's value: one signature per secret, so that old and new both hold during rotation."""
    assert secrets_
    return " ".join(sign(secret, message_id, timestamp_s, body) for secret in secrets_)


def signed_headers(secrets_: Sequence[str], message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    return {
        ID_HEADER: message_id,
        TIMESTAMP_HEADER: str(timestamp_s),
        SIGNATURE_HEADER: sign_all(secrets_, message_id, timestamp_s, body),
    }


def verify(
    secrets_: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    now_s: float,
    tolerance_s: float = TOLERANCE_S,
) -> str:
    """
    Return the webhook-id, to be kept by the caller against replay.

    Every secret is tried on every `v1` signature, without an early end; other versions are passed over.

    Raises:
        SignatureInvalid: `reason` is one of MISSING, MALFORMED, TOO_OLD, TOO_NEW, NO_MATCH.
    """
    message_id = _header(headers, ID_HEADER)
    timestamp = _header(headers, TIMESTAMP_HEADER)
    signatures = _header(headers, SIGNATURE_HEADER)
    if not _ID_FORM.fullmatch(message_id):
        raise SignatureInvalid(
            f"{ID_HEADER} must be 1 to 255 printable ASCII characters without a full stop", MALFORMED
        )
    if not _TIMESTAMP_FORM.fullmatch(timestamp):
        raise SignatureInvalid(f"{TIMESTAMP_HEADER} must be whole seconds since 1970", MALFORMED)
    if len(signatures) > SIGNATURE_HEADER_MAX:
        raise SignatureInvalid(f"{SIGNATURE_HEADER} exceeds {SIGNATURE_HEADER_MAX} characters", MALFORMED)
    signed_s = int(timestamp)
    if signed_s < now_s - tolerance_s:
        raise SignatureInvalid(f"{TIMESTAMP_HEADER} is more than {tolerance_s:g} s old", TOO_OLD)
    if signed_s > now_s + tolerance_s:
        raise SignatureInvalid(f"{TIMESTAMP_HEADER} is more than {tolerance_s:g} s ahead", TOO_NEW)
    given = _v1_codes(signatures)
    matches = 0
    for secret in secrets_:
        expected = _code(secret, message_id, timestamp, body)
        for code in given:
            matches += same(expected, code)
    if not matches:
        raise SignatureInvalid(f"no v1 signature in {SIGNATURE_HEADER} matches", NO_MATCH)
    return message_id


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if value is None:  # a plain dict keeps the sender's spelling
        value = next((value for key, value in headers.items() if key.lower() == name), None)
    if not value:
        raise SignatureInvalid(f"header {name} is missing", MISSING)
    return value


def _v1_codes(signatures: str) -> list[bytes]:
    """Return the readable `v1` codes; what cannot be read cannot match, so it is passed over."""
    codes = []
    for signature in signatures.split(" ")[:SIGNATURES_MAX]:
        version, _, text = signature.partition(",")
        if version == "v1":
            try:
                codes.append(base64.b64decode(text, validate=True))
            except ValueError:
                continue
    return codes


def _code(secret: str, message_id: str, timestamp: str, body: bytes) -> bytes:
    content = b"%b.%b.%b" % (message_id.encode("ascii"), timestamp.encode("ascii"), body)
    code = _keyed(secret).copy()
    code.update(content)
    return code.digest()


@lru_cache(KEYS_KEPT)
def _keyed(secret: str) -> hmac.HMAC:
    """Return HMAC under a secret that has seen nothing yet: the key is padded and hashed once."""
    return hmac.new(_secret_octets(secret), digestmod=hashlib.sha256)


def _secret_octets(secret: str) -> bytes:
    text = secret.removeprefix(SECRET_PREFIX)
    try:
        octets = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)  # padding is often left out
    except ValueError:
        octets = b""
    if not secret.startswith(SECRET_PREFIX) or not SECRET_OCTETS_MIN <= len(octets) <= SECRET_OCTETS_MAX:
        raise ConfigError(
            f"webhook secret must be {SECRET_PREFIX} and base64 of "
            f"{SECRET_OCTETS_MIN} to {SECRET_OCTETS_MAX} octets"
        )
    return octets
