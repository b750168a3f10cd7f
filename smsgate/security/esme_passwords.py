"""
Passwords of ESME accounts: made here, shown once, stored as a keyed code.

SMPP leaves 8 octets for a password (16 where both sides allow it), so a plain hash of one could be tried out
in hours. The key of the code is an instance secret that the master key seals: who has a copy of the database
alone can try nothing, and who guesses at the door is slowed down there (`smsgate.flows.esme_guard`). The code
covers the account's id too, so that equal passwords do not show as equal.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
from typing import Final

from smsgate.security.compare import same

LENGTH_DEFAULT: Final = 8  # octets: SMPP 3.4 §5.2.2, its NUL apart; 47 random bits
LENGTH_MAX: Final = 16  # octets that peers of the field take at most
# Letters and digits that nobody confuses on the telephone.
_ALPHABET: Final = "".join(sorted(set(string.ascii_letters + string.digits) - set("0O1lI")))
_MAC_OF_NOBODY: Final = bytes(32)


def new_password(length: int = LENGTH_DEFAULT) -> str:
    assert LENGTH_DEFAULT <= length <= LENGTH_MAX
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def password_mac(mac_key: bytes, account_id: int, password: bytes) -> bytes:
    """Return the code under which an account's password is stored: 32 octets."""
    return hmac.digest(mac_key, account_id.to_bytes(8, "big") + password, hashlib.sha256)


def password_matches(mac_key: bytes, account_id: int, password: bytes, stored_mac: bytes | None) -> bool:
    """
    Return whether `password` is the account's; pass 0 and None when there is no such account.

    The work is the same in all cases, so that time does not tell which accounts exist.
    """
    equal = same(
        password_mac(mac_key, account_id, password), _MAC_OF_NOBODY if stored_mac is None else stored_mac
    )
    return equal and stored_mac is not None
