"""The one comparison of secrets in the project; a test looks for any other."""

from __future__ import annotations

import hmac


def same(left: bytes, right: bytes) -> bool:
    """Return whether both are equal, in a time that depends on their lengths alone."""
    return hmac.compare_digest(left, right)
