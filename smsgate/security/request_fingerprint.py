"""What makes two requests under one Idempotency-Key the same request."""

from __future__ import annotations

import hashlib
from typing import Final

FINGERPRINT_LENGTH: Final = 32  # octets


def fingerprint(method: str, path: str, body: bytes) -> bytes:
    """
    Return SHA-256 over method, path with query, and the raw body.

    Lengths stand before method and path, so that no two requests share an input. The body counts by its
    octets: the same JSON spelt otherwise is another request, as the IETF draft on Idempotency-Key allows.
    """
    digest = hashlib.sha256()
    for part in (method.upper().encode(), path.encode("utf-8", "surrogateescape")):
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    digest.update(body)
    return digest.digest()
