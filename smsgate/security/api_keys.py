"""
API keys: their form, their check sum, their stored code, their scopes.

A key is `sgk_live_` or `sgk_test_`, 10 characters of public id, 32 of secret (190 random bits) and 6 of
CRC-32 over all before it, all base 62. The check sum lets a scanner of repositories and this gateway refuse
a typo or a guess without any look-up; it is no secret. Only `key_mac` of a key is stored: a slow hash would
protect passwords that people chose, which 190 random bits are not.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from smsgate.errors import KeyInvalid
from smsgate.security import base62
from smsgate.security.compare import same

PUBLIC_ID_LENGTH: Final = 10
SECRET_LENGTH: Final = 32
CHECKSUM_LENGTH: Final = 6  # 62**6 exceeds 2**32
MAC_LENGTH: Final = 32  # octets of HMAC-SHA-256
# Published, so that merchants' scanners find a key that leaked into a repository or a log.
KEY_PATTERN: Final = r"\bsgk_(?:live|test)_[0-9A-Za-z]{48}\b"
_FORM: Final = re.compile(r"sgk_(live|test)_([0-9A-Za-z]{10})[0-9A-Za-z]{32}([0-9A-Za-z]{6})")
_KEY_LENGTH: Final = len("sgk_live_") + PUBLIC_ID_LENGTH + SECRET_LENGTH + CHECKSUM_LENGTH
# Compared for an unknown public id, so that it takes the time of a known one; equal to no MAC but by 2**-256.
_MAC_OF_NOBODY: Final = bytes(MAC_LENGTH)


class Mode(StrEnum):
    LIVE = "live"
    TEST = "test"  # data of its own and simulated phones (flows/test_mode.py)


class Scope(StrEnum):
    """What a key may do. No scope allows a key to raise its own limits."""

    SEND = "send"
    READ = "read"
    SUBSCRIBERS = "subscribers"
    ORDERS = "orders"
    BILLING_READ = "billing.read"
    WEBHOOKS_MANAGE = "webhooks.manage"
    KEYS_MANAGE = "keys.manage"
    OPERATOR = "operator"  # the operator's own keys: merchants, carriers, price lists


SCOPES: Final = frozenset(Scope)
MERCHANT_SCOPES: Final = SCOPES - {Scope.OPERATOR}


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key on its way to its holder: `text` is shown once and kept nowhere."""

    text: str = field(repr=False)
    public_id: str
    mode: Mode


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """A key of good form; whether it exists and is in force is for the store to say."""

    text: str = field(repr=False)
    public_id: str
    mode: Mode


def new_key(mode: Mode) -> NewKey:
    public_id = _random_word(PUBLIC_ID_LENGTH)
    body = f"sgk_{mode.value}_{public_id}{_random_word(SECRET_LENGTH)}"
    return NewKey(body + _checksum(body), public_id, mode)


def parse_key(text: str) -> ParsedKey:
    """
    Return the parts of a key of good form.

    Raises:
        KeyInvalid: the form or the check sum is wrong; the sentence repeats nothing of `text`.
    """
    # The length first: an outsider's 8 KiB of header must cost one comparison.
    match = _FORM.fullmatch(text) if len(text) == _KEY_LENGTH else None
    if match is None or match[3] != _checksum(text[:-CHECKSUM_LENGTH]):
        raise KeyInvalid("not an API key of this gateway: form or check sum is wrong")
    return ParsedKey(text, match[2], Mode(match[1]))


def key_mac(mac_key: bytes, text: str) -> bytes:
    """Return the code under which a key is stored: HMAC-SHA-256 of its whole text."""
    return hmac.digest(mac_key, text.encode("ascii"), hashlib.sha256)


def key_matches(mac_key: bytes, key: ParsedKey, stored_mac: bytes | None) -> bool:
    """
    Return whether `key` is the one whose code is stored; pass None when its public id is unknown.

    The work is the same in all cases, so that time does not tell which public ids exist.
    """
    equal = same(key_mac(mac_key, key.text), _MAC_OF_NOBODY if stored_mac is None else stored_mac)
    return equal and stored_mac is not None


def _checksum(body: str) -> str:
    return base62.encode(zlib.crc32(body.encode("ascii")), CHECKSUM_LENGTH)


def _random_word(length: int) -> str:
    return base62.encode(secrets.randbelow(62**length), length)
