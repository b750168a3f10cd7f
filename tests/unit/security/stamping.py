"""One stamp by itself, as tests want them."""

from __future__ import annotations

from collections.abc import Sequence

from smsgate.security.proof_chain import Entry, ProofKey
from smsgate.security.proof_stamps import Stamp, content_of, signed, unsigned


def made(
    key: ProofKey,
    subject: str,
    before: Stamp | None,
    at: str,
    entries: Sequence[Entry],
    *,
    erases: bool = False,
) -> Stamp:
    """Return the stamp that follows `before`, of these entries."""
    return signed(key, [unsigned(subject, before, at, [*map(content_of, entries)], erases=erases)])[0]
