"""
Numbers that must not be written to, as keyed hashes: what an erasure leaves behind blocks, and tells nothing.

A hash is of one merchant and number, or of a number for every merchant; nobody can tell which, nor go back to
a number without the instance's secret. Source: CNIL on suppression lists (docs/compliance.md).
"""

from __future__ import annotations

import hmac
from typing import Final

EVERYBODY: Final = 0  # in the place of a merchant: no merchant may write to the number
HASH_OCTETS: Final = 16  # 128 bits: of a hundred million numbers no two meet


class SuppressionHashes:
    def __init__(self, key: bytes) -> None:
        assert len(key) == 32
        self._key = key

    def of(self, merchant_id: int, msisdn: int) -> bytes:
        """Return the hash of a number for one merchant, or for EVERYBODY."""
        return hmac.digest(self._key, b"%d:%d" % (merchant_id, msisdn), "sha256")[:HASH_OCTETS]

    def both(self, merchant_id: int, msisdn: int) -> tuple[bytes, bytes]:
        """Return what stands in the way of one merchant: its own hash, and everybody's."""
        return self.of(merchant_id, msisdn), self.of(EVERYBODY, msisdn)
